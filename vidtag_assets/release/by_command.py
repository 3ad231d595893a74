"""Registration without Dagster: what `vidtag register` does in the place of the registry's assets.

Belongs here: what must be there and up to date before a version is registered, where no asset graph
sees to it. Does not belong here: registering and deciding themselves (registration.py), what
differs from system to system (its module `system`), the command (cli.py).
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vidtag_assets.lineage import provenance
from vidtag_assets.release import registration
from vidtag_assets.store import promotions
from vidtag_assets.workspace.resources import Dvc, Tracking
from vidtag_ml import config
from vidtag_ml.models.registry import SYSTEMS
from vidtag_ml.workflow import inputs, layout
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


def prepare(root: Path, params: config.Params, dvc: Dvc, *names: str) -> None:
    """Makes what `register` reads and is not there yet, or not of what lies in the workspace.

    That is the evaluations on all splits, which may take minutes, and then the data's identity in
    DVC.

    Raises:
        ValueError: something is not there yet; names the command that makes it.
    """
    asked = {name: SYSTEMS[name].bundled.registration for name in names}
    stages = list(dict.fromkeys(stage for how in asked.values() for stage in how.recorded))
    _check(layout.of(root, params), dvc, stages)
    rivals = (how.first for how in asked.values() if how.first)
    for name in dict.fromkeys((*asked, *rivals)):
        for split in inputs.SPLITS:
            SYSTEMS[name].evaluate(root, params, split)
    with _told():
        for stage in stages:
            dvc.commit(stage)
        for folder in dict.fromkeys(folder for how in asked.values() for folder in how.added):
            dvc.add(folder)


def register(
    root: Path, params: config.Params, dvc: Dvc, tracking: Tracking, name: str
) -> "tuple[ModelVersion, bool, promotions.Promotion]":
    """The version of a prepared model, whether it is new, and the gate's decision about it."""
    system, run = SYSTEMS[name], provenance.COMMAND_LINE
    version, new = registration.bundle_and_register(system, root, params, dvc, tracking, run)
    entry, _ = registration.decide(system, tracking, layout.of(root, params), params)
    return version, new, entry


def _check(at: Layout, dvc: Dvc, stages: Sequence[str]) -> None:
    """Raises ValueError if data that lineage reads are not there, or DVC could not record them."""
    inputs.tables_digest(at.dataset)
    if "gallery" in stages:
        inputs.input_digest(at.gallery, "vidtag gallery")
    with _told():
        dvc.require(stages)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What DVC says is an error of the user."""
    try:
        yield
    except RuntimeError as error:
        raise ValueError(
            f"{error}; a model is registered with data that DVC has recorded, by the project's "
            "dvc.yaml, where `dvc init` was called once"
        ) from error
