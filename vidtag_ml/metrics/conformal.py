"""Split-conformal prediction: what holds of a new clip as often as it is said to.

Nothing is assumed of a model, only that a new clip is one like those that were kept for this: none
of its own is needed to be right, and the share holds whatever the errors look like (Vovk, Gammerman
and Shafer 2005). Frames of a clip err together, so clips are what is exchanged; how sure a single
frame is follows from clips whose frames count equally (Lee, Barber and Willett 2023, 2306.06342).

Belongs here: quantiles of scores, and how often they hold. Does not belong here: what is scored
(models/). Shape legend: T frames of a clip.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

LEAST_CLIPS = 40
"""With so many the share that holds is off by 5 points (a standard deviation); with fewer, more."""


def quantile(scores: Sequence[Floats], share: float) -> float:
    """The score that a frame of a new clip does not exceed with a probability of `share`.

    Each clip weighs as much as any other, its frames equally, and as much as one more clip that may
    be as bad as can be; infinite where that one decides.

    Args:
        scores: of each clip (T,), of one frame or more; of one each if clips are scored as wholes.
        share: from 0 to 1.

    >>> quantile([np.array([float(k)]) for k in range(1, 100)], 0.9)
    90.0
    >>> quantile([np.array([1.0])], 0.9)
    inf
    """
    if not scores:
        return float("inf")
    values = np.concatenate(scores)
    weights = np.concatenate([np.full(len(s), 1 / len(s)) for s in scores]) / (len(scores) + 1)
    order = np.argsort(values, kind="stable")
    reached = int(np.searchsorted(weights[order].cumsum(), share - 1e-9))
    return float(values[order][reached]) if reached < len(values) else float("inf")
