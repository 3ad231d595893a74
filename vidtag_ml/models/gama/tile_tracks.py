"""Tracks among aerial tiles: what clips of one video say together. Beyond GAMa's paper.

A clip's similarities become probabilities of tiles, those of all clips of a video a path that can
have been travelled. The path has a heading: tiles turned to it look as they do from the vehicle,
and are compared again. What VidTAG holds for likely restricts the tiles, and multiplies their odds.

Belongs here: these three steps, on similarities and positions. Does not belong here: the four
published steps (screening.py), decoding in general (retrieval/decoding.py), training
(train_heading.py), figures (evaluate.py).
Shape legend: T clips of a video, K tiles that it may have, M tiles of a gallery, P likely
points, Q tiles that are turned, H W pixels, E common space, 2 = (lat, lon) in degrees.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from vidtag_ml import config
from vidtag_ml.aerial import gallery as aerial_gallery
from vidtag_ml.aerial import pictures as aerial_pictures
from vidtag_ml.earth import sphere
from vidtag_ml.models.gama import sampling
from vidtag_ml.models.gama.network import GAMaNet
from vidtag_ml.models.gps_retrieval.locate import Posterior
from vidtag_ml.retrieval import decoding

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

SPAN_S = 3.0
"""A heading is the direction from so long before to so long after."""
LEAST_TILES = 0.1
"""Where less than this part of a tile is travelled in that time, there is no heading."""
REACH = 1.5
"""Tiles within so many spacings of a likely point of VidTAG's gallery are looked at."""
_AT_ONCE = 256


@dataclass(frozen=True)
class TileTrack:
    """How a video went among tiles."""

    path_T: Indices
    """Tile of each clip, as an index of the tiles that it may have."""
    marginals_TK: Floats
    """Probability of each tile, given all clips."""
    latlon_T2: Floats
    """Positions: means of the tiles near the path, by their probability."""
    heading_T: Floats
    """Directions of travel, clockwise from north; NaN where it hardly moves."""


def decode_track(
    log_TK: ArrayLike,
    latlon_K2: ArrayLike,
    time_s: ArrayLike,
    max_speed_kmh: float,
    tile_km: float,
) -> TileTrack:
    """The likeliest track through tiles.

    Args:
        log_TK: what speaks for each tile, as logarithms of odds; up to a constant a clip.
        latlon_K2: middles of the tiles.
        time_s: times (T,) of the clips, not decreasing.
        max_speed_kmh: how fast the vehicle can have been.
        tile_km: width of a tile.

    Raises:
        ValueError: as `decoding.viterbi`.
    """
    latlon = np.asarray(latlon_K2, float)
    path_T, marginals_TK = decoding.viterbi(latlon, log_TK, time_s, max_speed_kmh)
    latlon_T2 = decoding.posterior_mean(latlon, path_T, marginals_TK, radius_km=tile_km)
    return TileTrack(path_T, marginals_TK, latlon_T2, headings_deg(latlon_T2, time_s, tile_km))


def headings_deg(latlon_T2: ArrayLike, time_s: ArrayLike, tile_km: float) -> Floats:
    """Directions of travel (T,), clockwise from north; NaN where there is none.

    >>> headings_deg([(0, 0), (0, 1), (0, 2), (0, 2)], [0, 1, 2, 9], tile_km=100).tolist()
    [90.0, 90.0, 90.0, nan]
    """
    latlon, time = np.asarray(latlon_T2, float), np.asarray(time_s, float)
    first = np.searchsorted(time, time - SPAN_S)
    last = np.searchsorted(time, time + SPAN_S, "right") - 1
    moved_km = sphere.great_circle_km(latlon[first], latlon[last])
    heading = sphere.bearing_deg(latlon[first], latlon[last])
    return np.where(moved_km >= LEAST_TILES * tile_km, heading, np.nan)


