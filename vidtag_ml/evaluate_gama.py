"""Evaluation of GAMa: clips among tiles, videos among regions, and clips again (gama.md 9 and 10).

The gallery of a split are the tiles of its videos' regions and those of no region.

Belongs here: running both networks over a split in the four steps, the report. Does not belong
here: ranks and figures (crossview.py), the steps themselves (screening.py), embedding
(training/gama.py), errors of tracks (metrics.py).
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
    metrics,
    screening,
)
from vidtag_ml.crossview import Items, Rule
from vidtag_ml.crossview_data import Drive, World
from vidtag_ml.evaluate import Report
from vidtag_ml.track import Track
from vidtag_ml.training.gama import TRUE_TILES

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]

SEED = 0
RADIUS_KM = 3956 * crossview.KM_PER_MILE
"""Earth radius of the published protocol."""
KEPT = typing.get_args(screening.Kept)
_INTERVAL = (2.5, 97.5)


@dataclasses.dataclass(frozen=True)
class Found:
    """All that was embedded of a split, and which clips, tiles and regions they are."""

    drives: Sequence[Drive]
    seen: list[tuple[int, int]]
    """Drive and fix of each clip."""
    clips: Items
    tiles: Items
    videos: Items
    videos_before: Items
    """The same videos by the screening network before it was fine-tuned."""
    regions: Items
    regions_before: Items
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


def evaluate_gama(
    gama_folder: Path, screening_folder: Path, drives: Sequence[Drive], world: World,
    params: config.Params, split: str, model_name: str = "gama",
) -> Report:  # fmt: skip
    """The report on one split: a row a video in `per_clip`, a row a clip in `frames`.

    Figures without a prefix are those of the flat search, by the rule of the gallery's kind:
    centred tiles near enough are right as well, which strict_... figures leave out. screening_...
    are of videos among regions, after fine-tuning and before; top10_..., top1pct_... and
    top10pct_... of the hierarchical search that keeps so many regions, and hierarchical_... of the
    one that `gama.kept` chooses, whose first answers make the tracks. Intervals are over videos.

    Args:
        gama_folder: the trained GAMa-Net and its tiles' embeddings.
        screening_folder: the trained screening network and its regions' embeddings.
        drives: the videos of the split.
        world: pixels and gallery.
        params: gama, screening and evaluation.
        split: how the report calls the videos.
        model_name: how the report calls the model.

    Raises:
        ValueError: a model or its embeddings are missing.
    """
    settings = params.gama
    found = embed(gama_folder, screening_folder, drives, world, params)
    near = settings.near_km if world.tiles.protocol["kind"] == "centred" else None
    rule = Rule(near, near_only_first=False, top1_km=settings.top1_km, radius_km=RADIUS_KM)
    strict = dataclasses.replace(rule, near_km=None)
    of_regions = dataclasses.replace(rule, near_km=settings.near_km, near_only_first=True)
    reduced = {kept: galleries(found, world, kept) for kept in KEPT}
    judged = {
        "": crossview.judge(found.clips, found.tiles, rule),
        "strict_": crossview.judge(found.clips, found.tiles, strict),
        **{
            f"{kept}_": crossview.judge(
                found.clips, found.tiles, rule, [own[k] for k in found.drive_N]
            )
            for kept, own in reduced.items()
        },
    }
    judged["hierarchical_"] = judged[f"{settings.kept}_"]
    screened = {
        "screening_": crossview.judge(found.videos, found.regions, of_regions),
        "screening_before_": crossview.judge(found.videos_before, found.regions_before, of_regions),
    }
    every = range(len(drives))
    figures = {
        f"{prefix}{name}": value
        for group, video_N in ((judged, found.drive_N), (screened, np.arange(len(drives))))
        for prefix, table in group.items()
        for name, value in _figures(table, video_N, params.evaluation.bootstrap_draws).items()
    }
    tracks = [_track(found, judged, k) for k in every]
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
        "model": model_name,
        "split": split,
        "kept": settings.kept,
        "ground": settings.ground,
        "gallery": f"{world.tiles.protocol['source']}, {world.tiles.protocol['kind']}",
        "gallery_md5": world.tiles.digest,
        "tile_km": world.tiles.protocol["tile_km"],
        "near_km": near,
        **figures,
        **_in_tiles(figures, world.tiles.protocol["tile_km"]),
        **errors.counts(),
        **errors.summary(),
        **errors.intervals(params.evaluation.bootstrap_draws, SEED),
    }
    return Report(summary, per_clip, _frames(found, tracks, truths, judged, world))


def embed(
    gama_folder: Path, screening_folder: Path, drives: Sequence[Drive], world: World,
    params: config.Params,
) -> Found:  # fmt: skip
    """Embeddings of a split; those of tiles and regions are read, not made."""
    settings, length = params.gama, params.screening.frames_per_clip
    net = crossview_embeddings.read_gama(gama_folder)
    region_R = np.array([drive.region for drive in drives])
    mine = aerial.reduced(world.tiles, world.regions, list(world.regions.ids[region_R]))
    tile_M = np.union1d(mine, np.flatnonzero(world.tiles.table["region"] == ""))
    tiles = _items(
        _read(gama_folder, tile_M), world.tiles.ids[tile_M], world.tiles.latlon_G2[tile_M]
    )
    seen = crossview_embeddings.clips_seen(drives, world.footage, settings)
    wanted = np.array([drives[k].tile_N[fix] for k, fix in seen])
    latlon_N2 = np.array([drives[k].latlon_N2[fix] for k, fix in seen])
    vectors_NE = crossview_embeddings.embed_clips(net, settings, seen, drives, world.footage)
    clips = _items(vectors_NE, world.tiles.ids[wanted], latlon_N2)
    first_N = tile_M[screening.first_tiles(clips.embedding_NE, tiles.embedding_NE)]
    drive_N = np.array([drive for drive, _ in seen])
    sequences = [screening.tile_sequence(first_N[drive_N == k], length) for k in range(len(drives))]
    places = world.regions.ids[region_R], world.regions.latlon_G2[region_R]
    screened = []
    for folder in (screening_folder, screening_folder / TRUE_TILES):
        model = crossview_embeddings.read_screening(folder)
        videos_VE = crossview_embeddings.embed_sequences(model, settings, sequences, world.footage)
        screened += [_items(videos_VE, *places), _items(_read(folder, region_R), *places)]
    videos, regions, videos_before, regions_before = screened
    return Found(drives, seen, clips, tiles, videos, videos_before, regions, regions_before, tile_M)


def galleries(found: Found, world: World, kept: screening.Kept) -> list[Indices]:
    """Step 3: rows among the split's tiles of those in each video's best regions."""
    regions_VK = screening.best_regions(found.videos.embedding_NE, found.regions.embedding_NE, kept)
    return [
        np.searchsorted(
            found.tile_row_M,
            aerial.reduced(world.tiles, world.regions, list(found.regions.identity_N[rows])),
        )
        for rows in regions_VK
    ]


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


def _track(found: Found, judged: dict[str, pd.DataFrame], drive: int) -> Track:
    """Middles of the first answers for a video's clips: initially flat, finally hierarchical."""
    mine = np.flatnonzero(found.drive_N == drive)
    flat, final = (judged[name]["top1"].to_numpy(np.int64)[mine] for name in ("", "hierarchical_"))
    vectors_NE = found.clips.embedding_NE[torch.from_numpy(mine)]
    cosine_N = (vectors_NE * found.tiles.embedding_NE[torch.from_numpy(final)]).sum(1)
    return Track(
        found.drives[drive].name,
        found.time_s_N[mine],
        found.tiles.latlon_N2[final],
        found.tiles.latlon_N2[flat],
        np.asarray((1 + cosine_N.double().numpy()) / 2).clip(0, 1),
    )


def _truth(found: Found, drive: int) -> Floats:
    return np.asarray(found.clips.latlon_N2[found.drive_N == drive])


def _frames(
    found: Found,
    tracks: Sequence[Track],
    truths: Sequence[Floats],
    judged: dict[str, pd.DataFrame],
    world: World,
) -> pd.DataFrame:
    """A row a clip: its track's, what is true of it, the tiles it was given and how these rank."""
    from vidtag_ml import geo

    table = pd.concat([track.table() for track in tracks], ignore_index=True)
    truth = np.concatenate(truths)
    table["true_lat"], table["true_lon"] = truth.T
    table["error_km"] = geo.great_circle_km(table[["lat", "lon"]].to_numpy(float), truth)
    ids = world.tiles.ids[found.tile_row_M]
    table["tile"] = list(found.clips.identity_N)
    for prefix in ("", "hierarchical_"):
        own = judged[prefix].assign(top1=ids[judged[prefix]["top1"]])
        table = pd.concat([table, own.add_prefix(prefix)], axis=1)
    return table
