"""The chain of stages: what each reads, what it writes, and what makes it run again (decision 17).

Both doors, the command line and the Dagster assets, call these functions and nothing below them. A
stage returns True if it did work, False if its output was there and made from the same inputs.
Progress goes to the logger `vidtag_ml.progress`, as text and, in `extra`, as numbers.

Belongs here: keys, and one short function a stage. Does not belong here: the stages of CityGuessr
and GAMa (place_stages.py, gama_stages.py), what a stage does (its module), where its output lies
(layout.py), the mechanics of skipping (stage.py).
"""

import dataclasses
import importlib
import json
import logging
import os
import re
import shutil
import time
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_ml import code_key, config, layout, stage
from vidtag_ml.layout import Layout

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

    from vidtag_ml.clips import Tables
    from vidtag_ml.features import FeatureStore
    from vidtag_ml.gallery import Gallery
    from vidtag_ml.sources.recordings import Outcome

MODELS = ("vidtag", "geoclip")
"""Models whose answers are tracks."""
SPLITS = ("val", "test")
"""Splits that a model is evaluated on: val decides promotion, test is reported."""
REPORT_EVERY_S = 1.0
RESERVED = ("encoders", "gallery", "inbox", "quarantine", *typing.get_args(config.Source))
"""Folders of `data/` that are no dataset of own recordings."""

_LOG = logging.getLogger("vidtag_ml.progress")


def ingest(root: Path, params: config.Params) -> bool:
    """Makes `data/<dataset>/`: tables, and videos where they are generated."""
    if params.clips.source == "recordings":
        return _merge_recordings(root, params)
    if params.clips.source.startswith("flyover"):
        return _render(root, params)
    return _ingest_published(root, params)


def _render(root: Path, params: config.Params) -> bool:
    """Makes flights and their videos."""
    settings = params.clips
    key = {"clips": config.as_dict(settings), **code_key.of(f"ingest_{settings.source}")}

    def build(aside: Path) -> None:
        from vidtag_ml.sources import flyover_dataset

        flyover_dataset.write(settings, aside, reporter("rendering clips"))

    return stage.make(layout.of(root, params).dataset, key, build)


def _ingest_published(root: Path, params: config.Params) -> bool:
    """Makes the tables of recordings that stay where they are."""
    from vidtag_ml.sources import published

    settings = params.clips
    if settings.folder is None:
        raise ValueError(f"clips.folder is null; it must say where {settings.source} lies")
    recordings = root / settings.folder
    key = {
        "clips": config.as_dict(settings),
        "recordings": published.fingerprint(recordings),
        **code_key.of(f"ingest_{settings.source}"),
    }

    def build(aside: Path) -> None:
        source = importlib.import_module(f"vidtag_ml.sources.{settings.source}")
        source.write(settings, recordings, aside, reporter("reading recordings"))

    return stage.make(layout.of(root, params).dataset, key, build)


def recordings(
    root: Path,
    params: config.Params,
    asked: Sequence[str],
    dataset: str,
    mode: str | None = None,
    time_offset_s: float = 0.0,
    *,
    strip_metadata: bool = False,
    veil: tuple[str, ...] = (),
) -> "Outcome":
    """Takes own recordings into `data/<dataset>/`; what cannot be used goes on the report.

    Raises:
        ValueError: nothing was found, or the dataset's name is taken or no name for a folder.
    """
    from vidtag_ml.sources import intake, journal, quarantine
    from vidtag_ml.sources import recordings as own

    at, folder = layout.of(root, params), root / "data" / dataset
    taken = (folder / "clips.parquet").exists() and not (folder / journal.FOLDER).exists()
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", dataset) or dataset in RESERVED or taken:
        raise ValueError(f"--dataset {dataset}: taken, or no name for a folder; choose another")
    copies = None
    if strip_metadata or veil:
        weights = root / params.features.encoders_dir
        copies = intake.Copies(str(folder / "media"), veil, str(weights))
    how = intake.settings(params, mode, time_offset_s, copies)
    report = reporter("looking at recordings")
    outcome, whole = own.ingest(asked, folder, how, params.clips, report)
    quarantine.write(at.quarantine, dataset, whole.quarantined)
    return outcome


