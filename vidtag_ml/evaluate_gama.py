"""Evaluation of GAMa: clips among tiles, videos among regions, and clips again (gama.md 9 and 10).

The gallery of a split are the tiles of its videos' regions and those of no region.

Belongs here: running both networks over a split in the four steps, the report. Does not belong
here: ranks and figures (crossview.py), the steps themselves (screening.py), ways
(evaluate_ways.py), embedding (crossview_embeddings.py), errors of tracks (metrics.py).
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
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidtag_ml import (
    aerial,
    config,
    crossview,
    crossview_embeddings,
    embeddings,
    evaluate_ways,
    geo,
    metrics,
    screening,
)
from vidtag_ml.crossview import Items, Rule
from vidtag_ml.crossview_data import Drive, World
from vidtag_ml.crossview_embeddings import TRUE_TILES
from vidtag_ml.evaluate import Report
from vidtag_ml.evaluate_ways import Beyond, Followed
from vidtag_ml.track import Track

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]

SEED = 0
RADIUS_KM = 3956 * crossview.KM_PER_MILE
"""Earth radius of the published protocol."""
KEPT = typing.get_args(screening.Kept)
_INTERVAL = (2.5, 97.5)


@dataclasses.dataclass(frozen=True)
class Found:
    """What GAMa-Net embedded of a split, and which clips and tiles they are."""

    drives: Sequence[Drive]
    seen: list[tuple[int, int]]
    """Drive and fix of each clip."""
    clips: Items
    tiles: Items
    tile_row_M: Indices
    """Rows of the tiles in the whole gallery."""

    @property
    def drive_N(self) -> Indices:  # noqa: N802
        """Drive of each clip."""
        return np.array([drive for drive, _ in self.seen])

    @property
    def time_s_N(self) -> Floats:  # noqa: N802
        """Time of each clip's fix."""
        return np.array([self.drives[k].time_s_N[fix] for k, fix in self.seen])


@dataclasses.dataclass(frozen=True)
class Screened:
    """What the screening network embedded of a split."""

    videos: Items
    regions: Items

    def best(self, found: Found, world: World, kept: screening.Kept) -> list[Indices]:
        """Step 3: rows among the split's tiles of those in each video's best regions."""
        regions_VK = screening.best_regions(
            self.videos.embedding_NE, self.regions.embedding_NE, kept
        )
        return [
            np.searchsorted(
                found.tile_row_M,
                aerial.reduced(world.tiles, world.regions, list(self.regions.identity_N[rows])),
            )
            for rows in regions_VK
        ]


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
    ways of videos (aerial_track.py), near_... of the flat search where VidTAG's posterior lies, and
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
    found = embed(gama_folder, drives, world, settings)
    folders = screening_folder, screening_folder / TRUE_TILES
    after, before = (
        screen(folder, found, world, settings, params.screening.frames_per_clip)
        for folder in folders
    )
    rule = _rule(settings, world)
    reduced = {kept: after.best(found, world, kept) for kept in KEPT}
    judged = {
        **_flat(found, rule),
        **{
            f"{kept}_": crossview.judge(
                found.clips, found.tiles, rule, [own[k] for k in found.drive_N]
            )
            for kept, own in reduced.items()
        },
    }
    judged["hierarchical_"] = judged[f"{settings.kept}_"]
    followed = evaluate_ways.follow(found, world, params, beyond, reduced[settings.kept])
    judged |= evaluate_ways.judged(found, rule, followed)
    errors_km = evaluate_ways.errors_km(found, followed)
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
    errors = metrics.Errors(params.evaluation.accuracy_km)
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
    found = embed(gama_folder, drives, world, params.gama)
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
    found = embed(gama_folder, drives, world, params.gama)
    length = params.screening.frames_per_clip
    judged = _judged(screen(screening_folder, found, world, params.gama, length), params.gama)
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
    return crossview.judge(screened.videos, screened.regions, rule)


def _rule(settings: config.Gama, world: World) -> Rule:
    near = settings.near_km if world.tiles.protocol["kind"] == "centred" else None
    return Rule(near, near_only_first=False, top1_km=settings.top1_km, radius_km=RADIUS_KM)


def _flat(found: Found, rule: Rule) -> dict[str, pd.DataFrame]:
    strict = dataclasses.replace(rule, near_km=None)
    return {
        prefix: crossview.judge(found.clips, found.tiles, kind)
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


def embed(gama_folder: Path, drives: Sequence[Drive], world: World, settings: config.Gama) -> Found:
    """Clips and tiles of a split; embeddings of tiles are read, not made."""
    net = crossview_embeddings.read_gama(gama_folder)
    regions = list(world.regions.ids[[drive.region for drive in drives]])
    mine = aerial.reduced(world.tiles, world.regions, regions)
    tile_M = np.union1d(mine, np.flatnonzero(world.tiles.table["region"] == ""))
    tiles = _items(
        _read(gama_folder, tile_M), world.tiles.ids[tile_M], world.tiles.latlon_G2[tile_M]
    )
    seen = crossview_embeddings.clips_seen(drives, world.footage, settings)
    wanted = np.array([drives[k].tile_N[fix] for k, fix in seen])
    latlon_N2 = np.array([drives[k].latlon_N2[fix] for k, fix in seen])
    vectors_NE = crossview_embeddings.embed_clips(net, settings, seen, drives, world.footage)
    return Found(
        drives, seen, _items(vectors_NE, world.tiles.ids[wanted], latlon_N2), tiles, tile_M
    )


def screen(
    folder: Path, found: Found, world: World, settings: config.Gama, length: int
) -> Screened:
    """Step 2: the split's videos, by so many of the tiles found for them, and its regions."""
    first_N = found.tile_row_M[
        screening.first_tiles(found.clips.embedding_NE, found.tiles.embedding_NE)
    ]
    sequences = [
        screening.tile_sequence(first_N[found.drive_N == k], length)
        for k in range(len(found.drives))
    ]
    model = crossview_embeddings.read_screening(folder)
    videos_VE = crossview_embeddings.embed_sequences(model, settings, sequences, world.footage)
    region_R = np.array([drive.region for drive in found.drives])
    places = world.regions.ids[region_R], world.regions.latlon_G2[region_R]
    return Screened(_items(videos_VE, *places), _items(_read(folder, region_R), *places))


def _read(folder: Path, rows: Indices) -> Tensor:
    return embeddings.read(folder / crossview_embeddings.FILE)[torch.from_numpy(rows)].float()


def _items(vectors_NE: Tensor, names: Any, latlon_N2: Floats) -> Items:
    return Items(vectors_NE, np.asarray(names, object), latlon_N2)


def _figures(judged: pd.DataFrame, video_N: Indices, draws: int) -> dict[str, float]:
    """Figures, and 95 % bootstrap intervals of shares, over videos: clips of one are alike."""
    figures = crossview.figures(judged)
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
    table["error_km"] = geo.great_circle_km(table[["lat", "lon"]].to_numpy(float), truth)
    ids = world.tiles.ids[found.tile_row_M]
    table["tile"] = list(found.clips.identity_N)
    for prefix, own in judged.items():
        named = own.assign(top1=ids[own["top1"]]).add_prefix(prefix)
        table = pd.concat([table, named], axis=1)
    more = {f"{prefix}error_km": error_N for prefix, error_N in errors_km.items()}
    return pd.concat([table, pd.DataFrame(more)], axis=1)
