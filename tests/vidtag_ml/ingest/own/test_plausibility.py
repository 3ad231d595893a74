"""Which positions of a receiver are believed, and on which clock they run."""

import numpy as np
import pandas as pd
import pytest

from vidtag_ml.earth import tracks
from vidtag_ml.ingest.own import clocks, plausibility
from vidtag_ml.ingest.telemetry import points

LIMITS = {"walk": 10.0, "ride": 60.0, "car": 200.0, "drone": 120.0, "photos": 1000.0}
KM = 1 / 111.195
"""A kilometre to the north, in degrees."""


def walk(num=10, step_km=0.001, **columns):
    """A walk to the north, one fix a second."""
    lat = 47.0 + np.arange(num) * step_km * KM
    given = {"time_s": np.arange(num, dtype=float), "lat": lat, "lon": np.full(num, 8.0), **columns}
    return points.table(**given)


def test_a_good_track_is_left_as_it_is():
    judged, mode = plausibility.judge(walk(), None, LIMITS)
    assert judged.kept_N.all()
    assert judged.repairs == []
    assert mode == "walk"


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("lat", 91.0, "not on Earth"),
        ("lon", -180.5, "not on Earth"),
        ("lat", np.nan, "not on Earth"),
        ("fix_type", "none", "had no fix"),
        ("dop", 10.1, "DOP above 10"),
        ("time_s", 2.0, "time repeats or goes back"),
        ("time_s", np.nan, "time repeats or goes back"),
        ("lat", 48.0, "out of reach at 10 km/h"),
    ],
)
def test_a_bad_fix_is_dropped_and_told(column, value, reason):
    table = walk()
    table.loc[4, column] = value
    judged, _ = plausibility.judge(table, "walk", LIMITS)
    assert np.flatnonzero(~judged.kept_N).tolist() in ([4], [2])
    assert reason in judged.repairs[0]
    assert judged.repairs[0].startswith("1 of 10 fixes dropped")


@pytest.mark.parametrize(("later_s", "by"), [(0.0, "file"), (0.5, "file"), (0.0, "time_s")])
def test_two_tracks_at_one_time_are_refused(later_s, by):
    other = walk(6).assign(lat=lambda t: t["lat"] + 0.05, time_s=lambda t: t["time_s"] + later_s)
    both = pd.concat([walk(), other], ignore_index=True).assign(file=range(16))
    table = both.sort_values(by, ignore_index=True).drop(columns="file")
    with pytest.raises(ValueError, match=r"at \d of 16 positions it is somewhere else"):
        plausibility.judge(table, None, LIMITS)


@pytest.mark.parametrize("moved", [0.0, 0.005])
def test_a_track_that_is_written_twice_is_one(moved):
    twice = pd.concat([walk(), walk().assign(lat=lambda t: t["lat"] + moved)], ignore_index=True)
    judged, _ = plausibility.judge(twice, None, LIMITS)
    assert judged.kept_N.sum() == 10


def test_the_last_numbers_that_there_are_are_no_place():
    table = walk()
    table.loc[:2, ["lat", "lon"]] = (90.0, -180.0)
    judged, _ = plausibility.judge(table, None, LIMITS)
    assert np.flatnonzero(~judged.kept_N).tolist() == [0, 1, 2]
    assert "at 90, 180" in judged.repairs[0]


def test_a_receiver_at_null_island_is_not_believed():
    table = walk()
    table.loc[:2, ["lat", "lon"]] = 0.0
    judged, _ = plausibility.judge(table, None, LIMITS)
    assert judged.kept_N.tolist() == [False] * 3 + [True] * 7


def test_photos_may_write_metres_as_dop():
    judged, _ = plausibility.judge(walk(dop=np.full(10, 44.0)), None, LIMITS, dop=False)
    assert judged.kept_N.all()


def test_dop_of_ten_is_believed():
    judged, _ = plausibility.judge(walk(dop=np.full(10, 10.0)), None, LIMITS)
    assert judged.kept_N.all()


def test_one_wrong_clock_does_not_cost_all_later_fixes():
    table = walk()
    table.loc[3, "time_s"] = 1e6
    judged, _ = plausibility.judge(table, None, LIMITS)
    assert np.flatnonzero(~judged.kept_N).tolist() == [3]


