"""Claims about the zone of a video's clock: which reading is taken, and that others are told."""

import dataclasses
import datetime as dt

import numpy as np
import pytest

from tests.data.recordings import NOON, film, stamped, walked
from tests.vidtag_ml.ingest.own.conftest import HOW
from vidtag_ml.ingest.own import clocks, plausibility, readings
from vidtag_ml.ingest.telemetry import points

HOUR_S = 3600.0
TRUE_S = NOON.timestamp()


def track(first_s, last_s, lat=52.0, lon=4.0):
    """Fixes from one time to another, by the second around the video at noon."""
    utc_s = np.arange(TRUE_S + first_s, TRUE_S + last_s + 1, 10.0)
    return points.table(utc_s=utc_s, lat=np.full(len(utc_s), lat), lon=np.full(len(utc_s), lon))


def read(table, written_s=0.0, offset_s=0.0, **known):
    """When the video began by its clock, in seconds after noon, and what was assumed."""
    clock = clocks.Clock(TRUE_S + written_s, **known)
    found, told = plausibility.on_video_clock(table, clock, 60.0, offset_s, 2.0)
    return found["utc_s"][0] - found["time_s"][0] - TRUE_S, told


def test_several_readings_are_told_and_utc_is_taken():
    began_s, (told,) = read(track(-2 * HOUR_S, HOUR_S))
    assert began_s == 0
    assert "UTC (taken), UTC+2 (local time there, Europe/Amsterdam)" in told
    assert "UTC+0:30 to UTC+1:30" in told
    assert "UTC-" in told
    assert "--time-zone or --time-offset" in told


def test_a_camera_known_to_write_local_time_is_read_so_and_utc_is_told():
    table = track(-HOUR_S, 3 * HOUR_S)
    began_s, (told,) = read(table, 2 * HOUR_S, is_local="GoPros with firmware HD7")
    assert began_s == 0
    assert "UTC+2 (taken: local time there, Europe/Amsterdam, as GoPros with" in told
    assert "write it), UTC, " in told


def test_where_utc_has_no_position_local_time_is_taken_and_others_told():
    began_s, (told,) = read(track(-HOUR_S, 1.5 * HOUR_S), 2 * HOUR_S)
    assert began_s == 0
    assert "UTC+2 (taken: local time there" in told
    assert "UTC+1" in told


def test_where_neither_fits_nothing_is_taken_and_the_fitting_ones_are_named():
    with pytest.raises(plausibility.ClockError, match=r"read as UTC\+3:30 to UTC\+7:30 the video"):
        read(track(-4 * HOUR_S, 0.1 * HOUR_S), 3.5 * HOUR_S, is_local="")


@pytest.mark.parametrize(
    ("known", "offset_s"),
    [
        ({"zone_is_known": True}, 0.0),
        ({"is_local": "GoPros"}, 7200.0),
        ({"is_local": "GoPros"}, -7200.0),
    ],
)
def test_a_clock_that_is_known_or_corrected_by_hand_leaves_no_doubt(known, offset_s):
    began_s, told = read(track(-5 * HOUR_S, 5 * HOUR_S), offset_s=offset_s, **known)
    assert (began_s, told) == (-offset_s, [])


def test_a_small_correction_by_hand_decides_no_zone():
    began_s, told = read(track(-5 * HOUR_S, 5 * HOUR_S), offset_s=1.5, is_local="GoPros")
    assert began_s == pytest.approx(-2 * HOUR_S - 1.5)
    assert "UTC, " in told[0]


def test_a_track_as_long_as_its_video_leaves_no_doubt():
    assert read(track(-300, 360)) == (0.0, [])


@pytest.mark.parametrize("lon", [178.0, -178.0])
def test_zones_reach_over_both_sides_of_the_date_line(lon):
    there_s = clocks.ahead_s(clocks.zone_at(10.0, lon), TRUE_S)[0]
    table = track(-HOUR_S, 15 * HOUR_S * (lon > 0) + HOUR_S, lat=10.0, lon=lon)
    began_s, _ = read(table, there_s, is_local="GoPros")
    assert began_s == 0


