"""The hierarchical search of GAMa: clips to tiles, videos to regions, and back.

See docs/specs/gama.md, section 9.

1. `first_tiles`: the tile nearest to each clip. 2. `tile_sequence` of a video, embedded by the
screening network, and `best_regions`. 3. `tiles_of_regions`: the gallery of each video. 4. `rerank`
of its clips within it, by the embeddings of step 1.

Belongs here: the steps, on embeddings and row numbers. Does not belong here: networks
(network.py), reading tiles, metrics (metrics.py, which takes step 3's galleries).
Shape legend: N clips, M tiles, V videos, R regions, S tiles of a sequence, K best rows, E common
space.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from vidtag_ml.models.gama.metrics import num_of_percent
from vidtag_ml.retrieval import search

Indices = NDArray[np.int64]
Kept = Literal["top10", "top1pct", "top10pct"]
"""Regions that step 3 keeps; published are 1 %, and the others as ablations."""


def first_tiles(clips_NE: Tensor, tiles_ME: Tensor) -> Indices:
    """Step 1: row (N,) of the tile that is most similar to each clip."""
    return np.asarray(search.search(clips_NE, tiles_ME, 1)[1][:, 0].cpu())


def tile_sequence(found: ArrayLike, length: int) -> Indices:
    """Step 2: the first tiles (S,) found for a video's clips, in their order; few are repeated.

    The reference draws at random where there are fewer than `length`; a cycle needs no seed.

    Raises:
        ValueError: there is no tile.

    >>> tile_sequence([4, 7, 9], 5).tolist()
    [4, 7, 9, 4, 7]
    """
    rows = np.asarray(found, np.int64)
    if len(rows) == 0:
        raise ValueError("a video without clips has no tiles to be screened by")
    return np.resize(rows, length)


def num_kept(kept: Kept, num_regions: int) -> int:
    """How many regions are kept, at least one and at most all.

    >>> num_kept("top1pct", 3103), num_kept("top10", 3103), num_kept("top10", 4)
    (31, 10, 4)
    """
    if kept == "top10":
        return min(10, num_regions)
    return num_of_percent(1 if kept == "top1pct" else 10, num_regions)


def best_regions(videos_VE: Tensor, regions_RE: Tensor, kept: Kept) -> Indices:
    """Step 2: rows (V, K) of the regions most similar to each video, best first."""
    found = search.search(videos_VE, regions_RE, num_kept(kept, len(regions_RE)))[1]
    return np.asarray(found.cpu())


def tiles_of_regions(regions_VK: Indices, region_M: ArrayLike) -> list[Indices]:
    """Step 3: rows of the tiles that belong to the regions of each video, in increasing order.

    Args:
        regions_VK: rows of regions, from `best_regions`.
        region_M: the region's row of each tile.

    Raises:
        ValueError: no tile belongs to any of a video's regions.
    """
    region = np.asarray(region_M, np.int64)
    galleries = [np.flatnonzero(np.isin(region, regions)) for regions in regions_VK]
    for video, (rows, regions) in enumerate(zip(galleries, regions_VK, strict=True)):
        if len(rows) == 0:
            raise ValueError(f"video {video}: no tile belongs to its regions {regions.tolist()}")
    return galleries


def rerank(
    clips_NE: Tensor, tiles_ME: Tensor, video_N: ArrayLike, galleries: Sequence[Indices], k: int
) -> tuple[Tensor, Tensor]:
    """Step 4: the k tiles (N, K) most similar to each clip in its video's gallery, best first.

    Nothing is embedded anew. K is less than k where the smallest gallery has fewer tiles.

    Args:
        clips_NE: embeddings of clips, as in step 1.
        tiles_ME: embeddings of all tiles, as in step 1.
        video_N: each clip's video, an index of `galleries`.
        galleries: rows of tiles, from `tiles_of_regions`.
        k: how many tiles.

    Returns:
        Similarities (N, K) and rows of `tiles_ME` (N, K).

    Raises:
        ValueError: a clip's video has no gallery.
    """
    video = torch.as_tensor(np.asarray(video_N, np.int64), device=clips_NE.device)
    if len(video) != len(clips_NE) or not ((video >= 0) & (video < len(galleries))).all():
        raise ValueError(f"{len(clips_NE)} clips need one of {len(galleries)} galleries each")
    k = min([k, *(len(rows) for rows in galleries)])
    scores = clips_NE.new_empty(len(clips_NE), k)
    found = torch.empty(len(clips_NE), k, dtype=torch.int64, device=clips_NE.device)
    for number, rows in enumerate(galleries):
        clips = torch.nonzero(video == number)[:, 0]
        here = torch.as_tensor(rows, device=tiles_ME.device)
        best, where = search.search(clips_NE[clips], tiles_ME[here], k)
        scores[clips], found[clips] = best, here.to(where.device)[where]
    return scores, found
