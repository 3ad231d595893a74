"""Sensors: what happens by itself once it is switched on, and what is done about failed runs."""

import json

import dagster as dg

from orchestration.jobs import take_in
from vidtag_assets import leftovers, own_recordings, runs
from vidtag_assets.resources import Tracking, Workspace

automation = dg.AutomationConditionSensorDefinition(
    "automation",
    target=dg.AssetSelection.all(),
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Makes hierarchy and leaderboard whenever what they are made from has changed.",
)


@dg.sensor(
    job=take_in,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.STOPPED,
    description="Takes in each folder of data/inbox as a dataset, and again when it has changed.",
)
def inbox(context: dg.SensorEvaluationContext, workspace: Workspace) -> dg.SensorResult:
    """Asks for a run for each folder that is new or changed, and at rest for a while."""
    seen = json.loads(context.cursor or "{}")
    found = own_recordings.settled(workspace.path)
    new = {name: state for name, state in found.items() if seen.get(name) != state}
    return dg.SensorResult(
        run_requests=[dg.RunRequest(f"{n} {state}", partition_key=n) for n, state in new.items()],
        dynamic_partitions_requests=[own_recordings.DATASETS.build_add_request(list(new))],
        cursor=json.dumps({**seen, **new}),
    )


@dg.run_failure_sensor(
    description="Adds a line to out/run_failures.jsonl for each failed run.",
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def run_failure_log(context: dg.RunFailureSensorContext, workspace: Workspace) -> None:
    """Notes which run failed, in which job, and what it said."""
    run = context.dagster_run
    workspace.note_failure(run.run_id, run.job_name, context.failure_event.message or "")


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Fails runs whose process is gone, frees their places in pools, closes MLflow's.",
)
def dead_runs(context: dg.SensorEvaluationContext, tracking: Tracking) -> dg.SkipReason:
    """Asks for no run; says what was cleared."""
    told = runs.sweep(context.instance) + leftovers.clear(tracking)
    return dg.SkipReason("; ".join(told) or "No run is dead.")
