"""Claims about dates as texts: all orders in which they are days are read or given as doubts."""

import datetime as dt

import pytest

from vidtag_ml.ingest.telemetry import dates


def joined(*days, clock="10:00:00"):
    return dates.joined("date", days, [clock] * len(days))


def readings(*days):
    """The first day in each order that is left."""
    found = joined(*days)
    moments = (found.utc_s[0] + shift_s for shift_s in (0.0, *found.shifts_s))
    return [dt.datetime.fromtimestamp(m, dt.UTC).date().isoformat() for m in moments]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("240601", ["2001-06-24", "2024-06-01"]),
        ("24/06/01", ["2001-06-24", "2024-06-01"]),
        ("24-06-13", ["2013-06-24", "2024-06-13"]),
        ("310524", ["2024-05-31"]),
        ("05/05/2024", ["2024-05-05"]),
        ("06/01/24", ["2024-01-06", "2024-06-01", "2006-01-24"]),
        ("01.06.24", ["2024-06-01", "2001-06-24"]),
        ("01.06.2024", ["2024-06-01"]),
        ("2024-06-01", ["2024-06-01"]),
        ("01/06/1999", ["1999-06-01", "1999-01-06"]),
    ],
)
def test_orders_that_are_possible_are_left(written, read):
    assert readings(written) == read
    assert bool(joined(written).told) == (len(read) > 1)


def test_one_day_decides_the_order_of_all():
    assert readings("240613", "240630") == ["2024-06-13"]
    assert readings("06/01/2024", "06/13/2024") == ["2024-06-01"]


def test_times_without_seconds_are_told():
    (told,) = joined("2024-06-01", clock="10:00").told
    assert told == "date tells no seconds: positions may be up to a minute early"
    assert joined("2024-06-01", clock="10:00:00").told == ()


@pytest.mark.parametrize("day", ["2024-06-13", "13.06.2024"])
def test_one_date_that_goes_on_after_midnight_is_that_of_the_begin_and_told(day):
    found = dates.joined("time", [day] * 4, ["23:59:58", "23:59:59", "00:00:00", ""])
    assert (found.utc_s[:3] - found.utc_s[0]).tolist() == [0, 1, 2]
    assert "one date goes on after midnight" in found.told[0]
    assert found.shifts_s == (-86400.0,)


def test_a_log_that_begins_with_the_latest_goes_on_after_no_midnight():
    found = dates.joined("time", ["2024-06-13"] * 3, ["23:59:58", "12:00:00", "00:00:01"])
    assert found.utc_s[0] - found.utc_s[2] == 86397