@pytest.mark.parametrize("tick_s", [1.0, 60.0])
def test_a_coarse_clock_shows_the_time_of_the_first_position_that_it_gives_it(tick_s):
    true_s = (np.arange(150) + 2) * tick_s / 10
    lat = 47.0 + true_s * 0.05 / tick_s * KM
    table = points.table(time_s=true_s // tick_s * tick_s, lat=lat, lon=np.full(150, 8.0))
    judged, _ = plausibility.judge(table, None, LIMITS)
    kept = np.flatnonzero(judged.kept_N)
    assert np.allclose(true_s[kept], table["time_s"][kept])
    assert len(kept) == 15
    assert "8 of 150 fixes dropped: a clock that stood shows" in judged.repairs[0]


def test_a_clock_that_never_goes_tells_no_place():
    judged, _ = plausibility.judge(walk(30, time_s=np.full(30, 7.0)), None, LIMITS)
    assert not judged.kept_N.any()


@pytest.mark.parametrize("ahead_s", [5.0, 18.0])
def test_positions_before_a_clock_was_set_back_are_not_believed(ahead_s):
    time = np.arange(60.0) + np.where(np.arange(60) < 40, ahead_s, 0.0)
    judged, _ = plausibility.judge(walk(60, step_km=0.01, time_s=time), None, LIMITS)
    assert np.flatnonzero(judged.kept_N).tolist() == list(range(40, 60))
    assert "40 of 60 fixes dropped: before its clock was set back" in judged.repairs


def test_a_track_that_two_receivers_wrote_is_none_whose_clock_was_set():
    both = points.table(**{n: np.tile(c, 2) for n, c in walk(20)[["time_s", "lat", "lon"]].items()})
    judged, _ = plausibility.judge(both, None, LIMITS)
    assert judged.kept_N.sum() == 20


def test_jitter_at_18_hz_is_no_teleport():
    time = np.arange(54) / 18
    lat = 47.0 + np.where(np.arange(54) % 2, 0.0015, 0.0) * KM
    table = points.table(time_s=time, lat=lat, lon=np.full(54, 8.0))
    judged, mode = plausibility.judge(table, None, LIMITS)
    assert judged.kept_N.all()
    assert mode == "walk"


def test_a_burst_at_18_hz_is_seen_over_a_second_as_the_tables_check_does():
    time = np.arange(180) / 18
    speed = np.where((time > 4) & (time < 6), 15.0, 3.0) / 3600
    lat = 47.0 + np.cumsum(speed / 18) * KM
    table = points.table(time_s=time, lat=lat, lon=np.full(180, 8.0))
    assert plausibility.judge(table, None, LIMITS)[1] == "ride"
    judged, _ = plausibility.judge(table, "walk", LIMITS)
    assert "faster than 10 km/h" in judged.repairs[0]
    kept = judged.kept[["lat", "lon"]].to_numpy()
    assert tracks.speeds_kmh(judged.kept["time_s"], kept, tracks.SPAN_S).max() <= 10.0


def test_of_two_places_that_exclude_each_other_the_longer_stay_is_believed():
    table = walk(12)
    table.loc[:3, "lat"] += 1.0
    judged, _ = plausibility.judge(table, "walk", LIMITS)
    assert judged.kept_N.tolist() == [False] * 4 + [True] * 8


def test_a_stray_in_the_middle_is_dropped_and_the_rest_is_one_track():
    table = walk(20)
    table.loc[7:9, "lat"] += 0.5
    judged, _ = plausibility.judge(table, "walk", LIMITS)
    assert np.flatnonzero(~judged.kept_N).tolist() == [7, 8, 9]


def test_a_frozen_receiver_that_jumps_keeps_its_first_fix():
    table = walk(20, step_km=0.02)
    table.loc[5:12, "lat"] = table.loc[5, "lat"]
    judged, _ = plausibility.judge(table, "ride", {**LIMITS, "ride": 100.0})
    assert np.flatnonzero(~judged.kept_N).tolist() == list(range(6, 13))
    assert "frozen" in judged.repairs[0]


def test_a_receiver_that_froze_is_known_by_what_nobody_does_from_rest():
    table = walk(20, step_km=0.005)
    table.loc[5:12, "lat"] = table.loc[5, "lat"]
    judged, mode = plausibility.judge(table, None, LIMITS)
    assert np.flatnonzero(~judged.kept_N).tolist() == list(range(6, 13))
    assert ("frozen" in judged.repairs[0], mode) == (True, "ride")


@pytest.mark.parametrize(("step_s", "first_m"), [(1.0, 5.0), (2.0, 20.0), (30.0, 900.0)])
def test_setting_off_from_rest_is_no_error(step_s, first_m):
    time = np.arange(20) * step_s
    north_m = np.where(time > time[9], first_m + (time - time[10]) * 30.0, 0.0)
    table = walk(20, time_s=time, lat=47.0 + north_m / 1000 * KM)
    assert plausibility.judge(table, "car", LIMITS)[0].kept_N.all()


def test_standing_still_is_no_error():
    table = walk(20)
    table.loc[5:, "lat"] = table.loc[5, "lat"]
    judged, _ = plausibility.judge(table, None, LIMITS)
    assert judged.kept_N.all()


@pytest.mark.parametrize(("step_km", "mode"), [(0.001, "walk"), (0.008, "ride"), (0.03, "car")])
def test_the_mode_is_the_slowest_that_speeds_agree_with(step_km, mode):
    assert plausibility.judge(walk(step_km=step_km), None, LIMITS)[1] == mode


def test_many_contradictions_end_in_time():
    rng = np.random.default_rng(0)
    table = walk(20_000)
    table["lat"] = rng.uniform(-80, 80, len(table))
    judged, _ = plausibility.judge(table, "walk", LIMITS)
    assert judged.kept_N.any()


def on_clock(table, created_utc_s=np.nan, duration_s=10.0, offset_s=0.0):
    clock = clocks.Clock(created_utc_s)
    return plausibility.on_video_clock(table, clock, duration_s, offset_s, 2.0)


def utc_walk(start_s, num=10):
    return walk(num, time_s=np.full(num, np.nan), utc_s=start_s + np.arange(num))


def test_a_receivers_utc_and_the_cameras_give_video_time():
    table, repairs = on_clock(utc_walk(1003.0), created_utc_s=1000.0)
    assert table["time_s"].tolist() == list(range(3, 12 + 1))
    assert repairs == []


def test_positions_of_other_recordings_are_left_out():
    table, _ = on_clock(utc_walk(900.0, 300), created_utc_s=1000.0)
    assert table["time_s"].tolist() == list(range(-2, 12 + 1))


@pytest.mark.parametrize("column", ["time_s", "utc_s"])
def test_a_log_that_begins_with_the_latest_is_turned_around_and_told(column):
    timed = walk() if column == "time_s" else utc_walk(1000.0)
    table, repairs = on_clock(timed[::-1], created_utc_s=1000.0)
    assert table["time_s"].tolist() == list(range(10))
    assert "put in the order of their times" in repairs[0]


@pytest.mark.parametrize("hours", [-7, 2, 5.75])
def test_a_clock_in_another_zone_is_corrected_and_told(hours):
    table, repairs = on_clock(utc_walk(1e6), created_utc_s=1e6 + 3600 * hours)
    assert table["time_s"].tolist() == list(range(10))
    assert f"{abs(hours):g} h" in repairs[0]


def test_without_the_cameras_clock_track_and_video_begin_together():
    table, repairs = on_clock(utc_walk(1e6))
    assert table["time_s"].tolist() == list(range(10))
    assert "no recording time" in repairs[0]


def test_an_offset_is_added():
    table, _ = on_clock(utc_walk(1000.0), created_utc_s=1000.0, offset_s=1.5)
    assert table["time_s"].iloc[0] == 1.5


@pytest.mark.parametrize(
    ("table", "created_utc_s", "why"),
    [
        (walk(time_s=np.full(10, np.nan)), np.nan, "no times"),
        (utc_walk(1e6, 600), np.nan, "longer than"),
        (utc_walk(1e6), 1e6 + 400.0, "its positions are from"),
        (utc_walk(1e6, 4 * 3600), 1e6 + 7 * 3600.0, "its positions are from"),
    ],
)
def test_positions_that_cannot_be_timed_say_why(table, created_utc_s, why):
    with pytest.raises(plausibility.ClockError, match=why):
        on_clock(table, created_utc_s)
