"""What a video's clock says, and in which time zone it may have been.

Containers say that their times are in UTC. Phones keep to that; many cameras know no zone and write
the time on their display as if it were UTC. Of GoPros this is known before HERO11, as of those with
firmware HD2 to HD9 or H18 to H21: a recording of 2019 that holds both clocks is off by the seven
hours of its place. From H22 on they know their zone. Android's own recorder writes UTC, and Apple's
tag writes its zone.

Belongs here: when a video says that it began, and who says so. Does not belong here: the tags
(telemetry/quicktime.py), which reading positions agree with (plausibility.py), chapters
(chapters.py).
"""

import datetime as dt
import math
import re
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vidtag_ml.ingest.own import chapters
from vidtag_ml.ingest.telemetry import quicktime

QUARTER_S = 900
"""Zones are ahead of UTC by multiples of this."""
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?([0-5]\d))?", re.ASCII | re.IGNORECASE)
_FARTHEST_S = 14 * 3600
_LOCAL_FIRMWARE = re.compile(r"HD[2-9]|H18|H19|H2[01]")


@dataclass(frozen=True)
class Clock:
    """When a video says that it began."""

    utc_s: float
    """Seconds since 1970, of a chapter the end of the one before; NaN = it does not say."""
    zone_is_known: bool = False
    """Whether that is UTC beyond doubt."""
    is_local: str = ""
    """Who is known to write local time as if it were UTC; empty = nobody."""
    after: chapters.Earlier = chapters.NONE
    """The chapters that came before; their length is in `utc_s`."""


def of(path: Path, tags: Mapping[str, str], time_zone: str | None = None) -> Clock:
    """The clock of a video.

    Args:
        path: the video; chapters before it lie beside it.
        tags: what its container says.
        time_zone: the zone in which the camera's clock was, if that is known; see `zone`. Tags with
            a zone of their own keep it.

    Raises:
        ValueError: there is no such zone.
    """
    utc_s, has_zone = quicktime.created(tags)
    after = chapters.earlier(path, utc_s)
    if time_zone is not None and not has_zone and not math.isnan(utc_s):
        utc_s, has_zone = utc_s - ahead_s(time_zone, utc_s, of_wall=True), True
    known = has_zone or "com.android.version" in tags
    return Clock(utc_s + after.lasts_s, known, "" if known else _local(path, tags), after)


def _local(path: Path, tags: Mapping[str, str]) -> str:
    firmware = tags.get("firmware", "")
    if _LOCAL_FIRMWARE.match(firmware):
        return f"GoPros with firmware {firmware[:20]}"
    return "" if firmware or not chapters.is_gopro(path) else "most GoPros"


def ahead_s(time_zone: str, at_s: float, *, of_wall: bool = False) -> float:
    """How far a zone is ahead of UTC at a moment, or where its own clocks show that time.

    >>> ahead_s("Europe/Berlin", 1.72e9) / 3600, ahead_s("-03:30", 0.0) / 3600
    (2.0, -3.5)
    """
    moment = dt.datetime.fromtimestamp(at_s, dt.UTC)
    there = zone(time_zone)
    moment = moment.replace(tzinfo=there) if of_wall else moment.astimezone(there)
    ahead = moment.utcoffset()
    assert ahead is not None
    return ahead.total_seconds()


def zone(name: str) -> dt.tzinfo:
    """A time zone by its name, as Europe/Berlin, or by how far it is ahead, as +02:00.

    Raises:
        ValueError: there is no such zone.
    """
    if found := _OFFSET.fullmatch(name.strip()):
        size_s = 3600 * int(found[2]) + 60 * int(found[3] or 0)
        if size_s <= _FARTHEST_S:
            return dt.timezone(dt.timedelta(seconds=-size_s if found[1] == "-" else size_s))
    try:
        return zoneinfo.ZoneInfo(name.strip())
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        told = "write it as Europe/Berlin, as +02:00, or as UTC"
        raise ValueError(f"--time-zone {name!r}: there is no such zone; {told}") from None


def zone_at(lat: float, lon: float) -> str:
    """The name of the time zone of a place; of the sea by its longitude."""
    import tzfpy

    return tzfpy.get_tz(lon, lat)


def told(zone_s: float) -> str:
    """How a zone is named by how far it is ahead of UTC.

    >>> told(7200.0), told(-12600.0), told(0.0)
    ('UTC+2', 'UTC-3:30', 'UTC')
    """
    hours, minutes = divmod(round(abs(zone_s) / 60), 60)
    sign = "-" if zone_s < 0 else "+"
    return f"UTC{sign}{hours}" + (f":{minutes:02d}" if minutes else "") if zone_s else "UTC"
