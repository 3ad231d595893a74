"""Evaluation of GAMa: clips among tiles, videos among regions, and clips again.

See docs/specs/gama.md, sections 9 and 10.

The gallery of a split are the tiles of its videos' regions and those of no region.

Belongs here: running both networks over a split in the four steps, the report. Does not belong
here: ranks and figures (metrics.py), the steps themselves (screening.py), ways
(evaluate_tracks.py), embedding (embedding.py), errors of tracks (metrics/tracks.py).
Shape legend: N clips, V videos, M tiles of the split, R regions of the split, D draws, E common
space, 2 = (lat, lon) in degrees.
"""

import dataclasses
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml import config
from vidtag_ml.earth import sphere
from vidtag_ml.earth.tracks import Track
from vidtag_ml.metrics import tracks as track_metrics
from vidtag_ml.models.gama import evaluate_tracks, metrics, screening, split_search
from vidtag_ml.models.gama.data import Drive, World
from vidtag_ml.models.gama.embedding import TRUE_TILES
from vidtag_ml.models.gama.evaluate_tracks import Beyond, Followed
from vidtag_ml.models.gama.metrics import Rule
from vidtag_ml.models.gama.split_search import Found, Screened
from vidtag_ml.models.report import Report

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]

SEED = 0
RADIUS_KM = 3956 * metrics.KM_PER_MILE
"""Earth radius of the published protocol."""
KEPT = typing.get_args(screening.Kept)
_INTERVAL = (2.5, 97.5)


def evaluate_gama(
    gama_folder: Path, screening_folder: Path, drives: Sequence[Drive], world: World,
    params: config.Params, split: str, beyond: Beyond, model_name: str = "gama",
) -> Report:  # fmt: skip
    """The report on one split: a row a video in `per_clip`, a row a clip in `frames`.

    Figures without a prefix are those of the flat search, by the rule of the gallery's kind:
    centred tiles near enough are right as well, which strict_... figures leave out. screening_...
    are of videos among regions, after fine-tuning and before; top10_..., top1pct_... and
    top10pct_... of the hierarchical search that keeps so many regions, and hierarchical_... of the
    one that `gama.kept` chooses. path_..., turned_..., fused_... and fused_turned_... are of the
    ways of videos (tile_tracks.py), near_... of the flat search where VidTAG's posterior lies, and
    vidtag_... of VidTAG itself; the last way makes the tracks. Intervals are over videos.

    Args:
        gama_folder: the trained GAMa-Net and its tiles' embeddings.
        screening_folder: the trained screening network and its regions' embeddings.
        drives: the videos of the split.
        world: pixels and gallery.
        params: gama, screening, heading and evaluation.
        split: how the report calls the videos.
        beyond: what leads the ways of videos.
        model_name: how the report calls the model.

    Raises:
        ValueError: a model or its embeddings are missing.
    """
    settings = params.gama
    found = split_search.embed(gama_folder, drives, world, settings)
    folders = screening_folder, screening_folder / TRUE_TILES
    after, before = (
        split_search.screen(folder, found, world, settings, params.screening.frames_per_clip)
        for folder in folders
    )
    rule = _rule(settings, world)
    reduced = {kept: after.best(found, world, kept) for kept in KEPT}
    judged = {
        **_flat(found, rule),
        **{
            f"{kept}_": metrics.judge(
                found.clips, found.tiles, rule, [own[k] for k in found.drive_N]
            )
            for kept, own in reduced.items()
        },
    }
    judged["hierarchical_"] = judged[f"{settings.kept}_"]
    followed = evaluate_tracks.follow(found, world, params, beyond, reduced[settings.kept])
    judged |= evaluate_tracks.judged(found, rule, followed)
    errors_km = evaluate_tracks.errors_km(found, followed)
    screened = {
        "screening_": _judged(after, settings),
        "screening_before_": _judged(before, settings),
    }
    every = range(len(drives))
    figures = {
        f"{prefix}{name}": value
        for group, video_N in ((judged, found.drive_N), (screened, np.arange(len(drives))))
        for prefix, table in group.items()
        for name, value in _figures(table, video_N, params.evaluation.bootstrap_draws).items()
    }
    tracks = [_track(found, judged, followed, k) for k in every]
    truths = [_truth(found, k) for k in every]
    errors = track_metrics.Errors(params.evaluation.accuracy_km)
    rows = errors.extend(
        (t.latlon_T2, truth, np.ones(len(truth), bool), t.time_s)
        for t, truth in zip(tracks, truths, strict=True)
    )
    per_clip = pd.DataFrame([row.row(errors.thresholds_km) for row in rows if row is not None])
    per_clip.insert(0, "clip_id", [drive.name for drive in drives])
    per_clip = pd.concat([per_clip, screened["screening_"].add_prefix("screening_")], axis=1)
    summary = {
        **_protocol(model_name, split, settings, world, rule),
        "kept": settings.kept,
        "track": followed.last,
        **figures,
        **_medians(errors_km, found.drive_N, params.evaluation.bootstrap_draws),
        **_in_tiles(figures, world.tiles.protocol["tile_km"]),
        **errors.counts(),
        **errors.summary(),
        **errors.intervals(params.evaluation.bootstrap_draws, SEED),
    }
    frames = _frames(found, tracks, truths, judged, errors_km, world)
    return Report(summary, per_clip, frames)