def test_zones_are_told_as_ranges():
    told = list(readings._runs([-19800, -18000, -16200, -3600, 7200, 20700]))
    assert told == ["UTC-5:30 to UTC-4:30", "UTC-1", "UTC+2", "UTC+5:45"]


def filmed(folder, name, seed=0):
    """A video at 14:00 by a clock of Zurich, and a track of three hours around it."""
    path = film(folder / f"{name}.MP4", seed)
    stamped(path, creation_time="2024-06-01T14:00:00Z")
    walked(path.with_suffix(".gpx"), 3 * 3600, began=NOON.replace(hour=11, minute=30))
    return path


def test_a_gopro_in_a_long_track_is_where_it_was_at_its_local_time(tmp_path, take):
    (told,) = take(filmed(tmp_path / "v", "GX010001")).accepted
    assert told.lat_min == pytest.approx(47.0 + 1798 / 111_195, abs=1e-6)
    assert "UTC+2 (taken: local time there, Europe/Zurich" in told.repairs[0]


def test_the_time_zone_of_a_folder_decides_silently(tmp_path, take):
    zones = {"GX010001": ("UTC", 9000), "a": ("Europe/Berlin", 1800)}
    for seed, (name, (time_zone, start)) in enumerate(zones.items()):
        how = dataclasses.replace(HOW, time_zone=time_zone)
        (told,) = take(filmed(tmp_path / name, name, seed), how=how).accepted
        assert told.lat_min == pytest.approx(47.0 + (start - 2) / 111_195, abs=1e-6)
        assert not [said for said in told.repairs if "left out" not in said]


@pytest.mark.parametrize(
    ("names", "first", "told"),
    [
        ("date,time", "06/01/2024,12:00:0", "its dates, read as 2024-01-06, are 2024-06-01"),
        ("date,time", "01/06/2024,12:00:0", "01/06/2024 is read as day, month, year"),
        ("timestamp", "1401278418", "its dates, read as 2014-05-28, are 2024-06-01"),
        ("timestamp", "738936000", "timestamp is taken as seconds since 2001"),
        ("timestamp", "770558400", "its dates, read as 2025-06-02, are 2024-06-01"),
    ],
)
def test_a_date_in_doubt_is_decided_by_the_video_and_told(tmp_path, take, names, first, told):
    path = film(tmp_path / "v" / "a.mp4", num=6)
    stamped(path, creation_time="2024-06-01T12:00:00Z")
    cells = [str(int(first) + k) if first.isdecimal() else f"{first}{k}" for k in range(6)]
    rows = [f"{cell},{47 + k / 1e5},8\n" for k, cell in enumerate(cells)]
    path.with_suffix(".csv").write_text(f"{names},lat,lon\n{''.join(rows)}")
    (found,) = take(path).accepted
    assert found.num_fixes == 6
    assert any(told in repair for repair in found.repairs)


@pytest.mark.parametrize("weeks", [-1024, -2048, 1024])
@pytest.mark.parametrize("written_s", [0.0, 2 * HOUR_S])
def test_a_receiver_that_counts_weeks_up_to_1024_is_put_right(tmp_path, take, weeks, written_s):
    path = film(tmp_path / "v" / "a.mp4")
    when = NOON + dt.timedelta(seconds=written_s)
    stamped(path, creation_time=when.isoformat())
    walked(path.with_suffix(".gpx"), began=NOON + dt.timedelta(weeks=weeks))
    (found,) = take(path).accepted
    assert (found.num_fixes, round(found.lat_min, 6)) == (12, 47.0)
    assert "are 2024-06-01, when the video was made" in found.repairs[0]


@pytest.mark.parametrize(
    ("early_s", "began_s", "said"),
    [
        (60.0, -60.0, "ended, as its track shows, which lasts as long: begun 60.0 s before"),
        (20.0, 0.0, "begins 20 s before it by their clocks: --time-offset 20 if they began"),
        (-20.0, 0.0, "begins 20 s after it by their clocks: --time-offset -20 if they began"),
        (0.0, 0.0, ""),
    ],
)
def test_a_track_as_long_as_its_video_that_lies_beside_it_is_told(early_s, began_s, said):
    found_s, told = read(track(-early_s, 60 - early_s))
    assert found_s == began_s
    assert said in " ".join(told)


