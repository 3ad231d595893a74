"""Labels of places: what the frames of a video agree on, and how often labels are right.

Belongs here: the vote over frames and the hierarchical figures (docs/specs/metrics.md, sections 7
and 10). Does not belong here: the table of places (dataset/hierarchy.py), distances (tracks.py),
intervals (bootstrap.py), whatever gives a frame its label. Shape legend: T frames of a video.
"""

from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from vidtag_ml.dataset.hierarchy import LEVELS

if TYPE_CHECKING:
    import pandas as pd


Label = TypeVar("Label", bound=Hashable)


def majority(labels_T: Sequence[Label], similarity_T: ArrayLike) -> Label:
    """The label of most frames; of several, the one whose similarities have the largest sum.

    What is still equal goes to the label that came first.

    >>> majority(["Oslo", "Bergen", "Bergen", "Oslo"], [0.9, 0.5, 0.7, 0.1])
    'Bergen'

    Raises:
        ValueError: there is no frame, or not one finite similarity for each.
    """
    similarity = np.asarray(similarity_T, float)
    if similarity.shape != (len(labels_T),) or not np.isfinite(similarity).all():
        raise ValueError(f"{len(labels_T)} labels need a finite similarity each, not {similarity}")
    if not len(labels_T):
        raise ValueError("a video without frames has no majority")
    votes, sums = Counter(labels_T), dict.fromkeys(labels_T, 0.0)
    for label, value in zip(labels_T, similarity.tolist(), strict=True):
        sums[label] += value
    return max(votes, key=lambda label: (votes[label], sums[label]))


def correct(
    predicted: "pd.DataFrame", true: "pd.DataFrame", places: "pd.DataFrame"
) -> "pd.DataFrame":
    """Which labels of each video are right, under the names of the figures.

    Args:
        predicted: city, state, country and continent; one row a video.
        true: the same columns and the same rows.
        places: the hierarchy (dataset/hierarchy.py). A prediction is consistent if it is a row of
            it.

    Raises:
        ValueError: a column or label is missing, or the tables are not of the same videos.
    """
    if not predicted.index.equals(true.index):
        raise ValueError(
            f"labels of {len(predicted)} and {len(true)} videos, which are not the same"
        )
    ours, theirs, known = (_labels(table) for table in (predicted, true, places))
    right = (ours == theirs).add_prefix("acc_")
    rows = set(known.itertuples(index=False, name=None))
    right["consistency"] = [row in rows for row in ours.itertuples(index=False, name=None)]
    return right


def figures(
    predicted: "pd.DataFrame", true: "pd.DataFrame", places: "pd.DataFrame"
) -> dict[str, float]:
    """Shares of videos: acc_city, acc_state, acc_country, acc_continent and consistency.

    Raises:
        ValueError: there is no video, or `correct` refuses the tables.
    """
    if predicted.empty:
        raise ValueError("no video has labels: there is nothing to summarise")
    shares = correct(predicted, true, places).mean()
    return {str(name): float(share) for name, share in shares.items()}


def _labels(table: "pd.DataFrame") -> "pd.DataFrame":
    absent = [level for level in LEVELS if level not in table.columns]
    if absent:
        raise ValueError(f"the table of labels has no column {absent[0]!r}")
    labels = table[list(LEVELS)]
    unlabelled = labels.isna().any(axis=1)
    if unlabelled.any():
        raise ValueError(f"row {labels.index[unlabelled][0]} of the table lacks a label")
    return labels.astype(str)