def _merge_recordings(root: Path, params: config.Params) -> bool:
    """Makes `data/recordings/`: the tables of all datasets of own recordings, as one."""
    from vidtag_ml.sources import journal
    from vidtag_ml.sources import recordings as own

    journals = sorted(root.glob(f"data/*/{journal.FOLDER}"))
    datasets = [path.parent for path in journals]
    key = {
        "clips": config.as_dict(params.clips),
        "datasets": {path.parent.name: journal.digest(path) for path in journals},
        **code_key.of("ingest_recordings"),
    }

    def build(aside: Path) -> None:
        own.merge(datasets, params.clips, aside)

    return stage.make(layout.of(root, params).dataset, key, build)


def hierarchy(root: Path, params: config.Params) -> bool:
    """Makes `data/hierarchy.csv`: which city lies in which state, country and continent."""
    at = layout.of(root, params)
    key = {
        "clips": input_digest(at.dataset / "clips.parquet", "vidtag ingest"),
        **code_key.of("hierarchy"),
    }

    def build(aside: Path) -> None:
        from vidtag_ml import clips
        from vidtag_ml import hierarchy as places

        places.write(places.build(clips.read(at.dataset).clips), aside)

    return stage.make(at.hierarchy, key, build)


def gallery(root: Path, params: config.Params) -> bool:
    """Makes `data/gallery/`: the coordinates among which models search."""
    at, settings = layout.of(root, params), params.gallery
    key = {"gallery": config.as_dict(settings), **code_key.of("gallery")}
    if reads_fixes := settings.source in ("grid", "cities"):
        key["tables"] = tables_digest(at.dataset)
    file = root / settings.file if settings.source == "file" and settings.file else None
    if file is not None:
        key["file"] = input_digest(file, "vidtag weights fetch geoclip")

    def build(aside: Path) -> None:
        from vidtag_ml import clips
        from vidtag_ml import gallery as galleries

        fixes = clips.read(at.dataset).fixes_in("train") if reads_fixes else None
        points = galleries.build(settings, fixes, file)
        galleries.write(aside, points, config.as_dict(settings))

    return stage.make(at.gallery, key, build)


def features(root: Path, params: config.Params) -> bool:
    """Makes `out/features/`: the frozen encoders' outputs for all frames of all clips."""
    at, folder = layout.of(root, params), root / params.features.encoders_dir
    encoders = encoders_digest(folder, params.features.encoders)
    settings = {
        "frames_per_second": params.features.frames_per_second,
        "views": params.features.views,
        "encoders": encoders,
        "order": list(encoders),
        **code_key.of("features"),
    }
    key = {"settings": settings, "dataset": input_digest(at.dataset, "vidtag ingest")}

    def build(aside: Path) -> None:
        from vidtag_ml import clips
        from vidtag_ml import features as frame_features

        _reuse_shards(at.features, aside, settings)
        loaded = frame_features.load_encoders(params.features, folder)
        report = reporter("encoding clips")
        tables = clips.read(at.dataset)
        frame_features.extract(tables, at.dataset, loaded, params.features, aside, report)

    return stage.make(at.features, key, build)


def phase_one(
    root: Path, params: config.Params, logger: "Logger | None" = None, variant: str = ""
) -> bool:
    """Makes `out/phase_one/`: VidTAG without its refiner, frames and coordinates aligned."""
    at = layout.of(root, params, variant)
    start = _start(at, params, params.phase_one.location_start)

    def build(aside: Path) -> None:
        from vidtag_ml.training.phase_one import train_phase_one

        train_phase_one(params, *_data(at), start, aside, logger)

    return stage.make(at.model("phase_one"), _training_key(at, params, "phase_one", start), build)


