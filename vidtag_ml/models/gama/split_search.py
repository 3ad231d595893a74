"""A split as both networks see it: its clips and tiles, its videos and regions.

Belongs here: embedding a split once, for all that is measured on it. Does not belong here: figures
(evaluate.py, evaluate_tracks.py), embedding in general (embedding.py), the
steps (screening.py). Shape legend: N clips, V videos, M tiles of the split, R regions of the split,
E common space.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidtag_ml import config
from vidtag_ml.aerial import gallery as aerial_gallery
from vidtag_ml.models.gama import embedding, screening
from vidtag_ml.models.gama.data import CrossViewData, DriveFixes
from vidtag_ml.models.gama.metrics import Items
from vidtag_ml.retrieval import embeddings

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class EmbeddedSplit:
    """What GAMa-Net embedded of a split, and which clips and tiles they are."""

    drives: Sequence[DriveFixes]
    seen: list[tuple[int, int]]
    """Video and fix of each clip."""
    clips: Items
    tiles: Items
    tile_row_M: Indices
    """Rows of the tiles in the whole gallery."""

    @property
    def drive_N(self) -> Indices:
        """DriveFixes of each clip."""
        return np.array([drive for drive, _ in self.seen])

    @property
    def time_s_N(self) -> Floats:
        """Time of each clip's fix."""
        return np.array([self.drives[k].time_s_N[fix] for k, fix in self.seen])


@dataclasses.dataclass(frozen=True)
class ScreenedSplit:
    """What the screening network embedded of a split."""

    videos: Items
    regions: Items

    def best(
        self, found: EmbeddedSplit, world: CrossViewData, kept: screening.Kept
    ) -> list[Indices]:
        """Step 3: rows among the split's tiles of those in each video's best regions."""
        regions_VK = screening.best_regions(
            self.videos.embedding_NE, self.regions.embedding_NE, kept
        )
        return [
            np.searchsorted(
                found.tile_row_M,
                aerial_gallery.reduced(
                    world.tiles, world.regions, list(self.regions.identity_N[rows])
                ),
            )
            for rows in regions_VK
        ]


def embed(
    gama_folder: Path, drives: Sequence[DriveFixes], world: CrossViewData, settings: config.Gama
) -> EmbeddedSplit:
    """Clips and tiles of a split; embeddings of tiles are read, not made."""
    net = embedding.read_gama(gama_folder)
    regions = list(world.regions.ids[[drive.region for drive in drives]])
    mine = aerial_gallery.reduced(world.tiles, world.regions, regions)
    tile_M = np.union1d(mine, np.flatnonzero(world.tiles.table["region"] == ""))
    tiles = _items(
        _read(gama_folder, tile_M), world.tiles.ids[tile_M], world.tiles.latlon_G2[tile_M]
    )
    seen = embedding.clips_seen(drives, world.footage, settings)
    wanted = np.array([drives[k].tile_N[fix] for k, fix in seen])
    latlon_N2 = np.array([drives[k].latlon_N2[fix] for k, fix in seen])
    vectors_NE = embedding.embed_clips(net, settings, seen, drives, world.footage)
    return EmbeddedSplit(
        drives, seen, _items(vectors_NE, world.tiles.ids[wanted], latlon_N2), tiles, tile_M
    )


def screen(
    folder: Path, found: EmbeddedSplit, world: CrossViewData, settings: config.Gama, length: int
) -> ScreenedSplit:
    """Step 2: the split's videos, by so many of the tiles found for them, and its regions."""
    first_N = found.tile_row_M[
        screening.first_tiles(found.clips.embedding_NE, found.tiles.embedding_NE)
    ]
    sequences = [
        screening.tile_sequence(first_N[found.drive_N == k], length)
        for k in range(len(found.drives))
    ]
    model = embedding.read_screening(folder)
    videos_VE = embedding.embed_sequences(model, settings, sequences, world.footage)
    region_R = np.array([drive.region for drive in found.drives])
    places = world.regions.ids[region_R], world.regions.latlon_G2[region_R]
    return ScreenedSplit(_items(videos_VE, *places), _items(_read(folder, region_R), *places))


def _read(folder: Path, rows: Indices) -> Tensor:
    return embeddings.read(folder / embedding.FILE)[torch.from_numpy(rows)].float()


def _items(vectors_NE: Tensor, names: Any, latlon_N2: Floats) -> Items:
    return Items(vectors_NE, np.asarray(names, object), latlon_N2)
