"""Schedules: retraining once a week, if data changed; validation every night."""

import dagster as dg

from orchestration.jobs import retrain, validate_data
from vidtag_assets import registry
from vidtag_assets.resources import Dvc, ParamsFile, Tracking


@dg.schedule(
    job=retrain,
    cron_schedule="0 3 * * 1",
    execution_timezone="UTC",
    description="Retrains on Mondays at 3:00 UTC, but only on data that no current model has seen.",
)
def weekly_retraining(
    params_file: ParamsFile, dvc: Dvc, tracking: Tracking
) -> dg.RunRequest | dg.SkipReason:
    """A run, or the reason why there is nothing to learn."""
    name = registry.name_of(registry.NAME, params_file.load())
    reason = registry.nothing_new(tracking, dvc, name)
    return dg.SkipReason(reason) if reason else dg.RunRequest()


nightly_validation = dg.ScheduleDefinition(
    name="nightly_validation",
    job=validate_data,
    cron_schedule="0 2 * * *",
    execution_timezone="UTC",
    description="Checks clips and gallery every night at 2:00 UTC, whoever wrote them.",
)
