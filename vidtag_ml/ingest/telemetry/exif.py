"""What a photo says of itself: where it was taken, when, with what, and its size.

Belongs here: EXIF, its copy in XMP, and FLIR's own record where EXIF has none. Does not belong
here: which photos follow each other (vidtag_ml.ingest.own.photos), what makes a position good.
"""

import datetime as dt
import math
import re
import struct
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

from PIL import ExifTags, Image

from vidtag_ml.earth import sphere
from vidtag_ml.ingest.telemetry import angles, flir, zones
from vidtag_ml.media import pictures

_BASE, _GPS = ExifTags.Base, ExifTags.GPS
_DAMAGED = (
    OSError,
    RuntimeError,
    ValueError,
    SyntaxError,
    TypeError,
    ArithmeticError,
    LookupError,
    EOFError,
    struct.error,
    Image.DecompressionBombError,
)
"""What Pillow raises for files that are damaged or too large; it documents only the first."""
_TURNED = (5, 6, 7, 8)
_DATE_TIME = re.compile(r"(\d{4})\D(\d\d)\D(\d\d)(?:\D(\d\d)\D(\d\d)\D(\d\d))?", re.ASCII)
_XMP = r"""exif:GPS{}(?:\s*=\s*["']|>)\s*([\d,.]+)([NSEW])\s*["'<]"""
_WGS_84 = ("", "wgs84", "worldgeodeticsystem1984", "unknown")
"""What cameras write for it, by letters and digits."""
_ZONES = {
    "OffsetTimeOriginal": _BASE.OffsetTimeOriginal,
    "OffsetTimeDigitized": _BASE.OffsetTimeDigitized,
    "OffsetTime": _BASE.OffsetTime,
}
"""Tags of zones, that of DateTimeOriginal first."""
_WRONG_S, _DAY_S = 900.0, 86400.0
"""By how much cameras' clocks go wrong."""
_GPS_BEGAN_S = dt.datetime(1980, 1, 6, tzinfo=dt.UTC).timestamp()
_WRONG_DAYS = (1, -1, *(1024 * 7 * k + day for k in (1, 2) for day in (0, 1, -1)))
"""Days by which receivers' dates are early: dates of local time, and weeks counted up to 1024."""
_WHOLE = 1e-6
"""Fractions so small are those of a writer's arithmetic."""
_MIXED = (
    "its degrees or minutes have fractions beside smaller parts, or there are more than 60 of "
    "those: its position is left out"
)
_BELOW_SEA = (1, 3, b"\1", b"\3")

_SAME_KM = 1.0
"""Places of one photo in two records that differ by more contradict each other."""

Tags = Mapping[int, Any]


class Place(NamedTuple):
    """Where one record of a photo says that it was taken; NaN = unknown."""

    lat: float
    lon: float
    altitude_m: float
    told: str
    """What was assumed, or why it is unknown; empty = nothing to tell."""


class Moment(NamedTuple):
    """When a photo was taken; see `Photo`."""

    time_s: float
    is_utc: bool
    clock_s: float = math.nan
    clock_is_utc: bool = False
    told: str = ""
    """What was assumed; empty = nothing to tell."""
    by_camera: bool = False


@dataclass(frozen=True)
class Photo:
    """What a photo says of itself; NaN where it says nothing."""

    lat: float
    lon: float
    altitude_m: float
    dop: float
    captured_s: float
    """Seconds since 1970."""
    captured_is_utc: bool
    """Whether `captured_s` is in UTC; else it is local time of an unknown zone, counted as UTC."""
    camera: str
    """Make and model; empty = unknown."""
    width: int
    """Columns of the upright picture."""
    height: int
    """Rows of the upright picture."""
    clock_s: float = math.nan
    """As `captured_s` by the other of two clocks: the camera's own, or its receiver's."""
    clock_is_utc: bool = False
    """Whether `clock_s` is in UTC; else it is local time of an unknown zone, counted as UTC."""
    by_camera: bool = False
    """Whether `captured_s` is by the camera's own clock though there is its receiver's as well."""
    told: str = ""
    """What was assumed of it, or why it has no position."""


