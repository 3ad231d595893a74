"""Whether a workspace is whole: what a run was to leave is there, and nothing else.

Belongs here: results by their digests, and what is wrong with what surrounds them.
"""

import os
from pathlib import Path

import dagster as dg

from tests.faults.graph import HOME
from vidtag_assets.store import champions, promotions, registry, registry_file
from vidtag_assets.workspace.resources import Tracking
from vidtag_ml import config
from vidtag_ml.workflow import stage

UNLIKE = ("out/data_docs", "out/promotions", "out/run_failures")
"""Beginnings of names of what differs from run to run."""
IN_PROGRESS = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def results(root: Path) -> dict[str, str]:
    """Digests of all that stages made, by its name; what they left aside would be among it."""
    files = [f for top in ("data", "out") for f in (root / top).rglob("*") if f.is_file()]
    names = {file.relative_to(root).as_posix(): file for file in files}
    made = {name: f for name, f in sorted(names.items()) if not name.startswith(UNLIKE)}
    return {name: stage.digest(f) for name, f in made.items() if f.suffix != ".lock"}


def wrongs(root: Path) -> list[str]:
    """What is wrong with instance, MLflow, registry and log; none may be about to change them."""
    tracking = Tracking(root=str(root))
    return [*in_progress(root), *_of_mlflow(root, tracking), *_of_registry(root, tracking)]


def in_progress(root: Path) -> list[str]:
    """What seems to be made: runs of Dagster, places in pools, runs and models of MLflow."""
    os.environ["DAGSTER_HOME"] = str(root / HOME)
    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs(dg.RunsFilter(statuses=IN_PROGRESS))
        storage = instance.event_log_storage
        pools = [storage.get_concurrency_info(key) for key in storage.get_concurrency_keys()]
        taken = [pool.concurrency_key for pool in pools if pool.claimed_slots + pool.pending_steps]
    at_rest = registry_file.is_at_rest(registry_file.of(root))
    return [
        *(f"run {run.run_id} is {run.status}" for run in runs),
        *(f"the pool {key} is taken" for key in taken),
        *([] if at_rest else ["a run of MLflow is in progress, or a model half logged"]),
    ]


def _of_mlflow(root: Path, tracking: Tracking) -> list[str]:
    name = registry.name_of("vidtag", config.load(root / "params.yaml"))
    client, (newest, *_) = tracking.client(), registry.versions(tracking, name)
    runs = [client.get_run(run) for key, run in newest.tags.items() if key.startswith("run.")]
    runs.append(client.get_run(newest.run_id))
    unfinished = [run.info.run_id for run in runs if run.info.status != "FINISHED"]
    bare = [run.info.run_id for run in runs if not (run.data.params and run.data.metrics)]
    return [
        *(f"run {run} of version {newest.version} is not finished" for run in unfinished),
        *(f"run {run} of version {newest.version} lacks params or metrics" for run in bare),
    ]


def _of_registry(root: Path, tracking: Tracking) -> list[str]:
    name = registry.name_of("vidtag", config.load(root / "params.yaml"))
    digest, bundle = (
        stage.digest(root / "out" / "bundle"),
        registry.bundle_path(tracking, f"{name}@challenger"),
    )
    known = champions.recorded(tracking)
    copies = [line for number in sorted(known) for line in known[number]]
    lines = [promotions.text(e) for e in promotions.history(root) if e.number]
    wrong = {
        "the challenger is not what lies in out/bundle": stage.digest(bundle) != digest,
        "decisions and their copies differ": copies != lines,
        "there is more than one version": len(registry.versions(tracking, name)) != 1,
        "nothing was decided": name not in lines[-1],
    }
    found = [sentence for sentence, is_so in wrong.items() if is_so]
    return [*found, *promotions.faults(root, known)]
