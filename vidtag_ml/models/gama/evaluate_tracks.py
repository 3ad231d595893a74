"""Tracks of a split's videos through aerial tiles, and how good they are. Beyond GAMa's paper.

Belongs here: decoding each video by what it has been given, figures of these tracks. Does not
belong here: the tracks themselves (tile_tracks.py), the published search (evaluate.py).
Shape legend: N clips of all videos, V videos, T clips of one, K tiles that it may have,
2 = (lat, lon) in degrees.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from vidtag_ml import config
from vidtag_ml.aerial import gallery as aerial_gallery
from vidtag_ml.earth import sphere
from vidtag_ml.models.gama import embedding, metrics, searches, tile_tracks
from vidtag_ml.models.gama.data import CrossViewData, DriveFixes
from vidtag_ml.models.gama.network import GAMaNet
from vidtag_ml.models.gama.tile_tracks import TileTrack
from vidtag_ml.models.gps_retrieval.locate import Posterior

if TYPE_CHECKING:
    from vidtag_ml.models.gama.split_search import EmbeddedSplit


Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

_LEAST = 1e-12
"""Probabilities below are equal: a tile that cannot be reached is as wrong as another."""


@dataclass(frozen=True)
class TrackContext:
    """What is known of videos beside their clips and tiles."""

    max_speed_kmh: Mapping[str, float]
    """How fast the vehicle of each video can have been, by its name."""
    turner: GAMaNet
    """The network of turned tiles."""
    posterior_of: Callable[[DriveFixes, Floats], Posterior] | None = None
    """What VidTAG holds of a video at some times (T,)."""


@dataclass(frozen=True)
class DecodedTracks:
    """The tracks of all videos."""

    tracks: Mapping[str, Sequence[tuple[Indices, TileTrack]]]
    """Tiles (K,) and track of each video, by name, in the order of `TileTrackDecoder.decode`."""
    posteriors: Sequence[Posterior]
    """VidTAG's, of each video; none if it was not asked."""
    near: Sequence[Indices]
    """Tiles of each video where these hold it likely to be."""

    @property
    def last(self) -> str:
        """The track that builds on most."""
        return list(self.tracks)[-1]


def decode(
    found: "EmbeddedSplit",
    world: CrossViewData,
    params: config.Params,
    context: TrackContext,
    kept: Sequence[Indices],
) -> DecodedTracks:
    """The tracks of a split's videos, among the tiles of the split.

    Args:
        found: what was embedded of the split.
        world: pixels and gallery.
        params: sections gama and heading.
        context: what else is known.
        kept: of each video, which of the split's tiles are in the regions that were kept.
    """
    tiles = _of_split(world.tiles, found)
    decoder = tile_tracks.TileTrackDecoder(
        tiles, found.tiles.embedding_NE, params.gama, context.turner, params.heading.num_candidates,
        world.imagery,
    )  # fmt: skip
    turned_NE = embedding.embed_clips(
        context.turner, params.gama, found.seen, found.drives, world.footage
    )
    tracks: dict[str, list[tuple[Indices, TileTrack]]] = {}
    posteriors, near = [], []
    for k, drive in enumerate(found.drives):
        mine = np.flatnonzero(found.drive_N == k)
        rows, time_s = torch.from_numpy(mine), found.time_s_N[mine]
        posterior = None if context.posterior_of is None else context.posterior_of(drive, time_s)
        if posterior is not None:
            posteriors.append(posterior)
            near.append(tile_tracks.restricted(tiles.latlon_G2, posterior))
        clips = tile_tracks.Clips(
            time_s,
            found.clips.embedding_NE[rows],
            turned_NE[rows],
            context.max_speed_kmh[drive.name],
            posterior,
        )
        for name, track in decoder.decode(clips, kept[k]).items():
            tracks.setdefault(name, []).append(track)
    return DecodedTracks(tracks, posteriors, near)


def _of_split(tiles: aerial_gallery.Tiles, found: "EmbeddedSplit") -> aerial_gallery.Tiles:
    table = tiles.table.iloc[found.tile_row_M].reset_index(drop=True)
    return replace(tiles, table=table)


def judged(
    found: "EmbeddedSplit", rule: metrics.Rule, decoded: DecodedTracks
) -> dict[str, pd.DataFrame]:
    """What became of each clip by each track, a row a clip; near: no track, but VidTAG.

    Tiles are ranked by their probability given all clips of the video.
    """
    tables = {}
    if decoded.near:
        near = [decoded.near[k] for k in found.drive_N]
        tables[searches.NEAR] = metrics.judge(found.clips, found.tiles, rule, near)
    for name, tracks in decoded.tracks.items():
        among = [rows for rows, track in tracks for _ in track.path_T]
        scores = [np.log(row_K + _LEAST) for _, track in tracks for row_K in track.marginals_TK]
        tables[name] = metrics.judge_scored(found.clips, found.tiles, rule, among, scores)
    return tables


def errors_km(found: "EmbeddedSplit", decoded: DecodedTracks) -> dict[str, Floats]:
    """How far from the truth each clip (N,) is put by each track, and by VidTAG."""
    truth_N2 = found.clips.latlon_N2
    return {
        name: sphere.great_circle_km(latlon_N2, truth_N2) for name, latlon_N2 in _positions(decoded)
    }


def _positions(decoded: DecodedTracks) -> Iterator[tuple[str, Floats]]:
    if decoded.posteriors:
        yield searches.VIDTAG, np.concatenate([o.latlon_T2 for o in decoded.posteriors])
    for name, tracks in decoded.tracks.items():
        yield name, np.concatenate([track.latlon_T2 for _, track in tracks])
