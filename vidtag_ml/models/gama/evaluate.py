"""Evaluation of GAMa: clips among tiles, videos among regions, and clips again.

See docs/specs/gama.md, sections 9 and 10.

The gallery of a split are the tiles of its videos' regions and those of no region.

Belongs here: running both networks over a split in the four steps, the report. Does not belong
here: ranks and figures (metrics.py), the steps themselves (screening.py), tracks
(evaluate_tracks.py), embedding (embedding.py), errors of tracks (metrics/tracks.py).
Shape legend: N clips, V videos, M tiles of the split, R regions of the split, D draws, E common
space, 2 = (lat, lon) in degrees.
"""

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml import config
from vidtag_ml.earth import sphere
from vidtag_ml.earth.tracks import Track
from vidtag_ml.metrics import bootstrap
from vidtag_ml.metrics import tracks as track_metrics
from vidtag_ml.models import familiarity
from vidtag_ml.models.familiarity import Familiarity
from vidtag_ml.models.gama import (
    evaluate_tracks,
    knowing,
    metrics,
    screening,
    searches,
    split_search,
)
from vidtag_ml.models.gama.data import CrossViewData, DriveFixes
from vidtag_ml.models.gama.embedding import TRUE_TILES
from vidtag_ml.models.gama.evaluate_tracks import DecodedTracks, TrackContext
from vidtag_ml.models.gama.metrics import Rule
from vidtag_ml.models.gama.split_search import EmbeddedSplit, ScreenedSplit
from vidtag_ml.models.report import Report

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]

SEED = 0
RADIUS_KM = 3956 * metrics.KM_PER_MILE
"""Earth radius of the published protocol."""
KEPT = typing.get_args(screening.Kept)


@dataclasses.dataclass(frozen=True)
class Split:
    """Videos that are searched for."""

    name: str
    """As reports call them."""
    drives: Sequence[DriveFixes]
    world: CrossViewData
    """Pixels and gallery."""


@dataclasses.dataclass(frozen=True)
class Networks:
    """What is evaluated."""

    gama: Path
    """GAMa-Net, and its tiles' embeddings."""
    screening: Path
    """The screening network, and its regions' embeddings."""
    context: TrackContext
    """What leads to the tracks of videos."""
    name: str = "gama"
    """As reports call the model."""


@dataclasses.dataclass(frozen=True)
class Searched:
    """What became of a split by each search, under the name of the search."""

    found: EmbeddedSplit
    decoded: DecodedTracks
    clips: Mapping[str, pd.DataFrame]
    """A row a clip, as `metrics.judge` has it."""
    videos: Mapping[str, pd.DataFrame]
    """A row a video: its region."""
    errors_km: Mapping[str, Floats]
    """How far from the truth each clip (N,) is put, by searches that give a position."""


def evaluate_gama(
    networks: Networks, split: Split, params: config.Params, known: Familiarity | None = None
) -> Report:
    """The report on one split: a row a video in `per_clip`, a row a clip in `frames`.

    Figures without a prefix are those of the flat search, by the rule of the gallery's kind:
    centred tiles near enough are right as well, which strict_... figures leave out. screening_...
    are of videos among regions, after fine-tuning and before; top10_..., top1pct_... and
    top10pct_... of the hierarchical search that keeps so many regions, and hierarchical_... of the
    one that `gama.kept` chooses. path_..., turned_..., fused_... and fused_turned_... are of tracks
    of videos (tile_tracks.py), near_... of the flat search where VidTAG's posterior lies, and
    vidtag_... of VidTAG itself; the last track is the answer. Intervals are over videos.

    Args:
        networks: what is evaluated.
        split: what is searched for, and where.
        params: gama, screening, heading and evaluation.
        known: what tells which videos it knows; the report says how many would get no answer.

    Raises:
        ValueError: a model or its embeddings are missing.
    """
    rule, draws = _rule(params.gama, split.world), params.evaluation.bootstrap_draws
    searched = _search(networks, split, params, rule)
    tracks = [_track(searched, k) for k in range(len(split.drives))]
    errors = track_metrics.Errors(params.evaluation.accuracy_km)
    per_clip = _per_clip(searched, tracks, errors)
    figures = _of_all(searched, draws, split.world.tiles.protocol["tile_km"])
    summary = {
        **_protocol(networks.name, split, params.gama, rule),
        "kept": params.gama.kept,
        "track": searched.decoded.last,
        **searches.flattened(figures),
        **errors.counts(),
        **errors.summary(),
        **errors.intervals(draws, SEED),
    }
    report = Report(summary, per_clip, _frames(searched, tracks, split.world))
    if known is None or not known.usual:
        return report
    lost = knowing.lost(known, networks.gama, split.drives, split.world, params.gama)
    return familiarity.reported(report, lost, draws)


