"""Which references a frame shows again: the most similar ones, and how many of their points agree.

Belongs here: shortlist and geometric verification. Does not belong here: what follows for a whole
track (decoding.py). Shape legend: T frames, R references, K candidates, E embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidtag_ml.models.revisit import local_features
from vidtag_ml.models.revisit.local_features import LocalFeatures
from vidtag_ml.models.revisit.network import Revisit, unit
from vidtag_ml.retrieval import search


@dataclass(frozen=True, eq=False)
class Candidates:
    """The references that are compared with each frame in detail, most similar first."""

    row_TK: NDArray[np.int64]
    """Which."""
    inliers_TK: NDArray[np.int64]
    """How many of their points agree with the frame's on one geometry."""


def candidates(
    model: Revisit,
    features_TE: Tensor,
    local_T: Sequence[LocalFeatures],
    num_candidates: int,
    barred_TR: Tensor | None = None,
) -> Candidates:
    """The candidates of frames.

    Args:
        model: holds the references.
        features_TE: the frames', by the model's encoder.
        local_T: their local features.
        num_candidates: of each; fewer where there are fewer references.
        barred_TR: references that a frame must not be compared with; they count as agreeing in
            nothing.
    """
    num = min(num_candidates, model.sizes.num_references)
    row_TK, is_free_TK = _most_similar(model, features_TE, num, barred_TR)
    pairs = ((local_T[t], model.local(row_TK[t, k])) for t, k in np.argwhere(is_free_TK))
    inliers_TK = np.zeros(row_TK.shape, np.int64)
    inliers_TK[is_free_TK] = list(local_features.all_inliers(pairs))
    return Candidates(row_TK, inliers_TK)


def _most_similar(
    model: Revisit, features_TE: Tensor, num: int, barred_TR: Tensor | None
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The references (T, K) most similar to frames, and which of them are not barred."""
    if barred_TR is None:
        _, row_TK = search.search(unit(features_TE.float()), model.embedding_RE, num)
        return row_TK.numpy(), np.ones(row_TK.shape, bool)
    similarity_TR = model.similarities(features_TE).masked_fill(barred_TR, -torch.inf)
    best = similarity_TR.topk(num, dim=1)
    return best.indices.numpy(), best.values.isfinite().numpy()