def evaluate_flat(
    gama_folder: Path, drives: Sequence[Drive], world: World, params: config.Params, split: str
) -> Report:
    """The report of the flat search alone, as parts of GAMa-Net are compared (Table 3).

    Args:
        gama_folder: the trained GAMa-Net and its tiles' embeddings.
        drives: the videos of the split.
        world: pixels and gallery.
        params: gama and evaluation.
        split: how the report calls the videos.

    Raises:
        ValueError: the model or its embeddings are missing.
    """
    found = split_search.embed(gama_folder, drives, world, params.gama)
    rule, draws = _rule(params.gama, world), params.evaluation.bootstrap_draws
    judged = _flat(found, rule)
    figures = {
        f"{prefix}{name}": value
        for prefix, table in judged.items()
        for name, value in _figures(table, found.drive_N, draws).items()
    }
    names = [drive.name for drive in drives]
    frames = judged[""].assign(clip=[names[k] for k in found.drive_N], time_s=found.time_s_N)
    right = frames.groupby("clip", sort=False)["recall_at_1"].mean().rename_axis("clip_id")
    summary = {
        **_protocol("gama", split, params.gama, world, rule),
        "num_clips": len(drives),
        **figures,
        **_in_tiles(figures, world.tiles.protocol["tile_km"]),
    }
    return Report(summary, right.reset_index(), frames)


def evaluate_regions(
    gama_folder: Path, screening_folder: Path, drives: Sequence[Drive], world: World,
    params: config.Params, split: str,
) -> Report:  # fmt: skip
    """The report of step 2 alone, as screening networks are compared (Table 4).

    Args:
        gama_folder: the trained GAMa-Net, which finds the tiles.
        screening_folder: the trained screening network.
        drives: the videos of the split.
        world: pixels and gallery.
        params: gama, screening and evaluation.
        split: how the report calls the videos.

    Raises:
        ValueError: a model or its embeddings are missing.
    """
    found = split_search.embed(gama_folder, drives, world, params.gama)
    length = params.screening.frames_per_clip
    judged = _judged(
        split_search.screen(screening_folder, found, world, params.gama, length), params.gama
    )
    figures = _figures(judged, np.arange(len(drives)), params.evaluation.bootstrap_draws)
    summary = {
        **_protocol("screening", split, params.gama, world, _rule(params.gama, world)),
        "num_clips": len(drives),
        **{f"screening_{name}": value for name, value in figures.items()},
    }
    table = judged.assign(clip=[drive.name for drive in drives])
    return Report(summary, table.rename(columns={"clip": "clip_id"}), table)


def _judged(screened: Screened, settings: config.Gama) -> pd.DataFrame:
    """Videos among regions: the first answer is right if it is near enough, on any gallery."""
    rule = Rule(
        settings.near_km, near_only_first=True, top1_km=settings.top1_km, radius_km=RADIUS_KM
    )
    return metrics.judge(screened.videos, screened.regions, rule)


def _rule(settings: config.Gama, world: World) -> Rule:
    near = settings.near_km if world.tiles.protocol["kind"] == "centred" else None
    return Rule(near, near_only_first=False, top1_km=settings.top1_km, radius_km=RADIUS_KM)


