"""Metrics against the values of docs/specs/metrics.md and second implementations."""

import functools
import json
import math

import numpy as np
import pytest

from vidtag_ml.earth import sphere
from vidtag_ml.metrics import bootstrap
from vidtag_ml.metrics import tracks as track_metrics

TRUTH = np.array([[0, 0], [0, 0.01], [0, 0.02], [0, 0.03]])
NORTH = np.array([[0.01, 0], [0.01, 0.01], [0.01, 0.02], [0.01, 0.03]])
MOVED = np.array([[0, 0], [0, 0.01], [0, 0.10], [0, 0.03]])
STILL = np.zeros((4, 2))
ALL = np.ones(4, bool)


def errors_of(prediction, truth, valid, time_s=None):
    """The errors of one clip."""
    return track_metrics.errors_of_clips([(prediction, truth, valid, time_s)])[0]


def random_track(rng, num=9, near=(40.0, 179.9)):
    return np.stack([rng.normal(near[0], 1, num), sphere.wrap_lon(rng.normal(near[1], 1, num))], -1)


# A second implementation of every figure, in plain Python and from the definitions alone.

RADIUS_KM = 6371.0088


def plain_km(a, b):
    (lat1, lon1), (lat2, lon2) = (tuple(map(math.radians, point)) for point in (a, b))
    h = math.sin((lat2 - lat1) / 2) ** 2
    h += math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * RADIUS_KM * math.asin(math.sqrt(min(max(h, 0.0), 1.0)))


def plain_deg(a, b):
    across = abs(a[1] - b[1]) % 360
    return math.hypot(a[0] - b[0], min(across, 360 - across))


def plain_frechet(p, q, distance):
    @functools.cache
    def c(i, j):
        d = distance(p[i], q[j])
        before = [c(*k) for k in ((i - 1, j), (i, j - 1), (i - 1, j - 1)) if min(k) >= 0]
        return max(d, min(before)) if before else d

    return c(len(p) - 1, len(q) - 1)


def plain_centroid(points):
    x = y = z = 0.0
    for lat, lon in ((math.radians(lat), math.radians(lon)) for lat, lon in points):
        x += math.cos(lat) * math.cos(lon)
        y += math.cos(lat) * math.sin(lon)
        z += math.sin(lat)
    return math.degrees(math.atan2(z, math.hypot(x, y))), math.degrees(math.atan2(y, x))


def plain_video_error(p, q):
    middle = plain_centroid(p)
    return plain_km(min(p, key=lambda point: plain_km(point, middle)), plain_centroid(q))


def plain_extents(points):
    lats, lons = [point[0] for point in points], [point[1] for point in points]
    return max(lats) - min(lats), min(max((x - west) % 360 for x in lons) for west in lons)


def plain_mrd(p, q, scale_lat=1.0, scale_lon=1.0):
    (lat_p, lon_p), (lat_q, lon_q) = plain_extents(p), plain_extents(q)
    return (abs(lat_p - lat_q) * scale_lat + abs(lon_p - lon_q) * scale_lon) / 2


def plain_mrd_km(p, q):
    k = RADIUS_KM * math.pi / 180
    return plain_mrd(p, q, k, k * math.cos(math.radians(sum(lat for lat, _ in q) / len(q))))


def plain_quantile(values, share):
    ordered, place = sorted(values), (len(values) - 1) * share
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    return low + (high - low) * (place - math.floor(place))


def plain_speed_errors(p, q, valid, times):
    found = []
    for k in range(1, len(times)):
        hours = (times[k] - times[k - 1]) / 3600
        if valid[k] and valid[k - 1] and hours > 0:
            found.append(abs(plain_km(p[k], p[k - 1]) - plain_km(q[k], q[k - 1])) / hours)
    return found


def plain_summary(clips, thresholds_km):
    frames, outliers, speeds = [], [], []
    of_clips = {name: [] for name in ("video", "dfd_km", "dfd_deg", "mrd_km", "mrd_deg")}
    for prediction, truth, valid, times in clips:
        p = [tuple(x) for x, use in zip(prediction, valid, strict=True) if use]
        q = [tuple(x) for x, use in zip(truth, valid, strict=True) if use]
        errors = [plain_km(a, b) for a, b in zip(p, q, strict=True)]
        frames += errors
        outliers += [error > plain_quantile(errors, 0.5) + 25 for error in errors]
        speeds += plain_speed_errors(prediction, truth, valid, times)
        of_clips["video"].append(plain_video_error(p, q))
        of_clips["dfd_km"].append(plain_frechet(p, q, plain_km))
        of_clips["dfd_deg"].append(plain_frechet(p, q, plain_deg))
        of_clips["mrd_km"].append(plain_mrd_km(p, q))
        of_clips["mrd_deg"].append(plain_mrd(p, q))
    videos = of_clips.pop("video")
    found = {name: sum(values) / len(values) for name, values in of_clips.items()}
    for r in thresholds_km:
        found[f"acc_{r}km"] = sum(error <= r for error in frames) / len(frames)
        found[f"video_acc_{r}km"] = sum(error <= r for error in videos) / len(videos)
    found["median_km"], found["p95_km"] = (plain_quantile(frames, q) for q in (0.5, 0.95))
    found["video_median_km"] = plain_quantile(videos, 0.5)
    found["outlier_rate"] = sum(outliers) / len(outliers)
    found["speed_error_kmh"] = sum(speeds) / len(speeds)
    return found


