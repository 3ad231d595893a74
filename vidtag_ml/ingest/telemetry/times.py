"""Times in columns: how their names and cells say when a position was measured.

Numbers count in a unit from an epoch, or from the start of the video. The name may say which
(`time (ms)`, `gps_time`); else the epoch is the one under which the recording is neither older than
2000 nor of the future, and the unit of small numbers that which makes a position every twenty
seconds at least, where the track would hardly move in seconds. Texts are dates with a time of day,
in one column or in two. Where a doubt is left the likeliest comes first, and the others are given,
so that the video's own clock decides. What was assumed is told.

Belongs here: names, units, epochs, orders of day, month and year. Does not belong here: which
columns a file has (table.py), the video's clock (vidtag_ml.ingest.own.readings).
Shape legend: N rows, 2 = (lat, lon) in degrees.
"""

import bisect
import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.earth import sphere
from vidtag_ml.ingest.telemetry import text

Floats = NDArray[np.float64]
Columns = Mapping[str, Sequence[str]]

_UNITS = {
    "s": ("s", "sec", "secs", "second", "seconds"),
    "ms": ("ms", "msec", "msecs", "millis", "millisecond", "milliseconds"),
    "us": ("us", "\u00b5s", "\u03bcs", "usec", "usecs", "micros", "microsecond", "microseconds"),
    "ns": ("ns", "nsec", "nsecs", "nanos", "nanosecond", "nanoseconds"),
}
_UNIT_OF = {word: unit for unit, words in _UNITS.items() for word in words}
_SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_IN_FULL = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
_OF_VIDEO = ("time_s", "t_s", "cts", "videotime", "timeinvideo")
"""Names of times from the first frame, in whatever unit the first of them says."""
_OF_ANY_START = ("time_s",)
"""Of them, those that loggers count from their own start."""
_MOMENTS = (
    "timestamp", "utc", "datetime", "time", "ts", "utctime", "timeutc", "datetimeutc",
    "utcdatetime", "gpstime", "gpsdatetime", "gpstimestamp", "gpsutc", "gpsutctime", "unix",
    "unixtime", "unixtimestamp", "epoch", "epochtime", "posixtime", "systemtime", "isotime",
    "datetimeoriginal", "recordedat", "capturedat", "measuredat", "localtime", "timelocal",
    "datetimelocal", "localdatetime", "date",
)  # fmt: skip
_UNSURE = ("time", "localtime", "timelocal", "ts", "date")
"""Of them, those beside which a column that says more may stand."""
_WEEKS = ("gpsweek", "week", "weeknumber", "gpsweeknumber")
_IN_WEEK = ("gpstow", "tow", "timeofweek", "gpssow", "sow", "secondsofweek", "itow", "gpsmillis")
_DATES = ("date", "gpsdate", "utcdate", "dateutc", "gpsdatestamp", "localdate", "datelocal", "day")
_CLOCKS = (
    "time", "gpstime", "utctime", "timeutc", "utc", "gpstimestamp", "timestamp", "localtime",
    "timelocal", "clock", "timeofday",
)  # fmt: skip
_ELAPSED = (
    "elapsed", "elapsedtime", "timeelapsed", "offset", "reltime", "relativetime", "runtime",
    "timesincestart", "frametime",
)  # fmt: skip
_SINCE = ("t", *_ELAPSED, *_UNIT_OF)
_BASES = {*_OF_VIDEO, *_MOMENTS, *_DATES, *_CLOCKS, *_SINCE, *_WEEKS, *_IN_WEEK}
NAMES = frozenset({*_BASES, *(f"{base}_{unit}" for base in _BASES for unit in _UNITS)})
"""All names of columns that are read, as `name` gives them."""

_EPOCHS = {
    name: dt.datetime(*date, tzinfo=dt.UTC).timestamp()
    for name, date in {
        "1970": (1970, 1, 1),
        "1904, as in QuickTime": (1904, 1, 1),
        "2001, as Apple counts": (2001, 1, 1),
        "1980, as GPS counts": (1980, 1, 6),
        "2000": (2000, 1, 1),
    }.items()
}
_GPS, _UNIX = "1980, as GPS counts", "1970"
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
_OLDEST_S = _EPOCHS["2000"]
_DAYS, _AS_DAYS = 25569.0, "days since 1899, as spreadsheets count"
"""The first of 1970 by that."""
_LEAST_S = 1e8
"""Smaller numbers of seconds count from the start of a recording."""
_SPARSE_S, _STILL_KMH = 20.0, 0.4
_SLOW_KMH = 3.0
"""A drive at 180 km/h whose seconds are taken for minutes."""