def rescore_rotated(
    log_TK: Floats,
    track: TileTrack,
    rows_K: Indices,
    similarity: Callable[[Tensor, Indices], Floats],
    tiles: aerial_gallery.Tiles,
    num_candidates: int,
    folder: Path | None = None,
) -> Floats:
    """What speaks for each tile (T, K) once the likeliest ones are turned to the track's heading.

    To the candidates of a clip are added their scores once turned, to all others the least of
    these; where there is no heading, nothing changes.

    Args:
        log_TK: what has spoken for them so far.
        track: the track by that.
        rows_K: rows of the tiles in the gallery.
        similarity: logarithms of odds (Q,) of pictures of tiles (Q, 3, H, W) in bytes for the
            clips (Q,) that they may belong to.
        tiles: the gallery.
        num_candidates: tiles that are turned for each clip.
        folder: where the imagery lies.
    """
    moves_T = np.flatnonzero(np.isfinite(track.heading_T))
    num = min(num_candidates, len(rows_K))
    best_TQ = np.argsort(-track.marginals_TK[moves_T], 1, kind="stable")[:, :num]
    clip = np.repeat(moves_T, num)
    score = np.empty(len(clip))
    for start in range(0, len(clip), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        pictures = aerial_pictures.pixels(
            tiles,
            rows_K[best_TQ.ravel()[part]],
            tiles.protocol["tile_pixels"],
            folder,
            track.heading_T[clip[part]],
        )
        pixels = torch.from_numpy(np.ascontiguousarray(np.moveaxis(pictures, -1, 1)))
        score[part] = similarity(pixels, clip[part])
    score_TQ = score.reshape(best_TQ.shape)
    score_TK = np.repeat(score_TQ.min(1, keepdims=True), len(rows_K), 1)
    np.put_along_axis(score_TK, best_TQ, score_TQ, 1)
    together_TK = log_TK.copy()
    together_TK[moves_T] += score_TK
    return together_TK


def restricted(latlon_M2: Floats, posterior: Posterior) -> Indices:
    """Rows of the tiles where a posterior holds it likely to be, in order; if none is, the nearest.

    A tile is there if its middle is within `REACH` spacings of a likely point of VidTAG's gallery.
    """
    tree = cKDTree(sphere.unit_vectors(posterior.likely_P2))
    chord_M, _ = tree.query(sphere.unit_vectors(latlon_M2))
    away_km = sphere.chord_km(chord_M)
    return np.flatnonzero(away_km <= max(REACH * posterior.spacing_km, away_km.min()))


@dataclass(frozen=True)
class Clips:
    """The clips of one video."""

    time_s_T: Floats
    """Their times, not decreasing."""
    vectors_TE: Tensor
    """Unit vectors by GAMa-Net."""
    turned_TE: Tensor
    """Unit vectors by the network of turned tiles."""
    max_speed_kmh: float
    """How fast the vehicle can have been."""
    posterior: Posterior | None
    """What VidTAG holds of the frames at these times, if it is asked."""


@dataclass(frozen=True)
class TileTrackDecoder:
    """What leads from the clips of a video to its track, the same for all videos."""

    tiles: aerial_gallery.Tiles
    """The gallery."""
    embedding_ME: Tensor
    """Its embeddings by GAMa-Net; perhaps a mapped file."""
    settings: config.Gama
    """Temperature of similarities, and what is seen of a tile."""
    turner: GAMaNet
    """The network of turned tiles."""
    num_candidates: int
    """Tiles of a clip that are turned; 0 = none."""
    folder: Path | None
    """Where the imagery lies."""

    def decode(self, clips: Clips, rows_R: Indices) -> dict[str, tuple[Indices, TileTrack]]:
        """Tiles (K,) and the track through them, by name; each builds on more than those before.

        path: among the tiles of the kept regions. turned: the same, once the likeliest are turned
        to its heading. fused: among these tiles and those where VidTAG's posterior lies, by the
        product of both models' odds. fused_turned: the same, once turned. Without a posterior there
        are the first two.

        Args:
            clips: of the video.
            rows_R: rows of the tiles in the regions that were kept for it.
        """
        found = dict(self._by_name("path", "turned", clips, rows_R, self._log(clips, rows_R)))
        if clips.posterior is not None:
            near = restricted(self.tiles.latlon_G2, clips.posterior)
            rows_K = np.union1d(rows_R, near)
            log_TK = self._log(clips, rows_K)
            log_TK = log_TK + clips.posterior.log_odds(self.tiles.latlon_G2[rows_K])
            found |= self._by_name("fused", "fused_turned", clips, rows_K, log_TK)
        return found

    def _log(self, clips: Clips, rows_K: Indices) -> Floats:
        """What GAMa-Net says for each tile (T, K)."""
        tiles_KE = self.embedding_ME[torch.from_numpy(rows_K)].to(clips.vectors_TE)
        cosine_TK = (clips.vectors_TE @ tiles_KE.T).double().cpu().numpy()
        return np.asarray(cosine_TK / self.settings.temperature)

    def _by_name(
        self, name: str, name_turned: str, clips: Clips, rows_K: Indices, log_TK: Floats
    ) -> Iterator[tuple[str, tuple[Indices, TileTrack]]]:
        latlon_K2 = self.tiles.latlon_G2[rows_K]
        track = self._track(log_TK, latlon_K2, clips)
        yield name, (rows_K, track)
        if self.num_candidates:
            log_TK = rescore_rotated(
                log_TK, track, rows_K, self._similarity(clips.turned_TE), self.tiles,
                self.num_candidates, self.folder,
            )  # fmt: skip
            yield name_turned, (rows_K, self._track(log_TK, latlon_K2, clips))

    def _track(self, log_TK: Floats, latlon_K2: Floats, clips: Clips) -> TileTrack:
        tile_km = self.tiles.protocol["tile_km"]
        return decode_track(log_TK, latlon_K2, clips.time_s_T, clips.max_speed_kmh, tile_km)

    def _similarity(self, clips_TE: Tensor) -> Callable[[Tensor, Indices], Floats]:
        embed, side = self.turner.embed_tiles, self.settings.tile_crop

        @torch.inference_mode()
        def similarity(pixels_QCHW: Tensor, clip_Q: Indices) -> Floats:
            seen = sampling.centre_crop(pixels_QCHW, (side, side))
            tiles_QE = embed(sampling.scale(seen.to(clips_TE.device)))
            own_QE = clips_TE[torch.from_numpy(clip_Q).to(clips_TE.device)]
            cosine_Q = (tiles_QE * own_QE).sum(1).double().cpu().numpy()
            return np.asarray(cosine_Q / self.settings.temperature)

        return similarity