def random_clip(rng, near, num):
    """A track that drifts from `near` and its prediction, often good and sometimes far away."""
    truth = np.array(near) + rng.normal(0, 0.02, (num, 2)).cumsum(0)
    prediction = truth + rng.normal(0, 0.05, (num, 2)) * rng.choice([0.1, 1, 40], (num, 1))
    for track in (prediction, truth):
        track[:, 0] = np.clip(track[:, 0], -90, 90)
        track[:, 1] = sphere.wrap_lon(track[:, 1])
    valid = rng.random(num) < 0.8
    valid[:2] = True
    truth[~valid] = np.nan
    return prediction.tolist(), truth.tolist(), valid.tolist(), rng.random(num).cumsum().tolist()


NEAR = {
    "inland": (45.0, 10.0),
    "date line": (-17.0, 179.99),
    "north pole": (89.97, 30.0),
    "south pole": (-89.99, -179.9),
}


@pytest.mark.parametrize("near", NEAR.values(), ids=NEAR)
def test_every_figure_agrees_with_plain_python(near):
    rng = np.random.default_rng(11)
    clips = [random_clip(rng, near, num) for num in (12, 3, 18, 7, 18)]
    errors = track_metrics.Errors((0.5, 1, 5, 25, 200))
    errors.extend(clips)
    assert errors.summary() == pytest.approx(plain_summary(clips, (0.5, 1, 5, 25, 200)), rel=1e-9)


def test_every_figure_agrees_with_plain_python_all_over_the_earth():
    rng = np.random.default_rng(12)
    starts = zip(rng.uniform(-90, 90, 25), rng.uniform(-180, 180, 25), strict=True)
    clips = [random_clip(rng, near, rng.integers(2, 20)) for near in starts]
    errors = track_metrics.Errors((1, 25, 750))
    for clip in clips:
        errors.extend([clip])
    assert errors.summary() == pytest.approx(plain_summary(clips, (1, 25, 750)), rel=1e-9)


def test_intervals_are_percentiles_of_the_summaries_of_drawn_clips():
    rng = np.random.default_rng(13)
    clips = [random_clip(rng, NEAR["date line"], num) for num in (5, 12, 3, 18, 7, 9)]
    errors = track_metrics.Errors((1, 25))
    errors.extend(clips)
    drawn_DN = np.random.default_rng(7).integers(len(clips), size=(12, len(clips)))
    draws = [plain_summary([clips[k] for k in drawn], (1, 25)) for drawn in drawn_DN]
    wanted = {
        f"{name}_{end}": plain_quantile([draw[name] for draw in draws], share)
        for name in draws[0]
        for end, share in (("lo", 0.025), ("hi", 0.975))
    }
    assert errors.intervals(12, 7) == pytest.approx(wanted, rel=1e-9)


def test_intervals_are_exactly_those_of_summarise():
    rng = np.random.default_rng(14)
    errors = track_metrics.Errors((1, 25))
    errors.extend(random_clip(rng, NEAR["inland"], num) for num in rng.integers(2, 20, 40))
    drawn_DN = np.random.default_rng(8).integers(40, size=(30, 40))
    draws = [track_metrics.summarise([errors.clips[k] for k in row], (1, 25)) for row in drawn_DN]
    bounds = errors.intervals(30, 8)
    for name in draws[0]:
        low, high = np.percentile([draw[name] for draw in draws], (2.5, 97.5))
        assert (bounds[f"{name}_lo"], bounds[f"{name}_hi"]) == (low, high)


def test_draws_without_a_speed_do_not_count_towards_its_interval():
    rng = np.random.default_rng(15)
    errors = track_metrics.Errors((1,))
    *timed, times = random_clip(rng, NEAR["inland"], 9)
    found, _ = errors.extend([(*timed, times), (*random_clip(rng, NEAR["inland"], 9)[:3], None)])
    bounds = errors.intervals(20, 0)
    speed = pytest.approx(found.speed_error_kmh_T.mean())
    assert bounds["speed_error_kmh_lo"] == bounds["speed_error_kmh_hi"] == speed