_DATE = re.compile(r"(\d{1,4})[-/.:](\d{1,2})[-/.:](\d{1,4})", re.ASCII)
_COMPACT = re.compile(
    r"((?:20)?[0-4]\d)(0[1-9]|1[0-2])([0-2]\d|3[01])"
    r"[T_ -]?([01]\d|2[0-3])([0-5]\d)([0-5]\d(?:\.\d*)?|60)(Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_COMPACT_DATE = re.compile(r"(20\d\d)(\d\d)(\d\d)|(\d\d)(\d\d)(\d\d)", re.ASCII)
_CLOCK = re.compile(
    r"(\d{1,2}):(\d\d)(?::(\d\d(?:[.,:]\d*)?))?\s*([ap]\.?m\.?)?\s*(.*)", re.ASCII | re.IGNORECASE
)
_SHORT = re.compile(r"(\d{1,3}):([0-5]\d(?:[.,]\d*)?)", re.ASCII)
"""Minutes and seconds, or hours and minutes."""
_COMPACT_CLOCK = re.compile(r"(\d{1,2})(\d\d)(\d\d(?:\.\d*)?)", re.ASCII)
_ZONE = re.compile(r"(?:UTC|GMT|Z)?\s*(?:([+-])(\d{1,2}):?(\d\d)?)?", re.ASCII | re.IGNORECASE)
_WEEKDAY = re.compile(r"\A(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+", re.IGNORECASE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMED = re.compile(
    rf"(?:(\d{{1,2}})[ -])?({'|'.join(_MONTHS)})[a-z]*\.?[ -](?:(\d{{1,2}}),? +)?(\d{{4}})",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True)
class Times:
    """When positions were measured; NaN where it is not known."""

    time_s: Floats
    """Times (N,) from the first frame."""
    utc_s: Floats
    """Seconds since 1970 (N,)."""
    told: tuple[str, ...] = ()
    """What was assumed, a sentence each."""
    shifts_s: tuple[float, ...] = ()
    """By how much all of `utc_s` may be later, where a doubt is left; the likeliest first."""


def name(written: str) -> str | None:
    """The usual name of a column of times; None if it is none.

    >>> name("Time (ms)"), name("GPS time"), name("elapsed_us"), name("timestampNs"), name("speed")
    ('time_ms', 'gpstime', 'elapsed_us', 'timestamp_ns', None)
    """
    lower = written.strip().lower()
    if lower in NAMES:
        return lower
    words = re.findall(r"[^\W_]+", lower)
    unit = _UNIT_OF.get(words[-1]) if words else None
    if unit and "".join(words[:-1]) in _BASES:
        return f"{''.join(words[:-1])}_{unit}"
    if "".join(words) in _BASES:
        return "".join(words)
    glued = re.fullmatch(r"(\w+)([mun]s|sec)", lower)
    if glued and glued[1] in _BASES:
        return f"{glued[1]}_{_UNIT_OF[glued[2]]}"
    return None


def read(columns: Columns, latlon_N2: Floats) -> Times:
    """The times in columns: the first that is of the video, of the world, since some start."""
    size = len(latlon_N2)
    written = {
        bases: {n: _column(n, columns[n], latlon_N2) for n in _with_units(bases) if n in columns}
        for bases in (_OF_VIDEO, _MOMENTS, _SINCE)
    }
    of_video, moments, since = (
        {n: t for n, t in found.items() if t is not None} for found in written.values()
    )
    sure = [t for n, t in moments.items() if _is_sure(n, t)]
    # A number may be the time of day that belongs to a date.
    both = [t for t in (_in_two(columns), _in_weeks(columns)) if t is not None]
    ordered = [*of_video.values(), *sure, *both, *moments.values(), *since.values()]
    nothing = Times(np.full(size, np.nan), np.full(size, np.nan))
    return next(iter(ordered), nothing)


def without_starts(columns: Columns) -> tuple[Columns, tuple[str, ...]]:
    """Columns but those that may count from the start of a logger, and the names of those."""
    starts = tuple(n for n in columns if n in _with_units(_OF_ANY_START))
    return {n: cells for n, cells in columns.items() if n not in starts}, starts


def _is_sure(column: str, found: Times) -> bool:
    """Whether a column tells moments of the world, and no other is likelier to."""
    base = column.rpartition("_")[0] or column
    return base not in _UNSURE and not np.isnan(found.utc_s).all()


def _with_units(bases: Iterable[str]) -> list[str]:
    return [n for base in bases for n in (base, *(f"{base}_{unit}" for unit in _UNITS))]


def _column(column: str, cells: Sequence[str], latlon_N2: Floats) -> Times | None:
    """Times of one column; None if it has none."""
    number_N = np.array([text.number(cell) for cell in cells], np.float64)
    if np.isinf(number_N).any():
        number_N[np.isinf(number_N)] = np.nan
    if not np.isnan(number_N).all() and not all(map(_COMPACT.fullmatch, _given(cells))):
        return _numbers(column, number_N, latlon_N2)
    if (given := _given(cells)) and all(map(_SHORT.fullmatch, given)):
        return _short(column, cells, latlon_N2)
    return _moments(column, cells)


def _given(cells: Sequence[str]) -> list[str]:
    """Cells that say something."""
    return [cell.strip() for cell in cells if cell.strip(" -") and cell.strip().lower() != "na"]


def _numbers(column: str, number_N: Floats, latlon_N2: Floats) -> Times:
    base, _, unit = column.rpartition("_")
    base, unit = (base, unit) if base and unit in _UNITS else (column, _UNIT_OF.get(column, ""))
    unknown = np.full(len(number_N), np.nan)
    given = number_N[np.isfinite(number_N)]
    units = [unit] if unit else list(_UNITS)
    if not unit and base in _MOMENTS and _are_days(given):
        return Times(unknown, (number_N - _DAYS) * 86400.0, (f"{column} is taken as {_AS_DAYS}",))
    known = [] if base in _ELAPSED or _from_a_start(given, units) else _epochs(base, given, units)
    if not known:
        return _since_start(column, base, unit, number_N, latlon_N2)
    (counted, epoch), *others = known
    utc_s = _utc_s(number_N, counted, epoch)
    middle_s = float(np.nanmedian(utc_s))
    shifts = [float(_utc_s(np.median(given, keepdims=True), *o)[0]) - middle_s for o in others]
    told = f"{column} is taken as {_IN_FULL[counted]} since {epoch}"
    plain = epoch == _UNIX and (unit or counted == "s")
    return Times(unknown, utc_s, () if plain else (told,), tuple(shifts))


def _are_days(given: Floats) -> bool:
    """Whether numbers are days as spreadsheets count them, and parts of days."""
    return bool(
        given.min() > _DAYS + _OLDEST_S / 86400.0
        and given.max() < _DAYS + dt.datetime.now(dt.UTC).timestamp() / 86400.0 + 1
        and np.ptp(given) < 2
        and (given % 1 > 0).any()
    )


def _from_a_start(given: Floats, units: list[str]) -> bool:
    """Whether numbers are too small, or grow too much, to count from an epoch."""
    low, high = np.quantile(given, (0.25, 0.75))
    return bool(high * _SECONDS[units[0]] < _LEAST_S or low < high / 2)


def _epochs(base: str, given: Floats, units: list[str]) -> list[tuple[str, str]]:
    """The largest unit, and epochs, under which times are neither too old nor of the future."""
    tomorrow_s = dt.datetime.now(dt.UTC).timestamp() + 86400
    middle = np.median(given, keepdims=True)
    names = [_GPS, *_EPOCHS] if base.startswith("gps") else list(_EPOCHS)
    for unit in units:
        moments = {epoch: _utc_s(middle, unit, epoch)[0] for epoch in names}
        if found := [e for e, moment_s in moments.items() if _OLDEST_S <= moment_s < tomorrow_s]:
            return [(unit, epoch) for epoch in found]
    return []


def _utc_s(number_N: Floats, unit: str, epoch: str) -> Floats:
    utc_N = number_N * _SECONDS[unit] + _EPOCHS[epoch]
    if epoch != _GPS:
        return utc_N
    leaps_N = [bisect.bisect_right(_LEAPS_S, moment) for moment in utc_N]
    return np.asarray(utc_N - np.array(leaps_N, float))


def _since_start(column: str, base: str, unit: str, number_N: Floats, latlon_N2: Floats) -> Times:
    """Numbers that count from the first frame."""
    guessed = unit or _unit(number_N, latlon_N2)
    told = (
        [f"{column} has no unit and is taken as {_IN_FULL[guessed]}"]
        if guessed != (unit or "s")
        else []
    )
    if not {base, column} & set(_OF_VIDEO):
        told.append(f"{column} is taken as the time from the first frame")
    return Times(number_N * _SECONDS[guessed], np.full(len(number_N), np.nan), tuple(told))


def _unit(number_N: Floats, latlon_N2: Floats) -> str:
    """The unit in which positions are not too far apart in time; seconds if they move at all."""
    known_N = np.isfinite(number_N) & np.isfinite(latlon_N2).all(-1)
    number_K, latlon_K2 = number_N[known_N], latlon_N2[known_N]
    steps = np.diff(number_K)
    steps = steps[steps > 0]
    if not len(steps) or np.median(steps) <= _SPARSE_S:
        return "s"
    way_km = float(np.sum(sphere.great_circle_km(latlon_K2[:-1], latlon_K2[1:])))
    if way_km / (float(np.ptp(number_K)) / 3600) > _STILL_KMH:
        return "s"
    return next((u for u in _UNITS if np.median(steps) * _SECONDS[u] <= _SPARSE_S), "ns")


def _short(column: str, cells: Sequence[str], latlon_N2: Floats) -> Times | None:
    """Times since a start as 05:30: minutes and seconds, unless it moves in hours and minutes."""
    read = [_SHORT.fullmatch(cell.strip()) for cell in cells]
    time_N = np.array([60 * int(m[1]) + _decimal(m[2]) if m else np.nan for m in read])
    in_hours = all(_decimal(m[2]).is_integer() and int(m[1]) < 24 for m in read if m) and (
        len(np.unique(time_N[np.isfinite(time_N)])) < 2
        or _kmh(60.0 * time_N, latlon_N2) > _SLOW_KMH
    )
    time_s = 60.0 * time_N if in_hours else time_N
    if np.nanmin(time_s) >= 60:  # a time of day
        return None
    told = f"{column} is taken as {'hours and minutes' if in_hours else 'minutes and seconds'}"
    return Times(time_s, np.full(len(cells), np.nan), (f"{told} from the first frame",))


def _kmh(time_N: Floats, latlon_N2: Floats) -> float:
    """Mean speed over ground, where there are two times at least."""
    known_N = np.isfinite(time_N) & np.isfinite(latlon_N2).all(-1)
    latlon_K2 = latlon_N2[known_N]
    way_km = float(np.sum(sphere.great_circle_km(latlon_K2[:-1], latlon_K2[1:])))
    return way_km / max(float(np.ptp(time_N[np.isfinite(time_N)])) / 3600.0, 1e-9)


def _decimal(number: str) -> float:
    return float(number.replace(",", "."))


def _moments(column: str, cells: Sequence[str]) -> Times | None:
    """Texts that are dates with a time of day, or the time since a start."""
    size = len(cells)
    unknown = np.full(size, np.nan)
    if all(_CLOCK.fullmatch(cell) for cell in _given(cells)):
        time_s = np.array([_clock_s(cell)[0] for cell in cells], np.float64)
        # A time of day without a date tells no moment; one that begins with nothing is a duration.
        if np.isnan(time_s).all() or np.nanmin(time_s) >= 60:
            return None
        return Times(time_s, unknown, (f"{column} is taken as the time from the first frame",))
    dates, clocks = zip(*(_parted(cell.strip()) for cell in cells), strict=True)
    return _joined(column, dates, clocks)


def _in_two(columns: Columns) -> Times | None:
    """Moments of a column of dates and one of times of day."""
    date = next((n for n in _DATES if n in columns), None)
    clock = next((n for n in _CLOCKS if n in columns and n != date), None)
    if date is None or clock is None:
        return None
    return _joined(f"{date} and {clock}", columns[date], columns[clock])


def _in_weeks(columns: Columns) -> Times | None:
    """Moments of a column of GPS weeks and one of the time in the week."""
    week = next((n for n in _WEEKS if n in columns), None)
    within = next((n for n in _with_units(_IN_WEEK) if n in columns), None)
    if week is None or within is None:
        return None
    in_millis = within.endswith("_ms") or within in ("itow", "gpsmillis")
    numbers = (np.array([text.number(c) for c in columns[n]], float) for n in (week, within))
    week_N, within_N = numbers
    gps_N = week_N * 604800.0 + within_N / (1000.0 if in_millis else 1.0)
    utc_s = _utc_s(gps_N, "s", _GPS)
    return None if np.isnan(utc_s).all() else Times(np.full(len(utc_s), np.nan), utc_s)


def _joined(column: str, dates: Sequence[str], clocks: Sequence[str]) -> Times | None:
    """Moments of dates and times of day."""
    day_first, told, doubt = _order([d.strip() for d in dates])
    seconds = [_clock_s(clock) for clock in clocks]
    day_N = np.array([_day_s(date.strip(), day_first=day_first) for date in dates])
    utc_s = day_N + np.array([clock_s - ahead_s for clock_s, ahead_s, _ in seconds])
    if np.isnan(utc_s).all():
        return None
    shifts: tuple[float, ...] = ()
    if doubt:
        other_N = np.array([_day_s(date.strip(), day_first=not day_first) for date in dates])
        shifts = (float(np.nanmedian(other_N - day_N)),)
    said = [f"{column}: {told}"] if told else []
    if "local" in column and not any(zoned for *_, zoned in seconds):
        said.append(f"{column}: tells no time zone, taken as UTC")
    return Times(np.full(len(utc_s), np.nan), utc_s, tuple(said), shifts)


def _parted(cell: str) -> tuple[str, str]:
    """The date and the time of day of a text."""
    cell = _WEEKDAY.sub("", cell)
    if found := _COMPACT.fullmatch(cell):
        year, month, day, hours, minutes, seconds, zone = found.groups()
        year = year if len(year) == 4 else f"20{year}"
        return f"{year}-{month}-{day}", f"{hours}:{minutes}:{seconds}{zone or ''}"
    for pattern in (_DATE, _NAMED):
        if found := pattern.match(cell):
            return found[0], cell[found.end() :].lstrip("T,_ -" if pattern is _DATE else "T, ")
    # As C writes it: May  6 18:15:07 2019
    if found := re.fullmatch(r"([A-Za-z]{3}) +(\d{1,2}) +([\d:.]+) +(?:[A-Z]+ +)?(\d{4})", cell):
        return f"{found[2]} {found[1]} {found[4]}", found[3]
    return "", ""


def _order(dates: Sequence[str]) -> tuple[bool, str, bool]:
    """Whether days come before months, what of that is told, and whether a doubt is left."""
    both = [m for date in dates if (m := _DATE.fullmatch(date)) and len(m[1]) <= 2]
    both = [m for m in both if "." not in m[0]]  # with points, days come first
    if not both:
        return True, "", False
    if any(int(m[1]) > 12 for m in both):
        return True, "", False
    if any(int(m[2]) > 12 for m in both):
        return False, "", False
    if all(m[1] == m[2] for m in both):
        return True, "", False
    return True, f"{both[0][0]} is read as day, month, year", True


def _day_s(date: str, *, day_first: bool) -> float:
    """Seconds since 1970 of a midnight, in whatever order a date is written; NaN if it is none."""
    year, month, day = 0, 0, 0
    if found := _DATE.fullmatch(date):
        first, middle, last = (int(part) for part in found.groups())
        if len(found[1]) == 4:
            year, month, day = first, middle, last
        else:
            day, month = (first, middle) if day_first else (middle, first)
            year = last if last >= 100 else 2000 + last
    elif found := _NAMED.fullmatch(date):
        day, year = int(found[1] or found[3] or 0), int(found[4])
        month = _MONTHS.index(found[2].lower()) + 1
    elif found := _COMPACT_DATE.fullmatch(date):
        if found[1]:
            year, month, day = int(found[1]), int(found[2]), int(found[3])
        else:  # as NMEA writes it
            day, month, year = int(found[4]), int(found[5]), 2000 + int(found[6])
    try:
        return dt.datetime(year, month, day, tzinfo=dt.UTC).timestamp()
    except ValueError:
        return np.nan


def _clock_s(clock: str) -> tuple[float, float, bool]:
    """Seconds since midnight, how far its zone is ahead, and whether it names one.

    A leap second, 23:59:60, is the first of the next day.
    """
    clock = clock.strip()
    nothing = np.nan, 0.0, False
    if found := _COMPACT_CLOCK.fullmatch(clock):
        hours, minutes, seconds = int(found[1]), int(found[2]), float(found[3])
        half, zone = "", ""
    elif found := _CLOCK.fullmatch(clock):
        hours, minutes = int(found[1]), int(found[2])
        seconds = float((found[3] or "0").replace(",", ".").replace(":", "."))
        half, zone = (found[4] or "").lower()[:1], found[5]
    else:
        return nothing
    if half:
        hours = hours % 12 + (12 if half == "p" else 0)
    ahead = _ZONE.fullmatch(zone.strip())
    if ahead is None or hours > 23 or minutes > 59 or seconds >= 61:
        return nothing
    ahead_s = 3600 * int(ahead[2] or 0) + 60 * int(ahead[3] or 0)
    zoned_s = -ahead_s if ahead[1] == "-" else ahead_s
    return 3600 * hours + 60 * minutes + seconds, float(zoned_s), bool(zone.strip())
