"""Claims about columns of times: units, epochs, dates in every order, and what is told of them."""

import datetime as dt

import numpy as np
import pytest

from vidtag_ml.ingest.telemetry import times

TRUE_S = dt.datetime(2024, 5, 21, 10, 0, 0, tzinfo=dt.UTC).timestamp()
WALK = np.stack([47.0 + np.arange(3) * 1e-5, np.full(3, 8.0)], -1)
"""One metre a row."""
SINCE = {"1970": 0, "1904": 2082844800, "2001": -978307200, "2000": -946684800}
SINCE |= {"1980": -315964800 + 18, "1900": 2208988800}
UNITS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}


def read(**columns):
    return times.read(columns, WALK)


@pytest.mark.parametrize("epoch", SINCE)
@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_since_every_epoch_is_found_or_given_as_a_doubt(epoch, unit):
    cells = [str((int(TRUE_S) + k + SINCE[epoch]) * UNITS[unit]) for k in range(3)]
    found = read(timestamp=cells)
    doubts_s = [0.0, *found.shifts_s]
    assert any(np.allclose(found.utc_s + s, TRUE_S + np.arange(3), atol=0.01) for s in doubts_s)
    if unit != "seconds" or epoch in ("1900", "1904", "2001", "2000"):
        assert f"is taken as {unit} since" in found.told[0]


@pytest.mark.parametrize(
    ("since_s", "told"), [(11644473600, "1601, as Windows"), (62135596800, "the year 1, as .NET")]
)
def test_tenths_of_microseconds_are_those_of_windows(since_s, told):
    found = read(timestamp=[str((int(TRUE_S) + k + since_s) * 10**7) for k in range(3)])
    assert found.utc_s == pytest.approx(TRUE_S + np.arange(3), abs=0.01)
    assert f"is taken as tenths of microseconds since {told}" in found.told[0]


def test_seconds_since_1970_are_no_assumption():
    assert read(timestamp=["1716285600"] * 3).told == ()


def test_a_name_with_gps_counts_as_gps_does_with_leap_seconds():
    found = read(gpstime=[str(1400320818 + k) for k in range(3)])
    assert found.utc_s.tolist() == [TRUE_S, TRUE_S + 1, TRUE_S + 2]
    assert found.told == ("gpstime is taken as seconds since 1980, as GPS counts",)


@pytest.mark.parametrize(
    ("written", "leaps"), [(630720013, 13), (1119744015, 16), (1119744016, 16), (1119744017, 17)]
)
def test_leap_seconds_are_those_of_the_day(written, leaps):
    found = read(gpstime_s=[str(written)] * 3)
    assert found.utc_s[0] == written + 315964800 - leaps


@pytest.mark.parametrize(
    ("step", "unit"), [(1, 1.0), (1000, 1e-3), (33, 1e-3), (10**6, 1e-6), (10**9, 1e-9)]
)
def test_numbers_since_the_start_have_the_unit_in_which_the_walk_moves(step, unit):
    found = read(t=[str(k * step) for k in range(3)])
    assert found.time_s == pytest.approx(np.arange(3) * step * unit)
    assert ("has no unit" in found.told[0]) == (step != 1)


def test_a_minute_between_positions_is_a_minute_where_the_track_moves_so():
    drive = WALK + np.arange(3)[:, None] * 0.01
    found = times.read({"t": ["0", "60", "120"]}, drive)
    assert found.time_s.tolist() == [0, 60, 120]


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("time_ms", ("0", "500", "1000")),
        ("elapsed_us", ("0", "500000", "1000000")),
        ("ms", ("0", "500", "1000")),
        ("cts_ns", ("0", "500000000", "1000000000")),
        ("elapsed", ("0:00:00", "0:00:00.5", "0:00:01")),
    ],
)
def test_a_unit_in_the_name_is_believed(name, cells):
    assert read(**{name: cells}).time_s.tolist() == [0, 0.5, 1]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Time (s)", "time_s"),
        ("time[ms]", "time_ms"),
        ("Time (UTC)", "timeutc"),
        ("Date/Time", "datetime"),
        ("UTC time", "utctime"),
        ("GPS_Time", "gpstime"),
        ("gps date", "gpsdate"),
        ("t", "t"),
        ("T_S", "t_s"),
        ("timestampMs", "timestamp_ms"),
        ("time(millisecond)", "time_ms"),
        ("Elapsed time (\u00b5s)", "elapsedtime_us"),
        ("speed (m/s)", None),
        ("times", None),
        ("", None),
    ],
)
def test_columns_of_times_go_by_every_usual_name(written, name):
    assert times.name(written) == name


