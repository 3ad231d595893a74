"""Decoding against enumeration of all paths, and its limits."""

import itertools

import numpy as np
import pytest

from vidtag_ml.earth import sphere
from vidtag_ml.retrieval import decoding

FLYOVER_KMH = 160_000.0
TIME_S = np.arange(4.0)


def example(seed=0, frames=4, candidates=3):
    rng = np.random.default_rng(seed)
    latlon = rng.normal((45.0, 180.0), 0.5, (frames, candidates, 2))
    latlon[..., 1] = sphere.wrap_lon(latlon[..., 1])
    return latlon, rng.normal(0, 2, (frames, candidates))


def enumerated(latlon, log_probability, time_s, speed_kmh):
    """Probability of every path, by the definition, one pair at a time."""
    p = np.exp(log_probability)
    p /= p.sum(1, keepdims=True)
    p = (1 - decoding.OUTLIER) * p + decoding.OUTLIER / p.shape[1]
    spacing, paths = decoding.spacing_km(latlon), {}
    for path in itertools.product(range(p.shape[1]), repeat=len(p)):
        paths[path] = np.prod([p[t, k] for t, k in enumerate(path)])
        for t in range(len(p) - 1):
            km = sphere.great_circle_km(latlon[t, path[t]], latlon[t + 1, path[t + 1]])
            reach = speed_kmh / 3600 * (time_s[t + 1] - time_s[t]) + spacing
            paths[path] /= 1 + (km / reach) ** decoding.STEEPNESS
    total = sum(paths.values())
    return {path: value / total for path, value in paths.items()}


@pytest.mark.parametrize("seed", range(5))
def test_path_and_marginals_equal_enumeration(seed):
    latlon, log_probability = example(seed)
    time_s = np.cumsum(np.random.default_rng(seed).uniform(0, 2, 4))
    paths = enumerated(latlon, log_probability, time_s, FLYOVER_KMH)
    path, marginals = decoding.viterbi(latlon, log_probability, time_s, FLYOVER_KMH)
    assert tuple(path) == max(paths, key=paths.get)
    for t, k in itertools.product(range(4), range(3)):
        wanted = sum(value for each, value in paths.items() if each[t] == k)
        assert marginals[t, k] == pytest.approx(wanted, rel=1e-9)


def test_shared_candidates_give_the_same_answer():
    latlon, log_probability = example()
    shared = np.repeat(latlon[:1], 4, axis=0)
    apart = decoding.viterbi(shared, log_probability, TIME_S, FLYOVER_KMH)
    together = decoding.viterbi(latlon[0], log_probability, TIME_S, FLYOVER_KMH)
    for one, other in zip(apart, together, strict=True):
        np.testing.assert_allclose(one, other)


def test_a_frame_that_points_elsewhere_is_overruled():
    candidates = [[10.0, 10.0], [10.4, 10.0], [-40.0, 100.0]]
    own, foreign = [0.6, 0.3, 0.1], [0.01, 0.0001, 0.9899]
    log_probability = np.log([own, own, foreign, own])
    path, _ = decoding.viterbi(candidates, log_probability, TIME_S, FLYOVER_KMH)
    assert path.tolist() == [0, 0, 0, 0]


def test_a_frame_without_a_good_candidate_does_not_break_the_path():
    good, bad = np.array([[10.0, 10.0], [11.0, 10.0]]), np.array([[-60.0, 90.0], [70.0, -120.0]])
    latlon = np.stack([good, good, bad, good])
    log_probability = np.log([[0.7, 0.3], [0.7, 0.3], [0.5, 0.5], [0.7, 0.3]])
    path, marginals = decoding.viterbi(latlon, log_probability, TIME_S, FLYOVER_KMH)
    assert path[[0, 1, 3]].tolist() == [0, 0, 0]
    assert np.isfinite(marginals).all()


def test_without_a_limit_worth_the_name_each_frame_takes_its_best():
    latlon, log_probability = example(3)
    path, marginals = decoding.viterbi(latlon, log_probability, TIME_S, 1e12)
    assert path.tolist() == log_probability.argmax(1).tolist()
    np.testing.assert_allclose(marginals.sum(1), 1)


def test_one_frame_of_one_candidate_is_its_own_answer():
    path, marginals = decoding.viterbi([[[5.0, 5.0]]], [[-3.0]], [0.0], 1.0)
    assert (path.tolist(), marginals.tolist()) == ([0], [[1.0]])


def test_standing_still_on_one_point_is_possible():
    path, marginals = decoding.viterbi([[5.0, 5.0]], np.zeros((3, 1)), [0, 0, 0], 1.0)
    assert (path.tolist(), marginals.tolist()) == ([0, 0, 0], [[1.0]] * 3)


def test_sure_evidence_over_many_frames_does_not_underflow():
    latlon, log_probability = example(1, frames=300, candidates=5)
    path, marginals = decoding.viterbi(latlon, 1e4 * log_probability, np.arange(300) * 1e-6, 1.0)
    assert len(path) == 300
    np.testing.assert_allclose(marginals.sum(1), 1)


def test_posterior_mean_falls_between_its_neighbours_across_the_date_line():
    latlon = np.array([[[0.0, 179.9], [0.0, -179.9], [50.0, 0.0]]])
    mean = decoding.posterior_mean(latlon, np.array([0]), np.array([[0.4, 0.4, 0.2]]), 50.0)
    np.testing.assert_allclose(mean, [[0.0, -180.0]], atol=1e-9)


def test_posterior_mean_beats_the_lattice():
    lattice = sphere.equal_area_lattice(300_000)
    lattice = lattice[sphere.great_circle_km(lattice, (30, 30)) < 600]
    rng = np.random.default_rng(0)
    truth = rng.uniform(28, 32, (200, 2))
    log_probability = -sphere.great_circle_km(truth[:, None], lattice[None]) / 30
    path, marginals = decoding.viterbi(lattice, log_probability, np.arange(200) * 1e3, FLYOVER_KMH)
    mean = decoding.posterior_mean(lattice, path, marginals)
    error = [np.median(sphere.great_circle_km(p, truth)) for p in (mean, lattice[path])]
    assert error[0] < 0.6 * error[1]


def test_spacing_is_the_distance_of_neighbours():
    assert decoding.spacing_km([[0, 0], [0, 1], [0, 2]]) == pytest.approx(sphere.KM_PER_DEGREE)
    assert decoding.spacing_km([[3.0, 4.0], [3.0, 4.0]]) == 0.0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"log_probability_TK": np.zeros((4, 2))}, "do not fit"),
        ({"time_s": [0, 2, 1, 3]}, "do not decrease"),
        ({"time_s": [0, 1, np.nan, 3]}, "finite"),
        ({"log_probability_TK": np.full((4, 3), -np.inf)}, "finite"),
        ({"max_speed_kmh": 0.0}, "positive"),
    ],
)
def test_what_cannot_be_decoded_is_named(change, says):
    latlon, log_probability = example()
    arguments = {
        "candidate_latlon_TK2": latlon,
        "log_probability_TK": log_probability,
        "time_s": TIME_S,
        "max_speed_kmh": 1.0,
    }
    with pytest.raises(ValueError, match=says):
        decoding.viterbi(**(arguments | change))
