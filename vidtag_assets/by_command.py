"""Registration without Dagster: what `vidtag register` does in the place of the registry's assets.

Belongs here: what must be there and up to date before a version is registered, where no asset graph
sees to it. Does not belong here: registering and deciding themselves (registration.py,
cityguessr.py, gama.py), the command (cli.py).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from vidtag_assets import cityguessr, gama, provenance, registry, vidtag
from vidtag_assets.resources import Dvc, Tracking
from vidtag_ml import config
from vidtag_ml.models.cityguessr import stages as cityguessr_stages
from vidtag_ml.models.gama import stages as gama_stages
from vidtag_ml.models.gps_retrieval import stages as gps_stages
from vidtag_ml.workflow import inputs, layout
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


@dataclass(frozen=True)
class Kind:
    """How a model is registered."""

    part: ModuleType
    """Its module of assets, with `bundle_and_register` and `decide`."""
    evaluate: Callable[[Path, config.Params, str], object]
    """Makes what the version and the gate read of a split."""
    recorded: tuple[str, ...]
    """Stages of dvc.yaml whose outputs it is made from."""
    added: tuple[str, ...] = ()
    """Folders of data/ that it is made from and no stage makes."""


def _evaluate_tracks(root: Path, params: config.Params, split: str) -> None:
    for name in gps_stages.MODELS:
        gps_stages.evaluate_model(root, params, name, split)


KINDS = {
    registry.NAME: Kind(vidtag, _evaluate_tracks, ("clips", "gallery")),
    registry.PLACES: Kind(
        cityguessr, cityguessr_stages.evaluate_cityguessr, ("clips", "hierarchy", "gallery")
    ),
    registry.AERIAL: Kind(gama, gama_stages.evaluate_gama, ("clips",), (gama.GALLERY,)),
}


def prepare(root: Path, params: config.Params, dvc: Dvc, name: str) -> None:
    """Makes what `register` reads and is not there yet, or not of what lies in the workspace.

    That is the evaluations on all splits, and the data's identity in DVC.

    Raises:
        ValueError: something is not there yet; names the command that makes it.
    """
    kind, at = KINDS[name], layout.of(root, params)
    for split in inputs.SPLITS:
        kind.evaluate(root, params, split)
    _record(dvc, at, kind)


def register(
    root: Path, params: config.Params, dvc: Dvc, tracking: Tracking, name: str
) -> "tuple[ModelVersion, bool, registry.Promotion]":
    """The version of a prepared model, whether it is new, and the gate's decision about it."""
    part, run = KINDS[name].part, provenance.COMMAND_LINE
    version, new = part.bundle_and_register(root, params, dvc, tracking, run)
    entry, _ = part.decide(tracking, layout.of(root, params), params)
    return version, new, entry


def _record(dvc: Dvc, at: Layout, kind: Kind) -> None:
    """Gives the data the identity that lineage reads.

    Raises:
        ValueError: there is no gallery, or no DVC that could do it; carries what it said.
    """
    if "gallery" in kind.recorded:
        inputs.input_digest(at.gallery, "vidtag gallery")
    try:
        for stage in kind.recorded:
            dvc.commit(stage)
        for name in kind.added:
            dvc.add(name)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
