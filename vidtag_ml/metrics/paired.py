"""Rows of a table against each other over the same clips, and which comparisons are sure.

Belongs here: one comparison, and the correction for many. Does not belong here: intervals of single
figures (bootstrap.py), which rows are compared (each system's `benchmark`). Shape legend: N values,
G groups, D draws, K comparisons.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vidtag_ml.metrics.bootstrap import INTERVAL, LEAST_SPREAD, Floats, Indices

LEAST = 1e-3
"""Figures count as at least this in a ratio: a metre, of kilometres."""
SURE = 0.05
"""Probability that any of a table's comparisons is called sure by chance."""


class Paired(NamedTuple):
    """A comparison over the same clips."""

    value: float
    """The difference, or the ratio."""
    low: float
    """Lower end of its 95 % bootstrap interval."""
    high: float
    """Upper end."""
    p: float
    """Two-sided, of there being no difference: by the bootstrap's standard error, and never less
    than that of as many clips agreeing in sign."""

    def record(self, name: str) -> dict[str, float]:
        """As rows of a benchmark have it: `name` is diff_ or ratio_ and the figure's."""
        figure = name.partition("_")[2]
        ends = {f"{name}_lo": self.low, f"{name}_hi": self.high}
        return {name: self.value, **ends, f"p_{figure}": self.p}


def difference(a_N: ArrayLike, b_N: ArrayLike, draws: int, seed: int) -> Paired:
    """Mean of a - b, a value a clip.

    Raises:
        ValueError: a and b are not of the same number of clips, or not finite.
    """
    a_N, b_N = _pairs(a_N, b_N)
    rows_DN = np.random.default_rng(seed).integers(len(a_N), size=(draws, len(a_N)))
    return _paired(float((a_N - b_N).mean()), (a_N - b_N)[rows_DN].mean(1), len(a_N))


def ratio(
    a_N: ArrayLike,
    b_N: ArrayLike,
    group_N: Indices,
    draws: int,
    seed: int,
    figure: Callable[[Floats], Any] = np.median,
) -> Paired:
    """A figure of all a over that of all b, by resampling groups 0, 1 ... (clips).

    Raises:
        ValueError: a and b are not of the same values, or not finite.
    """
    a_N, b_N = _pairs(a_N, b_N)
    order = np.argsort(group_N, kind="stable")
    rows = np.split(order, np.cumsum(np.bincount(group_N))[:-1])
    drawn_DG = np.random.default_rng(seed).integers(len(rows), size=(draws, len(rows)))
    chosen = (np.concatenate([rows[group] for group in drawn]) for drawn in drawn_DG)

    def log_ratio(rows_N: Indices) -> float:
        return math.log(max(figure(a_N[rows_N]), LEAST) / max(figure(b_N[rows_N]), LEAST))

    log_D = np.array([log_ratio(each) for each in chosen])
    found = _paired(log_ratio(order), log_D, len(rows))
    return Paired(math.exp(found.value), math.exp(found.low), math.exp(found.high), found.p)


def holm(p_K: ArrayLike) -> NDArray[np.bool_]:
    """Which of many comparisons are sure: with 95 % probability none of these is so by chance.

    Holm's step-down: the smallest p is held against `SURE` / K, the next against `SURE` / (K - 1),
    until one is larger (Holm 1979).
    """
    p_K = np.asarray(p_K, float)
    order = np.argsort(p_K, kind="stable")
    passed = p_K[order] <= SURE / np.arange(len(p_K), 0, -1)
    sure_K = np.zeros(len(p_K), bool)
    sure_K[order] = np.logical_and.accumulate(passed)
    return sure_K


def _pairs(a_N: ArrayLike, b_N: ArrayLike) -> tuple[Floats, Floats]:
    a, b = np.asarray(a_N, float), np.asarray(b_N, float)
    if a.shape != b.shape or not len(a) or not np.isfinite([a, b]).all():
        raise ValueError(f"values of {a.shape} and {b.shape}; they must be finite, and pairs")
    return a, b


def _paired(value: float, value_D: Floats, num: int) -> Paired:
    """The comparison whose draws over so many clips are these; 0 is no difference."""
    low, high = np.percentile(value_D, INTERVAL)
    spread = float(value_D.std())
    p = float(abs(value) < LEAST_SPREAD)
    if spread > LEAST_SPREAD:
        p = math.erfc(abs(value) / spread / math.sqrt(2))
    return Paired(value, float(low), float(high), max(p, min(1.0, 2.0 ** (1 - num))))
