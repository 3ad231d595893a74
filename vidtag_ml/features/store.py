"""Cached features, read from disk clip by clip.

Belongs here: the shards' index, the features of one clip. Does not belong here: making them
(extraction.py), batches (batches.py).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor

from vidtag_ml.media.views import Views

INDEX = "index.json"


@dataclass(frozen=True)
class ClipFeatures:
    """Features in float16 of a clip's frames, and their times (T,) from the first frame."""

    stored: Tensor
    """(T, D) of one view, (T, V, D) of several."""
    time_s: NDArray[np.float64]

    @property
    def features_TVD(self) -> Tensor:
        """Features (T, V, D) of all views."""
        return self.stored[:, None] if self.stored.ndim == 2 else self.stored

    @property
    def features_TD(self) -> Tensor:
        """Features (T, D) of the first view, which training reads."""
        return self.features_TVD[:, 0]


@dataclass(frozen=True)
class FeatureStore:
    """A finished store, read clip by clip; shards stay on disk until they are asked for."""

    folder: Path
    """Where the shards are."""
    widths: Mapping[str, int]
    """Encoder name -> number of its features, in the order in which they are put side by side."""
    views: Views
    """What of a frame has features."""
    clips: Mapping[str, tuple[str, str]]
    """Clip id -> content and the shard that holds it."""
    columns: tuple[slice, ...]
    """Where the encoders' features lie in the shards, in the order of `widths`."""

    @classmethod
    def open(cls, folder: Path) -> "FeatureStore":
        """The store in `folder`.

        Raises:
            ValueError: there is no finished store.
        """
        try:
            index = json.loads((folder / INDEX).read_text())
        except FileNotFoundError:
            raise ValueError(f"{folder}: no finished features; run `vidtag features`") from None
        clips = {clip: (content, shard) for clip, (content, shard) in index["clips"].items()}
        ends = np.cumsum([*index["widths"].values()]).tolist()
        columns = tuple(slice(*edges) for edges in pairwise([0, *ends]))
        return cls(folder, index["widths"], index.get("views", "whole"), clips, columns)

    def select(self, encoders: Sequence[str]) -> "FeatureStore":
        """This store with only the features of some encoders, in the order given.

        Raises:
            ValueError: an encoder is not in the store.
        """
        column_of = dict(zip(self.widths, self.columns, strict=True))
        if absent := [name for name in encoders if name not in column_of]:
            held = ", ".join(column_of)
            raise ValueError(f"{self.folder}: no features of encoder {absent[0]!r}; it has {held}")
        return replace(
            self,
            widths={name: self.widths[name] for name in encoders},
            columns=tuple(column_of[name] for name in encoders),
        )

    @property
    def num_features(self) -> int:
        """Width of a feature vector: all encoders side by side."""
        return sum(self.widths.values())

    def clip(self, clip_id: str) -> ClipFeatures:
        """The features of one clip.

        Raises:
            ValueError: the clip is not in the store.
        """
        if clip_id not in self.clips:
            raise ValueError(
                f"{self.folder}: no features of clip {clip_id!r}; run `vidtag features`"
            )
        content, name = self.clips[clip_id]
        with safe_open(self.folder / name, "pt") as shard:
            time_s = shard.get_tensor(f"{content}.time_s").numpy()
            stored = shard.get_tensor(f"{content}.features")
        return ClipFeatures(torch.cat([stored[..., k] for k in self.columns], -1), time_s)
