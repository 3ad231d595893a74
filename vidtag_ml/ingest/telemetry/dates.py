"""Dates and times of day as texts, in whatever order and form they are written.

A date of two-digit numbers may be read in several orders. Those under which all of a column are
days, neither before 2000 nor of the future, are left; the likeliest is taken, which is told, and
the others are given, so that the video's own clock decides.

Belongs here: what one text means, and columns of them. Does not belong here: numbers that count
from an epoch, names of columns (times.py), ISO 8601 alone (text.py), zones (zones.py).
Shape legend: N rows.
"""

import datetime as dt
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.ingest.telemetry import zones

Floats = NDArray[np.float64]

_OLDEST_S = dt.datetime(2000, 1, 1, tzinfo=dt.UTC).timestamp() - zones.LAST_S
"""The first of 2000 in the zone that is furthest ahead."""
_DATE = re.compile(r"(\d{1,4})[-/.:](\d{1,2})[-/.:](\d{1,4})", re.ASCII)
_COMPACT = re.compile(
    r"((?:20)?[0-4]\d)(0[1-9]|1[0-2])([0-2]\d|3[01])"
    r"[T_ -]?([01]\d|2[0-3])([0-5]\d)([0-5]\d(?:\.\d*)?|60)(Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_MILLIS = re.compile(r"(20\d{12})(\d{3})", re.ASCII)
"""The same with thousandths of seconds at its end."""
_COMPACT_DATE = re.compile(r"(20\d\d)(\d\d)(\d\d)|(\d\d)(\d\d)(\d\d)", re.ASCII)
CLOCK = re.compile(
    r"(\d{1,2}):(\d\d)(?::(\d\d(?:[.,:]\d*)?))?\s*([ap]\.?\s?m\.?)?\s*(.*)",
    re.ASCII | re.IGNORECASE,
)
"""A time of day, or since a start."""
_COMPACT_CLOCK = re.compile(r"(\d{1,2})(\d\d)(\d\d(?:\.\d*)?)", re.ASCII)
_WEEKDAY = re.compile(r"\A(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+", re.IGNORECASE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMED = re.compile(
    rf"(?:(\d{{1,2}})[ -])?({'|'.join(_MONTHS)})[a-z]*\.?[ -](?:(\d{{1,2}}),? +)?(\d{{4}})",
    re.ASCII | re.IGNORECASE,
)
_ORDERS = {
    "day, month, year": (2, 1, 0),
    "month, day, year": (2, 0, 1),
    "year, month, day": (0, 1, 2),
}
"""Where year, month and day stand in dates that do not begin with a year of four digits."""
_DAY_FIRST = ("day, month, year", "year, month, day")
"""Of them, those of dates with points."""
_DAY_S = 86400.0
_NO_SECONDS = "tells no seconds: positions may be up to a minute early"


@dataclass(frozen=True)
class Moments:
    """Seconds since 1970 of dates and times of day."""

    utc_s: Floats
    """NaN where there is none (N,)."""
    told: tuple[str, ...] = ()
    """What was assumed, a sentence each."""
    shifts_s: tuple[float, ...] = ()
    """By how much all may be later, where a doubt is left; the likeliest first."""


@dataclass(frozen=True)
class Clock:
    """A time of day."""

    time_s: float
    """Since midnight."""
    ahead_s: float = 0.0
    """How far its zone is ahead of UTC."""
    zoned: bool = False
    """Whether it names one."""
    is_whole: bool = False
    """Whether it tells hours and minutes alone."""


NOTHING = Clock(math.nan)
"""No time of day."""


def is_likely(moment_s: float) -> bool:
    """Whether a recording may be of a moment: neither before 2000 nor of the future."""
    return _OLDEST_S <= moment_s < dt.datetime.now(dt.UTC).timestamp() + _DAY_S


def compact(cell: str) -> str | None:
    """A moment that is written without marks, with marks; None if the text is none.

    >>> compact("20240521T120000+0200"), compact("20240521100000500"), compact("1716285600")
    ('2024-05-21 12:00:00+0200', '2024-05-21 10:00:00.500', None)
    """
    found = _COMPACT.fullmatch(_MILLIS.sub(r"\1.\2", cell) if len(cell) == 17 else cell)
    if not found:
        return None
    year, month, day, hours, minutes, seconds, zone = found.groups()
    year = year if len(year) == 4 else f"20{year}"
    return f"{year}-{month}-{day} {hours}:{minutes}:{seconds}{zone or ''}"


def parted(cell: str) -> tuple[str, str]:
    """The date and the time of day of a text; two empty texts if it is none."""
    cell = _WEEKDAY.sub("", cell)
    cell = compact(cell) or cell
    for pattern in (_DATE, _NAMED):
        if found := pattern.match(cell):
            return found[0], cell[found.end() :].lstrip("T,_ -" if pattern is _DATE else "T, ")
    # As C writes it: May  6 18:15:07 2019
    if found := re.fullmatch(r"([A-Za-z]{3}) +(\d{1,2}) +([\d:.]+) +(?:[A-Z]+ +)?(\d{4})", cell):
        return f"{found[2]} {found[1]} {found[4]}", found[3]
    return "", ""


def joined(column: str, dates: Sequence[str], clocks: Sequence[str]) -> Moments | None:
    """Moments of dates and times of day in a column of this name; None if there is none."""
    day_N, told, shifts_s = _days([date.strip() for date in dates])
    read = [clock(written) for written in clocks]
    utc_s = day_N + np.array([one.time_s - one.ahead_s for one in read])
    if np.isnan(utc_s).all():
        return None
    known = [one for one, moment_s in zip(read, utc_s, strict=True) if not math.isnan(moment_s)]
    said = [f"{column}: {told}"] if told else []
    if (later_N := _midnights(utc_s)).any():
        utc_s = utc_s + _DAY_S * later_N
        said.append(f"{column}: one date goes on after midnight: it is that of the begin")
        shifts_s = (*shifts_s, -_DAY_S * later_N.max())
    if all(one.is_whole for one in known):
        said.append(f"{column} {_NO_SECONDS}")
    if "local" in column and not any(one.zoned for one in known):
        said.append(f"{column}: tells no time zone, taken as UTC")
    return Moments(utc_s, tuple(said), shifts_s)


def _midnights(utc_s: Floats) -> Floats:
    """How many midnights passed that no date tells (N,): moments of one day that fall by half one.

    Some devices write the date on which a recording began, or ended, into all of it.
    """
    known_K = utc_s[np.isfinite(utc_s)]
    if np.ptp(known_K // _DAY_S):
        return np.zeros(len(utc_s))
    fell_N = np.zeros(len(utc_s))
    fell_N[np.flatnonzero(np.isfinite(utc_s))[1:]] = np.diff(known_K) < -_DAY_S / 2
    return np.cumsum(fell_N)


def clock(written: str) -> Clock:
    """A time of day; a leap second, 23:59:60, is the first of the next day.

    >>> clock("10:00:30.5 PM"), clock("soon").time_s
    (Clock(time_s=79230.5, ahead_s=0.0, zoned=False, is_whole=False), nan)
    """
    written = written.strip()
    if found := _COMPACT_CLOCK.fullmatch(written):
        hours, minutes, seconds = int(found[1]), int(found[2]), float(found[3])
        half, zone, is_whole = "", "", False
    elif found := CLOCK.fullmatch(written):
        hours, minutes, is_whole = int(found[1]), int(found[2]), not found[3]
        seconds = float((found[3] or "0").replace(",", ".").replace(":", "."))
        half, zone = (found[4] or "").lower()[:1], found[5].strip()
    else:
        return NOTHING
    if half:
        hours = hours % 12 + (12 if half == "p" else 0)
    ahead_s = zones.ahead_s(zone) if zone else 0.0
    if math.isnan(ahead_s) or hours > 23 or minutes > 59 or seconds >= 61:
        return NOTHING
    return Clock(3600 * hours + 60 * minutes + seconds, ahead_s, bool(zone), is_whole)


def _days(dates: Sequence[str]) -> tuple[Floats, str, tuple[float, ...]]:
    """Seconds since 1970 of midnights (N,), what was assumed, and how much later all may be.

    Of the orders under which most are days, the likeliest is taken.
    """
    orders = _DAY_FIRST if any("." in date for date in dates) else tuple(_ORDERS)
    known = {date: [_day_s(date, order) for order in orders] for date in set(dates)}
    likely = {date: [is_likely(day_s) for day_s in days_s] for date, days_s in known.items()}
    days_NO, likely_NO = (
        np.array([of[date] for date in dates]).reshape(-1, len(orders)) for of in (known, likely)
    )
    counts_O = (likely_NO if likely_NO.any() else np.isfinite(days_NO)).sum(0)
    first, *others = np.flatnonzero(counts_O == counts_O.max())
    apart_NO = days_NO - days_NO[:, [first]]
    shifts = [float(np.nanmedian(apart_NO[:, k])) for k in others if counts_O[k]]
    shifts = [shift_s for shift_s in shifts if shift_s]
    said = next((date for date in dates if np.ptp(np.nan_to_num(known[date]))), "")
    told = f"{said} is read as {orders[first]}" if shifts else ""
    return days_NO[:, first], told, tuple(shifts)


def _day_s(date: str, order: str) -> float:
    """Seconds since 1970 of a midnight; NaN if a date is none in an order."""
    if found := _DATE.fullmatch(date):
        year, month, day = _ordered(found.groups(), order)
    elif found := _NAMED.fullmatch(date):
        day, year = int(found[1] or found[3] or 0), int(found[4])
        month = _MONTHS.index(found[2].lower()) + 1
    elif found := _COMPACT_DATE.fullmatch(date):
        year, month, day = _ordered([part for part in found.groups() if part], order)
    else:
        return math.nan
    try:
        return dt.datetime(year, month, day, tzinfo=dt.UTC).timestamp()
    except ValueError:
        return math.nan


def _ordered(parts: Sequence[str], order: str) -> tuple[int, int, int]:
    """Year, month and day of three numbers; four digits at the begin are a year."""
    at = _ORDERS["year, month, day" if len(parts[0]) > 2 else order]
    year, month, day = (int(parts[k]) for k in at)
    is_short = len(parts[at[0]]) <= 2
    return (2000 + year if is_short else year), month, day
