"""Metrics against the values of metrics.md and second implementations."""

import functools
import json

import numpy as np
import pytest

from vidtag_ml import geo, metrics

TRUTH = np.array([[0, 0], [0, 0.01], [0, 0.02], [0, 0.03]])
NORTH = np.array([[0.01, 0], [0.01, 0.01], [0.01, 0.02], [0.01, 0.03]])
MOVED = np.array([[0, 0], [0, 0.01], [0, 0.10], [0, 0.03]])
STILL = np.zeros((4, 2))
ALL = np.ones(4, bool)


def recursive_frechet(p, q, distance):
    @functools.cache
    def c(i, j):
        d = distance(p[i], q[j])
        before = [c(*k) for k in ((i - 1, j), (i, j - 1), (i - 1, j - 1)) if min(k) >= 0]
        return max(d, min(before)) if before else d

    return c(len(p) - 1, len(q) - 1)


def random_track(rng, num=9, near=(40.0, 179.9)):
    return np.stack([rng.normal(near[0], 1, num), geo.wrap_lon(rng.normal(near[1], 1, num))], -1)


@pytest.mark.parametrize(
    ("prediction", "dfd", "mrd"),
    [
        (NORTH, 1.111951, 0.0),
        (MOVED, 7.783656, 3.891828),
        (STILL, 3.335852, 1.667926),
        (TRUTH[::-1], 3.335852, 0.0),
    ],
    ids=["north", "moved", "still", "reversed"],
)
def test_track_distances_have_the_published_values(prediction, dfd, mrd):
    assert metrics.dfd_km(prediction, TRUTH) == pytest.approx(dfd, abs=1e-6)
    assert metrics.mrd_km(prediction, TRUTH) == pytest.approx(mrd, abs=1e-6)


@pytest.mark.parametrize("sizes", [(1, 1), (1, 7), (9, 4), (12, 12)])
def test_dfd_equals_its_recursion(sizes):
    rng = np.random.default_rng(sum(sizes))
    p, q = (random_track(rng, n) for n in sizes)
    wanted = recursive_frechet(p, q, lambda a, b: float(geo.great_circle_km(a, b)))
    assert metrics.dfd_km(p, q) == pytest.approx(wanted, rel=1e-12)


def test_dfd_deg_is_planar_and_safe_at_the_date_line():
    assert metrics.dfd_deg([[0, 0]], [[3, 4]]) == pytest.approx(5.0)
    assert metrics.dfd_deg([[0, 179.5]], [[0, -179.5]]) == pytest.approx(1.0)


def test_mrd_deg_is_the_mean_difference_of_extents():
    rng = np.random.default_rng(0)
    p, q = random_track(rng, near=(10, 20)), random_track(rng, near=(10, 20))
    wanted = (abs(np.ptp(p[:, 0]) - np.ptp(q[:, 0])) + abs(np.ptp(p[:, 1]) - np.ptp(q[:, 1]))) / 2
    assert metrics.mrd_deg(p, q) == pytest.approx(wanted)


def test_mrd_does_not_see_the_date_line():
    crossing, inland = np.array([[0, 179.0], [0, -179.0]]), np.array([[0, 10.0], [0, 12.0]])
    assert metrics.mrd_deg(crossing, inland) == pytest.approx(0.0, abs=1e-9)


def test_track_distances_do_not_change_with_longitude():
    rng = np.random.default_rng(1)
    p, q = random_track(rng, near=(40, 20)), random_track(rng, near=(40, 20))
    turned = [np.stack([t[:, 0], geo.wrap_lon(t[:, 1] + 160)], -1) for t in (p, q)]
    for metric in (metrics.dfd_km, metrics.dfd_deg, metrics.mrd_km, metrics.video_error_km):
        assert metric(*turned) == pytest.approx(metric(p, q), rel=1e-9)


@pytest.mark.parametrize("flat", [True, False])
def test_video_error_has_the_published_value(flat):
    prediction = np.array([[0, 0], [0, 0.001], [0, 0.002], [0, 1.0]])
    truth = np.array([[0, 0], [0, 0.001], [0, 0.002], [0, 0.003]])
    assert metrics.video_error_km(prediction, truth, flat=flat) == pytest.approx(
        0.0555975, abs=1e-6
    )


def test_accuracy_counts_errors_equal_to_the_threshold():
    limit = float(geo.great_circle_km((0, 0), (0, 1)))
    found = metrics.summary([[[0, 1.0]]], [[[0, 0.0]]], [[True]], [limit, limit * 0.999])
    assert found[f"acc_{metrics.name_of(limit)}"] == 1.0
    assert found[f"video_acc_{metrics.name_of(limit * 0.999)}"] == 0.0