def evaluate_flat(gama_folder: Path, split: Split, params: config.Params) -> Report:
    """The report of the flat search alone, as parts of GAMa-Net are compared (Table 3).

    Args:
        gama_folder: the trained GAMa-Net and its tiles' embeddings.
        split: what is searched for, and where.
        params: gama and evaluation.

    Raises:
        ValueError: the model or its embeddings are missing.
    """
    found = split_search.embed(gama_folder, split.drives, split.world, params.gama)
    rule, draws = _rule(params.gama, split.world), params.evaluation.bootstrap_draws
    judged, tile_km = _flat(found, rule), split.world.tiles.protocol["tile_km"]
    figures = {
        search: _in_tiles(_figures(table, found.drive_N, draws), tile_km)
        for search, table in judged.items()
    }
    names = [drive.name for drive in split.drives]
    clip = [names[k] for k in found.drive_N]
    frames = judged[searches.FLAT].assign(clip=clip, time_s=found.time_s_N)
    right = frames.groupby("clip", sort=False)["recall_at_1"].mean().rename_axis("clip_id")
    summary = {
        **_protocol("gama", split, params.gama, rule),
        "num_clips": len(split.drives),
        **searches.flattened(figures),
    }
    return Report(summary, right.reset_index(), frames)


def evaluate_regions(
    gama_folder: Path, screening_folder: Path, split: Split, params: config.Params
) -> Report:
    """The report of step 2 alone, as screening networks are compared (Table 4).

    Args:
        gama_folder: the trained GAMa-Net, which finds the tiles.
        screening_folder: the trained screening network.
        split: what is searched for, and where.
        params: gama, screening and evaluation.

    Raises:
        ValueError: a model or its embeddings are missing.
    """
    found = split_search.embed(gama_folder, split.drives, split.world, params.gama)
    judged = _judged(_screened(screening_folder, found, split, params), params.gama)
    figures = _figures(judged, np.arange(len(judged)), params.evaluation.bootstrap_draws)
    summary = {
        **_protocol("screening", split, params.gama, _rule(params.gama, split.world)),
        "num_clips": len(split.drives),
        **searches.flattened({searches.SCREENING: figures}),
    }
    table = judged.assign(clip=[drive.name for drive in split.drives])
    return Report(summary, table.rename(columns={"clip": "clip_id"}), table)


def _search(networks: Networks, split: Split, params: config.Params, rule: Rule) -> Searched:
    found = split_search.embed(networks.gama, split.drives, split.world, params.gama)
    trained = {
        searches.SCREENING: networks.screening,
        searches.BEFORE: networks.screening / TRUE_TILES,
    }
    screened = {name: _screened(folder, found, split, params) for name, folder in trained.items()}
    best = screened[searches.SCREENING].best
    among = {kept: best(found, split.world, kept) for kept in KEPT}
    decoded = evaluate_tracks.decode(
        found, split.world, params, networks.context, among[params.gama.kept]
    )
    clips = {
        **_flat(found, rule),
        **_hierarchical(found, rule, among, params.gama.kept),
        **evaluate_tracks.judged(found, rule, decoded),
    }
    videos = {name: _judged(own, params.gama) for name, own in screened.items()}
    return Searched(found, decoded, clips, videos, evaluate_tracks.errors_km(found, decoded))


def _screened(
    folder: Path, found: EmbeddedSplit, split: Split, params: config.Params
) -> ScreenedSplit:
    length = params.screening.frames_per_clip
    return split_search.screen(folder, found, split.world, params.gama, length)


def _judged(screened: ScreenedSplit, settings: config.Gama) -> pd.DataFrame:
    """Videos among regions: the first answer is right if it is near enough, on any gallery."""
    rule = Rule(
        settings.near_km, near_only_first=True, top1_km=settings.top1_km, radius_km=RADIUS_KM
    )
    return metrics.judge(screened.videos, screened.regions, rule)


def _rule(settings: config.Gama, world: CrossViewData) -> Rule:
    near = settings.near_km if world.tiles.protocol["kind"] == "centred" else None
    return Rule(near, near_only_first=False, top1_km=settings.top1_km, radius_km=RADIUS_KM)


def _flat(found: EmbeddedSplit, rule: Rule) -> dict[str, pd.DataFrame]:
    strict = dataclasses.replace(rule, near_km=None)
    return {
        search: metrics.judge(found.clips, found.tiles, kind)
        for search, kind in ((searches.FLAT, rule), (searches.STRICT, strict))
    }


def _hierarchical(
    found: EmbeddedSplit, rule: Rule, among: Mapping[str, Sequence[Indices]], chosen: str
) -> dict[str, pd.DataFrame]:
    """Clips among the tiles of their video's best regions, by how many of these are kept."""
    judged = {
        kept: metrics.judge(found.clips, found.tiles, rule, [own[k] for k in found.drive_N])
        for kept, own in among.items()
    }
    return judged | {searches.HIERARCHICAL: judged[chosen]}


