"""Claims about time-lapses: how they are known, by how much, and how their positions are judged."""

import contextlib
import datetime as dt

import numpy as np
import pytest

from tests.data import telemetry
from tests.data.recordings import NOON, film, stamped, with_telemetry
from tests.vidtag_ml.ingest.own.conftest import tables
from vidtag_ml.ingest.own import plausibility, positions, time_lapse
from vidtag_ml.ingest.telemetry import points

LIMITS = {"walk": 10.0, "ride": 60.0, "car": 200.0, "drone": 120.0, "photos": 1000.0}
METRE = 1 / 111_195


def shown(factor, moves_mps=1.4, num=60, noise_s=0.0, **columns):
    """Positions a second of a video that is so many times as fast as a walk to the north."""
    time_s = np.arange(num, dtype=float)
    rng = np.random.default_rng(0)
    lat = 47.0 + time_s * factor * moves_mps * METRE
    utc_s = 1.7e9 + time_s * factor + rng.uniform(-noise_s, noise_s, num)
    given = {"time_s": time_s, "utc_s": utc_s, "lat": lat, "lon": np.full(num, 8.0), **columns}
    return points.table(**given)


def judge(table, mode=None):
    judged, moved = time_lapse.judge(table, mode, LIMITS)
    return judged.kept_N, moved, judged.repairs


@pytest.mark.parametrize("factor", [2, 15, 30, 120])
def test_a_time_lapse_is_known_by_its_two_clocks_and_told(factor):
    kept_N, moved, (told,) = judge(shown(factor, noise_s=1.0))
    assert kept_N.all()
    assert told.startswith("a time-lapse, ")
    assert float(told.split()[2]) == pytest.approx(factor, rel=0.02)
    assert moved == "photos"


def test_a_time_lapse_is_known_by_the_speed_its_receiver_measured():
    table = shown(30, utc_s=np.full(60, np.nan), speed_mps=np.full(60, 1.4))
    kept_N, moved, (told,) = judge(table)
    assert kept_N.all()
    assert moved == "photos"
    assert "a time-lapse, 30 times as fast as it was: its track moves" in told


@pytest.mark.parametrize("away", [0.01, 1.0])
def test_of_a_time_lapse_strays_are_dropped_by_true_time_and_by_the_videos(away):
    table = shown(30)
    table.loc[20, "lat"] += away
    kept_N, _, repairs = judge(table)
    assert np.flatnonzero(~kept_N).tolist() == [20]
    assert "1 of 60 fixes dropped" in repairs[1]


@pytest.mark.parametrize("noise_s", [0.0, 0.2])
def test_a_video_in_true_time_is_none(noise_s):
    assert judge(shown(1.0, noise_s=noise_s))[1:] == ("walk", [])


def test_two_clocks_that_agree_overrule_a_speed_that_does_not():
    table = shown(1.0, speed_mps=np.full(60, 0.6))
    assert judge(table)[1:] == ("walk", [])


