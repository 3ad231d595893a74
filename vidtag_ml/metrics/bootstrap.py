"""How sure figures are: intervals over resampled clips.

Belongs here: intervals of means and of medians, of clips or of groups, and of many subsets
together. Does not belong here: the figures, rows against each other (paired.py). Shape legend: N
values, V groups, K subsets, D draws.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]
INTERVAL = (2.5, 97.5)
LEAST_SPREAD = 1e-12
"""Means that spread less over draws are the same but for rounding."""


def bootstrap(values_N: ArrayLike, draws: int, seed: int) -> tuple[float, float]:
    """95 % interval of the mean of one value a clip, by resampling clips.

    Raises:
        ValueError: there is no value, or one is not finite.
    """
    values = np.asarray(values_N, float)
    if values.ndim != 1 or len(values) == 0 or not np.isfinite(values).all():
        raise ValueError(f"a bootstrap needs finite values, one a clip, not {values}")
    return _ends(values[_drawn(len(values), draws, seed)].mean(1))


def grouped_mean(
    values_N: ArrayLike, group_N: Indices, draws: int, seed: int
) -> tuple[float, float]:
    """95 % interval of the mean, by resampling groups 0, 1 ...: values of one are alike."""
    num = int(group_N.max()) + 1
    sum_V = np.bincount(group_N, np.asarray(values_N, float), num)
    drawn_DV = _drawn(num, draws, seed)
    size_D = np.bincount(group_N, minlength=num)[drawn_DV].sum(1)
    return _ends(sum_V[drawn_DV].sum(1) / size_D)


def grouped_median(
    values_N: ArrayLike, group_N: Indices, draws: int, seed: int
) -> tuple[float, float]:
    """95 % interval of the median, by resampling groups 0, 1 ...: values of one are alike."""
    values, num = np.asarray(values_N, float), int(group_N.max()) + 1
    groups = [values[group_N == group] for group in range(num)]
    drawn_DV = _drawn(num, draws, seed)
    return _ends(np.array([np.median(np.concatenate([groups[v] for v in d])) for d in drawn_DV]))


def named(name: str, ends: tuple[float, float]) -> dict[str, float]:
    """The ends of a figure's interval, as summaries call them."""
    return {f"{name}_lo": ends[0], f"{name}_hi": ends[1]}


def _drawn(num: int, draws: int, seed: int) -> Indices:
    """So many draws (D, num) of as many rows as there are."""
    return np.random.default_rng(seed).integers(num, size=(draws, num))


def _ends(figures_D: ArrayLike) -> tuple[float, float]:
    low, high = np.percentile(np.asarray(figures_D, float), INTERVAL)
    return float(low), float(high)


def together(
    values_N: ArrayLike, inside_NK: ArrayLike, draws: int, seed: int
) -> tuple[Floats, Floats, Floats]:
    """Means (K,) of subsets of the clips, and both ends of intervals that hold for all together.

    With 95 % probability none of the true means is outside of its interval: each is as many of its
    own standard errors wide as the largest deviation of any subset in 95 % of the draws (max-T;
    Westfall and Young 1993). Clips are resampled once for all subsets, so that those which share
    clips do not count as several. Of one subset it is the usual interval.

    Raises:
        ValueError: a subset is empty, or a value is not finite.
    """
    values, inside_NK = np.asarray(values_N, float), np.asarray(inside_NK, float)
    if not np.isfinite(values).all() or not inside_NK.any(0).all():
        raise ValueError("a bootstrap of subsets needs finite values, and some in each subset")
    mean_K = values @ inside_NK / inside_NK.sum(0)
    off_DK = np.zeros((draws, len(mean_K)))
    for row, drawn_N in zip(off_DK, _drawn(len(values), draws, seed), strict=True):
        weight_N = np.bincount(drawn_N, minlength=len(values)).astype(float)
        size_K = weight_N @ inside_NK
        np.divide((weight_N * values) @ inside_NK, size_K, out=row, where=size_K > 0)
        row[:] = np.where(size_K > 0, row - mean_K, 0.0)
    spread_K = off_DK.std(0)
    errors_DK = np.divide(
        np.abs(off_DK), spread_K, out=np.zeros_like(off_DK), where=spread_K > LEAST_SPREAD
    )
    half_K = np.percentile(errors_DK.max(1), INTERVAL[1] - INTERVAL[0]) * spread_K
    return mean_K, mean_K - half_K, mean_K + half_K
