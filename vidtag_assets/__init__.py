"""What exists: `vidtag_ml`'s functions as Dagster assets, versioned by DVC, tracked in MLflow.

Belongs here: assets with their checks, one module a stage of the chain, and the resources through
which they reach DVC and MLflow. Does not belong here: machine learning (vidtag_ml), or when things
run (orchestration).
"""