def test_a_track_as_long_as_its_video_and_far_from_it_is_refused_with_what_would_do():
    with pytest.raises(plausibility.ClockError, match="--time-offset -100 if they began together"):
        read(track(100, 160))


@pytest.mark.parametrize("is_local", ["", "GoPros"])
def test_a_reading_that_covers_the_video_comes_before_one_that_touches_it(is_local):
    began_s, (told,) = read(track(-HOUR_S, 2 * HOUR_S + 30), 2 * HOUR_S, is_local=is_local)
    assert began_s == 0
    assert "UTC+2 (taken: local time there" in told
    assert ", UTC, " in told


@pytest.mark.parametrize("is_local", ["", "GoPros"])
def test_local_time_is_taken_where_the_track_ends_in_the_video(is_local):
    began_s, (told,) = read(track(-2 * HOUR_S, 30), 2 * HOUR_S, is_local=is_local)
    assert began_s == 0
    assert "UTC+2 (taken: local time there" in told


@pytest.mark.parametrize(("lat", "lon", "hours"), [(27.7, 85.3, 5.75), (19.1, 72.9, 5.5)])
def test_quarters_of_hours_are_zones(lat, lon, hours):
    table = track(-7 * HOUR_S, 7 * HOUR_S, lat=lat, lon=lon)
    assert read(table, hours * HOUR_S, is_local="GoPros")[0] == 0


CHANGED_S = {"2024-10-27": 1729989000.0, "2024-03-31": 1711845000.0}
"""00:30Z, which may be 02:30 in Berlin where that comes twice, or never; as may be 01:30Z."""


def at_change(folder, day, first_s, last_s):
    """When a video of 02:30 in Berlin began, in seconds from 00:30Z, as is its track."""
    tags = {"creation_time": f"{day}T02:30:00Z"}
    clock = clocks.of(folder / "a.mp4", tags, "Europe/Berlin")
    table = track(first_s, last_s)
    table["utc_s"] += CHANGED_S[day] - TRUE_S
    found, told = plausibility.on_video_clock(table, clock, 60.0, 0.0, 2.0)
    return found["utc_s"][0] - found["time_s"][0] - CHANGED_S[day], " ".join(told)


@pytest.mark.parametrize("hours", [0, 1])
@pytest.mark.parametrize(
    ("day", "comes", "when"),
    [
        ("2024-10-27", "comes twice", ("before", "after")),
        ("2024-03-31", "never comes", ("after", "before")),
    ],
)
def test_a_time_at_which_clocks_were_changed_is_told_by_the_track(
    tmp_path, day, comes, when, hours
):
    began_s, told = at_change(tmp_path, day, hours * HOUR_S - 300, hours * HOUR_S + 300)
    assert began_s == hours * HOUR_S
    assert f"its clock's time {comes} in Europe/Berlin" in told
    assert f"{when[hours]} the change of clocks: {when[hours]} it is taken" in told


def test_a_time_that_comes_twice_on_one_track_is_told_with_both(tmp_path):
    began_s, told = at_change(tmp_path, "2024-10-27", -HOUR_S, 3 * HOUR_S)
    assert began_s == 0
    assert "UTC+2 is taken, not UTC+1, unless its track tells; --time-zone with +2 or +1" in told
    assert "before the change of clocks and after it as well: before it is taken" in told


def test_a_time_that_comes_twice_off_the_track_is_refused_with_both(tmp_path):
    with pytest.raises(plausibility.ClockError, match=r"comes twice .* \+2 or \+1 decides"):
        at_change(tmp_path, "2024-10-27", -2 * HOUR_S, -HOUR_S)


@pytest.mark.parametrize("hours", [0, 1])
def test_local_time_that_comes_twice_is_read_both_ways(hours):
    table = track(hours * HOUR_S - 600, hours * HOUR_S + 2400, lat=52.5, lon=13.4)
    table["utc_s"] += CHANGED_S["2024-10-27"] - TRUE_S
    written_s = CHANGED_S["2024-10-27"] + 2 * HOUR_S - TRUE_S
    assert read(table, written_s)[0] + TRUE_S - CHANGED_S["2024-10-27"] == hours * HOUR_S