def phase_two(
    root: Path,
    params: config.Params,
    logger: "Logger | None" = None,
    variant: str = "",
    first: str = "",
) -> bool:
    """Makes `out/phase_two/`: VidTAG with its refiner, on the Phase I of the variant `first`."""
    at = layout.of(root, params, variant)
    of_first = layout.of(root, params, first).model("phase_one")
    key = {
        **_training_key(at, params, "phase_two"),
        "alignment": config.as_dict(params.phase_one),
        "first": model_digest(of_first, "vidtag train phase-one"),
    }

    def build(aside: Path) -> None:
        from vidtag_ml.training.phase_two import train_phase_two

        train_phase_two(params, of_first, *_data(at), aside, logger)

    return stage.make(at.model("vidtag"), key, build)


def geoclip(
    root: Path, params: config.Params, logger: "Logger | None" = None, variant: str = ""
) -> bool:
    """Makes `out/geoclip/`: the baseline that sees single frames."""
    at = layout.of(root, params, variant)
    starts = (
        _start(at, params, params.geoclip.location_start),
        _start(at, params, params.geoclip.image_start),
    )

    def build(aside: Path) -> None:
        from vidtag_ml.training.phase_one import train_geoclip

        train_geoclip(params, *_data(at), starts, aside, logger)

    return stage.make(at.model("geoclip"), _training_key(at, params, "geoclip", *starts), build)


def classifier(
    root: Path,
    params: config.Params,
    encoder: str,
    logger: "Logger | None" = None,
    variant: str = "",
) -> bool:
    """Makes `out/classifier/`: cells of train coordinates, told from one encoder's features."""
    at = layout.of(root, params, variant)
    key = {
        **_training_key(at, params, "classifier"),
        "encoder": encoder,
    }

    def build(aside: Path) -> None:
        from vidtag_ml.training.classify import train_classifier

        store, tables, _ = _data(at)
        train_classifier(params, encoder, store, tables, aside, logger)

    return stage.make(at.model("classifier"), key, build)


def evaluate_model(root: Path, params: config.Params, name: str, split: str = "test") -> bool:
    """Makes `out/evaluation/<name>/<split>/`: figures and tracks of a model, vidtag or geoclip.

    GeoCLIP knows no tracks: it is decoded frame by frame, as published.
    """
    if name not in MODELS:
        raise ValueError(f"no model is called {name!r}; known: {', '.join(MODELS)}")
    check_split(split)
    at = layout.of(root, params)
    if name == "geoclip":
        settings = dataclasses.replace(params.evaluation, decoding="initial")
        params = dataclasses.replace(params, evaluation=settings)

    def build(aside: Path) -> None:
        from vidtag_ml import evaluate
        from vidtag_ml.models import base

        store, tables, points = _data(at)
        model = base.load(at.model(name))
        gap_s = params.clips.max_gap_s
        report = evaluate.evaluate(
            model, points, store, tables, split, params.evaluation, name, max_gap_s=gap_s
        )
        report.write(aside)

    key = report_key(at, params, name, split) | code_key.of(f"evaluate_{name}")
    return stage.make(at.evaluation(name, split), key, build)


def report_key(at: Layout, params: config.Params, name: str, split: str) -> dict[str, Any]:
    """What the report on a model depends on, but for code."""
    return {
        **_data_key(at),
        "model": model_digest(at.model(name), _COMMANDS.get(name, "vidtag benchmark")),
        "evaluation": config.as_dict(params.evaluation),
        "max_gap_s": params.clips.max_gap_s,
        "split": split,
    }