@pytest.mark.parametrize(
    ("a", "b", "km"),
    [
        ((40.7128, -74.0060), (34.0522, -118.2437), 3935.752),
        ((48.8566, 2.3522), (51.5074, -0.1278), 343.557),
        ((0, 0), (0, 1), 111.195080),
        ((0, 179.5), (0, -179.5), 111.195080),
    ],
    ids=["New York-Los Angeles", "Paris-London", "equator", "date line"],
)
def test_distances_have_the_published_values(a, b, km):
    found = errors_of([a], [b], [True])
    assert (found.error_km_T[0], found.dfd_km) == pytest.approx((km, km), abs=5e-4)
    assert plain_km(a, b) == pytest.approx(km, abs=5e-4)


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
    assert track_metrics.dfd_km(prediction, TRUTH) == pytest.approx(dfd, abs=1e-6)
    assert track_metrics.mrd_km(prediction, TRUTH) == pytest.approx(mrd, abs=1e-6)


@pytest.mark.parametrize(
    ("many", "distance"),
    [(track_metrics.dfds_km, plain_km), (track_metrics.dfds_deg, plain_deg)],
    ids=["km", "deg"],
)
def test_dfd_of_pairs_of_any_lengths_equals_its_recursion(many, distance):
    rng = np.random.default_rng(3)
    sizes = [(1, 1), (1, 7), (9, 4), (12, 12), (2, 30), (30, 1), (12, 12)]
    pairs = [(random_track(rng, n), random_track(rng, m)) for n, m in sizes]
    wanted = [plain_frechet(p.tolist(), q.tolist(), distance) for p, q in pairs]
    assert many(*zip(*pairs, strict=True)) == pytest.approx(wanted, rel=1e-12)


def test_lists_of_tracks_are_paired():
    with pytest.raises(ValueError, match="shorter"):
        track_metrics.dfds_km([TRUTH, TRUTH], [TRUTH])


def test_dfd_deg_is_planar_and_safe_at_the_date_line():
    assert track_metrics.dfd_deg([[0, 0]], [[3, 4]]) == pytest.approx(5.0)
    assert track_metrics.dfd_deg([[0, 179.5]], [[0, -179.5]]) == pytest.approx(1.0)


def test_mrd_deg_is_the_mean_difference_of_extents():
    rng = np.random.default_rng(0)
    p, q = random_track(rng, near=(10, 20)), random_track(rng, near=(10, 20))
    wanted = (abs(np.ptp(p[:, 0]) - np.ptp(q[:, 0])) + abs(np.ptp(p[:, 1]) - np.ptp(q[:, 1]))) / 2
    assert track_metrics.mrd_deg(p, q) == pytest.approx(wanted)


def test_mrd_does_not_see_the_date_line():
    crossing, inland = np.array([[0, 179.0], [0, -179.0]]), np.array([[0, 10.0], [0, 12.0]])
    assert track_metrics.mrd_deg(crossing, inland) == pytest.approx(0.0, abs=1e-9)


def test_track_distances_do_not_change_with_longitude():
    rng = np.random.default_rng(1)
    p, q = random_track(rng, near=(40, 20)), random_track(rng, near=(40, 20))
    turned = [np.stack([t[:, 0], sphere.wrap_lon(t[:, 1] + 160)], -1) for t in (p, q)]
    for metric in (
        track_metrics.dfd_km,
        track_metrics.dfd_deg,
        track_metrics.mrd_km,
        track_metrics.video_error_km,
    ):
        assert metric(*turned) == pytest.approx(metric(p, q), rel=1e-9)


@pytest.mark.parametrize("flat", [True, False])
def test_video_error_has_the_published_value(flat):
    prediction = np.array([[0, 0], [0, 0.001], [0, 0.002], [0, 1.0]])
    truth = np.array([[0, 0], [0, 0.001], [0, 0.002], [0, 0.003]])
    assert track_metrics.video_error_km(prediction, truth, flat=flat) == pytest.approx(
        0.0555975, abs=1e-6
    )


def test_accuracy_counts_errors_equal_to_the_threshold():
    limit = float(sphere.great_circle_km((0, 0), (0, 1)))
    clip = errors_of([[0, 1.0]], [[0, 0.0]], [True])
    found = track_metrics.summarise([clip], [limit, limit * 0.999])
    assert found[f"acc_{track_metrics.name_of(limit)}"] == 1.0
    assert found[f"video_acc_{track_metrics.name_of(limit * 0.999)}"] == 0.0


