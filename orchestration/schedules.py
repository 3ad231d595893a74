"""Schedules: once a week whether to retrain, every night whether the data are as they should be.

Both are on as soon as the daemon runs, and neither begins what nobody has begun: in a workspace
without data they do nothing.
"""

from pathlib import Path

import dagster as dg

from orchestration.jobs import reconsider, validate_data
from vidtag_assets.workspace.resources import ParamsFile, Workspace


def _once_made(name: str, path: Path) -> dg.RunRequest | dg.SkipReason:
    """A run, unless that was never made here."""
    if path.exists():
        return dg.RunRequest()
    return dg.SkipReason(f"there is no {name} yet ({path}): the job everything makes it")


@dg.schedule(
    job=reconsider,
    cron_schedule="0 3 * * 1",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Asks on Mondays at 3:00 UTC whether a new model is due; if not, none is trained.",
)
def weekly_retraining(
    workspace: Workspace, params_file: ParamsFile
) -> dg.RunRequest | dg.SkipReason:
    """A run that asks the policy; the sensor `retraining` launches what it answers."""
    at = workspace.layout(params_file.load())
    return _once_made("table of clips", at.dataset / "clips.parquet")


@dg.schedule(
    job=validate_data,
    cron_schedule="0 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Checks clips and gallery every night at 2:00 UTC, whoever wrote them.",
)
def nightly_validation(
    workspace: Workspace, params_file: ParamsFile
) -> dg.RunRequest | dg.SkipReason:
    """A run of the checks."""
    return _once_made("gallery", workspace.layout(params_file.load()).gallery)
