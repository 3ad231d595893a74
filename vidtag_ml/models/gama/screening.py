"""The hierarchical search of GAMa: clips to tiles, videos to regions, and back.

See docs/specs/gama.md, section 9.

1. `first_tiles`: the tile nearest to each clip. 2. `tile_sequence` of a video, embedded by the
screening network, and `best_regions`. 3. The tiles of these are the gallery of the video
(aerial/gallery.py, `reduced`). 4. Its clips are searched within it, by the embeddings of step 1.

Belongs here: steps 1 and 2, on embeddings and row numbers. Does not belong here: networks
(network.py), tiles (aerial/gallery.py), step 4 where it is measured (metrics.py, `judge`) and where
its answer is used (locator.py).
Shape legend: N clips, M tiles, V videos, R regions, S tiles of a sequence, K best rows, E common
space.
"""

from typing import Literal

import numpy as np
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
