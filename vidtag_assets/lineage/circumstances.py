"""What a model was made in: hierarchy, features, encoders, packages, hardware, and who promoted it.

Belongs here: recording that as tags when a version is registered, and telling it from them. Does
not belong here: its identity (provenance.py), how a person is shown either (cli.py).
"""

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_assets.store import champions, promotions
from vidtag_assets.workspace.resources import HARDWARE, PROCESSES, Dvc, Tracking
from vidtag_ml.models.system import System
from vidtag_ml.workflow import stage
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

ENCODER = "encoder."
"""Beginning of tags: digests of a frame encoder's card and weights, by its name."""


def tags(
    system: System, at: Layout, dvc: Dvc, tracking: Tracking, runs: Mapping[str, str | None]
) -> dict[str, str]:
    """The circumstances of a model that lies in the workspace, as tags of its version.

    Args:
        system: what it is of.
        at: where it lies.
        dvc: knows the hierarchy.
        tracking: MLflow's store.
        runs: id of the run of each of its trainings, where there is one.
    """
    reads = {name for training in system.trainings.values() for name in training.reads}
    key, digest = stage.recorded(at.features) if "features" in reads else (None, None)
    settings = (key or {}).get("settings", {})
    found = {
        "hierarchy": dvc.md5("hierarchy") or "",
        "features": digest or "",
        **{f"{ENCODER}{name}": " ".join(d) for name, d in settings.get("encoders", {}).items()},
        "packages": _packages(
            [stage.recorded(at.model(name))[0] or {} for name in system.trainings]
        ),
        HARDWARE: _trained_on(tracking, runs),
    }
    return {key: value for key, value in found.items() if value}


def told(version: "ModelVersion") -> dict[str, Any]:
    """The circumstances of a version by its tags; None where they were not recorded."""
    known = version.tags
    encoders = {k.removeprefix(ENCODER): v for k, v in known.items() if k.startswith(ENCODER)}
    lines = [line for key, line in sorted(known.items()) if key.startswith(champions.DECISION)]
    promoted = [e for e in map(promotions.parse, lines) if e and e.action == "promoted"]
    by = f"{promoted[-1].user} on {promoted[-1].host}, {promoted[-1].time}" if promoted else None
    plain = ("hierarchy", "features", "packages", HARDWARE, "verdict")
    return {**{key: known.get(key) for key in plain}, "encoders": encoders or None, "promoter": by}


def of_training(processes: int) -> dict[str, str]:
    """The circumstances of a training that so many processes begin here, as tags of its run."""
    return {HARDWARE: hardware(), PROCESSES: str(processes)}


def hardware() -> str:
    """This machine's processor, and its accelerators."""
    import torch

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = models[0] if models else platform.machine()
    devices = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    return ", ".join([f"{os.cpu_count()} x {processor}", *devices])


def _packages(keys: list[dict[str, Any]]) -> str:
    """Versions of the packages that decided numbers, when they did."""
    found = {"python": platform.python_version()}
    for key in keys:
        found |= key.get("packages", {})
    return ", ".join(f"{name} {version}" for name, version in sorted(found.items()))


def _trained_on(tracking: Tracking, runs: Mapping[str, str | None]) -> str:
    """The machines that its trainings ran on; those that ran without MLflow do not tell."""
    client = tracking.client()
    known = [client.get_run(run).data.tags.get(HARDWARE) for run in runs.values() if run]
    return "; ".join(dict.fromkeys(one for one in known if one))
