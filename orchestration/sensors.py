"""Sensors: what happens by itself once it is switched on, and what is done about failed runs."""

import json

import dagster as dg

from orchestration.jobs import reconsider, take_in
from vidtag_assets.assets import own_recordings
from vidtag_assets.assets import retraining as policy
from vidtag_assets.assets.dataset import clips
from vidtag_assets.execution import runs
from vidtag_assets.store import leftovers
from vidtag_assets.watching import findings, webhook
from vidtag_assets.workspace.resources import ParamsFile, Tracking, Workspace
from vidtag_ml.models.system import System

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


@dg.sensor(
    job=reconsider,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks the policy once recordings were taken in, where clips are made of them.",
)
def arrivals(
    context: dg.SensorEvaluationContext, params_file: ParamsFile
) -> dg.SensorResult | dg.SkipReason:
    """Asks for a run when the last of the datasets has been taken in that are in the inbox."""
    newest = _newest(context, own_recordings.own_recordings.key)
    if newest is None:
        return dg.SkipReason("nothing was taken in since")
    if params_file.load().clips.source != "recordings":
        return dg.SkipReason("clips are not made of own recordings: clips.source says so")
    if context.instance.get_runs(dg.RunsFilter(job_name=take_in.name, statuses=runs.UNFINISHED)):
        return dg.SkipReason("recordings are still being taken in")
    by_clips = newest.event_log_entry.step_key == clips.key.to_user_string()
    asked = None if by_clips else dg.RunRequest(f"arrivals {newest.storage_id}")
    return _once(newest, asked)


def launching(system: System) -> dg.SensorDefinition:
    """The sensor that launches what a system's policy on retraining asks for."""
    asked, job = policy.name_of(system), policy.job_of(system)

    @dg.sensor(
        name=asked.replace(policy.POLICY, "retraining"),
        job_name=job,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Launches the job {job} if the asset {asked} says so.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        newest = _newest(context, dg.AssetKey(asked))
        if newest is None or newest.asset_materialization is None:
            return dg.SkipReason("the policy was not asked since")
        due = policy.request(newest.asset_materialization, f"policy {newest.storage_id}")
        return _once(newest, due)

    return sensor


def _newest(context: dg.SensorEvaluationContext, asset: dg.AssetKey) -> dg.EventLogRecord | None:
    """The newest materialization, unless it was looked at before."""
    found = context.instance.fetch_materializations(asset, limit=1).records
    return found[0] if found and str(found[0].storage_id) != context.cursor else None


def _once(event: dg.EventLogRecord, asked: dg.RunRequest | None) -> dg.SensorResult:
    """The run, if one is asked for; the event is not looked at again."""
    return dg.SensorResult(run_requests=[asked] if asked else [], cursor=str(event.storage_id))


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


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sends failed runs, checks that do not hold, stale assets and drift to the address "
    f"in {webhook.URL}: once, and again when they are over. Each tick says what is open.",
)
def alerts(context: dg.SensorEvaluationContext, workspace: Workspace) -> dg.SensorResult:
    """Asks for no run; a tick fails while the address takes nothing."""
    assert context.repository_def is not None
    graph = context.repository_def.asset_graph
    return findings.tick(context.instance, graph, context.cursor, workspace.path)