@pytest.mark.parametrize(
    "cell",
    [
        "2024-05-21T10:00:00Z",
        "2024-05-21 12:00:00+02:00",
        "2024-05-21T12:00:00.000+0200",
        "2024:05:21 10:00:00",
        "2024/05/21 10:00:00",
        "21.05.2024 10:00:00",
        "21/05/2024 10:00",
        "05/21/2024 10:00:00 AM",
        "5/21/24, 10:00:00 am",
        "20240521100000",
        "20240521T100000Z",
        "20240521100000000",
        "2024-05-21 12:00:00 UTC+2",
        "2024-05-21 03:00:00 \u221207:00",
        "21/05/2024 10:00:00 a. m.",
        "240521100000.000",
        "20240521T120000+0200",
        "May 21, 2024 10:00:00 AM",
        "21 May 2024 10:00:00 UTC",
        "Tue, 21 May 2024 10:00:00 GMT",
        "Tue May 21 10:00:00 2024",
        "2024-05-21 10:00:00 UTC",
        "2024-05-20 23:59:60",
    ],
)
def test_dates_are_read_however_they_are_written(cell):
    leap_s = TRUE_S - 10 * 3600
    assert read(time=[cell] * 3).utc_s[0] == (leap_s if ":60" in cell else TRUE_S)


@pytest.mark.parametrize(
    ("date", "clock"),
    [
        ("2024-05-21", "10:00:00"),
        ("21.05.2024", "12:00:00+02:00"),
        ("2024:05:21", "10:00:00.00"),
        ("20240521", "100000.0"),
        ("210524", "100000"),
        ("05/21/2024", "10:00:00 AM"),
        ("21 May 2024", "10:00"),
    ],
)
@pytest.mark.parametrize("names", [("date", "time"), ("gpsdate", "gpstime"), ("utcdate", "utc")])
def test_a_date_and_a_time_of_day_are_a_moment(date, clock, names):
    found = read(**dict(zip(names, ([date] * 3, [clock] * 3), strict=True)))
    assert found.utc_s.tolist() == [TRUE_S] * 3
    assert np.isnan(found.time_s).all()


def test_a_day_and_month_that_may_be_either_are_told_and_the_other_is_given():
    found = read(date=["04/06/2024"] * 3, time=["10:00:00"] * 3)
    assert dt.datetime.fromtimestamp(found.utc_s[0], dt.UTC).month == 6
    assert "04/06/2024 is read as day, month, year" in found.told[0]
    other = dt.datetime.fromtimestamp(found.utc_s[0] + found.shifts_s[0], dt.UTC)
    assert (other.month, other.day) == (4, 6)


def test_one_number_above_twelve_tells_which_is_the_day():
    found = read(time=["04/30/2024 10:00:00", "05/01/2024 10:00:00", "05/02/2024 10:00:00"])
    assert np.diff(found.utc_s).tolist() == [86400, 86400]
    assert (found.told, found.shifts_s) == ((), ())


@pytest.mark.parametrize(
    "cells", [("10:00:00", "10:00:01", "10:00:02"), ("soon",) * 3, ("99/99/2024 10:00:00",) * 3]
)
def test_what_tells_no_moment_is_no_time(cells):
    found = read(time=cells)
    assert np.isnan(found.time_s).all()
    assert np.isnan(found.utc_s).all()


@pytest.mark.parametrize(
    ("cells", "wanted", "said"),
    [
        (("00:00", "00:01", "00:02"), [0, 1, 2], "minutes and seconds"),
        (("00:59", "01:00", "61:01"), [59, 60, 3661], "minutes and seconds"),
        (("0:00.5", "0:01,5", ""), [0.5, 1.5, np.nan], "minutes and seconds"),
    ],
)
@pytest.mark.parametrize("speed", [0.0, 1.0, 30.0])
def test_two_numbers_are_minutes_and_seconds_of_a_track_that_goes_on(cells, wanted, said, speed):
    found = times.read({"time": cells}, WALK[0] + (WALK - WALK[0]) * speed)
    np.testing.assert_array_equal(found.time_s, wanted)
    assert found.told == (f"time is taken as {said} from the first frame",)


def test_two_numbers_are_hours_and_minutes_where_the_track_moves_so():
    walk = WALK[0] + (WALK - WALK[0]) * 70
    found = times.read({"time": ["00:00", "00:01", "00:02"]}, walk)
    assert found.time_s.tolist() == [0, 60, 120]
    assert "hours and minutes" in found.told[0]
    assert np.isnan(times.read({"time": ["10:00", "10:01", "10:02"]}, walk).time_s).all()


