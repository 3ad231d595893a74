"""Discrete Frechet distance of 10,000 pairs of 64 points, against the arithmetic that it needs.

Run as `python -m benchmarks.dfd`. The limit counts the operations of the recursion on each of the
64 x 64 distances and takes the rate at which NumPy does such operations on arrays in cache, on one
core, on this machine. Does not belong here: a bar that fails a test (issue 3: at most 2 s).
"""

import functools
import statistics
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console

from vidtag_ml.metrics import tracks as track_metrics

NUM_PAIRS, NUM_POINTS = 10_000, 64
OPERATIONS = {"km": 3 + 3 + 2 + 2 + 1, "deg": 2 + 3 + 2 + 1 + 2 + 1}
"""A distance: differences, (wrap,) squares, sums; then two minima and a maximum."""


def main() -> None:
    """Prints the limit, the time and their ratio for km and degrees."""
    rng = np.random.default_rng(0)
    start = np.stack([rng.uniform(-60, 60, NUM_PAIRS), rng.uniform(-180, 180, NUM_PAIRS)], -1)
    truths = start[:, None] + rng.normal(0, 0.01, (NUM_PAIRS, NUM_POINTS, 2)).cumsum(1)
    predictions = truths + rng.normal(0, 0.1, truths.shape)
    rate = _operations_per_second()
    for unit, measure in (("km", track_metrics.dfds_km), ("deg", track_metrics.dfds_deg)):
        operations = OPERATIONS[unit] * NUM_PAIRS * NUM_POINTS**2
        limit_s = operations / rate
        taken_s = _seconds(functools.partial(measure, predictions, truths))
        Console().print(
            f"dfd_{unit}: {operations / 1e9:.2f} GFLOP at {rate / 1e9:.2f} GFLOP/s = "
            f"{limit_s:.3f} s; takes {taken_s:.3f} s, {taken_s / limit_s:.1f} x the limit",
            soft_wrap=True,
        )


def _operations_per_second() -> float:
    a, b = np.random.default_rng(0).random((2, 2**14))
    out, repeats = np.empty_like(a), 1_000

    def compute() -> None:
        for _ in range(repeats):
            np.add(a, b, out=out)

    return len(a) * repeats / _seconds(compute)


def _seconds(work: Callable[[], object]) -> float:
    """Median of three."""
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