@pytest.mark.parametrize("ahead_s", [-1e8, -18.0, 18.0, 4 * 3600.0])
@pytest.mark.parametrize("num", [10, 30, 50])
def test_a_clock_that_was_set_in_between_is_no_time_lapse(num, ahead_s):
    table = shown(1.0, num=20)
    table.loc[: num // 3, "utc_s"] += ahead_s
    assert judge(table)[1:] == ("walk", [])


@pytest.mark.parametrize("factor", [0.25, 0.125])
def test_slow_motion_is_known_by_its_two_clocks_and_told(factor):
    kept_N, moved, (told,) = judge(shown(factor, moves_mps=30.0))
    assert (kept_N.all(), moved) == (True, "car")
    assert told.startswith(f"slow motion, {factor} times as fast as it was: its receiver's clock")
    assert "goes so much slower" in told


def test_a_receiver_at_rest_tells_nothing_by_speed():
    rng = np.random.default_rng(0)
    noise = 47.0 + rng.normal(0, 2, 60) * METRE
    table = shown(1.0, lat=noise, utc_s=np.full(60, np.nan), speed_mps=np.full(60, 0.1))
    assert judge(table)[2] == []


def strolled(seed, noise_m, smooth, num=120):
    """A noisy walk whose receiver measured its speed well."""
    rng = np.random.default_rng(seed)
    wrong_m = rng.normal(0, noise_m, (2, num))
    for k in range(1, num):
        wrong_m[:, k] = smooth * wrong_m[:, k - 1] + np.sqrt(1 - smooth**2) * wrong_m[:, k]
    mps = rng.uniform(0.7, 1.3)
    lat = 47.0 + (np.arange(num) * mps + wrong_m[0]) * METRE
    lon = 8.0 + wrong_m[1] * METRE
    return shown(1.0, num=num, lat=lat, lon=lon, speed_mps=np.full(num, mps))


@pytest.mark.parametrize("has_utc", [True, False])
@pytest.mark.parametrize(("noise_m", "smooth"), [(2, 0.8), (5, 0.8), (5, 0.95), (1, 0), (3, 0)])
def test_a_walk_is_no_time_lapse_for_its_receivers_noise(noise_m, smooth, has_utc):
    for seed in range(20):
        table = strolled(seed, noise_m, smooth)
        if not has_utc:
            table["utc_s"] = np.nan
        assert time_lapse.factor_of(table)[0] == 1.0


def test_a_curved_time_lapse_is_known_by_its_speed_through_noise():
    rng = np.random.default_rng(0)
    turn = np.arange(90) / 12
    lat = 47.0 + (500 * np.sin(turn) + rng.normal(0, 3, 90)) * METRE
    lon = 8.0 + 500 * np.cos(turn) * METRE / np.cos(np.radians(47))
    table = shown(1.0, num=90, lat=lat, lon=lon, speed_mps=np.full(90, 500 / 12 / 30))
    table["utc_s"] = np.nan
    assert time_lapse.factor_of(table)[0] == pytest.approx(30, rel=0.05)


def test_a_clock_of_whole_seconds_makes_no_time_lapse_of_a_short_video():
    table = shown(1.0, num=30, time_s=np.arange(30) / 30, utc_s=1.7e9 + np.arange(30) // 15)
    assert time_lapse.factor_of(table)[0] == 1.0


def test_a_noisy_walk_beside_its_video_begins_when_it_began(tmp_path):
    path = film(tmp_path / "a.mp4", num=60)
    stamped(path, creation_time="2024-06-01T12:00:00Z")
    rows = strolled(0, 3, 0.0)[["lat", "lon", "speed_mps"]].to_numpy()
    told = "".join(
        f'<trkpt lat="{lat}" lon="{lon}"><time>{NOON + dt.timedelta(seconds=k):%FT%TZ}</time>'
        f"<speed>{mps}</speed></trkpt>"
        for k, (lat, lon, mps) in enumerate(rows)
    )
    path.with_suffix(".gpx").write_text(f"<gpx><trk><trkseg>{told}</trkseg></trk></gpx>")
    placed = positions.place(path, 60.0, None, 0.0, 2.0, LIMITS)
    assert placed.began_utc_s == NOON.timestamp()
    assert placed.mode != "photos"


def test_a_track_that_is_too_fast_throughout_is_refused_with_advice():
    table = shown(30, moves_mps=14.0, utc_s=np.full(60, np.nan))
    with pytest.raises(plausibility.ClockError, match=r"1512 km/h, 7\.6 times .* --mode photos"):
        time_lapse.refuse_even_haste(plausibility.judge(table, None, LIMITS)[0], None, LIMITS)


def test_a_time_lapse_too_fast_even_for_photos_is_refused_with_its_factor():
    with pytest.raises(
        plausibility.ClockError, match=r"30 times as fast .* 1512 km/h in the video"
    ):
        judge(shown(30, moves_mps=14.0))


def test_a_single_leap_is_no_haste():
    table = shown(1.0)
    table.loc[30:, "lat"] += 1.0
    judged, _ = plausibility.judge(table, None, LIMITS)
    time_lapse.refuse_even_haste(judged, None, LIMITS)
    assert judged.kept_N.sum() == 30


@pytest.mark.parametrize(("num", "refused"), [(60, True), (21, True), (20, False), (8, False)])
def test_telemetry_much_longer_than_its_video_is_refused(num, refused):
    expected = pytest.raises(plausibility.ClockError, match="times as long as the video")
    with expected if refused else contextlib.nullcontext():
        time_lapse.refuse_longer(shown(1.0, num=num), 9.9)


@pytest.mark.parametrize("num", [0, 1, 2])
def test_few_positions_tell_no_factor(num):
    table = shown(30, num=num)
    assert time_lapse.factor_of(table)[0] == 1.0
    time_lapse.refuse_longer(table, 10.0)
    assert judge(table)[2] == []


def test_a_gopros_time_lapse_is_a_clip_of_photos_told_with_its_factor(tmp_path, take):
    """A walk of a metre a second; of its five minutes the video shows ten seconds."""
    moments = (telemetry.START + dt.timedelta(seconds=30 * k) for k in range(10))
    payloads = [
        telemetry.gpmf_payload([(47.0 + 30 * k * METRE, 8.0)], utc=moment)
        for k, moment in enumerate(moments)
    ]
    (told,) = take(with_telemetry(film(tmp_path / "v" / "a.mp4", num=10), payloads)).accepted
    assert (told.num_fixes, told.fix_source) == (10, "gpmf_gps5")
    assert told.repairs[0].startswith("a time-lapse, 30 times as fast as it was")
    assert tables(tmp_path).clips["mode"].tolist() == ["photos"]
    assert tables(tmp_path).fixes["time_s"].tolist() == pytest.approx(range(10))
