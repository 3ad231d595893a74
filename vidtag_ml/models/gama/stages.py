"""The stages of GAMa: pixels, all networks, reports; as in workflow/inputs.py.

Belongs here: keys, and one short function a stage. Does not belong here: what a stage does (its
module), where its output lies (workflow/layout.py), the mechanics of skipping (workflow/stage.py).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_ml import config
from vidtag_ml.aerial import stages as aerial_stages
from vidtag_ml.workflow import code_key, inputs, layout, progress, stage
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

    from vidtag_ml.models.gama.data import CrossViewData, DriveFixes
    from vidtag_ml.models.gama.evaluate_tracks import TrackContext
    from vidtag_ml.models.gama.network import GAMaNet
    from vidtag_ml.models.gps_retrieval.locate import Posterior
    from vidtag_ml.models.vidtag.locator import VidtagLocator


DAY = "train_day.list"
"""File of the published layout that names the train videos by day, one a line."""
_REPORTED = ("gama", "screening", "heading", "fusion")


def aerial_pixels(root: Path, params: config.Params) -> bool:
    """Makes `out/aerial_pixels/`: frames, tiles and regions at the sizes seen, or their index."""
    at, folder, settings = layout.of(root, params), aerial_stages.imagery(root, params), params.gama
    read = settings.pixels == "read"
    key = {
        **_data_key(at),
        "frame_size": list(settings.frame_size),
        "frames_per_second": settings.frames_per_second,
        "pixels": settings.pixels,
        "imagery": aerial_stages.imagery_fingerprint(folder),
        **code_key.of("aerial_pixels"),
    }

    def build(aside: Path) -> None:
        from vidtag_ml.aerial import gallery as aerial_gallery
        from vidtag_ml.dataset import tables as clip_tables
        from vidtag_ml.models.gama import data, lazy_pixels

        tables = clip_tables.read(at.dataset)
        if read:
            report = progress.reporter("looking at videos")
            lazy_pixels.write(tables, at.dataset, settings, aside, report)
            return
        tiles, regions = aerial_gallery.read(at.aerial_gallery)
        report = progress.reporter("scaling videos")
        data.write(tables, at.dataset, tiles, regions, folder, settings, aside, report)

    return stage.make(at.aerial_pixels, key, build)


def gama(
    root: Path, params: config.Params, logger: "Logger | None" = None, variant: str = ""
) -> bool:
    """Makes `out/gama/`: GAMa-Net, and the embeddings of all tiles."""
    at = layout.of(root, params, variant)

    def build(aside: Path) -> None:
        from vidtag_ml.models.gama.train import train_gama

        train_gama(params.gama, world(at, params), aside, logger)

    return stage.make(at.model("gama"), _gama_key(at, params) | code_key.of("gama"), build)


def screening(
    root: Path, params: config.Params, logger: "Logger | None" = None, variant: str = ""
) -> bool:
    """Makes `out/screening/`: the screening network, and the embeddings of all regions.

    A variant is another screening network, for the same GAMa-Net.
    """
    at, first = layout.of(root, params, variant), layout.of(root, params).model("gama")
    settings, folder = params.screening, root / params.features.encoders_dir
    key = {
        **_gama_key(at, params),
        "gama": inputs.model_digest(first, "vidtag train gama"),
        "screening": config.as_dict(settings),
        "small_start": _start(folder, settings.small_start),
        "large_start": _start(folder, settings.large_start),
        **code_key.of("screening"),
    }

    def build(aside: Path) -> None:
        from vidtag_ml.models.gama.train import train_screening

        train_screening(settings, params.gama, first, world(at, params), aside, logger)

    return stage.make(at.model("screening"), key, build)


def heading(root: Path, params: config.Params, logger: "Logger | None" = None) -> bool:
    """Makes `out/heading/`: the network of turned tiles; with no epochs, GAMa-Net itself."""
    at, settings = layout.of(root, params), params.heading
    key = {
        **_gama_key(at, params),
        "gama": inputs.model_digest(at.model("gama"), "vidtag train gama"),
        "heading": config.as_dict(config.part(settings, config.HeadingTraining)),
        **code_key.of("heading"),
    }

    def build(aside: Path) -> None:
        from vidtag_ml.models.gama.train_heading import train_heading

        sources = world(at, params)
        train_heading(settings, params.gama, at.model("gama"), sources, aside, logger)

    return stage.make(at.model("heading"), key, build)


def evaluate_gama(root: Path, params: config.Params, split: str = "test") -> bool:
    """Makes `out/evaluation/gama/<split>/`: figures, answers and tracks of GAMa.

    That of val also holds what tells which videos the model knows; that of test uses it.
    """
    at = layout.of(root, params)
    key = evaluation_key(at, params, split) | code_key.of("evaluate_gama")

    def build(aside: Path) -> None:
        from vidtag_ml.models import familiarity
        from vidtag_ml.models.gama import embedding, evaluate, knowing
        from vidtag_ml.models.vidtag import locator as vidtag_locator

        turner, fused = embedding.read_gama(at.model("heading")), _fused(at, params)
        vidtag = None if fused is None else vidtag_locator.VidtagLocator.load(fused)
        networks = evaluate.Networks(
            at.model("gama"), at.model("screening"), context(at, params, turner, vidtag)
        )
        searched = evaluate.Split(split, drives(at, params, split), world(at, params))
        if split == "val":
            learnt = knowing.learnt(at.model("gama"), _kinds(at), searched.world, params.gama)
            learnt.write(aside / familiarity.FOLDER)
        else:
            evaluate_gama(root, params, "val")
        folder = aside / familiarity.FOLDER if split == "val" else _known(at)
        known = familiarity.Familiarity.read(folder)
        evaluate.evaluate_gama(networks, searched, params, known).write(aside)

    return stage.make(at.evaluation("gama", split), key, build)


def evaluation_key(at: Layout, params: config.Params, split: str) -> dict[str, Any]:
    """What the report on GAMa depends on, but for code."""
    return {
        **_report_key(at, params, split),
        "screening": inputs.model_digest(at.model("screening"), "vidtag train screening"),
        "heading": inputs.model_digest(at.model("heading"), "vidtag train heading"),
        "vidtag": _fused_digest(at, params),
        "params": {n: config.as_dict(getattr(params, n)) for n in _REPORTED},
    }


def evaluate_flat(
    root: Path, params: config.Params, split: str = "test", variant: str = ""
) -> bool:
    """Makes `out/evaluation/gama_flat/<split>/`: what GAMa-Net does without regions."""
    at = layout.of(root, params, variant)
    key = {
        **_report_key(at, params, split),
        "params": config.as_dict(params.gama),
        **code_key.of("evaluate_flat"),
    }

    def build(aside: Path) -> None:
        from vidtag_ml.models.gama import evaluate

        searched = evaluate.Split(split, drives(at, params, split), world(at, params))
        evaluate.evaluate_flat(at.model("gama"), searched, params).write(aside)

    return stage.make(at.evaluation("gama_flat", split), key, build)


def evaluate_regions(
    root: Path, params: config.Params, split: str = "test", variant: str = ""
) -> bool:
    """Makes `out/evaluation/gama_regions/<split>/`: what another screening network does."""
    at, own = layout.of(root, params, variant), layout.of(root, params)
    key = {
        **_report_key(own, params, split),
        "screening": inputs.model_digest(at.model("screening"), "vidtag train screening"),
        "params": {n: config.as_dict(getattr(params, n)) for n in ("gama", "screening")},
        **code_key.of("evaluate_regions"),
    }

    def build(aside: Path) -> None:
        from vidtag_ml.models.gama import evaluate

        searched = evaluate.Split(split, drives(at, params, split), world(at, params))
        folders = own.model("gama"), at.model("screening")
        evaluate.evaluate_regions(*folders, searched, params).write(aside)

    return stage.make(at.evaluation("gama_regions", split), key, build)


def bundle_gama(root: Path, params: config.Params) -> bool:
    """Makes `out/aerial_bundle/`: what `vidtag locate --model gama` needs."""
    from vidtag_ml.models.gama import locator

    at, folder = layout.of(root, params), aerial_stages.imagery(root, params)
    images = None if folder is None else folder.resolve()
    made_from = {
        "dataset": at.source,
        "tables": inputs.tables_digest(at.dataset),
        "aerial": inputs.input_digest(at.aerial_gallery, "vidtag aerial"),
        **{
            name: {
                file: inputs.input_digest(at.model(name) / file, f"vidtag train {name}")
                for file in files
            }
            for name, files in locator.PARTS.items()
        },
        "vidtag": _fused_digest(at, params),
    }
    key = {
        **made_from,
        **{name: config.as_dict(getattr(params, name)) for name in locator.SECTIONS},
        "imagery": None if images is None else str(images),
        "seen": _seen_key(at, params),
        **code_key.of("bundle_gama"),
    }

    def build(aside: Path) -> None:
        from vidtag_ml.dataset import tables

        evaluate_gama(root, params, "val")
        locator.write_bundle(
            at, params, images, _fused(at, params), aside, known=_known(at),
            mode=str(tables.read(at.dataset).clips["mode"].mode()[0]), provenance=made_from,
        )  # fmt: skip

    return stage.make(at.aerial_bundle, key, build)


def _known(at: Layout) -> Path:
    """Where the report on val keeps what tells which videos the model knows."""
    from vidtag_ml.models.familiarity import FOLDER

    return at.evaluation("gama", "val") / FOLDER


def _kinds(at: Layout) -> str:
    """What the train videos are, in words."""
    from vidtag_ml.dataset import tables
    from vidtag_ml.models import familiarity

    clips = tables.read(at.dataset).clips
    return familiarity.kinds(clips[clips["split"] == "train"])


def context(
    at: Layout, params: config.Params, turner: "GAMaNet", vidtag: "VidtagLocator | None"
) -> "TrackContext":
    """What leads to the tracks of a workspace's videos: speed limits, turned tiles, VidTAG."""
    from vidtag_ml.dataset import tables
    from vidtag_ml.models.gama.evaluate_tracks import TrackContext

    videos = tables.read(at.dataset).clips.set_index("clip_id")
    speeds = {str(k): params.evaluation.max_speed_kmh[mode] for k, mode in videos["mode"].items()}
    if vidtag is None:
        return TrackContext(speeds, turner)

    def posterior_of(drive: "DriveFixes", time_s: Any) -> "Posterior":
        if videos.loc[drive.name, "kind"] != "video":
            raise ValueError(f"fusion.bundle: {drive.name} is pictures; VidTAG reads video files")
        path = at.dataset / str(videos.loc[drive.name, "video_path"])
        return vidtag.posterior(path, time_s, params.fusion.mass)

    return TrackContext(speeds, turner, posterior_of)