def test_local_time_is_told():
    found = read(localtime=["2024-05-21 10:00:00"] * 3)
    assert found.told == ("localtime: tells no time zone, taken as UTC",)


def test_one_cell_that_is_nothing_does_not_change_what_the_others_mean():
    cells = ["0", *(str(1716285600 + k) for k in range(5))]
    found = times.read({"timestamp": cells}, np.repeat(WALK, 2, axis=0))
    assert found.utc_s[1] == TRUE_S


def test_a_moment_of_the_world_is_believed_before_a_time_since_some_start():
    found = read(time_ms=["60000", "61000", "62000"], datetimeutc=["2024-05-21 10:00:00"] * 3)
    assert found.utc_s.tolist() == [TRUE_S] * 3
    assert np.isnan(found.time_s).all()


def test_days_as_spreadsheets_count_them_are_moments():
    found = read(time=[f"{TRUE_S / 86400 + 25569 + k / 86400:.9f}" for k in range(3)])
    assert found.utc_s == pytest.approx(TRUE_S + np.arange(3), abs=0.01)
    assert "spreadsheets" in found.told[0]


@pytest.mark.parametrize(
    ("zero", "what"),
    [
        (24107.0, "since 1904"), (2440587.5, "Julian"), (40587.0, "modified Julian"),
        (719529.0, "MATLAB"),
    ],
)  # fmt: skip
def test_days_since_other_epochs_are_read_or_given_as_a_doubt(zero, what):
    found = read(timestamp=[f"{TRUE_S / 86400 + zero + k / 86400:.9f}" for k in range(3)])
    doubts_s = [0.0, *found.shifts_s]
    assert any(np.allclose(found.utc_s + s, TRUE_S + np.arange(3), atol=0.01) for s in doubts_s)
    assert len(doubts_s) > 1 or what in found.told[0]


def test_columns_from_years_to_seconds_are_a_moment():
    parts = {"year": "2024", "month": "5", "day": "21", "hour": "10", "minute": "0"}
    columns = {name: [cell] * 3 for name, cell in parts.items()}
    found = read(**columns, second=["17", "17.5", "18"])
    assert found.utc_s.tolist() == [TRUE_S + 17, TRUE_S + 17.5, TRUE_S + 18]
    assert found.told == ()
    assert "tells no seconds" in read(**columns).told[0]


def test_seconds_beside_minutes_are_no_time_since_a_start():
    assert np.isnan(read(hour=["10"] * 3, minute=["0"] * 3, second=["17", "18", "19"]).time_s).all()


@pytest.mark.parametrize(
    "cells", [("23:59:59", "00:00:00", "00:00:01"), ("235959", "000000", "1"), ("86399", "0", "1")]
)
def test_a_time_of_day_that_goes_on_after_midnight_is_none_since_a_start(cells):
    assert np.isnan(read(time=cells).time_s).all()


@pytest.mark.parametrize(
    "names", [("datum", "uhrzeit"), ("fecha", "hora"), ("date", "heure"), ("data", "ora")]
)
def test_columns_have_names_in_other_languages(names):
    found = read(**dict(zip(names, (["21/05/2024"] * 3, ["10:00:00"] * 3), strict=True)))
    assert found.utc_s.tolist() == [TRUE_S] * 3


@pytest.mark.parametrize(("name", "factor"), [("tow", 1), ("tow_ms", 1000), ("itow", 1000)])
def test_weeks_of_gps_and_the_time_in_them_are_moments(name, factor):
    week, in_week_s = divmod(TRUE_S - 315964800 + 18, 604800)
    found = read(gpsweek=[str(int(week))] * 3, **{name: [str(in_week_s * factor)] * 3})
    assert found.utc_s.tolist() == [TRUE_S] * 3


@pytest.mark.parametrize("year", [2004, 2018, 2024])
def test_weeks_that_begin_anew_have_the_leap_seconds_of_their_day(year):
    true_s = dt.datetime(year, 5, 21, 10, tzinfo=dt.UTC).timestamp()
    leaps = {2004: 13, 2018: 18, 2024: 18}[year]
    week, in_week_s = divmod(true_s - 315964800 + leaps, 604800)
    found = read(gpsweek=[str(int(week) % 1024)] * 3, tow=[str(in_week_s)] * 3)
    assert true_s in [found.utc_s[0] + shift_s for shift_s in (0.0, *found.shifts_s)]
    assert found.told == ("gpsweek is taken to begin anew at 1024",)


def test_dates_with_points_have_their_day_first():
    found = read(time=["04.06.2024 10:00:00"] * 3)
    assert dt.datetime.fromtimestamp(found.utc_s[0], dt.UTC).month == 6
    assert (found.told, found.shifts_s) == ((), ())