NOTHING = Photo(math.nan, math.nan, math.nan, math.nan, math.nan, False, "", 0, 0)
"""A photo that says nothing."""


def read(path: Path) -> Photo:
    """What a photo says of itself; decodes all of it, to know that it can be shown.

    A JPEG of very many pixels is decoded at half its size, which is told.

    Raises:
        ValueError: the file is no picture, is cut off or damaged, or has too many pixels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pictures.opened(path) as image:
                size = image.size
                is_half = pictures.halve(image)
                image.load()
                photo = _photo(image, size)
    except _DAMAGED as error:
        reason = str(error).replace(str(path), "it")
        many = isinstance(error, Image.DecompressionBombError)
        advice = "; save it at half its size" if many else ""
        raise ValueError(f"{path}: not a picture that can be decoded ({reason}{advice})") from error
    told = (photo.told, f"{size[0]} x {size[1]} pixels: read at half its size" * is_half)
    return replace(photo, told="; ".join(filter(None, told)))


def _photo(image: Image.Image, size: tuple[int, int]) -> Photo:
    """What an image says that is of a size, whatever it is decoded at."""
    main = image.getexif()
    detail, gps = main.get_ifd(ExifTags.IFD.Exif), main.get_ifd(ExifTags.IFD.GPSInfo)
    place = _chosen([_exif_place(gps), _xmp_place(image), _flir_place(image)])
    when = _captured(detail, gps)
    width, height = size
    if main.get(_BASE.Orientation) in _TURNED:
        width, height = height, width
    return Photo(
        lat=place.lat,
        lon=place.lon,
        altitude_m=place.altitude_m,
        dop=_number(gps.get(_GPS.GPSDOP)),
        captured_s=when.time_s,
        captured_is_utc=when.is_utc,
        camera=_text(f"{_text(main.get(_BASE.Make))} {_text(main.get(_BASE.Model))}"),
        width=width,
        height=height,
        clock_s=when.clock_s,
        clock_is_utc=when.clock_is_utc,
        by_camera=when.by_camera,
        told="; ".join(filter(None, (place.told, when.told))),
    )


def _chosen(places: Sequence[Place]) -> Place:
    """The first place that is known, and whether another record contradicts it."""
    known = [place for place in places if not math.isnan(place.lat)]
    if not known:
        told = "; ".join(place.told for place in places if place.told)
        return Place(math.nan, math.nan, math.nan, told)
    first, *others = known
    for other in others:
        if sphere.great_circle_km(first[:2], other[:2]) > _SAME_KM:
            said = f"another record of the photo says {other.lat:.5f}, {other.lon:.5f}: not taken"
            return first._replace(told="; ".join(filter(None, (first.told, said))))
    return first


def _exif_place(gps: Tags) -> Place:
    if any(_is_mixed(gps.get(tag)) for tag in (_GPS.GPSLatitude, _GPS.GPSLongitude)):
        return _place(None, None, math.nan)._replace(told=_MIXED)
    altitude_m = _number(gps.get(_GPS.GPSAltitude))
    below = gps.get(_GPS.GPSAltitudeRef) in _BELOW_SEA
    place = _place(
        _angle(gps.get(_GPS.GPSLatitude), gps.get(_GPS.GPSLatitudeRef)),
        _angle(gps.get(_GPS.GPSLongitude), gps.get(_GPS.GPSLongitudeRef)),
        -altitude_m if below else altitude_m,
    )
    if math.isnan(place.lat):
        return place
    datum, told = _text(gps.get(_GPS.GPSMapDatum)), [place.told]
    if re.sub(r"[^a-z0-9]", "", datum.lower()) not in _WGS_84:
        told.append(f"its position is in the datum {datum[:40]}: taken for WGS 84")
    if _text(gps.get(_GPS.GPSStatus)) == "V":
        told.append("its receiver had no fix (GPSStatus V): its position may be an earlier one")
    return place._replace(told="; ".join(filter(None, told)))


def _is_mixed(value: Any) -> bool:
    """Whether an angle has a fraction and yet smaller parts, or more of those than there can be."""
    parts = [abs(_number(part)) for part in value] if isinstance(value, tuple) else []
    return any(
        (part % 1 > _WHOLE and any(parts[k + 1 :])) or (k and part > 60 and any(parts[:k]))
        for k, part in enumerate(parts)
    )


def _xmp_place(image: Image.Image) -> Place:
    """Latitudes of XMP are 48,51.5N or 48,51,30N."""
    packet = image.info.get("xmp", b"")
    text = packet.decode("utf-8", "replace") if isinstance(packet, bytes) else ""
    found = [re.search(_XMP.format(name), text) for name in ("Latitude", "Longitude")]
    said = [_angle(tuple(f[1].split(",")), f[2]) if f else None for f in found]
    return _place(said[0], said[1], math.nan)


def _flir_place(image: Image.Image) -> Place:
    segments = getattr(image, "applist", [])
    found = flir.position(data for name, data in segments if name == "APP1")
    if found is None:
        return _place(None, None, math.nan)
    lat_ref, lon_ref, lat, lon, altitude_m = found
    return _place(_angle(lat, lat_ref), _angle(lon, lon_ref), altitude_m)


def _place(lat: angles.Angle | None, lon: angles.Angle | None, altitude_m: float) -> Place:
    """A place by two angles; unknown unless the hemispheres of both can be known."""
    degrees, told = [], []
    for name, axis, said in (("latitude", "lat", lat), ("longitude", "lon", lon)):
        number, what = angles.signed(axis, said) if said else (math.nan, "")
        degrees.append(number)
        told += [f"its {name} {what}"] if what else []
    if abs(degrees[0]) > 90.0 or abs(degrees[1]) > 180.0:
        told.append(f"its position {degrees[0]:g}, {degrees[1]:g} is not on Earth: left out")
        degrees = [math.nan, math.nan]
    if any(map(math.isnan, degrees)):
        degrees, altitude_m = [math.nan, math.nan], math.nan
    return Place(degrees[0], degrees[1], altitude_m, "; ".join(told))


def _angle(value: Any, ref: Any) -> angles.Angle | None:
    """An angle as EXIF writes it: texts, or degrees, minutes and seconds; None if it is none."""
    letter = angles.letter(_text(ref))
    if isinstance(value, str):
        said = angles.angle(_text(value))
        return said and replace(said, letter=letter or said.letter)
    parts = value if isinstance(value, tuple) else (value,)
    size = _sexagesimal(tuple(abs(_number(part)) for part in parts))
    negative = any(_number(part) < 0 for part in parts)
    return angles.Angle(size, "-" if negative else "", letter) if math.isfinite(size) else None


def _captured(detail: Tags, gps: Tags) -> Moment:
    """When a photo was taken.

    A clock with its zone comes before the receiver's: phones stamp the time of an earlier fix. A
    zone that is written for another time of the photo comes after it.
    """
    local_s = _local_s(detail)
    zones_s = {name: zones.ahead_s(_text(detail.get(tag))) for name, tag in _ZONES.items()}
    of, zone_s = next(((n, s) for n, s in zones_s.items() if not math.isnan(s)), ("", math.nan))
    clock_s = local_s - zone_s if of else local_s
    utc_s, told = _stamped(gps, local_s)
    if of == "OffsetTimeOriginal" and not math.isnan(local_s):
        told = _contradiction(utc_s - clock_s)
        return Moment(clock_s, True, utc_s, not math.isnan(utc_s), told, by_camera=True)
    if not math.isnan(utc_s):
        return Moment(utc_s, True, clock_s, bool(of), told)
    zoned = f"DateTimeOriginal is taken to be in the zone of {of}" if of else ""
    return Moment(clock_s, bool(of), told="; ".join(filter(None, (told, zoned))))


def _contradiction(ahead_s: float) -> str:
    """What is told of a receiver so far ahead of a clock that has its zone; empty = nothing."""
    if not abs(ahead_s) > _WRONG_S:
        return ""
    apart = f"{abs(ahead_s) / 3600:.3g} h {'ahead of' if ahead_s > 0 else 'behind'}"
    return f"GPSTimeStamp is {apart} DateTimeOriginal in its zone: the latter is believed"


def _local_s(detail: Tags) -> float:
    fraction = _text(detail.get(_BASE.SubsecTimeOriginal))
    part_s = float(f"0.{fraction}") if fraction.isdecimal() and fraction.isascii() else 0.0
    return _clock_s(_text(detail.get(_BASE.DateTimeOriginal))) + part_s


def _stamped(gps: Tags, local_s: float) -> tuple[float, str]:
    """UTC by the receiver, which must be possible beside a local time, and what was assumed.

    NaN if it tells none that can be believed.
    """
    date = _text(gps.get(_GPS.GPSDateStamp))
    utc_s = _clock_s(date) + 3600 * _sexagesimal(gps.get(_GPS.GPSTimeStamp))
    if utc_s < _GPS_BEGAN_S:
        return math.nan, f"GPSDateStamp {date[:10]} is before there was any GPS: not believed"
    ahead_s, said = local_s - utc_s, f"GPSDateStamp {date[:10]}"
    if math.isnan(ahead_s) or _is_zone(ahead_s):
        return utc_s, ""
    for days in _WRONG_DAYS:
        if _is_zone(ahead_s - days * _DAY_S):
            told = f"{said} put right by {days:+d} days: else DateTimeOriginal is in no zone"
            return utc_s + days * _DAY_S, told
    # Clocks that were never set are early, and receivers that have no fix as well.
    told = f"{said} and DateTimeOriginal are {abs(ahead_s) / _DAY_S:.0f} days apart"
    if ahead_s < 0:
        return utc_s, f"{told}: the former is believed"
    return math.nan, f"{told}: the latter is believed"


def _is_zone(ahead_s: float) -> bool:
    """Whether a clock may be so far ahead of UTC, if it goes wrong by less than a quarter hour."""
    return zones.FIRST_S - _WRONG_S < ahead_s < zones.LAST_S + _WRONG_S


def _clock_s(text: str) -> float:
    """Seconds since 1970 of YYYY:MM:DD hh:mm:ss or YYYY:MM:DD, as if UTC; NaN if it is neither."""
    found = _DATE_TIME.match(text)
    if not found:
        return math.nan
    year, month, day, *clock = (part or "00" for part in found.groups())
    try:
        written = f"{year}-{month}-{day}T{':'.join(clock)}+00:00"
        return dt.datetime.fromisoformat(written).timestamp()
    except ValueError:
        return math.nan


def _sexagesimal(value: Any) -> float:
    """Degrees of (degrees, minutes, seconds), or hours of a time; NaN if it is no such thing."""
    parts = value if isinstance(value, tuple) else (value,)
    if not 1 <= len(parts) <= 3:
        return math.nan
    return sum(_number(part) / 60.0**k for k, part in enumerate(parts))


def _number(value: Any) -> float:
    try:
        return float(value) if isinstance(value, Real | str) else math.nan
    except (ValueError, ArithmeticError):
        return math.nan


def _text(value: Any) -> str:
    """One line of text; EXIF gives strings, and bytes where a writer took the wrong type."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return " ".join(text.replace("\0", " ").split()) if isinstance(text, str) else ""
