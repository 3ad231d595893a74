"""The whole identity of a model, as tags of its version, and of what would be made today.

Beside data, params, hierarchy and encoders (provenance.py, circumstances.py) that is the code of
each stage, the versions of the packages that decide numbers, and the weights that training starts
from.

Belongs here: reading both. Does not belong here: comparing them (vidtag_ml.retraining.changes).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_assets.lineage import provenance
from vidtag_assets.lineage.circumstances import ENCODER
from vidtag_assets.workspace.resources import Dvc, Tracking
from vidtag_ml import config
from vidtag_ml.models.system import System
from vidtag_ml.workflow import code_key, inputs, stage
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

SECTIONS = ("clips", "model", "evaluation")
"""Of the params, those that all systems depend on, beside gallery, features and trainings."""
FEATURES = "features"
HIERARCHY = "hierarchy"
_TAGS = ("dvc.clips", "dvc.gallery", HIERARCHY, ENCODER, "start.", "code.", "package.")


def tags(system: System, at: Layout, params: config.Params) -> dict[str, str]:
    """What a version's tags tell of its identity beside its lineage and circumstances.

    Code is that by which its stages were made, as their records say; a stage without a record is
    left out.
    """
    made = {name: code for name, out in _outs(system, at).items() if (code := _code_of(out))}
    return {**_starts(at, params), **_code(made)}


def today(system: System, at: Layout, params: config.Params, dvc: Dvc) -> dict[str, str]:
    """The identity of what would be made now, of data as DVC has recorded them."""
    data = {"dvc.clips": dvc.md5("clips"), "dvc.gallery": dvc.md5(system.gallery)}
    encoders: Mapping[str, Sequence[str]] = {}
    if _reads_features(system):
        data[HIERARCHY] = dvc.md5("hierarchy")
        folder = at.root / params.features.encoders_dir
        encoders = inputs.encoders_digest(folder, params.features.encoders)
    stages = [name for name in _outs(system, at) if name in code_key.builds()]
    values = provenance.flat(config.as_dict(params))
    return {
        **{name: md5 for name, md5 in data.items() if md5},
        **{f"{ENCODER}{name}": " ".join(digests) for name, digests in encoders.items()},
        **_starts(at, params),
        **_code({name: code_key.of(name) for name in stages}),
        **_params(values, system, params),
    }


def of_version(
    tracking: Tracking, version: "ModelVersion", system: System, params: config.Params
) -> dict[str, str]:
    """The identity of a version as far as it tells: its tags, and the parameters of its run."""
    values = tracking.client().get_run(str(version.run_id)).data.params
    told = {name: value for name, value in version.tags.items() if name.startswith(_TAGS) and value}
    if not _reads_features(system):
        told.pop(HIERARCHY, None)
    return {**told, **_params(values, system, params)}


def _starts(at: Layout, params: config.Params) -> dict[str, str]:
    """Digests of the weights that trainings start from, of those that lie beside the encoders."""
    named = ("location_start", "image_start")
    starts = {getattr(part, name, None) for part in vars(params).values() for name in named}
    folder = at.root / params.features.encoders_dir
    files = {name: folder / f"{name}.safetensors" for name in starts if name is not None}
    return {f"start.{n}": stage.digest(file) for n, file in files.items() if file.is_file()}


def _code(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    packages = {name: v for part in parts.values() for name, v in part["packages"].items()}
    return {
        **{f"code.{name}": part["code"] for name, part in parts.items()},
        **{f"package.{name}": str(version) for name, version in packages.items()},
    }


def settings(values: Mapping[str, Any], system: System, params: config.Params) -> dict[str, str]:
    """The parameters that a system depends on among all, by `SECTION.KEY`."""
    known = {*SECTIONS, system.gallery.removesuffix("_gallery"), *system.trainings}
    read = {FEATURES} if _reads_features(system) else set()
    sections = {name for name in known | read if hasattr(params, name)}
    return {k: str(v) for k, v in values.items() if k.split(".")[0] in sections}


def _params(values: Mapping[str, Any], system: System, params: config.Params) -> dict[str, str]:
    return {f"param.{k}": value for k, value in settings(values, system, params).items()}


def _outs(system: System, at: Layout) -> dict[str, Path]:
    """What a version is made of or by, by its stages."""
    read = {HIERARCHY: at.hierarchy, FEATURES: at.features} if _reads_features(system) else {}
    return {
        f"ingest_{at.source}": at.dataset,
        **read,
        system.gallery: at.root / "data" / system.gallery,
        **{name: at.model(name) for name in system.trainings},
        f"evaluate_{system.name}": at.evaluation(system.name, "val"),
        f"bundle_{system.name}": system.bundled.folder(at),
    }


def _reads_features(system: System) -> bool:
    """Whether a system learns from features of frames; else from the videos themselves."""
    return any(FEATURES in training.reads for training in system.trainings.values())


def _code_of(out: Path) -> dict[str, Any] | None:
    """The code by which an output was made; None if it has no record."""
    key, _ = stage.recorded(out)
    if key is None:
        return None
    found: dict[str, Any] = key if "code" in key else key.get("settings", {})
    return found if "code" in found else None
