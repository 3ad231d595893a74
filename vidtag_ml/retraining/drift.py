"""How far new clips are from those trained on: in position, time of day and embedding.

A clip is far if the nearest train clip of another group is: a model knows what it has seen. The
distances of new clips are compared with those of train clips among each other by the two-sample
test of Kolmogorov and Smirnov, whose statistic, the largest gap between the two distributions (0 to
1), is the size of the effect. One clip stands for its group, since those of a group are alike.

Belongs here: these tests. Does not belong here: what follows (policy.py).
Shape legend: N new clips, M train clips, D coordinates of a unit vector.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.earth import sphere
from vidtag_ml.retraining.trained_on import MOST, sample

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Drift:
    """How new clips differ from train clips in one respect."""

    of: str
    """What was compared: position, time of day or embedding."""
    distance: float | None
    """Kolmogorov and Smirnov's; None if it is not known."""
    p_value: float | None
    """Of a distance as large, if both were drawn from the same world."""
    told: str
    """Numbers with units, or why nothing is known."""


def drifts(new: pd.DataFrame, then: pd.DataFrame, least: int) -> list[Drift]:
    """How new clips differ from the train clips of a model, in each respect; empty without any.

    Args:
        new: clips that came since, as `trained_on.with_embeddings` gives them.
        then: all clips of the model, likewise.
        least: clips, each of another group, that are needed on both sides.
    """
    if new.empty:
        return []
    train = then[then["split"] == "train"]
    ways: dict[str, tuple[str, Callable[[pd.DataFrame, pd.DataFrame], Drift]]] = {
        "position": ("lat", _of_position),
        "time of day": ("hour", _of_hour),
        "embedding": ("embedding", _of_embedding),
    }
    found = []
    for of, (column, compare) in ways.items():
        ours, theirs = (_of_groups(some, column) for some in (new, train))
        if min(len(ours), len(theirs)) < least:
            told = f"known of {len(ours)} new and {len(theirs)} train groups; {least} are needed"
            found.append(Drift(of, None, None, told))
        else:
            found.append(compare(ours, theirs))
    return found


def _of_groups(some: pd.DataFrame, column: str) -> pd.DataFrame:
    """One clip of each group, of those of which something is known; at most `MOST`."""
    known = some.dropna(subset=[column]) if column in some else some.iloc[:0]
    return sample(known.drop_duplicates("group_id"), MOST)


def _of_position(new: pd.DataFrame, train: pd.DataFrame) -> Drift:
    ours, theirs = (sphere.unit_vectors(some[["lat", "lon"]]) for some in (new, train))
    new_N, train_M = (sphere.chord_km(chord) for chord in _nearest(ours, theirs))
    told = f"{np.median(new_N):.0f} km from the nearest train clip in the median"
    return _farther("position", new_N, train_M, f"{told}; these from each other {_km(train_M)}")


def _km(distance_M: Floats) -> str:
    return f"{np.median(distance_M):.0f} km"


def _of_embedding(new: pd.DataFrame, train: pd.DataFrame) -> Drift:
    ours, theirs = (np.stack(some["embedding"].to_list()).astype(float) for some in (new, train))
    if ours.shape[1] != theirs.shape[1]:
        return Drift("embedding", None, None, "seen by other encoders")
    new_N, train_M = (1 - chord**2 / 2 for chord in _nearest(ours, theirs))
    told = f"cosine {np.median(new_N):.3f} to the most similar train clip in the median"
    return _farther("embedding", -new_N, -train_M, f"{told}; among these {np.median(train_M):.3f}")


def _of_hour(new: pd.DataFrame, train: pd.DataFrame) -> Drift:
    """The day is cut at midnight, where clips are fewest; either side may be earlier."""
    from scipy import stats

    ours, theirs = new["hour"].to_numpy(float), train["hour"].to_numpy(float)
    tested = stats.ks_2samp(ours, theirs)
    told = (
        f"{np.median(ours):.1f} h by the sun in the median; train clips {np.median(theirs):.1f} h"
    )
    return Drift("time of day", float(tested.statistic), float(tested.pvalue), told)


def _farther(of: str, new_N: Floats, train_M: Floats, told: str) -> Drift:
    """Whether new distances are larger; smaller ones are no drift."""
    from scipy import stats

    tested = stats.ks_2samp(new_N, train_M, alternative="less")
    return Drift(of, float(tested.statistic), float(tested.pvalue), told)


def _nearest(new_ND: Floats, train_MD: Floats) -> tuple[Floats, Floats]:
    """Chords from each new vector to the nearest train vector (N,), and among these (M,)."""
    among_MM = train_MD @ train_MD.T
    np.fill_diagonal(among_MM, -np.inf)
    cosines = (new_ND @ train_MD.T).max(1), among_MM.max(1)
    new_N, train_M = (np.sqrt(np.clip(2 - 2 * cosine, 0, None)) for cosine in cosines)
    return new_N, train_M
