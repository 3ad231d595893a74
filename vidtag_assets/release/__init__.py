"""How a trained model becomes a version, and a version the champion.

Belongs here: registration with what bars a version (registration, and by_command without Dagster),
the model card (cards), the form in which MLflow serves it (pyfunc). Does not belong here: the
verdict (vidtag_ml.models.gate), the registry itself (store).
"""