def test_summary_pools_frames_but_averages_tracks():
    rng = np.random.default_rng(2)
    truths = [random_track(rng, n) for n in (3, 8)]
    tracks = [random_track(rng, n) for n in (3, 8)]
    found = metrics.summary(tracks, truths, [np.ones(n, bool) for n in (3, 8)], [25, 100])
    errors = [float(geo.great_circle_km(a, b)) for p, q in zip(tracks, truths, strict=True)
              for a, b in zip(p, q, strict=True)]  # fmt: skip
    dfds = [metrics.dfd_km(p, q) for p, q in zip(tracks, truths, strict=True)]
    assert found["median_km"] == pytest.approx(sorted(errors)[5])
    assert found["acc_100km"] == pytest.approx(sum(e <= 100 for e in errors) / 11)
    assert found["dfd_km"] == pytest.approx(sum(dfds) / 2)


def test_names_are_those_of_every_report():
    errors = metrics.Errors((0.5, 25.0))
    errors.add(NORTH, TRUTH, ALL, np.arange(4.0))
    names = "acc_0.5km acc_25km video_acc_0.5km video_acc_25km median_km p95_km video_median_km"
    names += " dfd_km dfd_deg mrd_km mrd_deg outlier_rate speed_error_kmh"
    assert set(errors.summary()) == set(names.split())
    json.dumps(errors.summary() | errors.intervals(5, 0), allow_nan=False)


def test_frames_without_truth_are_left_out_and_counted():
    truth, valid = TRUTH.copy(), np.array([True, False, True, True])
    truth[1] = np.nan
    errors = metrics.Errors((1.0,))
    found = errors.add(NORTH, truth, valid)
    assert errors.add(NORTH, np.full((4, 2), np.nan), np.zeros(4, bool)) is None
    assert len(found.error_km_T) == 3
    counts = {"num_clips": 1, "num_frames": 3, "skipped_clips": 1, "skipped_frames": 5}
    assert errors.counts() == counts


def test_outliers_exceed_the_median_error_by_25_km():
    truth = np.zeros((4, 2))
    found = metrics.clip_errors([[0, 1], [0, 1], [0, 1.2], [0, 1.4]], truth, ALL)
    assert found.outliers.tolist() == [False, False, False, True]


def test_speed_error_skips_unknown_frames():
    time_s = np.arange(4) * 3600.0
    truth, valid = (
        np.array([[0, 0], [0, 1], [np.nan, np.nan], [0, 3]]),
        np.isin(range(4), (0, 1, 3)),
    )
    prediction = np.array([[0, 0], [0, 3], [0, 0], [0, 0]])
    found = metrics.clip_errors(prediction, truth, valid, time_s).speed_error_kmh_T
    assert found == pytest.approx([2 * geo.KM_PER_DEGREE])


def test_nothing_to_summarise_is_an_error():
    with pytest.raises(ValueError, match="nothing to summarise"):
        metrics.Errors((1.0,)).summary()


def test_a_track_that_is_not_finite_is_an_error():
    with pytest.raises(ValueError, match="not finite"):
        metrics.clip_errors(NORTH, TRUTH * np.nan, ALL)


def test_bootstrap_covers_the_mean_as_the_normal_law_does():
    values = np.random.default_rng(0).normal(10, 2, 400)
    low, high = metrics.bootstrap(values, 2000, 1)
    half = 1.96 * values.std() / np.sqrt(400)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.05)
    assert metrics.bootstrap(values, 50, 3) == metrics.bootstrap(values, 50, 3)


def test_intervals_hold_the_figure_and_resample_clips():
    rng = np.random.default_rng(5)
    errors = metrics.Errors((100.0,))
    for _ in range(30):
        errors.add(random_track(rng, 5), random_track(rng, 5), np.ones(5, bool))
    summary, bounds = errors.summary(), errors.intervals(200, 0)
    assert set(bounds) == {f"{n}_{e}" for n in summary for e in ("lo", "hi")}
    low, high = metrics.bootstrap([c.dfd_km for c in errors.clips], 2000, 0)
    assert (bounds["dfd_km_lo"], bounds["dfd_km_hi"]) == pytest.approx((low, high), rel=0.05)
    assert bounds["median_km_lo"] <= summary["median_km"] <= bounds["median_km_hi"]


def test_pairing_removes_what_clips_share():
    rng = np.random.default_rng(4)
    shared, noise = rng.normal(100, 50, 200), rng.normal(1, 0.5, 200)
    mean, low, high = metrics.paired_difference(shared + noise, shared, 500, 0)
    assert mean == pytest.approx(noise.mean())
    assert 0.8 < low < mean < high < 1.2


def test_pairs_must_be_of_the_same_clips():
    with pytest.raises(ValueError, match="paired"):
        metrics.paired_difference([1.0, 2.0], [1.0], 10, 0)
