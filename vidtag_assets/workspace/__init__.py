"""The folder in which all lies: parameters, code, the `dvc` command, MLflow's store.

Belongs here: where it lies and whether it was moved (home), its source as Git and as an archive
knows it (source), what assets reach through Dagster's resources (resources), pages that it serves
(data_docs). Does not belong here: what is in MLflow's store (store).
"""