def bundle(root: Path, params: config.Params) -> bool:
    """Makes `out/bundle/`: all that `vidtag locate` needs, in one folder."""
    at, folder = layout.of(root, params), root / params.features.encoders_dir
    made_from = {
        "dataset": at.source,
        "tables": tables_digest(at.dataset),
        "gallery": input_digest(at.gallery, "vidtag gallery"),
        "model": model_digest(at.model("vidtag"), _COMMANDS["vidtag"]),
        "encoders": encoders_digest(folder, params.features.encoders),
    }
    key = {
        **made_from,
        "features": config.as_dict(params.features),
        "evaluation": config.as_dict(params.evaluation),
        **code_key.of("bundle"),
    }

    def build(aside: Path) -> None:
        from vidtag_ml import clips, predict

        mode = str(clips.read(at.dataset).clips["mode"].mode()[0])
        predict.write_bundle(
            at.model("vidtag"), at.gallery, folder, params, aside, mode=mode, provenance=made_from
        )

    return stage.make(at.bundle, key, build)


_COMMANDS = {
    "vidtag": "vidtag train phase-two",
    "geoclip": "vidtag train geoclip",
}


def check_split(split: str) -> None:
    """Raises ValueError if no split is called so."""
    if split not in SPLITS:
        raise ValueError(f"no split is called {split!r}; known: {', '.join(SPLITS)}")


def input_digest(path: Path, command: str) -> str:
    """Digest of an input.

    Raises:
        ValueError: it is not there; names the command that makes it.
    """
    if not path.exists():
        raise ValueError(f"{path}: not there yet; `{command}` makes it")
    return stage.digest(path)


def tables_digest(dataset: Path) -> dict[str, str]:
    """Digests of a dataset's tables, of those that there are."""
    tables = {name: dataset / f"{name}.parquet" for name in ("clips", "fixes", "frames")}
    if not tables["frames"].exists():
        del tables["frames"]
    return {name: input_digest(path, "vidtag ingest") for name, path in tables.items()}


def model_digest(folder: Path, command: str) -> dict[str, str]:
    """Digests of what `base.save` wrote: the losses beside it do not matter to later stages."""
    return {n: input_digest(folder / n, command) for n in ("model.json", "model.safetensors")}


def encoders_digest(folder: Path, names: Sequence[str]) -> dict[str, list[str]]:
    """Digests of the card and the weights of frame encoders, by name."""
    return {
        name: [
            input_digest(folder / f"{name}.{kind}", f"vidtag weights fetch {name}")
            for kind in ("json", "safetensors")
        ]
        for name in names
    }


def _data_key(at: Layout) -> dict[str, Any]:
    """What all models read."""
    return {
        "tables": tables_digest(at.dataset),
        "gallery": input_digest(at.gallery, "vidtag gallery"),
        "features": input_digest(at.features, "vidtag features"),
    }


def _training_key(
    at: Layout, params: config.Params, section: str, *starts: Path | None
) -> dict[str, Any]:
    return {
        **_data_key(at),
        "starts": [start and stage.digest(start) for start in starts],
        "params": {n: config.as_dict(getattr(params, n)) for n in ("model", section)},
        "max_gap_s": params.clips.max_gap_s,
        **code_key.of(section),
    }


def _start(at: Layout, params: config.Params, name: str | None) -> Path | None:
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


def _data(at: Layout) -> "tuple[FeatureStore, Tables, Gallery]":
    from vidtag_ml import clips
    from vidtag_ml import features as frame_features
    from vidtag_ml import gallery as galleries

    store = frame_features.FeatureStore.open(at.features)
    return store, clips.read(at.dataset), galleries.read(at.gallery)


def _reuse_shards(old: Path, aside: Path, settings: Mapping[str, Any]) -> None:
    """Links the shards of the last store into the new one, if its settings were the same."""
    record = old.with_name(f"{old.name}.record.json")
    if not record.exists() or json.loads(record.read_text())["key"].get("settings") != settings:
        return
    aside.mkdir(parents=True, exist_ok=True)
    for shard in old.glob("shard-*.safetensors"):
        if not (aside / shard.name).exists():
            _link(shard, aside / shard.name)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)


def reporter(what: str) -> Callable[[int, int], None]:
    """A function of (done, total) that logs once a second, and when all is done."""
    last = 0.0

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done >= total or now - last >= REPORT_EVERY_S:
            last = now
            _LOG.info("%s: %d of %d", what, done, total, extra={"progress": (what, done, total)})

    return report
