"""The stages of GAMa: aerial gallery, pixels, both networks, reports; as in stages.py.

Belongs here: keys, and one short function a stage. Does not belong here: what a stage does (its
module), where its output lies (layout.py), the mechanics of skipping (stage.py).
"""

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_ml import config, layout, stage, stages
from vidtag_ml.layout import Layout

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

    from vidtag_ml.crossview_data import Drive, World

DAY = "train_day.list"
"""File of the published layout that names the train videos by day, one a line."""

_JUDGED_BY = ("near_km", "top1_km", "kept")
"""Settings of GAMa that only reports depend on."""
_TABLES = ("vidtag_ml.clips", "vidtag_ml.geo", "vidtag_ml.slippy")
_GALLERY = ("vidtag_ml.aerial", "vidtag_ml.sources.aerial_tiles", "vidtag_ml.sources.bdd100k")
_PIXELS = (
    "vidtag_ml.crossview_data",
    "vidtag_ml.imagery",
    "vidtag_ml.sources.flyover",
    "vidtag_ml.video",
)
_TRAINING = (
    "vidtag_ml.aerial",
    "vidtag_ml.crossview_data",
    "vidtag_ml.crossview_embeddings",
    "vidtag_ml.crossview_samples",
    "vidtag_ml.imagery",
    "vidtag_ml.losses",
    "vidtag_ml.models.base",
    "vidtag_ml.models.gama",
    "vidtag_ml.screening",
    "vidtag_ml.training.fit",
    "vidtag_ml.training.gama",
)
_REPORTING = (
    "vidtag_ml.crossview",
    "vidtag_ml.evaluate_gama",
    "vidtag_ml.frechet",
    "vidtag_ml.metrics",
)


def aerial_gallery(root: Path, params: config.Params) -> bool:
    """Makes `data/aerial_gallery/`: tiles with known bounds, and the regions of all videos."""
    at, folder = layout.of(root, params), _imagery(root, params)
    key = {
        "aerial": config.as_dict(params.aerial),
        "tables": stages._tables_digest(at.dataset),
        "imagery": _fingerprint(folder),
        "code": stage.code_digest(*_GALLERY, *_TABLES),
    }

    def build(aside: Path) -> None:
        from vidtag_ml import aerial, clips
        from vidtag_ml.sources import aerial_tiles

        kept = clips.read(at.dataset).kept
        aerial.write(aside, *aerial_tiles.build(params.aerial, kept, folder))

    return stage.make(at.aerial_gallery, key, build)


def aerial_pixels(root: Path, params: config.Params) -> bool:
    """Makes `out/aerial_pixels/`: frames, tiles and regions, scaled to the sizes that are seen."""
    at, folder, settings = layout.of(root, params), _imagery(root, params), params.gama
    key = {
        **_data_key(at),
        "frame_size": list(settings.frame_size),
        "frames_per_second": settings.frames_per_second,
        "imagery": _fingerprint(folder),
        "packages": {name: importlib.metadata.version(name) for name in ("av", "pillow")},
        "code": stage.code_digest(*_PIXELS, *_TABLES),
    }

    def build(aside: Path) -> None:
        from vidtag_ml import aerial, clips, crossview_data

        tiles, regions = aerial.read(at.aerial_gallery)
        tables, report = clips.read(at.dataset), stages._reporter("scaling videos")
        crossview_data.write(tables, at.dataset, tiles, regions, folder, settings, aside, report)

    return stage.make(at.aerial_pixels, key, build)


def gama(
    root: Path, params: config.Params, logger: "Logger | None" = None, variant: str = ""
) -> bool:
    """Makes `out/gama/`: GAMa-Net, and the embeddings of all tiles."""
    at = layout.of(root, params, variant)

    def build(aside: Path) -> None:
        from vidtag_ml.training.gama import train_gama

        train_gama(params.gama, world(at, params), aside, logger)

    return stage.make(at.model("gama"), _gama_key(at, params), build)


