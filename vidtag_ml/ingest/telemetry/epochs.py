"""Numbers that count from an epoch: seconds, their parts, and days.

Belongs here: epochs, units, leap seconds, which of them a number may mean. Does not belong here:
names of columns (times.py), dates as texts (dates.py). Shape legend: N numbers.
"""

import bisect
import datetime as dt
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.ingest.telemetry import dates

Floats = NDArray[np.float64]

SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ticks": 1e-7, "ns": 1e-9}
"""In each unit, the largest first."""
IN_FULL = {
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ticks": "tenths of microseconds",
    "ns": "nanoseconds",
}
UNIX, GPS = "1970", "1980, as GPS counts"
_SINCE = {
    name: dt.datetime(*date, tzinfo=dt.UTC).timestamp()
    for name, date in {
        UNIX: (1970, 1, 1),
        "1904, as in QuickTime": (1904, 1, 1),
        "2001, as Apple counts": (2001, 1, 1),
        GPS: (1980, 1, 6),
        "2000": (2000, 1, 1),
        "1900, as NTP counts": (1900, 1, 1),
        "1601, as Windows counts": (1601, 1, 1),
        "the year 1, as .NET counts": (1, 1, 1),
    }.items()
}
ROLLOVER_S = 1024 * 7 * 86400.0
"""After so long the weeks of GPS begin anew in ten bits."""
_OF_TICKS = ("1601, as Windows counts", "the year 1, as .NET counts")
_LEAPS = (
    (1981, 7), (1982, 7), (1983, 7), (1985, 7), (1988, 1), (1990, 1), (1991, 1), (1992, 7),
    (1993, 7), (1994, 7), (1996, 1), (1997, 7), (1999, 1), (2006, 1), (2009, 1), (2012, 7),
    (2015, 7), (2017, 1),
)  # fmt: skip
"""Years and months before which a leap second was put in since GPS began."""
_LEAPS_S = [
    dt.datetime(*leap, 1, tzinfo=dt.UTC).timestamp() + num for num, leap in enumerate(_LEAPS, 1)
]
"""When the clock of GPS showed their end, in seconds since 1970 by that clock."""
_DAYS = {
    "days since 1899, as spreadsheets count": 25569.0,
    "days since 1904, as spreadsheets may count": 24107.0,
    "Julian days": 2440587.5,
    "modified Julian days": 40587.0,
    "days since the year 0, as MATLAB counts": 719529.0,
}
"""The first of 1970 by each."""


def utc_s(number_N: Floats, unit: str, epoch: str) -> Floats:
    """Seconds since 1970 of numbers in a unit since an epoch, without leap seconds."""
    utc_N = number_N * SECONDS[unit] + _SINCE[epoch]
    if epoch != GPS:
        return utc_N
    leaps_N = [bisect.bisect_right(_LEAPS_S, moment) for moment in utc_N]
    return np.asarray(utc_N - np.array(leaps_N, float))


def likely(given: Floats, units: Sequence[str], *, is_gps: bool) -> list[tuple[str, str]]:
    """The largest unit, and epochs, under which numbers are neither too old nor of the future.

    Args:
        given: numbers, of which there is one at least.
        units: those that come into question, the largest first.
        is_gps: whether the epoch of GPS is the likeliest.
    """
    middle = np.median(given, keepdims=True)
    for unit in units:
        names = [name for name in _SINCE if (unit == "ticks") == (name in _OF_TICKS)]
        names.sort(key=lambda name: is_gps and name != GPS)
        if found := [
            name for name in names if dates.is_likely(float(utc_s(middle, unit, name)[0]))
        ]:
            return [(unit, name) for name in found]
    return []


def days(given: Floats) -> dict[str, float]:
    """What numbers are, in days and parts of days, and their first of 1970; empty if they are not.

    The likeliest comes first.
    """
    if np.ptp(given) >= 2 or not (given % 1 > 0).any():
        return {}
    middle = float(np.median(given))
    return {
        what: zero for what, zero in _DAYS.items() if dates.is_likely((middle - zero) * 86400.0)
    }