def test_summary_pools_frames_but_averages_tracks():
    rng = np.random.default_rng(2)
    truths = [random_track(rng, n) for n in (3, 8)]
    tracks = [random_track(rng, n) for n in (3, 8)]
    clips = [errors_of(p, q, np.ones(len(p), bool)) for p, q in zip(tracks, truths, strict=True)]
    found = track_metrics.summarise(clips, [25, 100])
    errors = [
        float(sphere.great_circle_km(a, b))
        for p, q in zip(tracks, truths, strict=True)
        for a, b in zip(p, q, strict=True)
    ]
    dfds = [track_metrics.dfd_km(p, q) for p, q in zip(tracks, truths, strict=True)]
    assert found["median_km"] == pytest.approx(sorted(errors)[5])
    assert found["acc_100km"] == pytest.approx(sum(e <= 100 for e in errors) / 11)
    assert found["dfd_km"] == pytest.approx(sum(dfds) / 2)


def test_names_are_those_of_every_report():
    errors = track_metrics.Errors((0.5, 25.0))
    errors.extend([(NORTH, TRUTH, ALL, np.arange(4.0))])
    names = "acc_0.5km acc_25km video_acc_0.5km video_acc_25km median_km p95_km video_median_km"
    names += " dfd_km dfd_deg mrd_km mrd_deg outlier_rate speed_error_kmh"
    assert set(errors.summary()) == set(names.split())
    json.dumps(errors.summary() | errors.intervals(5, 0), allow_nan=False)


def test_frames_without_truth_are_left_out_and_counted():
    truth, valid = TRUTH.copy(), np.array([True, False, True, True])
    truth[1] = np.nan
    errors = track_metrics.Errors((1.0,))
    unknown = (NORTH, np.full((4, 2), np.nan), np.zeros(4, bool), None)
    found, none = errors.extend([(NORTH, truth, valid, None), unknown])
    assert none is None
    assert len(found.error_km_T) == 3
    counts = {"num_clips": 1, "num_frames": 3, "skipped_clips": 1, "skipped_frames": 5}
    assert errors.counts() == counts


def test_many_clips_at_once_are_as_many_one_by_one():
    rng = np.random.default_rng(16)
    clips = [random_clip(rng, NEAR["inland"], num) for num in (9, 4, 9)]
    clips.insert(1, (STILL, TRUTH, np.zeros(4, bool), None))
    together, apart = track_metrics.Errors((1,)), track_metrics.Errors((1,))
    rows = [found and found.row((1,)) for found in together.extend(clips)]
    assert rows == [
        found and found.row((1,)) for found in (apart.extend([clip])[0] for clip in clips)
    ]
    assert together.counts() == apart.counts()
    assert rows[1] is None


def test_outliers_exceed_the_median_error_by_25_km():
    truth = np.zeros((4, 2))
    found = errors_of([[0, 1], [0, 1], [0, 1.2], [0, 1.4]], truth, ALL)
    assert found.outliers.tolist() == [False, False, False, True]


def test_speed_error_skips_unknown_frames():
    time_s = np.arange(4) * 3600.0
    truth, valid = (
        np.array([[0, 0], [0, 1], [np.nan, np.nan], [0, 3]]),
        np.isin(range(4), (0, 1, 3)),
    )
    prediction = np.array([[0, 0], [0, 3], [0, 0], [0, 0]])
    found = errors_of(prediction, truth, valid, time_s).speed_error_kmh_T
    assert found == pytest.approx([2 * sphere.KM_PER_DEGREE])


def test_nothing_to_summarise_is_an_error():
    with pytest.raises(ValueError, match="nothing to summarise"):
        track_metrics.Errors((1.0,)).summary()


def test_a_track_that_is_not_finite_is_an_error():
    with pytest.raises(ValueError, match="not finite"):
        errors_of(NORTH, TRUTH * np.nan, ALL)


def test_bootstrap_covers_the_mean_as_the_normal_law_does():
    values = np.random.default_rng(0).normal(10, 2, 400)
    low, high = bootstrap.bootstrap(values, 2000, 1)
    half = 1.96 * values.std() / np.sqrt(400)
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.05)
    assert bootstrap.bootstrap(values, 50, 3) == bootstrap.bootstrap(values, 50, 3)


def test_intervals_hold_the_figure_and_resample_clips():
    rng = np.random.default_rng(5)
    errors = track_metrics.Errors((100.0,))
    for _ in range(30):
        errors.extend([(random_track(rng, 5), random_track(rng, 5), np.ones(5, bool), None)])
    summary, bounds = errors.summary(), errors.intervals(200, 0)
    assert set(bounds) == {f"{n}_{e}" for n in summary for e in ("lo", "hi")}
    low, high = bootstrap.bootstrap([c.dfd_km for c in errors.clips], 2000, 0)
    assert (bounds["dfd_km_lo"], bounds["dfd_km_hi"]) == pytest.approx((low, high), rel=0.05)
    assert bounds["median_km_lo"] <= summary["median_km"] <= bounds["median_km_hi"]
