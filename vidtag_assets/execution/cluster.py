"""Kubernetes: what each asset asks of it, and the executor that gives each step a job of its own.

Belongs here: requests and limits as tags that dagster-k8s reads, the choice of the executor. Does
not belong here: runs on this machine (runs.py), addresses of services (environment, as
docs/operations.md says). dagster-k8s is an extra, imported only where it is chosen.
"""

import os
from typing import Any

import dagster as dg

from vidtag_assets.execution import runs

TAG = "dagster-k8s/config"
"""Tag of a step's operation that dagster-k8s renders into its pod."""
GPU = "nvidia.com/gpu"
KUBERNETES = "k8s"


def needs(*, cpu: float, memory_gb: float, gpus: int = 0) -> dict[str, Any]:
    """Tags of an asset's operation: what its pod gets, and no other step is promised.

    Memory and GPUs are limits as well, since neither can be lent; idle processors can.
    """
    fixed = {"memory": f"{round(memory_gb * 1024)}Mi", **({GPU: str(gpus)} if gpus else {})}
    resources = {"requests": {"cpu": f"{round(cpu * 1000)}m", **fixed}, "limits": fixed}
    return {TAG: {"container_config": {"resources": resources}}}


def executor() -> dg.ExecutorDefinition:
    """The executor that `VIDTAG_EXECUTOR` names: Dagster's own here, or a job of Kubernetes a step.

    Raises:
        ValueError: it names another, or dagster-k8s is not installed.
    """
    name = os.environ.get(runs.EXECUTOR, runs.LOCAL)
    if name == runs.LOCAL:
        return runs.executor
    if name != KUBERNETES:
        raise ValueError(f"{runs.EXECUTOR} is {name!r}; it may be {runs.LOCAL} or {KUBERNETES}")
    try:
        from dagster_k8s import k8s_job_executor
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{runs.EXECUTOR} is {name}, and dagster-k8s is missing: pip install 'vidtag-geo[k8s]'"
        ) from error
    return k8s_job_executor
