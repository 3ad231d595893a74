"""Trainings in processes of their own, which torchrun begins and Dagster Pipes tells of.

Belongs here: beginning and ending them from an asset (process_group), what each of them does
(trainer). Does not belong here: the training (vidtag_ml.models), Kubernetes (execution/cluster.py).
"""
