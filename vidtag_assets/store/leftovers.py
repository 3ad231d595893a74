"""What killed processes left in MLflow: their runs are closed, and models that are no version go.

Belongs here: telling what is left from what is being made. Does not belong here: Dagster's runs
(execution/runs.py), processes themselves (execution/processes.py), decisions about champions
(registry.py).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from vidtag_assets.execution.processes import Process, why_gone
from vidtag_assets.store import registry, registry_file
from vidtag_assets.workspace import home
from vidtag_assets.workspace.resources import PROCESS, Tracking

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow.entities import LoggedModel

CLOSED = "closed"
"""Tag of a run that another process closed: why."""


def clear(tracking: Tracking) -> list[str]:
    """Closes runs whose process is gone, as KILLED, and removes the models that they half logged.

    A model without a version is half logged; one whose version does not know it yet, learns it. A
    run that does not name its process, or one on another machine, is left alone.

    Returns:
        a sentence for each.
    """
    own = tracking.server is None
    if own and registry_file.is_at_rest(registry_file.of(tracking.root)):
        return []
    with home.locked(Path(tracking.root)):
        return [*_close(tracking), *_remove(tracking)]


def _close(tracking: Tracking) -> list[str]:
    client, told = tracking.client(), []
    running = "attributes.status = 'RUNNING'"
    for run in client.search_runs([tracking.experiment_id()], running):
        process = _gone(run.data.tags)
        if process:
            name, why = run.info.run_name, why_gone(process.pid)
            client.set_tag(run.info.run_id, CLOSED, why)
            client.set_terminated(run.info.run_id, "KILLED")
            told.append(f"closed MLflow's run {run.info.run_id} ({name}), since {why}")
    return told


def _remove(tracking: Tracking) -> list[str]:
    client, told = tracking.client(), []
    left = [
        m for m in client.search_logged_models([tracking.experiment_id()]) if _left(tracking, m)
    ]
    names = registry.names(tracking) if left else []
    known = {v.source: v for name in names for v in registry.versions(tracking, name)}
    for model in left:
        if model.model_uri in known:
            registry.link(tracking, known[model.model_uri])
        else:
            _delete(tracking, model)
            told.append(f"removed the half-logged model {model.model_id} ({model.name})")
    return told


def _left(tracking: Tracking, model: "LoggedModel") -> bool:
    """Whether a model knows of no version, and nobody is about to tell it one."""
    if registry.LINK in model.tags or not model.source_run_id:
        return False
    run = tracking.client().get_run(model.source_run_id)
    return _gone(run.data.tags) is not None


def _delete(tracking: Tracking, model: "LoggedModel") -> None:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    artifacts = get_artifact_repository(model.artifact_location)
    artifacts.delete_artifacts()  # type: ignore[no-untyped-call]
    tracking.client().delete_logged_model(model.model_id)


def _gone(tags: "Mapping[str, str]") -> Process | None:
    """The process that made a run, if it is certainly gone."""
    process = Process.parse(tags[PROCESS]) if PROCESS in tags else None
    return process if process and process.is_gone() else None
