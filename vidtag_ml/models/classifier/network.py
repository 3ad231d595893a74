"""The classifiers of the paper's tables: which cell of the train coordinates a frame is in.

A linear layer over one frozen encoder's features scores the cells; the answer is the centre of the
best. In the terms of retrieval, a frame's embedding is its feature vector with a 1 behind it, and a
place's embedding is the row of weights and bias of the cell that it lies in.

Belongs here: the layer and its cells. Does not belong here: its loss (train.py).
Shape legend: B clips, T frames, N points, D features, K cells, E = D + 1, 2 = (lat, lon) in
degrees, 3 = x, y, z.
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional

from vidtag_ml.earth import sphere
from vidtag_ml.models.gps_retrieval import losses
from vidtag_ml.models.gps_retrieval.network import GeoModel
from vidtag_ml.retrieval.gallery import Gallery


@dataclass(frozen=True)
class Sizes:
    """What the layer's size depends on."""

    num_cells: int
    """Classes."""


class CellClassifier(GeoModel):
    """One linear layer from a frame's features to cells; no other frame is seen."""

    name: ClassVar[str] = "classifier"
    sizes_type: ClassVar[type] = Sizes
    sizes: Sizes
    cells_K2: Tensor

    def __init__(self, sizes: Sizes, widths: Mapping[str, int]) -> None:
        """Random weights, and all cells at (0, 0) until they are set or loaded."""
        super().__init__(sizes, widths)
        self.logit_scale.requires_grad_(False)
        self.layer = nn.Linear(self.num_features, sizes.num_cells)
        self.register_buffer("cells_K2", torch.zeros(sizes.num_cells, 2, dtype=torch.float64))

    def scores(self, features_ND: Tensor) -> Tensor:
        """Logits (N, K) of frames; features are brought to the length of a unit-variance vector."""
        logits_NK: Tensor = self.layer(self._scaled(features_ND))
        return logits_NK

    def embed_frames(self, features_BTD: Tensor, valid_BT: Tensor, time_BT: Tensor) -> Tensor:  # noqa: ARG002
        """Scaled features with a 1 behind them (B, T, E); not of unit length."""
        scaled = self._scaled(features_BTD)
        return torch.cat([scaled, torch.ones_like(scaled[..., :1])], -1)

    def embed_locations(self, latlon_N2: Tensor) -> Tensor:
        """Weights and bias (N, E) of the nearest cell of each point."""
        nearest_N = self.cell_of(latlon_N2)
        return torch.cat([self.layer.weight, self.layer.bias[:, None]], 1)[nearest_N]

    def cell_of(self, latlon_N2: Tensor) -> Tensor:
        """The nearest cell (N,) of each point."""
        cells_K3 = losses.unit_vectors(self.cells_K2)
        return (losses.unit_vectors(latlon_N2) @ cells_K3.T).argmax(1)

    def searched(self, entries: Gallery) -> Gallery:  # noqa: ARG002
        """Its cells, whatever gallery is at hand."""
        return Gallery(self.cells_K2.numpy(), {"source": "cells"}, "")

    def scale(self) -> Tensor:
        """One: inner products are logits already."""
        return torch.ones_like(self.logit_scale)

    def _scaled(self, features_D: Tensor) -> Tensor:
        unit_D = functional.normalize(features_D.to(self.logit_scale.dtype), dim=-1)
        return unit_D * math.sqrt(self.num_features)


def cells(latlon_N2: ArrayLike, cell_km: float, seed: int) -> NDArray[np.float64]:
    """Centres (K, 2) of cells that the points fall into: k-means (docs/specs/vidtag.md, section 9).

    There are as many cells as squares of `cell_km` that the points lie in; each cell is the nearest
    of some point.

    Raises:
        ValueError: `cell_km` is not positive, or there is no point.
    """
    from scipy.cluster.vq import kmeans2

    vectors_N3 = sphere.unit_vectors(np.asarray(latlon_N2, float))
    if not cell_km > 0 or len(vectors_N3) == 0:
        raise ValueError(f"{len(vectors_N3)} points make no cells of {cell_km} km")
    occupied = np.unique(np.floor(vectors_N3 * sphere.EARTH_RADIUS_KM / cell_km), axis=0)
    start = np.random.default_rng(seed).choice(len(vectors_N3), len(occupied), replace=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="One of the clusters is empty")
        centres_K3, cell_N = kmeans2(vectors_N3, vectors_N3[np.sort(start)], 20, minit="matrix")
    return sphere.from_unit_vectors(centres_K3[np.unique(cell_N)])
