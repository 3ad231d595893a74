"""Which videos GAMa knows: where GAMa-Net puts their clips, and how well the best tile fits each.

Belongs here: that, of the videos of a split. Does not belong here: what is made of it
(models/familiarity.py), embedding (embedding.py), a video that is located (locator.py).
Shape legend: T clips of a video, M tiles of the gallery, E common space.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor

from vidtag_ml import config
from vidtag_ml.aerial import gallery as aerial_gallery
from vidtag_ml.models import familiarity
from vidtag_ml.models.familiarity import Familiarity, Looks
from vidtag_ml.models.gama import embedding
from vidtag_ml.models.gama.data import CrossViewData, DriveFixes
from vidtag_ml.retrieval import embeddings

LENGTHS = (1, 4, 16, 64)
"""Clips that val videos are cut to, the middle ones."""


def learnt(
    folder: Path, kinds: str, world: CrossViewData, settings: config.GamaTraining
) -> Familiarity:
    """What a GAMa-Net knows, by its train and val videos.

    Args:
        folder: of the network and the embeddings of all tiles.
        kinds: what `familiarity.kinds` says of the train videos.
        world: videos, pixels and gallery.
        settings: which clips are seen.
    """
    seen = _Seen(folder, world, settings)
    looks = Looks.of_clips(seen.vectors(_some(world.train)))
    measures: dict[int, list[familiarity.Floats]] = {num: [] for num in LENGTHS}
    for vectors_TE in seen.vectors(_some(world.val)):
        for num in (n for n in LENGTHS if n <= len(vectors_TE)):
            start = (len(vectors_TE) - num) // 2
            part_TE = vectors_TE[start : start + num]
            measures[num].append(looks.measures(part_TE, best(part_TE, seen.tiles_ME)))
    return familiarity.learnt(kinds, looks, measures)


def lost(
    known: Familiarity,
    folder: Path,
    drives: Sequence[DriveFixes],
    world: CrossViewData,
    settings: config.GamaTraining,
) -> "pd.Series[float]":
    """Which videos would get no answer, by name; without those of which nobody knows."""
    seen = _Seen(folder, world, settings)
    beyond = {
        drive.name: known.beyond(vectors_TE, best(vectors_TE, seen.tiles_ME))
        for drive, vectors_TE in zip(drives, seen.vectors(drives), strict=True)
    }
    return pd.Series({k: float(v > 0) for k, v in beyond.items() if v is not None}, dtype=float)


def best(vectors_TE: Tensor, tiles_ME: Tensor) -> familiarity.Floats:
    """Similarity (T,) of each clip to the tile of the whole gallery that is most like it."""
    score_T1, _ = aerial_gallery.search(vectors_TE, tiles_ME, 1)
    return np.asarray(score_T1[:, 0].double().cpu().numpy())


class _Seen:
    """The videos of a world as a network sees them."""

    def __init__(self, folder: Path, world: CrossViewData, settings: config.GamaTraining) -> None:
        self.net, self.world, self.settings = embedding.read_gama(folder), world, settings
        self.tiles_ME = embeddings.read(folder / embedding.FILE)

    def vectors(self, drives: Sequence[DriveFixes]) -> Iterator[Tensor]:
        """Unit vectors (T, E) of the clips of each video."""
        for drive in drives:
            footage = self.world.footage
            seen = embedding.clips_seen([drive], footage, self.settings)
            yield embedding.embed_clips(self.net, self.settings, seen, [drive], footage)


def _some(drives: Sequence[DriveFixes]) -> Sequence[DriveFixes]:
    return [drives[k] for k in familiarity.spaced(len(drives))]
