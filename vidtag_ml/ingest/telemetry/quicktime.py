"""The one position and the time of creation that phones and cameras write into a video's tags.

Belongs here: ISO 6709, and which tags hold it. Does not belong here: reading the tags
(vidtag_ml.media.video), tracks inside videos (gpmf.py, camm.py).
"""

import datetime as dt
import re
from collections.abc import Mapping

import numpy as np

from vidtag_ml.earth import sphere
from vidtag_ml.ingest.telemetry import points
from vidtag_ml.ingest.telemetry.readers import InTags, Reading

LOCATIONS = ("com.apple.quicktime.location.ISO6709", "location", "location-eng")
"""Tags that hold a position, the best first."""
LIVE_PHOTO = "com.apple.quicktime.content.identifier"
"""Tag of the moving part of a Live Photo."""
_ACCURACY = "com.apple.quicktime.location.accuracy.horizontal"
_CREATED = ("com.apple.quicktime.creationdate", "creation_time")
_NUMBER = r"[+-][0-9]+(?:\.[0-9]*)?"
_ISO_6709 = re.compile(rf"({_NUMBER})({_NUMBER})({_NUMBER})?(?:CRS([^/]*))?/?")
_WGS_84 = re.compile(r"|wgs_?84|epsg:?(4326|4979)", re.IGNORECASE)
_SAME_KM = 1.0
"""Tags of one video that are further apart contradict each other."""
_UNSET_BEFORE_S = dt.datetime(1971, 1, 1, tzinfo=dt.UTC).timestamp()
"""Clocks that were never set count from 1904 or 1970."""


def read(tags: Mapping[str, str]) -> Reading:
    """The position in a video's tags, at the first frame; no row if there is none.

    Raises:
        ValueError: a tag is there and cannot be understood.
    """
    told = list(dict.fromkeys(filter(None, (tags.get(key, "").strip() for key in LOCATIONS))))
    if not told:
        return Reading(points.table(lat=[], lon=[]), "location_tag")
    lat, lon, altitude_m = _place(told[0])
    others = [other for other in told[1:] if _is_elsewhere(other, lat, lon)]
    repairs = [f"another location tag says {other[:80]}: the first is read" for other in others]
    accuracy = tags.get(_ACCURACY, "nan")
    try:
        accuracy_m = float(accuracy)
    except ValueError:
        raise ValueError(f"accuracy of the location tag is {accuracy[:80]!r}, no number") from None
    table = points.table(
        time_s=[0.0],
        lat=[lat],
        lon=[lon],
        altitude_m=[altitude_m],
        accuracy_m=[accuracy_m],
    )
    return Reading(table, "location_tag", repairs=tuple(repairs))


def _place(written: str) -> tuple[float, float, float]:
    """Latitude, longitude and altitude by ISO 6709.

    Raises:
        ValueError: it is no position in WGS 84.
    """
    found = _ISO_6709.fullmatch(written)
    if not found:
        raise ValueError(f"location tag {written[:80]!r} is not a position by ISO 6709")
    lat, lon, altitude, crs = found.groups()
    if not _WGS_84.fullmatch(crs or ""):
        raise ValueError(f"location tag {written[:80]!r} is not in WGS 84")
    return _degrees(lat, 2), _degrees(lon, 3), float(altitude or "nan")


def _is_elsewhere(written: str, lat: float, lon: float) -> bool:
    """Whether a tag is no position, or another one."""
    try:
        place = _place(written)[:2]
    except ValueError:
        return True
    return float(sphere.great_circle_km(place, (lat, lon))) > _SAME_KM


def created(tags: Mapping[str, str]) -> tuple[float, bool]:
    """When a video was begun, and whether the tag that tells it has a zone of its own.

    In seconds since 1970; NaN if no tag tells. That `creation_time` is in UTC is said of all files,
    whatever clock it was written by.
    """
    for key in _CREATED:
        try:
            moment = dt.datetime.fromisoformat(tags.get(key, ""))
        except ValueError:
            continue
        if key == "creation_time" and moment.tzinfo is None:
            moment = moment.replace(tzinfo=dt.UTC)
        if moment.tzinfo is not None and moment.timestamp() >= _UNSET_BEFORE_S:
            return moment.timestamp(), key != "creation_time" or bool(moment.utcoffset())
    return np.nan, False


def _degrees(text: str, num_digits: int) -> float:
    """Degrees of a signed DD.D, DDMM.M or DDMMSS.S, with `num_digits` for the degrees.

    >>> round(_degrees("-0122030.6", 3), 6)
    -12.341833
    """
    whole, _, fraction = text[1:].partition(".")
    num_more = max(0, len(whole) - num_digits)
    if num_more not in (0, 2, 4):
        raise ValueError(f"location tag holds {text[:80]!r}, which is not an angle by ISO 6709")
    degrees = whole[: len(whole) - num_more]
    smaller = [whole[k : k + 2] for k in range(len(degrees), len(whole), 2)]
    parts = [degrees, *smaller]
    parts[-1] += f".{fraction}"
    if any(float(part) > 60.0 for part in parts[1:]):
        raise ValueError(f"location tag holds {text[:80]!r}, which has more than 60 minutes")
    size = sum(float(part) / 60.0**k for k, part in enumerate(parts))
    return -size if text[0] == "-" else size


READER = InTags(read, trust=10)
