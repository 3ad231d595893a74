"""How sure figures are: intervals over resampled clips.

Belongs here: intervals of means and of paired differences. Does not belong here: the figures.
"""

import numpy as np
from numpy.typing import ArrayLike

INTERVAL = (2.5, 97.5)


def bootstrap(values_N: ArrayLike, draws: int, seed: int) -> tuple[float, float]:
    """95 % interval of the mean of one value a clip, by resampling clips.

    Raises:
        ValueError: there is no value, or one is not finite.
    """
    values = np.asarray(values_N, float)
    if values.ndim != 1 or len(values) == 0 or not np.isfinite(values).all():
        raise ValueError(f"a bootstrap needs finite values, one a clip, not {values}")
    drawn = np.random.default_rng(seed).integers(len(values), size=(draws, len(values)))
    low, high = np.percentile(values[drawn].mean(1), INTERVAL)
    return float(low), float(high)


def paired_difference(
    a_N: ArrayLike, b_N: ArrayLike, draws: int, seed: int
) -> tuple[float, float, float]:
    """Mean of a - b over the same clips, with its 95 % bootstrap interval.

    Raises:
        ValueError: a and b do not describe the same number of clips, or `bootstrap` refuses them.
    """
    a, b = np.asarray(a_N, float), np.asarray(b_N, float)
    if a.shape != b.shape:
        raise ValueError(f"paired values of {a.shape} and {b.shape} clips")
    low, high = bootstrap(a - b, draws, seed)
    return float((a - b).mean()), low, high
