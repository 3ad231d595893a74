"""What the stages of VidTAG, GeoCLIP and the classifier share, and their evaluation.

Belongs here: keys of trainings and reports, the data that models read. Does not belong here: the
trainings (each system's module `stages`), what is measured (evaluate.py).
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_ml import config
from vidtag_ml.workflow import code_key, inputs, layout, stage
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from vidtag_ml.dataset.tables import Tables
    from vidtag_ml.features.store import FeatureStore
    from vidtag_ml.retrieval.gallery import Gallery


def evaluate_model(
    name: str,
    trained_by: str,
    root: Path,
    params: config.Params,
    split: str = "test",
    *,
    decoding: config.Decoding | None = None,
) -> bool:
    """Makes `out/evaluation/<name>/<split>/`: figures and tracks of a model.

    That of val also holds what tells how sure answers are; others use that, and make it if need be.

    Args:
        name: of the system.
        trained_by: the command that makes its model.
        root: the workspace.
        params: what it is measured with.
        split: val or test.
        decoding: in the place of the params', for models that know no tracks.
    """
    inputs.check_split(split)
    at, given = layout.of(root, params), params
    if decoding is not None:
        changed = dataclasses.replace(params.evaluation, decoding=decoding)
        params = dataclasses.replace(params, evaluation=changed)

    def measure(aside: Path) -> None:
        from vidtag_ml.models import networks
        from vidtag_ml.models.gps_retrieval import calibration, evaluate

        store, tables, points = training_data(at)
        model, settings, gap_s = (
            networks.load(at.model(name)), params.evaluation, params.clips.max_gap_s,
        )  # fmt: skip
        entries = model.searched(points)
        index = evaluate.index_of(model, entries, settings)
        fitted = None
        if calibration.possible(tables) and split == "val":
            fitted = calibration.fit(model, index, store, tables, settings, gap_s)
            fitted.write(aside / calibration.FOLDER)
        elif calibration.possible(tables):
            evaluate_model(name, trained_by, root, given, "val", decoding=decoding)
            fitted = calibration.Calibration.read(calibrated(at, name))
        report = evaluate.evaluate(
            model,
            entries,
            store,
            tables,
            split,
            settings,
            name,
            max_gap_s=gap_s,
            index=index,
            calibration=fitted,
        )
        report.write(aside)

    key = report_key(at, params, name, trained_by, split) | code_key.of(f"evaluate_{name}")
    return stage.make(at.evaluation(name, split), key, measure)


def calibrated(at: Layout, name: str) -> Path:
    """Where a model's report on val keeps what tells how sure answers are."""
    from vidtag_ml.models.gps_retrieval import calibration

    return at.evaluation(name, "val") / calibration.FOLDER


def report_key(
    at: Layout, params: config.Params, name: str, trained_by: str, split: str
) -> dict[str, Any]:
    """What the report on a model depends on, but for code."""
    return {
        **_data_key(at),
        "model": inputs.model_digest(at.model(name), trained_by),
        "evaluation": config.as_dict(params.evaluation),
        "max_gap_s": params.clips.max_gap_s,
        "split": split,
    }


def _data_key(at: Layout) -> dict[str, Any]:
    """What all models read."""
    return {
        "tables": inputs.tables_digest(at.dataset),
        "gallery": inputs.input_digest(at.gallery, "vidtag gallery"),
        "features": inputs.input_digest(at.features, "vidtag features"),
    }


def training_key(
    at: Layout, params: config.Params, section: str, *starts: Path | None
) -> dict[str, Any]:
    """What a training depends on: data, files to start from, params and code."""
    return {
        **_data_key(at),
        "starts": [start and stage.digest(start) for start in starts],
        "params": {n: config.as_dict(getattr(params, n)) for n in ("model", section)},
        "max_gap_s": params.clips.max_gap_s,
        **code_key.of(section),
    }


def start_files(
    at: Layout, params: config.Params, settings: config.PhaseOne
) -> tuple[Path | None, Path | None]:
    """Files of the GPS encoder and of the layers over the encoders that training starts from.

    Raises:
        ValueError: one is not there; names the command that makes it.
    """
    location, image = settings.location_start, settings.image_start
    return start_file(at, params, location), start_file(at, params, image)


def start_file(at: Layout, params: config.Params, name: str | None) -> Path | None:
    """The file of weights that training starts from.

    Raises:
        ValueError: it is not there; names the command that makes it.
    """
    if name is None:
        return None
    path = at.root / params.features.encoders_dir / f"{name}.safetensors"
    command = f"vidtag train-encoders {name}"
    if name == "geoclip":
        path = layout.of(at.root, params).model("geoclip") / "model.safetensors"
        command = "vidtag train geoclip"
    elif name.startswith("geoclip_"):
        command = "vidtag weights fetch geoclip"
    if not path.is_file():
        raise ValueError(f"{path}: not there yet; `{command}` makes it")
    return path


def training_data(at: Layout) -> "tuple[FeatureStore, Tables, Gallery]":
    """Features, tables and gallery of a workspace."""
    from vidtag_ml.dataset import tables
    from vidtag_ml.features import store as feature_store
    from vidtag_ml.retrieval import gallery as galleries

    store = feature_store.FeatureStore.open(at.features)
    return store, tables.read(at.dataset), galleries.read(at.gallery)