def world(at: Layout, params: config.Params) -> "CrossViewData":
    """What GAMa reads in a workspace."""
    from vidtag_ml.aerial import gallery as aerial_gallery
    from vidtag_ml.models.gama import lazy_pixels
    from vidtag_ml.models.gama.data import CrossViewData, PixelStore

    tiles, regions = aerial_gallery.read(at.aerial_gallery)
    folder, settings = aerial_stages.imagery(at.root, params), params.gama
    if settings.pixels == "read":
        read = lazy_pixels.read
        footage = read(at.aerial_pixels, at.dataset, tiles, regions, folder, settings)
    else:
        footage = PixelStore.read(at.aerial_pixels)
    return CrossViewData(
        drives(at, params, "train"),
        drives(at, params, "val"),
        footage,
        tiles,
        regions,
        folder,
        at.root / params.features.encoders_dir,
    )


def drives(at: Layout, params: config.Params, split: str) -> "list[DriveFixes]":
    """The videos of a split; of train those by day alone, if the params say so and a list does."""
    from vidtag_ml.aerial import gallery as aerial_gallery
    from vidtag_ml.dataset import tables
    from vidtag_ml.models.gama import data

    found = data.drives(tables.read(at.dataset), *aerial_gallery.read(at.aerial_gallery), split)
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


