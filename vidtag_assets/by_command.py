"""Registration without Dagster: what `vidtag register` does in the place of the registry's assets.

Belongs here: what must be there and up to date before a version is registered, where no asset graph
sees to it. Does not belong here: registering and deciding themselves (registration.py), what
differs from system to system (its module), the command (cli.py).
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from vidtag_assets import provenance, registration, registry
from vidtag_assets.registration import Registered
from vidtag_assets.resources import Dvc, Tracking
from vidtag_ml import config
from vidtag_ml.workflow import inputs, layout
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


def spec_of(name: str) -> Registered:
    """How the system of that name is registered: `REGISTERED` of its module of assets."""
    found = importlib.import_module(f"vidtag_assets.{name}").REGISTERED
    assert isinstance(found, Registered)
    return found


def prepare(root: Path, params: config.Params, dvc: Dvc, name: str) -> None:
    """Makes what `register` reads and is not there yet, or not of what lies in the workspace.

    That is the evaluations on all splits, and the data's identity in DVC.

    Raises:
        ValueError: something is not there yet; names the command that makes it.
    """
    spec = spec_of(name)
    for system in (spec.system, *(spec.first or ())[:1]):
        for split in inputs.SPLITS:
            system.evaluate(root, params, split)
    _record(dvc, layout.of(root, params), spec)


def register(
    root: Path, params: config.Params, dvc: Dvc, tracking: Tracking, name: str
) -> "tuple[ModelVersion, bool, registry.Promotion]":
    """The version of a prepared model, whether it is new, and the gate's decision about it."""
    spec, run = spec_of(name), provenance.COMMAND_LINE
    version, new = registration.bundle_and_register(spec, root, params, dvc, tracking, run)
    entry, _ = registration.decide(spec, tracking, layout.of(root, params), params)
    return version, new, entry


def _record(dvc: Dvc, at: Layout, spec: Registered) -> None:
    """Gives the data the identity that lineage reads.

    Raises:
        ValueError: there is no gallery, or no DVC that could do it; carries what it said.
    """
    if "gallery" in spec.recorded:
        inputs.input_digest(at.gallery, "vidtag gallery")
    try:
        for stage in spec.recorded:
            dvc.commit(stage)
        for name in spec.added:
            dvc.add(name)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
