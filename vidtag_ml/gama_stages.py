"""The stages of GAMa: aerial gallery, pixels, both networks, reports; as in stages.py.

Belongs here: keys, and one short function a stage. Does not belong here: what a stage does (its
module), where its output lies (layout.py), the mechanics of skipping (stage.py).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_ml import code_key, config, layout, stage, stages
from vidtag_ml.layout import Layout

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

    from vidtag_ml.crossview_data import Drive, World
    from vidtag_ml.evaluate_ways import Beyond
    from vidtag_ml.locate import Opinion
    from vidtag_ml.models.gama import GAMaNet
    from vidtag_ml.predict import Predictor

DAY = "train_day.list"
"""File of the published layout that names the train videos by day, one a line."""

_JUDGED_BY = ("near_km", "top1_km", "kept", "pixels")
"""Settings of GAMa that no training depends on."""
_REPORTED = ("gama", "screening", "heading", "fusion")


def aerial_gallery(root: Path, params: config.Params) -> bool:
    """Makes `data/aerial_gallery/`: tiles with known bounds, and the regions of all videos."""
    at, folder = layout.of(root, params), _imagery(root, params)
    key = {
        "aerial": config.as_dict(params.aerial),
        "tables": stages.tables_digest(at.dataset),
        "imagery": _fingerprint(folder),
        **code_key.of("aerial_gallery"),
    }

    def build(aside: Path) -> None:
        from vidtag_ml import aerial, clips
        from vidtag_ml.sources import aerial_tiles

        kept = clips.read(at.dataset).kept
        aerial.write(aside, *aerial_tiles.build(params.aerial, kept, folder))

    return stage.make(at.aerial_gallery, key, build)


def aerial_pixels(root: Path, params: config.Params) -> bool:
    """Makes `out/aerial_pixels/`: frames, tiles and regions at the sizes seen, or their index."""
    at, folder, settings = layout.of(root, params), _imagery(root, params), params.gama
    read = settings.pixels == "read"
    key = {
        **_data_key(at),
        "frame_size": list(settings.frame_size),
        "frames_per_second": settings.frames_per_second,
        "pixels": settings.pixels,
        "imagery": _fingerprint(folder),
        **code_key.of("aerial_pixels"),
    }

    def build(aside: Path) -> None:
        from vidtag_ml import aerial, clips, crossview_data, crossview_pictures

        tables = clips.read(at.dataset)
        if read:
            report = stages.reporter("looking at videos")
            crossview_pictures.write(tables, at.dataset, settings, aside, report)
            return
        tiles, regions = aerial.read(at.aerial_gallery)
        report = stages.reporter("scaling videos")
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
        "gama": stages.model_digest(first, "vidtag train gama"),
        "screening": config.as_dict(settings),
        "small_start": _start(folder, settings.small_start),
        "large_start": _start(folder, settings.large_start),
        **code_key.of("screening"),
    }

    def build(aside: Path) -> None:
        from vidtag_ml.training.gama import train_screening

        train_screening(settings, params.gama, first, world(at, params), aside, logger)

    return stage.make(at.model("screening"), key, build)


def heading(root: Path, params: config.Params, logger: "Logger | None" = None) -> bool:
    """Makes `out/heading/`: the network of turned tiles; with no epochs, GAMa-Net itself."""
    at, settings = layout.of(root, params), params.heading
    key = {
        **_gama_key(at, params),
        "gama": stages.model_digest(at.model("gama"), "vidtag train gama"),
        "heading": {k: v for k, v in config.as_dict(settings).items() if k != "num_candidates"},
        **code_key.of("heading"),
    }

    def build(aside: Path) -> None:
        from vidtag_ml.training.heading import train_heading

        sources = world(at, params)
        train_heading(settings, params.gama, at.model("gama"), sources, aside, logger)

    return stage.make(at.model("heading"), key, build)


def evaluate_gama(root: Path, params: config.Params, split: str = "test") -> bool:
    """Makes `out/evaluation/gama/<split>/`: figures, answers and tracks of GAMa."""
    at = layout.of(root, params)
    key = evaluation_key(at, params, split) | code_key.of("evaluate_gama")

    def build(aside: Path) -> None:
        from vidtag_ml import crossview_embeddings, evaluate_gama, predict

        turner, fused = crossview_embeddings.read_gama(at.model("heading")), _fused(at, params)
        vidtag = None if fused is None else predict.Predictor.load(fused)
        report = evaluate_gama.evaluate_gama(
            at.model("gama"), at.model("screening"), drives(at, params, split), world(at, params),
            params, split, beyond(at, params, turner, vidtag),
        )  # fmt: skip
        report.write(aside)

    return stage.make(at.evaluation("gama", split), key, build)


def evaluation_key(at: Layout, params: config.Params, split: str) -> dict[str, Any]:
    """What the report on GAMa depends on, but for code."""
    return {
        **_report_key(at, params, split),
        "screening": stages.model_digest(at.model("screening"), "vidtag train screening"),
        "heading": stages.model_digest(at.model("heading"), "vidtag train heading"),
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
        from vidtag_ml import evaluate_gama

        searched = drives(at, params, split), world(at, params), params, split
        evaluate_gama.evaluate_flat(at.model("gama"), *searched).write(aside)

    return stage.make(at.evaluation("gama_flat", split), key, build)


def evaluate_regions(
    root: Path, params: config.Params, split: str = "test", variant: str = ""
) -> bool:
    """Makes `out/evaluation/gama_regions/<split>/`: what another screening network does."""
    at, own = layout.of(root, params, variant), layout.of(root, params)
    key = {
        **_report_key(own, params, split),
        "screening": stages.model_digest(at.model("screening"), "vidtag train screening"),
        "params": {n: config.as_dict(getattr(params, n)) for n in ("gama", "screening")},
        **code_key.of("evaluate_regions"),
    }

    def build(aside: Path) -> None:
        from vidtag_ml import evaluate_gama

        report = evaluate_gama.evaluate_regions(
            own.model("gama"), at.model("screening"), drives(at, params, split), world(at, params),
            params, split,
        )  # fmt: skip
        report.write(aside)

    return stage.make(at.evaluation("gama_regions", split), key, build)


def bundle(root: Path, params: config.Params) -> bool:
    """Makes `out/aerial_bundle/`: what `vidtag locate --model gama` needs."""
    from vidtag_ml import aerial_locate

    at, folder = layout.of(root, params), _imagery(root, params)
    images = None if folder is None else folder.resolve()
    made_from = {
        "dataset": at.source,
        "tables": stages.tables_digest(at.dataset),
        "aerial": stages.input_digest(at.aerial_gallery, "vidtag aerial"),
        **{
            name: {
                file: stages.input_digest(at.model(name) / file, f"vidtag train {name}")
                for file in files
            }
            for name, files in aerial_locate.PARTS.items()
        },
        "vidtag": _fused_digest(at, params),
    }
    key = {
        **made_from,
        **{name: config.as_dict(getattr(params, name)) for name in aerial_locate.SECTIONS},
        "imagery": None if images is None else str(images),
        **code_key.of("aerial_bundle"),
    }

    def build(aside: Path) -> None:
        from vidtag_ml import clips

        aerial_locate.write_bundle(
            at, params, images, _fused(at, params), aside,
            mode=str(clips.read(at.dataset).clips["mode"].mode()[0]), provenance=made_from,
        )  # fmt: skip

    return stage.make(at.aerial_bundle, key, build)


def beyond(
    at: Layout, params: config.Params, turner: "GAMaNet", vidtag: "Predictor | None"
) -> "Beyond":
    """What leads the ways of a workspace's videos: speed limits, turned tiles, VidTAG's opinion."""
    from vidtag_ml import clips
    from vidtag_ml.evaluate_ways import Beyond

    videos = clips.read(at.dataset).clips.set_index("clip_id")
    speeds = {str(k): params.evaluation.max_speed_kmh[mode] for k, mode in videos["mode"].items()}
    if vidtag is None:
        return Beyond(speeds, turner)

    def opinion_of(drive: "Drive", time_s: Any) -> "Opinion":
        if videos.loc[drive.name, "kind"] != "video":
            raise ValueError(f"fusion.bundle: {drive.name} is pictures; VidTAG reads video files")
        path = at.dataset / str(videos.loc[drive.name, "video_path"])
        return vidtag.opinion(path, time_s, params.fusion.mass)

    return Beyond(speeds, turner, opinion_of)


def world(at: Layout, params: config.Params) -> "World":
    """What GAMa reads in a workspace."""
    from vidtag_ml import aerial, crossview_pictures
    from vidtag_ml.crossview_data import Footage, World

    tiles, regions = aerial.read(at.aerial_gallery)
    folder, settings = _imagery(at.root, params), params.gama
    if settings.pixels == "read":
        read = crossview_pictures.read
        footage = read(at.aerial_pixels, at.dataset, tiles, regions, folder, settings)
    else:
        footage = Footage.read(at.aerial_pixels)
    return World(
        drives(at, params, "train"),
        drives(at, params, "val"),
        footage,
        tiles,
        regions,
        folder,
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
        "tables": stages.tables_digest(at.dataset),
        "aerial": stages.input_digest(at.aerial_gallery, "vidtag aerial"),
    }


def _seen_key(at: Layout, params: config.Params) -> dict[str, Any]:
    """What networks see; the imagery itself where pixels are read from it each time."""
    read = params.gama.pixels == "read"
    return {
        **_data_key(at),
        "pixels": stages.input_digest(at.aerial_pixels, "vidtag aerial"),
        "imagery": _fingerprint(_imagery(at.root, params)) if read else None,
    }


def _report_key(at: Layout, params: config.Params, split: str) -> dict[str, Any]:
    stages.check_split(split)
    return {
        **_seen_key(at, params),
        "gama": stages.model_digest(at.model("gama"), "vidtag train gama"),
        "draws": params.evaluation.bootstrap_draws,
        "accuracy_km": list(params.evaluation.accuracy_km),
        "max_speed_kmh": params.evaluation.max_speed_kmh,
        "split": split,
    }


def _fused(at: Layout, params: config.Params) -> Path | None:
    """The VidTAG bundle whose opinion is asked."""
    return None if params.fusion.bundle is None else at.root / params.fusion.bundle


def _fused_digest(at: Layout, params: config.Params) -> str | None:
    folder = _fused(at, params)
    return None if folder is None else stages.input_digest(folder, "vidtag bundle")


def _gama_key(at: Layout, params: config.Params) -> dict[str, Any]:
    settings, folder = params.gama, at.root / params.features.encoders_dir
    day = _day_list(at.root, params)
    return {
        **_seen_key(at, params),
        "params": {k: v for k, v in config.as_dict(settings).items() if k not in _JUDGED_BY},
        "day": None if day is None else stage.digest(day),
        "ground_start": _start(folder, settings.ground_start),
        "aerial_start": _start(folder, settings.aerial_start),
    }


def _start(folder: Path, name: str | None) -> str | None:
    if name is None:
        return None
    return stages.input_digest(folder / f"{name}.safetensors", f"vidtag weights fetch {name}")