def screening(
    root: Path, params: config.Params, logger: "Logger | None" = None, variant: str = ""
) -> bool:
    """Makes `out/screening/`: the screening network, and the embeddings of all regions."""
    at = layout.of(root, params, variant)
    settings, folder = params.screening, root / params.features.encoders_dir
    key = {
        **_gama_key(at, params),
        "gama": stages._model_digest(at.model("gama"), "vidtag train gama"),
        "screening": config.as_dict(settings),
        "small_start": _start(folder, settings.small_start),
        "large_start": _start(folder, settings.large_start),
    }

    def build(aside: Path) -> None:
        from vidtag_ml.training.gama import train_screening

        sources = world(at, params)
        train_screening(settings, params.gama, at.model("gama"), sources, aside, logger)

    return stage.make(at.model("screening"), key, build)


def evaluate_gama(
    root: Path, params: config.Params, split: str = "test", variant: str = ""
) -> bool:
    """Makes `out/evaluation/gama/<split>/`: figures, answers and tracks of GAMa."""
    at = layout.of(root, params, variant)
    stages._known_split(split)
    key = {
        **_data_key(at),
        "gama": stages._model_digest(at.model("gama"), "vidtag train gama"),
        "screening": stages._model_digest(at.model("screening"), "vidtag train screening"),
        "params": {n: config.as_dict(getattr(params, n)) for n in ("gama", "screening")},
        "draws": params.evaluation.bootstrap_draws,
        "accuracy_km": list(params.evaluation.accuracy_km),
        "split": split,
        "code": stage.code_digest(*_REPORTING, *_TRAINING, *_TABLES),
    }

    def build(aside: Path) -> None:
        from vidtag_ml import evaluate_gama

        sources = world(at, params)
        report = evaluate_gama.evaluate_gama(
            at.model("gama"), at.model("screening"), drives(at, params, split), sources, params,
            split,
        )  # fmt: skip
        report.write(aside)

    return stage.make(at.evaluation("gama", split), key, build)


def world(at: Layout, params: config.Params) -> "World":
    """What GAMa reads in a workspace."""
    from vidtag_ml import aerial
    from vidtag_ml.crossview_data import Footage, World

    tiles, regions = aerial.read(at.aerial_gallery)
    return World(
        drives(at, params, "train"),
        drives(at, params, "val"),
        Footage.read(at.aerial_pixels),
        tiles,
        regions,
        _imagery(at.root, params),
        at.root / params.features.encoders_dir,
    )


def drives(at: Layout, params: config.Params, split: str) -> "list[Drive]":
    """The videos of a split; of train those by day alone, if the params say so and a list does."""
    from vidtag_ml import aerial, clips, crossview_data

    found = crossview_data.drives(clips.read(at.dataset), *aerial.read(at.aerial_gallery), split)
    day = _day_list(at.root, params)
    if split != "train" or day is None:
        return found
    names = {Path(line.split()[0]).stem for line in day.read_text().splitlines() if line.strip()}
    kept = [drive for drive in found if drive.name in names]
    if not kept:
        raise ValueError(f"{day}: names no train video; set gama.all_data to true")
    return kept


def _day_list(root: Path, params: config.Params) -> Path | None:
    if params.gama.all_data or params.clips.folder is None:
        return None
    path = root / params.clips.folder / DAY
    return path if path.is_file() else None


def _imagery(root: Path, params: config.Params) -> Path | None:
    return None if params.aerial.folder is None else root / params.aerial.folder


def _fingerprint(folder: Path | None) -> Any:
    from vidtag_ml.sources import published

    return None if folder is None else published.fingerprint(folder)


def _data_key(at: Layout) -> dict[str, Any]:
    return {
        "tables": stages._tables_digest(at.dataset),
        "aerial": stages._digest(at.aerial_gallery, "vidtag aerial"),
    }


def _gama_key(at: Layout, params: config.Params) -> dict[str, Any]:
    settings, folder = params.gama, at.root / params.features.encoders_dir
    day = _day_list(at.root, params)
    return {
        **_data_key(at),
        "pixels": stages._digest(at.aerial_pixels, "vidtag aerial"),
        "params": {k: v for k, v in config.as_dict(settings).items() if k not in _JUDGED_BY},
        "day": None if day is None else stage.digest(day),
        "ground_start": _start(folder, settings.ground_start),
        "aerial_start": _start(folder, settings.aerial_start),
        "code": stage.code_digest(*_TRAINING, *_TABLES),
    }


def _start(folder: Path, name: str | None) -> str | None:
    if name is None:
        return None
    return stages._digest(folder / f"{name}.safetensors", f"vidtag weights fetch {name}")
