"""What is remembered of places: frames that were recorded, as they look whole and in detail.

Nothing of it is learnt by gradients: the references are the model, and three numbers that say when
they are believed.

Belongs here: the references, and finding those most like a frame. Does not belong here: making them
(train.py), comparing details (local_features.py), tracks (decoding.py). Shape legend: T frames,
R references, K candidates, E embedding, P local features, D = 128, 2 = (lat, lon) in degrees.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from vidtag_ml.models.base import Model
from vidtag_ml.models.revisit.local_features import LocalFeatures
from vidtag_ml.models.revisit.roads import Roads

THUMBNAIL = 16 * 16 * 3
"""Values of a reference's thumbnail, of which only baselines make use."""


@dataclass(frozen=True)
class Sizes:
    """How many references there are, and what they are from."""

    num_references: int
    """References."""
    num_keypoints: int
    """Room for local features of each."""
    clips: tuple[str, ...]
    """The clips that they are from."""


class Revisit(Model):
    """Frames of known places."""

    name: ClassVar[str] = "revisit"
    sizes_type: ClassVar[type] = Sizes
    sizes: Sizes
    embedding_RE: Tensor
    latlon_R2: Tensor
    heading_R: Tensor
    clip_R: Tensor
    time_R: Tensor
    points_RP2: Tensor
    descriptors_RPD: Tensor
    thumbnail_RP: Tensor
    num_R: Tensor
    least_inliers: Tensor
    radius_factor: Tensor
    gap_m_R: Tensor

    def __init__(self, sizes: Sizes, widths: Mapping[str, int]) -> None:
        """References of zeros, until they are set or loaded.

        Args:
            sizes: how many, and from where.
            widths: the one encoder whose features they are, and how wide these are.
        """
        super().__init__(sizes, widths)
        num, points = sizes.num_references, sizes.num_keypoints
        zeros = {
            "embedding_RE": torch.zeros(num, self.num_features, dtype=torch.float16),
            "latlon_R2": torch.zeros(num, 2, dtype=torch.float64),
            "heading_R": torch.zeros(num, dtype=torch.float64),
            "clip_R": torch.zeros(num, dtype=torch.int64),
            "time_R": torch.zeros(num, dtype=torch.float64),
            "points_RP2": torch.zeros(num, points, 2),
            "descriptors_RPD": torch.zeros(num, points, 128, dtype=torch.uint8),
            "thumbnail_RP": torch.zeros(num, THUMBNAIL, dtype=torch.uint8),
            "num_R": torch.zeros(num, dtype=torch.int64),
            "least_inliers": torch.zeros((), dtype=torch.float64),
            "radius_factor": torch.zeros((), dtype=torch.float64),
            "gap_m_R": torch.zeros(num, dtype=torch.float64),
        }
        for name, value in zeros.items():
            self.register_buffer(name, value)

    def similarities(self, features_TE: Tensor) -> Tensor:
        """Cosines (T, R) of frames' features with all references."""
        return unit(features_TE.float()) @ self.embedding_RE.float().T

    @cached_property
    def roads(self) -> Roads:
        """The ways along which the references were driven."""
        return Roads(self.latlon_R2.numpy(), self.clip_R.numpy())

    def local(self, row: int) -> LocalFeatures:
        """The local features of a reference."""
        num = int(self.num_R[row])
        points_P2 = self.points_RP2[row, :num].numpy()
        return LocalFeatures(points_P2, self.descriptors_RPD[row, :num].numpy())


def unit(features_TE: Tensor) -> Tensor:
    """Features at length one."""
    return functional.normalize(features_TE, dim=-1)
