"""What exists: `vidtag_ml`'s functions as Dagster assets, versioned by DVC, tracked in MLflow.

Belongs here, each room on those before it: execution (runs and processes), workspace (its folder
and resources), store (the registry of models), lineage (from answers and models to data and code),
release (registration and the gate's decision), assets; and the command line. Does not belong here:
machine learning (vidtag_ml), or when things run (orchestration).
"""
