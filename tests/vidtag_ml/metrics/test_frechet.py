"""Tests of vidtag_ml.metrics.frechet."""

import numpy as np
import pytest

from vidtag_ml.metrics import frechet


def distances(predictions, truths):
    """Euclidean, in the plane."""
    return frechet.distances(predictions, truths, np.asarray, lambda apart_2: (apart_2**2).sum(0))


def tracks(rng, lengths):
    return [rng.normal(size=(length, 2)) for length in lengths]


def test_chunks_do_not_change_a_distance():
    rng = np.random.default_rng(0)
    p, q = (tracks(rng, rng.integers(1, 40, 2_500)) for _ in range(2))
    assert sum(map(len, p)) > frechet.CHUNK_POINTS
    found = distances(p, q)
    for k in range(0, 2_500, 50):
        assert found[k] == distances(p[k : k + 1], q[k : k + 1])[0]


def test_a_pair_may_exceed_a_chunk():
    (track,) = tracks(np.random.default_rng(1), [frechet.CHUNK_POINTS + 1])
    found = distances([track, track[:2]], [np.zeros((1, 2)), track[:2]])
    assert found == pytest.approx([np.hypot(*track.T).max(), 0.0])


def test_repeating_points_changes_nothing():
    rng = np.random.default_rng(2)
    p, q = tracks(rng, [8, 11])
    longer = np.repeat(p, rng.integers(1, 4, 8), axis=0)
    assert distances([longer], [q])[0] == distances([p], [q])[0]


def test_distance_is_symmetric_and_at_least_that_of_the_ends():
    p, q = tracks(np.random.default_rng(3), [7, 5])
    found = distances([p, q], [q, p])
    assert found[0] == found[1]
    assert found[0] >= max(np.hypot(*(p[0] - q[0])), np.hypot(*(p[-1] - q[-1])))


def test_no_pairs_have_no_distances():
    assert distances([], []).shape == (0,)


def test_pairs_of_one_point_are_their_distance():
    assert distances([np.zeros((1, 2))], [np.array([[3.0, 4.0]])])[0] == pytest.approx(5.0)
