"""Times in columns: how their names and cells say when a position was measured.

Numbers count in a unit from an epoch, or from the start of the video. The name may say which
(`time (ms)`, `gps_time`); else the epoch is the one under which the recording is neither older than
2000 nor of the future, and the unit of small numbers that which makes a position every twenty
seconds at least, where the track would hardly move in seconds. Texts are dates with a time of day,
in one column, in two, or with one for each part. Where a doubt is left the likeliest comes first,
and the others are given, so that the video's own clock decides. What was assumed is told.

Belongs here: names, which columns tell a time together, times since a start. Does not belong here:
epochs (epochs.py), dates as texts (dates.py), which columns a file has (table.py), the video's
clock (vidtag_ml.ingest.own.readings).
Shape legend: N rows, 2 = (lat, lon) in degrees.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.earth import sphere
from vidtag_ml.ingest.telemetry import dates, epochs, text

Floats = NDArray[np.float64]
Columns = Mapping[str, Sequence[str]]

_UNITS = {
    "s": ("s", "sec", "secs", "second", "seconds"),
    "ms": ("ms", "msec", "msecs", "millis", "millisecond", "milliseconds"),
    "us": ("us", "\u00b5s", "\u03bcs", "usec", "usecs", "micros", "microsecond", "microseconds"),
    "ns": ("ns", "nsec", "nsecs", "nanos", "nanosecond", "nanoseconds"),
}
_UNIT_OF = {word: unit for unit, words in _UNITS.items() for word in words}
_OF_VIDEO = ("time_s", "t_s", "cts", "videotime", "timeinvideo")
"""Names of times from the first frame, in whatever unit the first of them says."""
_OF_ANY_START = ("time_s",)
"""Of them, those that loggers count from their own start."""
_MOMENTS = (
    "timestamp", "utc", "datetime", "time", "ts", "utctime", "timeutc", "datetimeutc",
    "utcdatetime", "gpstime", "gpsdatetime", "gpstimestamp", "gpsutc", "gpsutctime", "unix",
    "unixtime", "unixtimestamp", "epoch", "epochtime", "posixtime", "systemtime", "isotime",
    "datetimeoriginal", "recordedat", "capturedat", "measuredat", "localtime", "timelocal",
    "datetimelocal", "localdatetime", "date", "zeitstempel", "zeit", "datumuhrzeit", "horodatage",
    "dateheure", "fechahora", "fechayhora", "hora", "heure", "ora",
)  # fmt: skip
_UNSURE = ("time", "localtime", "timelocal", "ts", "date", "zeit", "hora", "heure", "ora")
"""Of them, those beside which a column that says more may stand."""
_WEEKS = ("gpsweek", "week", "weeknumber", "gpsweeknumber")
_IN_WEEK = ("gpstow", "tow", "timeofweek", "gpssow", "sow", "secondsofweek", "itow", "gpsmillis")
_DATES = (
    "date", "gpsdate", "utcdate", "dateutc", "gpsdatestamp", "localdate", "datelocal", "day",
    "datum", "fecha", "data",
)  # fmt: skip
_CLOCKS = (
    "time", "gpstime", "utctime", "timeutc", "utc", "gpstimestamp", "timestamp", "localtime",
    "timelocal", "clock", "timeofday", "zeit", "uhrzeit", "hora", "heure", "ora", "tijd",
)  # fmt: skip
_PARTS = (("year",), ("month",), ("day",), ("hour",), ("minute", "min"))
"""Columns that are a moment together, perhaps with those of seconds."""
_MINUTES, _OF_MINUTE = _PARTS[-1], ("second", "sec", "s")
_ELAPSED = (
    "elapsed", "elapsedtime", "timeelapsed", "offset", "reltime", "relativetime", "runtime",
    "timesincestart", "frametime",
)  # fmt: skip
_SINCE = ("t", *_ELAPSED, *_UNIT_OF)
_BASES = {*_OF_VIDEO, *_MOMENTS, *_DATES, *_CLOCKS, *_SINCE, *_WEEKS, *_IN_WEEK}
_BASES |= {name for names in _PARTS for name in names}
NAMES = frozenset({*_BASES, *(f"{base}_{unit}" for base in _BASES for unit in _UNITS)})
"""All names of columns that are read, as `name` gives them."""

_LEAST_S = 1e8
"""Smaller numbers of seconds count from the start of a recording."""
_SPARSE_S, _STILL_KMH = 20.0, 0.4
_SLOW_KMH = 3.0
"""A drive at 180 km/h whose seconds are taken for minutes."""

_DAY, _LEAP = 240000.0, 43200.0
"""More than the largest time of day, as a number, and how far it falls at midnight at least."""
_SHORT = re.compile(r"(\d{1,3}):([0-5]\d(?:[.,]\d*)?)", re.ASCII)
"""Minutes and seconds, or hours and minutes."""


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
    seconds = _OF_MINUTE if any(n in columns for n in _MINUTES) else ()
    alone = {n: cells for n, cells in columns.items() if n not in seconds}
    written = {
        bases: {n: _column(n, alone[n], latlon_N2) for n in _with_units(bases) if n in alone}
        for bases in (_OF_VIDEO, _MOMENTS, _SINCE)
    }
    of_video, moments, since = (
        {n: t for n, t in found.items() if t is not None} for found in written.values()
    )
    sure = [t for n, t in moments.items() if _is_sure(n, t)]
    # A number may be the time of day that belongs to a date.
    several = [_in_two(columns), _in_parts(columns), _in_weeks(columns)]
    together = [t for t in several if t is not None]
    ordered = [*of_video.values(), *sure, *together, *moments.values(), *since.values()]
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
    if not np.isnan(number_N).all() and not all(map(dates.compact, _given(cells))):
        return None if _goes_round(number_N) else _numbers(column, number_N, latlon_N2)
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
    units = [unit] if unit else list(epochs.SECONDS)
    if not unit and base in _MOMENTS and (days := epochs.days(given)):
        first, *later = days.values()
        shifts = tuple((first - zero) * 86400.0 for zero in later)
        told = f"{column} is taken as {next(iter(days))}"
        return Times(unknown, (number_N - first) * 86400.0, (told,), shifts)
    counts = base not in _ELAPSED and not _from_a_start(given, units)
    known = epochs.likely(given, units, is_gps=base.startswith("gps")) if counts else []
    if not known:
        return _since_start(column, base, unit, number_N, latlon_N2)
    (counted, epoch), *others = known
    utc_s = epochs.utc_s(number_N, counted, epoch)
    middle = np.median(given, keepdims=True)
    shifts = tuple(float(epochs.utc_s(middle, *o)[0] - np.nanmedian(utc_s)) for o in others)
    told = f"{column} is taken as {epochs.IN_FULL[counted]} since {epoch}"
    plain = epoch == epochs.UNIX and (unit or counted == "s")
    return Times(unknown, utc_s, () if plain else (told,), shifts)


def _from_a_start(given: Floats, units: list[str]) -> bool:
    """Whether numbers are too small, or grow too much, to count from an epoch."""
    low, high = np.quantile(given, (0.25, 0.75))
    return bool(high * epochs.SECONDS[units[0]] < _LEAST_S or low < high / 2)


def _since_start(column: str, base: str, unit: str, number_N: Floats, latlon_N2: Floats) -> Times:
    """Numbers that count from the first frame."""
    guessed = unit or _unit(number_N, latlon_N2)
    told = (
        [f"{column} has no unit and is taken as {epochs.IN_FULL[guessed]}"]
        if guessed != (unit or "s")
        else []
    )
    if not {base, column} & set(_OF_VIDEO):
        told.append(f"{column} is taken as the time from the first frame")
    return Times(number_N * epochs.SECONDS[guessed], np.full(len(number_N), np.nan), tuple(told))


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
    return next((u for u in _UNITS if np.median(steps) * epochs.SECONDS[u] <= _SPARSE_S), "ns")


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


def _goes_round(time_N: Floats) -> bool:
    """Whether times of day go on after midnight, as the time since a start never does."""
    known_K = time_N[np.isfinite(time_N)]
    return bool((known_K >= 0).all() and known_K.max() < _DAY and (np.diff(known_K) < -_LEAP).any())


def _moments(column: str, cells: Sequence[str]) -> Times | None:
    """Texts that are dates with a time of day, or the time since a start."""
    if not all(dates.CLOCK.fullmatch(cell) for cell in _given(cells)):
        parts = [dates.parted(cell.strip()) for cell in cells]
        return _joined(column, *zip(*parts, strict=True))
    time_s = np.array([dates.clock(cell).time_s for cell in cells], np.float64)
    # A time of day without a date tells no moment; one that begins with nothing is a duration.
    if np.isnan(time_s).all() or np.nanmin(time_s) >= 60 or _goes_round(time_s):
        return None
    told = f"{column} is taken as the time from the first frame"
    return Times(time_s, np.full(len(cells), np.nan), (told,))


def _joined(column: str, days: Sequence[str], clocks: Sequence[str]) -> Times | None:
    found = dates.joined(column, days, clocks)
    if found is None:
        return None
    return Times(np.full(len(clocks), np.nan), found.utc_s, found.told, found.shifts_s)


def _in_two(columns: Columns) -> Times | None:
    """Moments of a column of dates and one of times of day."""
    date = next((n for n in _DATES if n in columns), None)
    clock = next((n for n in _CLOCKS if n in columns and n != date), None)
    if date is None or clock is None:
        return None
    return _joined(f"{date} and {clock}", columns[date], columns[clock])


def _in_parts(columns: Columns) -> Times | None:
    """Moments of columns of years, months, days, hours, minutes and perhaps seconds."""
    found = [next((columns[n] for n in names if n in columns), None) for names in _PARTS]
    if any(cells is None for cells in found):
        return None
    known = [cells for cells in found if cells is not None]
    seconds = next((columns[n] for n in _OF_MINUTE if n in columns), ())
    numbers = [
        [text.number(cell) for cell in cells] for cells in (*known, *filter(None, [seconds]))
    ]
    written = [_written(*row) for row in zip(*numbers, strict=True)]
    return _joined("year to minute", *zip(*written, strict=True))


def _written(
    year: float, month: float, day: float, hour: float, minute: float, second: float | None = None
) -> tuple[str, str]:
    """A date and a time of day as texts; empty where a number is none."""
    if not np.isfinite((year, month, day, hour, minute)).all():
        return "", ""
    whole = year + 2000 if year < 100 else year
    clock = f"{hour:.0f}:{minute:02.0f}"
    told = clock if second is None else f"{clock}:{second:09.6f}"
    return f"{whole:04.0f}-{month:.0f}-{day:.0f}", told


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
    if np.isnan(gps_N).all():
        return None
    return _rolled(week, gps_N, short=bool(np.nanmax(week_N) < 1024))


def _rolled(week: str, gps_N: Floats, *, short: bool) -> Times:
    """Moments of seconds that GPS counts; `short` weeks begin anew at 1024, the latest is taken."""
    unknown = np.full(len(gps_N), np.nan)
    read = [epochs.utc_s(gps_N + k * epochs.ROLLOVER_S, "s", epochs.GPS) for k in (2, 1)]
    likely = [utc_s for utc_s in read if dates.is_likely(float(np.nanmedian(utc_s)))]
    if not (short and likely):
        return Times(unknown, epochs.utc_s(gps_N, "s", epochs.GPS))
    first, *others = likely
    shifts = tuple(float(np.nanmedian(other - first)) for other in others)
    return Times(unknown, first, (f"{week} is taken to begin anew at 1024",), shifts)