def _data_key(at: Layout) -> dict[str, Any]:
    return {
        "tables": inputs.tables_digest(at.dataset),
        "aerial": inputs.input_digest(at.aerial_gallery, "vidtag aerial"),
    }


def _seen_key(at: Layout, params: config.Params) -> dict[str, Any]:
    """What networks see; the imagery itself where pixels are read from it each time."""
    read = params.gama.pixels == "read"
    return {
        **_data_key(at),
        "pixels": inputs.input_digest(at.aerial_pixels, "vidtag aerial"),
        "imagery": aerial_stages.imagery_fingerprint(aerial_stages.imagery(at.root, params))
        if read
        else None,
    }


def _report_key(at: Layout, params: config.Params, split: str) -> dict[str, Any]:
    inputs.check_split(split)
    return {
        **_seen_key(at, params),
        "gama": inputs.model_digest(at.model("gama"), "vidtag train gama"),
        "draws": params.evaluation.bootstrap_draws,
        "accuracy_km": list(params.evaluation.accuracy_km),
        "max_speed_kmh": params.evaluation.max_speed_kmh,
        "split": split,
    }


def _fused(at: Layout, params: config.Params) -> Path | None:
    """The VidTAG bundle whose posterior is asked for."""
    return None if params.fusion.bundle is None else at.root / params.fusion.bundle


def _fused_digest(at: Layout, params: config.Params) -> str | None:
    folder = _fused(at, params)
    return None if folder is None else inputs.input_digest(folder, "vidtag bundle")


def _gama_key(at: Layout, params: config.Params) -> dict[str, Any]:
    settings, folder = params.gama, at.root / params.features.encoders_dir
    day = _day_list(at.root, params)
    return {
        **_seen_key(at, params),
        "params": config.as_dict(config.part(settings, config.GamaTraining)),
        "day": None if day is None else stage.digest(day),
        "ground_start": _start(folder, settings.ground_start),
        "aerial_start": _start(folder, settings.aerial_start),
    }


def _start(folder: Path, name: str | None) -> str | None:
    if name is None:
        return None
    return inputs.input_digest(folder / f"{name}.safetensors", f"vidtag weights fetch {name}")
