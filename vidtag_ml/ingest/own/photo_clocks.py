"""Which of a photo's two clocks is believed: the camera's own, or its receiver's.

The receiver's is UTC and comes first, but it stamps the time of its last fix: where it lost the
sky, one time stands over many photos. The camera's own goes on, in a zone that it may not tell. One
that tells its zone comes before the receiver's, but programs write one time into many photos.

Belongs here: rules on the times of photos of one camera. Does not belong here: reading EXIF
(telemetry/exif.py), the order of photos (photos.py), zones and clocks of videos (clocks.py).
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from vidtag_ml.ingest.own import clocks
from vidtag_ml.ingest.published import tables as published
from vidtag_ml.ingest.telemetry import exif

STOOD_S = 1.5
"""Photos further apart by the camera's clock were not taken at one time of the receiver's."""
_FAR_S, _DAY_S = (-9.5 * 3600.0, 11.5 * 3600.0), 86400.0
"""Zones of which one a day later or earlier is a zone as well, and a quarter hour for clocks."""
_CAMERA_STOOD_S = 10.0
"""The other way round: receivers tell the time of a fix that is some seconds old."""
_STOOD = "{} stands still while {} goes on: the latter is believed"
_TAGS = ("GPSTimeStamp", "DateTimeOriginal")
STOOD = _STOOD.format(*_TAGS)
_ZONE_UNKNOWN = "taken as UTC, as it tells no zone (--time-zone says which it was)"


def in_zone(photo: exif.Photo, time_zone: str | None) -> exif.Photo:
    """A photo whose camera's clock was in a zone; see `clocks.zone`.

    Raises:
        ValueError: there is no such zone.
    """
    if time_zone is None:
        return photo
    if not photo.clock_is_utc:
        told = "; ".join(filter(None, (photo.told, doubt(photo, time_zone))))
        clock_s = _utc_s(photo.clock_s, time_zone)
        photo = replace(photo, clock_s=clock_s, clock_is_utc=True, told=told)
    captured_s = _utc_s(photo.captured_s, time_zone)
    if photo.captured_is_utc or math.isnan(captured_s):
        return photo
    return replace(photo, captured_s=captured_s, captured_is_utc=True)


def _utc_s(wall_s: float, time_zone: str) -> float:
    if math.isnan(wall_s):
        return wall_s
    return wall_s - clocks.ahead_s(time_zone, wall_s)[0]


def doubt(photo: exif.Photo, time_zone: str | None) -> str:
    """What is told of a photo that was taken when the clocks of its camera's zone were changed."""
    wall_s = photo.clock_s if photo.captured_is_utc else photo.captured_s
    known = photo.captured_is_utc and photo.clock_is_utc
    if time_zone is None or known or math.isnan(wall_s):
        return ""
    return "".join(clocks.doubt(time_zone, clocks.ahead_s(time_zone, wall_s)))


def dated(photo: exif.Photo) -> tuple[exif.Photo, str]:
    """A photo whose receiver's date is that of UTC, and what was done.

    Cameras that stamp the local date with the time of UTC are a day off for some hours. By zones
    alone that is seen in most places; where it is 13 hours ahead it looks like 11 behind.
    """
    ahead_s = photo.clock_s - photo.captured_s
    if not photo.captured_is_utc or not (ahead_s > _FAR_S[1] or ahead_s < _FAR_S[0]):
        return photo, ""
    if not published.on_earth((photo.lat, photo.lon))[0] or photo.clock_is_utc:
        return photo, ""
    there_s = clocks.ahead_s(clocks.zone_at(photo.lat, photo.lon), photo.clock_s)[0]
    days = round((ahead_s - there_s) / _DAY_S)
    if abs(days) != 1 or abs(ahead_s - there_s - days * _DAY_S) > clocks.QUARTER_S:
        return photo, ""
    told = f"GPSDateStamp put right by {days:+d} day: its place is at {clocks.told(there_s)}"
    return replace(photo, captured_s=photo.captured_s + days * _DAY_S), told


def believed(photos: Sequence[exif.Photo]) -> list[tuple[exif.Photo, str]]:
    """Photos of one camera with times to believe, and what was assumed of each.

    Where one clock stood, the other tells the time, by how far the two are apart at the nearest
    photo at which it went; if it never went, all are told by the other alone.
    """
    stood = _stood(photos)
    if not any(stood):
        return [(photo, "") for photo in photos]
    went = [p for p, stands in zip(photos, stood, strict=True) if _has_both(p) and not stands]
    if not went:
        return [_by_other(photo) if _has_both(photo) else (photo, "") for photo in photos]
    return [
        (_by_nearest(photo, went), _stood_told(photo)) if stands else (photo, "")
        for photo, stands in zip(photos, stood, strict=True)
    ]


def _has_both(photo: exif.Photo) -> bool:
    return not math.isnan(photo.clock_s)


def _stood(photos: Sequence[exif.Photo]) -> list[bool]:
    """Whether the clock of each tells a time that it tells of others at other times as well."""
    told: dict[tuple[bool, float], list[float]] = {}
    for photo in filter(_has_both, photos):
        told.setdefault((photo.by_camera, photo.captured_s), []).append(photo.clock_s)
    limits_s = (STOOD_S, _CAMERA_STOOD_S)
    standing = {key for key, at_s in told.items() if np.ptp(at_s) > limits_s[key[0]]}
    return [
        _has_both(photo) and (photo.by_camera, photo.captured_s) in standing for photo in photos
    ]


def _stood_told(photo: exif.Photo) -> str:
    return _STOOD.format(*(_TAGS[::-1] if photo.by_camera else _TAGS))


def _by_other(photo: exif.Photo) -> tuple[exif.Photo, str]:
    stood = _stood_told(photo)
    told = stood if photo.clock_is_utc else f"{stood}, and {_ZONE_UNKNOWN}"
    return replace(photo, captured_s=photo.clock_s, captured_is_utc=photo.clock_is_utc), told


def _by_nearest(photo: exif.Photo, went: Sequence[exif.Photo]) -> exif.Photo:
    near = min(went, key=lambda other: abs(other.clock_s - photo.clock_s))
    return replace(photo, captured_s=photo.clock_s - (near.clock_s - near.captured_s))
