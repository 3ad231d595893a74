"""The whole graph of a tiny world as a process of its own, which may be killed.

Belongs here: what such a process does. It is forked from one in which all packages are imported,
and what any run reads once is read, since that takes longer than the graph.
"""

import gc
import os
import sys
import tempfile
from pathlib import Path

import dagster as dg
import great_expectations  # noqa: F401
import mlflow.pyfunc
import numpy as np
import pytorch_lightning  # noqa: F401
import timm  # noqa: F401

from orchestration import demo
from orchestration.definitions import build_definitions
from vidtag_assets.execution import runs
from vidtag_assets.metadata import picture
from vidtag_assets.release import pyfunc
from vidtag_assets.workspace.resources import Dvc, ParamsFile, Tracking, Workspace
from vidtag_ml.earth import geonames
from vidtag_ml.earth.tracks import Track
from vidtag_ml.plots import maps
from vidtag_ml.workflow import code_key

HOME = "dagster"
"""Folder of Dagster's instance in a workspace."""
STEPS = {
    "execution": {
        "config": {
            "multiprocess": {
                "start_method": {"forkserver": {"preload_modules": ["tests.faults.graph"]}}
            }
        }
    }
}
"""Configuration of a run whose steps are processes of their own."""


def _read_once() -> None:
    """Reads code, places and imagery, draws a map, opens stores: what a process does just once.

    What then lies in memory is shared with all that are forked from here, which need not search it
    for garbage.
    """
    for name in code_key.builds():
        code_key.of(name)
    point = np.array([[47.0, 8.0]])
    geonames.labels_at(point)
    geonames.place_tree()
    track = Track("clip", np.zeros(1), point, point, np.ones(1))
    with tempfile.TemporaryDirectory() as folder, dg.DagsterInstance.local_temp(folder):
        picture(lambda path: maps.tracks_sheet([track], {"clip": point}, path))
        mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()
        code, needs = str(Path(pyfunc.__file__)), ["vidtag-geo"]
        mlflow.pyfunc.save_model(f"{folder}/model", python_model=code, pip_requirements=needs)
    gc.freeze()


_read_once()


def definitions(root: Path) -> dg.Definitions:
    """The graph over a workspace, as the repository's own is made."""
    made = build_definitions(
        workspace=Workspace(root=str(root)),
        params_file=ParamsFile(path=str(root / "params.yaml")),
        dvc=Dvc(root=str(root)),
        tracking=Tracking(root=str(root)),
    )
    return dg.Definitions.merge(made, dg.Definitions(executor=runs.executor))


def everything() -> dg.JobDefinition:
    """The main job over the current folder."""
    return definitions(Path.cwd()).resolve_job_def("everything")


def demonstrate(root: Path) -> None:
    """Materializes all as `make demo` does, in one process; exits with 0 if all is made."""
    _begin(root)
    with (root / "said").open("a") as said:
        sys.exit(demo.materialize(definitions(root), said))


def execute(root: Path) -> None:
    """Materializes all as `dagster job execute` does, each step in a process of its own."""
    _begin(root)
    with dg.DagsterInstance.get() as instance:
        job = dg.reconstructable(everything)
        result = dg.execute_job(job, instance, STEPS, raise_on_error=True)
    sys.exit(not result.success)


def _begin(root: Path) -> None:
    os.setsid()  # a terminal's group of processes
    os.environ["DAGSTER_HOME"] = str(root / HOME)
    os.chdir(root)
    said = os.open(root / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