def _flat(found: Found, rule: Rule) -> dict[str, pd.DataFrame]:
    strict = dataclasses.replace(rule, near_km=None)
    return {
        prefix: metrics.judge(found.clips, found.tiles, kind)
        for prefix, kind in (("", rule), ("strict_", strict))
    }


def _protocol(
    model_name: str, split: str, settings: config.Gama, world: World, rule: Rule
) -> dict[str, Any]:
    return {
        "model": model_name,
        "split": split,
        "ground": settings.ground,
        "gallery": f"{world.tiles.protocol['source']}, {world.tiles.protocol['kind']}",
        "gallery_md5": world.tiles.digest,
        "tile_km": world.tiles.protocol["tile_km"],
        "near_km": rule.near_km,
    }


def _figures(judged: pd.DataFrame, video_N: Indices, draws: int) -> dict[str, float]:
    """Figures, and 95 % bootstrap intervals of shares, over videos: clips of one are alike."""
    figures = metrics.figures(judged)
    num = int(video_N.max()) + 1
    drawn_DV = np.random.default_rng(SEED).integers(num, size=(draws, num))
    size_D = np.bincount(video_N, minlength=num)[drawn_DV].sum(1)
    for name in list(figures):
        if name in judged and name != "gallery_size":
            sum_V = np.bincount(video_N, judged[name].to_numpy(float), num)
            ends = np.percentile(sum_V[drawn_DV].sum(1) / size_D, _INTERVAL)
            figures |= {f"{name}_lo": float(ends[0]), f"{name}_hi": float(ends[1])}
    return figures


def _in_tiles(figures: dict[str, float], tile_km: float) -> dict[str, float]:
    """Mean distances of first answers in widths of a tile."""
    return {
        name.replace("_km", "_tiles"): value / tile_km
        for name, value in figures.items()
        if name.endswith("top1_mean_km")
    }


def _medians(errors_km: dict[str, Floats], video_N: Indices, draws: int) -> dict[str, float]:
    """Median error of the clips by each way, with its bootstrap interval over videos."""
    found: dict[str, float] = {}
    num = int(video_N.max()) + 1
    of_video = [np.flatnonzero(video_N == video) for video in range(num)]
    drawn_DV = np.random.default_rng(SEED).integers(num, size=(draws, num))
    for prefix, error_N in errors_km.items():
        medians_D = [np.median(error_N[np.concatenate([of_video[v] for v in d])]) for d in drawn_DV]
        low, high = np.percentile(medians_D, _INTERVAL)
        found |= {
            f"{prefix}median_km": float(np.median(error_N)),
            f"{prefix}median_km_lo": float(low),
            f"{prefix}median_km_hi": float(high),
        }
    return found


def _track(found: Found, judged: dict[str, pd.DataFrame], followed: Followed, drive: int) -> Track:
    """A video's last way; initially, the middles of the first answers in the whole gallery."""
    mine = np.flatnonzero(found.drive_N == drive)
    flat = judged[""]["top1"].to_numpy(np.int64)[mine]
    _, way = followed.ways[followed.last][drive]
    return Track(
        found.drives[drive].name,
        found.time_s_N[mine],
        way.latlon_T2,
        found.tiles.latlon_N2[flat],
        way.marginals_TK[np.arange(len(mine)), way.path_T].clip(0, 1),
    )


def _truth(found: Found, drive: int) -> Floats:
    return np.asarray(found.clips.latlon_N2[found.drive_N == drive])


def _frames(
    found: Found,
    tracks: Sequence[Track],
    truths: Sequence[Floats],
    judged: dict[str, pd.DataFrame],
    errors_km: dict[str, Floats],
    world: World,
) -> pd.DataFrame:
    """A row a clip: its track's, what is true of it, and what each search and each way gave it."""
    table = pd.concat([track.table() for track in tracks], ignore_index=True)
    truth = np.concatenate(truths)
    table["true_lat"], table["true_lon"] = truth.T
    table["error_km"] = sphere.great_circle_km(table[["lat", "lon"]].to_numpy(float), truth)
    ids = world.tiles.ids[found.tile_row_M]
    table["tile"] = list(found.clips.identity_N)
    for prefix, own in judged.items():
        named = own.assign(top1=ids[own["top1"]]).add_prefix(prefix)
        table = pd.concat([table, named], axis=1)
    more = {f"{prefix}error_km": error_N for prefix, error_N in errors_km.items()}
    return pd.concat([table, pd.DataFrame(more)], axis=1)
