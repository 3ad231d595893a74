"""NMEA 0183, the sentences of receivers: GGA, GNS and RMC.

Belongs here: positions, and how a time of day becomes UTC. Does not belong here: checksums and
fields of sentences (pynmea2).
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pynmea2
from numpy.typing import NDArray

from vidtag_ml.ingest.telemetry import angles, points, text
from vidtag_ml.ingest.telemetry.readers import Beside, Reading

Floats = NDArray[np.float64]
Row = tuple[str, float, float, float, float, float, float, str | None]

_KINDS = ("GGA", "GNS", "RMC")
"""Sentences with a position, the one that tells most first."""
_COLUMNS = ("kind", "clock_s", "day_s", "lat", "lon", "dop", "altitude_m", "fix_type")
_UNDATED = "no sentence tells a date: the first is taken for the video's first frame"
_MADE_UP = ("7", "8", "M", "S")
"""Qualities of GGA, and modes of GNS and RMC: typed in, or simulated."""
_LONGEST = 256
"""Characters of a line; the standard allows 82."""
_DAY_S = 86400.0
_PAIRS = re.compile(r"(\d\d)(\d\d)(\d\d(?:\.\d*)?)", re.ASCII)
_WRONG = "wrong checksum: left out"
_BROKEN = "broken form: left out"
_ANGLE = re.compile(r"(-?)(\d{1,3})(\d\d(?:\.\d*)?)", re.ASCII)


def read(path: Path) -> Reading:
    """Positions at each time by GGA or, without any, GNS or RMC; wrong checksums are skipped.

    RMC has the date, which all other times take from the nearest one before or else after them.
    Without any date there is no UTC, but the time since the first sentence, and that is told.

    Raises:
        ValueError: no sentence has a position; names the file.
    """
    content, _ = text.decoded(path.read_bytes())
    done: Counter[str] = Counter()
    rows = pd.DataFrame(_rows(content.splitlines(), done), columns=list(_COLUMNS))
    told = tuple(f"{num} sentences with a {what}" for what, num in done.items())
    is_placed = rows["lat"].notna() & rows["lon"].notna()
    if not is_placed.any():
        why = "; ".join(("no GGA, GNS or RMC sentence has a position", *told))
        raise ValueError(f"{path}: not NMEA: {why}")
    time_s, utc_s = _times(rows["clock_s"].to_numpy(float), rows["day_s"].to_numpy(float))
    rows = rows.assign(time_s=time_s, utc_s=utc_s)
    best = _best(rows["kind"], is_placed, np.fmax(time_s, utc_s))
    chosen = rows[best & is_placed]
    columns = {name: chosen[name] for name in points.COLUMNS if name in chosen}
    if not np.isnan(time_s).all():
        told = (*told, _UNDATED)
    left_out = {f"sentences with a {what}": done[what] for what in (_WRONG, _BROKEN)}
    left_out["without a position"] = int((best & ~is_placed).sum())
    left_out = {what: num for what, num in left_out.items() if num}
    return Reading(points.table(**columns), "nmea", repairs=told, left_out=left_out)


def _best(kind: "pd.Series[str]", is_placed: "pd.Series[bool]", at_s: Floats) -> "pd.Series[bool]":
    """Which sentences tell most at their time: those with a position first, then by kind."""
    rank = kind.map(_KINDS.index) + len(_KINDS) * ~is_placed
    return rank == rank.groupby(np.round(at_s, 3), dropna=False).transform("min")


def _rows(lines: Iterable[str], done: Counter[str]) -> Iterator[Row]:
    """Rows of `_COLUMNS`; loggers may write something of their own before a sentence.

    What was done to angles is counted in `done`.
    """
    for line in lines:
        start = line.find("$")
        if start < 0 or len(line) > _LONGEST or line[start + 3 : start + 6] not in _KINDS:
            continue
        try:
            sentence = pynmea2.parse(line[start:])
        except pynmea2.ChecksumError:
            done[_WRONG] += 1
            continue
        except pynmea2.ParseError:
            done[_BROKEN] += 1
            continue
        yield _row(sentence.sentence_type, [*sentence.data, *[""] * 12], done)


def _row(kind: str, fields: Sequence[str], done: Counter[str]) -> Row:
    clock_s, first = _clock_s(fields[0]), 2 if kind == "RMC" else 1
    lat = _degrees("lat", fields[first], fields[first + 1], done)
    lon = _degrees("lon", fields[first + 2], fields[first + 3], done)
    if kind == "RMC":
        fix_type = "none" if fields[1] == "V" or fields[11] in _MADE_UP else None
        return kind, clock_s, _day_s(fields[8]), lat, lon, np.nan, np.nan, fix_type
    # Quality 0 of GGA, or N for each system of GNS: what they write is an older position.
    fix_type = "none" if fields[5] and set(fields[5]) <= {"0", "N", *_MADE_UP} else None
    return kind, clock_s, np.nan, lat, lon, text.number(fields[7]), text.number(fields[8]), fix_type


def _times(clock_s: Floats, day_s: Floats) -> tuple[Floats, Floats]:
    """Times from the first sentence, and UTC; only one of them is known."""
    unknown = np.full(len(clock_s), np.nan)
    dated_s = pd.Series(clock_s + day_s).ffill().bfill().to_numpy(float)
    if not np.isnan(dated_s).all():
        # The date of another sentence may be that of the day before or after.
        apart_s = (clock_s - dated_s + _DAY_S / 2) % _DAY_S - _DAY_S / 2
        return unknown, dated_s + apart_s
    known = ~np.isnan(clock_s)
    unwrapped_s = np.unwrap(clock_s[known], period=_DAY_S)
    time_s = unknown.copy()
    time_s[known] = unwrapped_s - unwrapped_s[:1]
    return time_s, unknown


def _clock_s(written: str) -> float:
    """Seconds since midnight of hhmmss.ss; NaN if it is none. 235960 is the next midnight."""
    found = _PAIRS.fullmatch(written)
    if not found:
        return np.nan
    hours, minutes, seconds = (float(part) for part in found.groups())
    clock_s = 3600 * hours + 60 * minutes + seconds
    return clock_s if clock_s < _DAY_S + 1 else np.nan


def _day_s(written: str) -> float:
    """Seconds since 1970 of the midnight before a date ddmmyy; NaN if it is none."""
    found = _PAIRS.fullmatch(written)
    if not found:
        return np.nan
    day, month, year = found.groups()
    century = 19 if year >= "80" else 20  # GPS began in 1980
    return text.utc_s(f"{century}{year}-{month}-{day}")


def _degrees(axis: str, written: str, direction: str, done: Counter[str]) -> float:
    """Degrees of dddmm.mmm and N, S, E or W; NaN if it is none."""
    found = _ANGLE.fullmatch(written)
    if not found:
        return np.nan
    minutes = float(found[3])
    if minutes > 60.0:  # which receivers round up to
        done[f"{angles.NAMES[axis]} of more than 60 minutes: left out"] += 1
        return np.nan
    size = float(found[2]) + minutes / 60
    said = angles.Angle(size, found[1], angles.letter(direction))
    degrees, what = angles.signed(axis, said)
    if what:
        done[f"{angles.NAMES[axis]} {what}"] += 1
    return degrees


READER = Beside((".nmea",), read, trust=60)
