"""DJI's subtitle files, which tell for each second or frame of a video where the drone was.

All styles are text in blocks: a number, perhaps the time in the video (the line with an arrow),
perhaps the date, and either GPS(longitude, latitude, satellites) or [latitude: ...] and
[longitude: ...], which some firmware spells longtitude. The third number after GPS is no altitude:
in the recordings we have it stays from 13 to 16 while the drone climbs by 118 m.

Belongs here: these styles. Does not belong here: subtitles in other words, tracks of other drones.
"""

import datetime as dt
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vidtag_ml.ingest.telemetry import points
from vidtag_ml.ingest.telemetry.readers import Beside, Reading

_NUMBER = r"([-+]?\d{1,9}(?:\.\d{1,15})?)"
_ARROW = re.compile(r"(\d{1,3}):(\d\d):(\d\d)[,.](\d{1,3})\s{0,9}-->", re.ASCII)
_DATE = re.compile(
    r"\b(\d{4})[.-](\d{1,2})[.-](\d{1,2}) (\d{1,2}):(\d\d):(\d\d)(?:[,.](\d{3}))?", re.ASCII
)
_LON_LAT = re.compile(rf"\bGPS\s{{0,9}}\(\s{{0,9}}{_NUMBER}\s{{0,9}},\s{{0,9}}{_NUMBER}", re.ASCII)
_LAT = re.compile(rf"\blatitude\s{{0,9}}:\s{{0,9}}{_NUMBER}", re.ASCII)
_LON = re.compile(rf"\blongt?itude\s{{0,9}}:\s{{0,9}}{_NUMBER}", re.ASCII)
_ALTITUDE = re.compile(rf"\babs_alt\s{{0,9}}:\s{{0,9}}{_NUMBER}", re.ASCII)


def read(path: Path) -> Reading:
    """Positions of the drone, one a block; not those of its home.

    The time is that in the video, or, in files without arrows, that since the first date. The dates
    are in local time of an unknown zone, so there is no UTC.

    Raises:
        ValueError: no block has a position; names the file.
    """
    content = path.read_text(encoding="utf-8-sig", errors="replace")
    rows, first_s = [], np.nan
    for block in _blocks(content):
        time_s, date_s = _arrow_s(block), _date_s(block)
        first_s = date_s if np.isnan(first_s) else first_s
        if latlon := _latlon(block):
            since_s = date_s - first_s if np.isnan(time_s) else time_s
            altitude = _ALTITUDE.search(block)
            rows.append((since_s, *latlon, float(altitude[1]) if altitude else np.nan))
    if not rows:
        raise ValueError(f"{path}: not the subtitles of a DJI drone: no block has a position")
    names = ("time_s", "lat", "lon", "altitude_m")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    return Reading(points.table(**columns), "dji_srt", "drone")


def _blocks(content: str) -> Iterator[str]:
    """Lines up to an empty one, or up to the next arrow."""
    block: list[str] = []
    for line in content.splitlines():
        if not line.strip() or "-->" in line:
            yield "\n".join(block)
            block = []
        block.append(line)
    yield "\n".join(block)


def _latlon(block: str) -> tuple[float, float] | None:
    if found := _LON_LAT.search(block):
        return float(found[2]), float(found[1])
    lat, lon = _LAT.search(block), _LON.search(block)
    return (float(lat[1]), float(lon[1])) if lat and lon else None


def _arrow_s(block: str) -> float:
    """Seconds before the arrow; NaN if there is none."""
    found = _ARROW.search(block)
    if not found:
        return np.nan
    hours, minutes, seconds = (int(part) for part in found.groups()[:3])
    return 3600 * hours + 60 * minutes + seconds + float(f"0.{found[4]}")


def _date_s(block: str) -> float:
    """Seconds since 1970 of a date, as if it were in UTC; NaN if there is none."""
    found = _DATE.search(block)
    if not found:
        return np.nan
    parts = [int(part) for part in found.groups()[:6]]
    try:
        moment = dt.datetime(parts[0], *parts[1:], tzinfo=dt.UTC)  # type: ignore[misc, arg-type]
    except ValueError:
        return np.nan
    return moment.timestamp() + float(f"0.{found[7] or 0}")


READER = Beside((".srt",), read)
