"""Sensors: automation of the cheap assets, off until switched on; a log of failed runs."""

import dagster as dg

from vidtag_assets.resources import Workspace

automation = dg.AutomationConditionSensorDefinition(
    "automation",
    target=dg.AssetSelection.all(),
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Makes hierarchy and leaderboard whenever what they are made from has changed.",
)


@dg.run_failure_sensor(
    description="Adds a line to out/run_failures.jsonl for each failed run.",
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def run_failure_log(context: dg.RunFailureSensorContext, workspace: Workspace) -> None:
    """Notes which run failed, in which job, and what it said."""
    run = context.dagster_run
    workspace.note_failure(run.run_id, run.job_name, context.failure_event.message or "")
