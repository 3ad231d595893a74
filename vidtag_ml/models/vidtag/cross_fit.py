"""Frames as a model sees them that it has not learnt from: the honest source of Phase II's errors.

Phase I is nearly right on clips that it has learnt from, and errs on new ones. The train clips are
cut in parts; the frames of a part are embedded by a Phase I that learnt from the others, and turned
into the space of the one that learnt from all.

Belongs here: parts and turning. Does not belong here: training the parts' models (stages.py), what
is learnt from these frames (phase_two.py). Shape legend: G gallery entries, E common space.
"""

from dataclasses import replace

import pandas as pd
import torch
from torch import Tensor

from vidtag_ml.dataset import splits
from vidtag_ml.dataset.tables import Tables
from vidtag_ml.features.batches import Frames

HELD = "held"
"""Split of the clips of a part, which its model does not learn from."""


def without(tables: Tables, part: int, num_parts: int) -> Tables:
    """The tables without a part of the train clips, which are of the split `held`.

    Clips of one group are in one part; the parts are equal in groups, up to one.

    Raises:
        ValueError: there are fewer groups than parts.
    """
    clips = tables.clips
    train = clips["split"] == "train"
    groups = clips.loc[train, "group_id"].tolist()
    if len(set(groups)) < num_parts:
        raise ValueError(
            f"phase_two.cross_fit_parts is {num_parts}, and the train clips are of "
            f"{len(set(groups))} groups: choose fewer parts"
        )
    names = splits.assign_splits(groups, {str(k): 1.0 for k in range(num_parts)}, seed=0)
    held = pd.Series(names, clips.index[train]) == str(part)
    split = clips["split"].mask(held.reindex(clips.index, fill_value=False), HELD)
    return replace(tables, clips=clips.assign(split=split))


def turned(frames: Frames, from_GE: Tensor, onto_GE: Tensor) -> Frames:
    """Frames and predictions in another model's space, by the rotation between two galleries.

    Models that start alike differ mostly by a rotation of their space, which no similarity knows.
    It is the one that brings the galleries nearest to each other (orthogonal Procrustes).

    Args:
        frames: as `phase_two.embedded` makes them.
        from_GE: the gallery, by the model that embedded the frames.
        onto_GE: the same gallery, by the other.
    """
    left_EE, _, right_EE = torch.linalg.svd(from_GE.double().T @ onto_GE.double())
    turn_EE = (left_EE @ right_EE).to(frames.features_FD)
    assert frames.predicted_FE is not None
    features_FD, predicted_FE = frames.features_FD @ turn_EE, frames.predicted_FE @ turn_EE
    return replace(frames, features_FD=features_FD, predicted_FE=predicted_FE)