def _protocol(model_name: str, split: Split, settings: config.Gama, rule: Rule) -> dict[str, Any]:
    tiles = split.world.tiles
    return {
        "model": model_name,
        "split": split.name,
        "ground": settings.ground,
        "gallery": f"{tiles.protocol['source']}, {tiles.protocol['kind']}",
        "gallery_md5": tiles.digest,
        "tile_km": tiles.protocol["tile_km"],
        "near_km": rule.near_km,
    }


def _of_all(searched: Searched, draws: int, tile_km: float) -> dict[str, dict[str, float]]:
    """Figures by search."""
    video_N = searched.found.drive_N
    judged = {
        **{search: _figures(table, video_N, draws) for search, table in searched.clips.items()},
        **{
            search: _figures(table, np.arange(len(table)), draws)
            for search, table in searched.videos.items()
        },
    }
    found = {search: _in_tiles(figures, tile_km) for search, figures in judged.items()}
    for search, error_N in searched.errors_km.items():
        found[search] = found.get(search, {}) | _median(error_N, video_N, draws)
    return found


def _figures(judged: pd.DataFrame, video_N: Indices, draws: int) -> dict[str, float]:
    """Figures, and 95 % bootstrap intervals of shares, over videos: clips of one are alike."""
    figures = metrics.figures(judged)
    for name in metrics.shares(judged):
        ends = bootstrap.grouped_mean(judged[name], video_N, draws, SEED)
        figures |= bootstrap.named(name, ends)
    return figures


def _in_tiles(figures: dict[str, float], tile_km: float) -> dict[str, float]:
    """The figures, with the mean distance of first answers in widths of a tile too."""
    return figures | {"top1_mean_tiles": figures["top1_mean_km"] / tile_km}


def _median(error_km_N: Floats, video_N: Indices, draws: int) -> dict[str, float]:
    """Median error of the clips, with its bootstrap interval over videos."""
    ends = bootstrap.grouped_median(error_km_N, video_N, draws, SEED)
    middle = float(np.median(error_km_N))
    return {searches.ERROR: middle, **bootstrap.named(searches.ERROR, ends)}


def _per_clip(
    searched: Searched, tracks: Sequence[Track], errors: track_metrics.Errors
) -> pd.DataFrame:
    """A row a video: the errors of its track, which `errors` takes in, and its region."""
    truths = [_truth(searched.found, k) for k in range(len(tracks))]
    rows = errors.extend(
        (track.latlon_T2, truth, np.ones(len(truth), bool), track.time_s)
        for track, truth in zip(tracks, truths, strict=True)
    )
    table = pd.DataFrame([row.row(errors.thresholds_km) for row in rows if row is not None])
    table.insert(0, "clip_id", [drive.name for drive in searched.found.drives])
    screening = searched.videos[searches.SCREENING]
    return pd.concat([table, _named(screening, searches.SCREENING)], axis=1)


def _track(searched: Searched, drive: int) -> Track:
    """A video's last track; initially, the middles of the first answers in the whole gallery."""
    found, decoded = searched.found, searched.decoded
    mine = np.flatnonzero(found.drive_N == drive)
    flat = searched.clips[searches.FLAT]["top1"].to_numpy(np.int64)[mine]
    _, track = decoded.tracks[decoded.last][drive]
    return Track(
        found.drives[drive].name,
        found.time_s_N[mine],
        track.latlon_T2,
        found.tiles.latlon_N2[flat],
        track.marginals_TK[np.arange(len(mine)), track.path_T].clip(0, 1),
    )


def _truth(found: EmbeddedSplit, drive: int) -> Floats:
    return np.asarray(found.clips.latlon_N2[found.drive_N == drive])


def _frames(searched: Searched, tracks: Sequence[Track], world: CrossViewData) -> pd.DataFrame:
    """A row a clip: its track's, what is true of it, and what each search and track gave it."""
    found = searched.found
    table = pd.concat([track.table() for track in tracks], ignore_index=True)
    truth = np.concatenate([_truth(found, k) for k in range(len(tracks))])
    table["true_lat"], table["true_lon"] = truth.T
    table["error_km"] = sphere.great_circle_km(table[["lat", "lon"]].to_numpy(float), truth)
    table["tile"] = list(found.clips.identity_N)
    ids = world.tiles.ids[found.tile_row_M]
    answers = [
        _named(own.assign(top1=ids[own["top1"]]), search) for search, own in searched.clips.items()
    ]
    away = {searches.key(s, "error_km"): error_N for s, error_N in searched.errors_km.items()}
    return pd.concat([table, *answers, pd.DataFrame(away)], axis=1)


def _named(table: pd.DataFrame, search: str) -> pd.DataFrame:
    return table.rename(columns=lambda name: searches.key(search, name))
