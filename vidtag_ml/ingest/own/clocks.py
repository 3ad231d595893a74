"""What a video's clock says, and in which time zone it may have been.

Containers say that their times are in UTC. Phones keep to that; many cameras know no zone and write
the time on their display as if it were UTC. Of GoPros this is known before HERO11, as of those with
firmware HD2 to HD9 or H18 to H21: a recording of 2019 that holds both clocks is off by the seven
hours of its place. From H22 on they know their zone. Android's own recorder (MPEG4Writer, which
also writes the tag com.android.version) writes UTC, but at the end of the recording; others do so
too, as names with the time of the begin show. Apple's tag writes its zone.

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

import pandas as pd

from vidtag_ml.ingest.own import chapters
from vidtag_ml.ingest.published import tables as published
from vidtag_ml.ingest.telemetry import quicktime, text, zones
from vidtag_ml.media import video

QUARTER_S = 900
"""Zones are ahead of UTC by multiples of this."""
_ANDROID = "com.android.version"
_STAMP = re.compile(
    r"(?<!\d)(20\d\d)[-_.]?(\d\d)[-_.]?(\d\d)[-_. T]?(\d\d)[-_.:]?(\d\d)[-_.:]?(\d\d)", re.ASCII
)
"""When a recording began, as phones and dash cams name it: VID_20240601_120000."""
_SOON_S = 3.0
_LOCAL_FIRMWARE = re.compile(r"HD[2-9]|H18|H19|H2[01]")


@dataclass(frozen=True)
class Clock:
    """When a video says that it began."""

    utc_s: float
    """Seconds since 1970; NaN = it does not say."""
    zone_is_known: bool = False
    """Whether that is UTC beyond doubt."""
    is_local: str = ""
    """Who is known to write local time as if it were UTC; empty = nobody."""
    after: chapters.Earlier = chapters.NONE
    """The chapters that came before."""
    moved_s: float = 0.0
    """How much later that is than what is written, as of a later chapter."""
    later_s: float = 0.0
    """How much later it was if it was read after a change of its zone's clocks, not before; 0 where
    none was changed then."""
    told: tuple[str, ...] = ()
    """What was assumed, a sentence each."""


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
    has_own, after = has_zone, chapters.earlier(path, utc_s)
    ahead: tuple[float, ...] = (0.0,)
    if time_zone is not None and not has_zone and not math.isnan(utc_s):
        ahead, has_zone = ahead_s(time_zone, utc_s), True
    utc_s, later_s = utc_s - ahead[0], ahead[0] - ahead[-1]
    known = has_zone or _ANDROID in tags
    is_local = "" if known else _local(path, tags)
    moved_s, told = after.lasts_s, (*after.repairs, *doubt(time_zone or "UTC", ahead))
    if not after.lasts_s and not has_own:
        moved_s, ended = _ended(path, tags, utc_s)
        told = (*told, *ended)
    return Clock(utc_s + moved_s, known, is_local, after, moved_s, later_s, told)


def _ended(path: Path, tags: Mapping[str, str], utc_s: float) -> tuple[float, tuple[str, ...]]:
    """How much later a recording began than is written, where that is its end, and what is told.

    Args:
        path: its name may tell when it began, in any zone.
        tags: what its container says.
        utc_s: when it was written; NaN = unknown.
    """
    stamp, android = _STAMP.search(path.stem), _ANDROID in tags
    if math.isnan(utc_s) or not (stamp or android):
        return 0.0, ()
    lasts_s = video.length_s(path)
    begun_s = text.utc_s("{}-{}-{}T{}:{}:{}".format(*stamp.groups())) if stamp else math.nan
    at_begin_s, at_end_s = _off_s(utc_s - begun_s), _off_s(utc_s - begun_s - lasts_s)
    is_either = max(at_begin_s, at_end_s) <= _SOON_S < lasts_s / 2
    begun = f"begun {lasts_s:.1f} s before"
    if is_either and not android:
        may_be = f"by its name it may be when it ended: {begun}; --time-offset {lasts_s:g} decides"
        return 0.0, (f"its creation_time is taken as when it began; {may_be}",)
    if min(at_begin_s, at_end_s) <= _SOON_S and not is_either:
        who = "its name tells" if at_end_s < at_begin_s else ""
    else:
        who = "Android's recorder writes it" if android else ""
    if not who:
        return 0.0, ()
    return -lasts_s, (f"its creation_time is when it ended, as {who}: {begun}",)


def _off_s(apart_s: float) -> float:
    """How far two times are apart by clocks of whatever zones."""
    return float(min(abs(apart_s + zone_s) for zone_s in zones.IN_USE))


def _local(path: Path, tags: Mapping[str, str]) -> str:
    firmware = tags.get("firmware", "")
    if _LOCAL_FIRMWARE.match(firmware):
        return f"GoPros with firmware {firmware[:20]}"
    return "" if firmware or not chapters.is_gopro(path) else "most GoPros"


def ahead_s(time_zone: str, wall_s: float) -> tuple[float, ...]:
    """How far a zone is ahead of UTC where its clocks show a time; two where they were changed.

    >>> ahead_s("Europe/Berlin", 1.72e9), ahead_s("Europe/Berlin", 1729996200.0)
    ((7200.0,), (7200.0, 3600.0))
    """
    wall = dt.datetime.fromtimestamp(wall_s, dt.UTC).replace(tzinfo=zone(time_zone))
    ahead = (wall.replace(fold=fold).utcoffset() or dt.timedelta() for fold in (0, 1))
    return tuple(dict.fromkeys(there.total_seconds() for there in ahead))


def doubt(time_zone: str, ahead_s: tuple[float, ...]) -> tuple[str, ...]:
    """What is told of a time at which a zone is so far ahead; nothing if only one is.

    >>> doubt("Europe/Berlin", (7200.0,))
    ()
    """
    if len(ahead_s) == 1:
        return ()
    comes = "comes twice" if ahead_s[0] > ahead_s[1] else "never comes"
    first, second = map(told, ahead_s)
    decides = f"--time-zone with {first[3:] or '+0'} or {second[3:] or '+0'} decides"
    when = f"its clock's time {comes} in {time_zone}, where clocks were changed"
    return (f"{when}: {first} is taken, not {second}, unless its track tells; {decides}",)


def zone(name: str) -> dt.tzinfo:
    """A time zone by its name, as Europe/Berlin, or by how far it is ahead, as +02:00.

    Raises:
        ValueError: there is no such zone.
    """
    written_s = zones.ahead_s(name)
    if not math.isnan(written_s):
        return dt.timezone(dt.timedelta(seconds=written_s))
    try:
        return zoneinfo.ZoneInfo(name.strip())
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        told = "write it as Europe/Berlin, as +02:00, or as UTC"
        raise ValueError(f"--time-zone {name!r}: there is no such zone; {told}") from None


def zone_at(lat: float, lon: float) -> str:
    """The name of the time zone of a place; of the sea by its longitude."""
    import tzfpy

    return tzfpy.get_tz(lon, lat)


def zone_of(points: pd.DataFrame) -> str | None:
    """The time zone of the middle of a track; None if it has no place on Earth."""
    latlon_N2 = points[["lat", "lon"]].to_numpy(float)
    latlon_K2 = latlon_N2[published.on_earth(latlon_N2)]
    return zone_at(*latlon_K2[len(latlon_K2) // 2]) if len(latlon_K2) else None


def told(zone_s: float) -> str:
    """How a zone is named by how far it is ahead of UTC.

    >>> told(7200.0), told(-12600.0), told(0.0)
    ('UTC+2', 'UTC-3:30', 'UTC')
    """
    hours, minutes = divmod(round(abs(zone_s) / 60), 60)
    sign = "-" if zone_s < 0 else "+"
    return f"UTC{sign}{hours}" + (f":{minutes:02d}" if minutes else "") if zone_s else "UTC"
