"""The discrete Frechet distance of many pairs of tracks at once (docs/specs/metrics.md, section 4).

Belongs here: its recursion, whatever a distance between two points is. Does not belong here: units
and names (tracks.py).
Shape legend: N pairs, P and Q points of their two tracks, X points of many tracks, C coordinates,
2 = (lat, lon) in degrees.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CHUNK_POINTS = 2**14
"""Points of the tracks that are swept together: few enough for a core's cache."""


def distances(
    predictions: Sequence[Floats],
    truths: Sequence[Floats],
    place: Callable[[Floats], Floats],
    square: Callable[[Floats], Floats],
) -> Floats:
    """Distances (N,) of pairs of tracks of any lengths, long ones first, a chunk at a time.

    Needs no table of distances: memory grows with the points of one chunk or of the longest pair.

    Args:
        predictions: tracks (P, 2), none empty.
        truths: tracks (Q, 2), pair for pair.
        place: coordinates (X, C) of points (X, 2).
        square: squared lengths (...) of differences (C, ...) of coordinates; may overwrite them.
    """
    longest = np.array([max(len(p), len(q)) for p, q in zip(predictions, truths, strict=True)])
    found = np.empty(len(longest))
    rest = np.argsort(-longest, kind="stable")
    while len(rest):
        chunk, rest = np.split(rest, [max(1, CHUNK_POINTS // longest[rest[0]])])
        p_CPN, q_CQN = (
            _side_by_side([tracks[k] for k in chunk], place) for tracks in (predictions, truths)
        )
        found[chunk] = np.sqrt(_sweep(p_CPN, q_CQN, square))
    return found


def _side_by_side(tracks: Sequence[Floats], place: Callable[[Floats], Floats]) -> Floats:
    """Coordinates (C, P, N) of tracks (P, 2); the shorter ones rest at their last point.

    A coupling may rest at any point, so that repeating one leaves the distance as it is.
    """
    lengths = np.array([len(track) for track in tracks])
    step_PN = np.minimum(np.arange(lengths.max())[:, None], lengths - 1)
    coordinates_CX = np.ascontiguousarray(place(np.concatenate(tracks)).T)
    return np.asarray(coordinates_CX[:, lengths.cumsum() - lengths + step_PN])


def _sweep(p_CPN: Floats, q_CQN: Floats, square: Callable[[Floats], Floats]) -> Floats:
    """Squared distances (N,): the recursion on squares, one anti-diagonal at a time.

    Point i of P is row i + 1 of an anti-diagonal. Row 0, and those it has not met, are infinite.
    """
    (rows, num), columns = p_CPN.shape[1:], q_CQN.shape[1]
    turned_CQN = np.ascontiguousarray(q_CQN[:, ::-1])
    last, before = np.full((2, rows + 1, num), np.inf)
    last[1] = square(p_CPN[:, 0] - q_CQN[:, 0])
    for diagonal in range(1, rows + columns - 1):
        low, high = max(0, diagonal - columns + 1), min(rows, diagonal + 1)
        shift = columns - 1 - diagonal
        apart = square(p_CPN[:, low:high] - turned_CQN[:, low + shift : high + shift])
        reach = np.minimum(last[low:high], last[low + 1 : high + 1])
        np.minimum(reach, before[low:high], out=reach)
        np.maximum(reach, apart, out=before[low + 1 : high + 1])
        last, before = before, last
    return np.asarray(last[rows])
