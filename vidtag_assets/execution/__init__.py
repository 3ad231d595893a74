"""Runs and the processes that do them: told as they happen, cleared when their process is gone.

Belongs here: which process is which (processes), Dagster's runs and places in pools (runs), a run
in lines (story). Does not belong here: what a run makes (assets), MLflow's runs
(store/leftovers.py).
"""
