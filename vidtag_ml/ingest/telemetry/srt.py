"""Drones' subtitle files, which tell for each second or frame of a video where the drone was.

All styles are text in blocks: a number, perhaps the time in the video (the line with an arrow),
perhaps the date, and a position in one of these forms:

    [latitude: 47.4] [longitude: 8.5]   most of DJI's; some firmware spells longtitude
    GPS(8.5, 47.4, 16)                  Mavic Pro, Phantom 4: longitude first, number of satellites
    GPS(47.4, 8.5, 0.0M)                Matrice 300: latitude first, metres with a capital M
    GPS(E: 8.5, N: 47.4, 174.21m)       Autel: letters tell

The third number after GPS is no altitude: in the recordings we have it stays from 13 to 16 while
the drone climbs by 118 m. Numbers in another form do not tell their order; then the distance from
home does, or the Earth if only one order fits on it.

Belongs here: these styles. Does not belong here: subtitles in other words, tracks of other drones.
Shape legend: N positions.
"""

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.earth import sphere
from vidtag_ml.ingest.telemetry import angles, order, points, text
from vidtag_ml.ingest.telemetry.readers import Beside, Reading

Floats = NDArray[np.float64]
Pair = tuple[str, str]
"""Texts of two angles."""

_ARROW = re.compile(r"(\d{1,3}):(\d\d):(\d\d)[,.](\d{1,3})\s{0,9}-->", re.ASCII)
_DATE = re.compile(
    r"\b(\d{4})[.-](\d{1,2})[.-](\d{1,2}) (\d{1,2}):(\d\d):(\d\d)(?:[,.](\d{3}))?", re.ASCII
)
_VALUE = r"\s{0,9}[:=]\s{0,9}([^\[\]|;<>\n]{1,40})"
_LAT = re.compile(rf"\blat(?:itude)?{_VALUE}", re.ASCII | re.IGNORECASE)
_LON = re.compile(rf"\b(?:lon|lng|long|longt?itude){_VALUE}", re.ASCII | re.IGNORECASE)
_NORTH = re.compile(r"\b([NS]\s?:\s?\d{1,3}\.\d{1,15})\b", re.ASCII)
_EAST = re.compile(r"\b([EW]\s?:\s?\d{1,3}\.\d{1,15})\b", re.ASCII)
_GPS = re.compile(r"\b(?:GPS|RTK)\s{0,9}(?:[:=]\s{0,9})?\(([^()\n]{3,120})\)", re.ASCII)
_GPS_ALONE = re.compile(r"\bGPS\s{0,9}[:=]\s{0,9}([^()\[\]<>|\n]{3,120})", re.ASCII)
_METRES = re.compile(r"\b(?:GPS|RTK)\s{0,9}\([^()\nNSEW]{3,120}\dm\s{0,9}\)", re.ASCII)
_HOME = re.compile(r"\bHOME\s{0,9}\(([^()\n]{3,120})\)", re.ASCII)
_ELSEWHERE = re.compile(
    r"\b(?:home|target|subject|poi|operator|pilot|controller|rc|take-?off|launch|destination)"
    r"(?:[ _.]?(?:point|position|pos|location|gps))?[\s.:=({-]{0,4}"
    r"(?=lat|lon|lng|[NSEW]\s?:)[^\[\]]*?"
    r"(?=\]|\b(?:gps|rtk|drone|aircraft|uav)\b|\n\W{0,3}lat|\Z)",
    re.ASCII | re.IGNORECASE,
)
"""Where something other than the drone is, up to the drone or the end of it."""
_DISTANCE = re.compile(r"\bD\s?(\d{1,7}(?:\.\d{1,3})?)m\b", re.ASCII)
_ALTITUDE = re.compile(r"\babs_alt\s{0,9}:\s{0,9}([-+]?\d{1,9}(?:[.,]\d{1,15})?)", re.ASCII)
_FORMS = {
    "lon": re.compile(r"\d{1,2}|-?\d{1,6}(?:\.\d{1,6})?m", re.ASCII),
    "lat": re.compile(r"-?\d{1,6}(?:\.\d{1,6})?M", re.ASCII),
}
"""What the third number after GPS looks like, by what the first one is."""
_NO_ARROWS = "its blocks tell no time in the video: the first date is taken for the first frame"
_NEAR_M, _NEAR = 15.0, 0.02
"""A distance from home is the one that is written if it differs by no more than this and this
share of it."""
_REACH = 0.001
"""Radians that a drone stays within, some kilometres."""


@dataclass(frozen=True)
class _Said:
    """What a block says of a position."""

    pair: Pair
    first: str
    """What the first of the pair is: lat, lon, or nothing if its form does not tell."""
    home: Pair = ("", "")
    """The pair after HOME, in the same order."""
    distance_m: float = np.nan
    """From home."""

    @property
    def is_away(self) -> bool:
        """Whether it says how far from where home is."""
        return bool(self.home[0]) and not np.isnan(self.distance_m)


def read(path: Path) -> Reading:
    """Positions of the drone, one a block; not those of its home.

    The time is that in the video, or, in files without arrows, that since the first date, which is
    told. The dates are in local time of an unknown zone, so there is no UTC.

    Raises:
        ValueError: no block has a position, or their order is unknown; names the file.
    """
    content, told = text.decoded(path.read_bytes())
    try:
        found = reading(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return replace(found, repairs=(*told, *found.repairs))


def tells(block: str) -> bool:
    """Whether a block of text has a position."""
    return _said(block) is not None


def reading(content: str) -> Reading:
    """Positions in a text of blocks.

    Raises:
        ValueError: no block has a position, or their order is unknown.
    """
    rows, said, first_s = [], list[_Said](), np.nan
    told: tuple[str, ...] = ()
    for block in _blocks(content):
        time_s, date_s = _arrow_s(block), _date_s(block)
        first_s = date_s if np.isnan(first_s) else first_s
        if found := _said(block):
            since_s = date_s - first_s if np.isnan(time_s) else time_s
            rows.append((since_s, _altitude_m(block), np.isnan(time_s)))
            said.append(found)
    try:
        places = _placed(said, radians="longtitude" in content)
    except ValueError as error:
        raise ValueError(f"not the subtitles of a DJI drone: {error}") from error
    times, altitudes, untimed = zip(*rows, strict=True)
    if any(untimed) and not np.isnan(times).all():
        told = (*told, _NO_ARROWS)
    if _METRES.search(content):
        told = (*told, "the longitude is taken to come first after GPS, before metres")
    table = points.table(time_s=times, lat=places.lat, lon=places.lon, altitude_m=altitudes)
    table, nowhere = points.placed(table)
    return Reading(table, "dji_srt", "drone", (*told, *places.told), left_out=nowhere)


def _blocks(content: str) -> Iterator[str]:
    """Lines up to an empty one, or up to the next arrow."""
    block: list[str] = []
    for line in content.splitlines():
        if not line.strip() or "-->" in line:
            yield "\n".join(block)
            block = []
        block.append(line)
    yield "\n".join(block)


def _said(block: str) -> _Said | None:
    """What a block says of a position; None if it says nothing."""
    home, distance = _HOME.search(block), _DISTANCE.search(block)
    rest = _ELSEWHERE.sub("", block.replace(home[0], "") if home else block)
    for north, east in ((_LAT, _LON), (_NORTH, _EAST)):
        lat, lon = north.search(rest), east.search(rest)
        if lat and lon:
            return _Said((angles.leading(lat[1]), angles.leading(lon[1])), "lat")
    if found := _GPS.search(rest):
        pair, first = _pair(found[1])
    elif found := _GPS_ALONE.search(rest):
        pair, first = _pair(found[1])
        if not all(map(angles.angle, pair)):
            return None
    else:
        return None
    away = _pair(home[1])[0] if home else ("", "")
    return _Said(pair, first, away, float(distance[1]) if distance else np.nan)


def _pair(inside: str) -> tuple[Pair, str]:
    """The two angles after GPS or HOME, and what the first of them is, if that can be told.

    More than three numbers are two with decimal commas, or something else: no angles.
    """
    parts = [part.strip() for part in inside.split(";" if ";" in inside else ",")]
    if not 2 <= len(parts) <= 3:
        return (inside, inside), ""
    found = angles.angle(parts[0])
    first = angles.AXES.get(found.letter, "") if found else ""
    if len(parts) == 3 and not first:
        first = next((axis for axis, form in _FORMS.items() if form.fullmatch(parts[2])), "")
    return (parts[0], parts[1]), first


def _placed(said: Sequence[_Said], *, radians: bool) -> angles.Places:
    """Latitudes and longitudes of all blocks, whatever their order.

    Args:
        said: what each block says.
        radians: whether firmware wrote it that may write them.

    Raises:
        ValueError: no block has a position, or none tells the order of its numbers.
    """
    first, told = _first(said)
    pairs = [
        one.pair if which == "lat" else one.pair[::-1]
        for one, which in zip(said, first, strict=True)
    ]
    places = angles.places([lat for lat, _ in pairs], [lon for _, lon in pairs], (), ())
    if np.isnan(places.lat + places.lon).all():
        raise ValueError("; ".join(("no block has a position", *places.told)))
    places = order.put_right(angles.Places(places.lat, places.lon, (*told, *places.told)))
    return order.as_track(_in_degrees(places) if radians else places)


def _first(said: Sequence[_Said]) -> tuple[list[str], tuple[str, ...]]:
    """What the first number of each block is, and what was assumed.

    Raises:
        ValueError: some blocks do not tell, and nothing else does.
    """
    written = [one.first for one in said]
    away = [one for one in said if one.is_away]
    if (first := _by_home(away)) and {one.first for one in away} != {first}:
        told = f"the {angles.NAMES[first]} comes first after GPS: the distance from home says so"
        return [first if one.is_away else one.first for one in said], (told,)
    silent = [one for one in said if not one.first and all(map(angles.angle, one.pair))]
    if not silent:
        return written, ()
    # A number above 99 is none of satellites, so those below are none, either.
    on_earth = _on_earth([one for one in said if one.first != "lat"])
    if not on_earth:
        raise ValueError(
            f"GPS({', '.join(silent[0].pair)}, ...) does not tell which is the latitude: write "
            "GPS(N: ..., E: ...), or put a GPX track beside the video"
        )
    told = f"the {angles.NAMES[on_earth]} comes first after GPS: only so all positions are on Earth"
    return [first if first == "lat" else on_earth for first in written], (told,)


def _by_home(said: Sequence[_Said]) -> str:
    """What comes first, lat or lon, by the distances from home; empty if they do not tell."""
    here_N2, home_N2 = _numbers([one.pair for one in said]), _numbers([one.home for one in said])
    away_N = np.array([one.distance_m for one in said])
    fits = {}
    for first, turn in (("lat", 1), ("lon", -1)):
        found_N = 1000.0 * sphere.great_circle_km(here_N2[:, ::turn], home_N2[:, ::turn])
        fits[first] = _share(np.abs(found_N - away_N) <= _NEAR_M + _NEAR * away_N)
    return _one(fits)


def _on_earth(said: Sequence[_Said]) -> str:
    """What comes first, lat or lon, if only one order is possible; empty if both are."""
    numbers_N2 = np.abs(_numbers([one.pair for one in said]))
    known_N2 = numbers_N2[~np.isnan(numbers_N2).any(-1)]
    return _one({f: _share(known_N2[:, k] <= 90.0) for k, f in enumerate(("lat", "lon"))})


def _numbers(pairs: Sequence[Pair]) -> Floats:
    """Pairs as numbers (N, 2), NaN where a text is none."""
    found = [[angles.angle(part) for part in pair] for pair in pairs]
    signed = [[(-a.size if a.sign == "-" else a.size) if a else np.nan for a in f] for f in found]
    return np.array(signed, float).reshape(-1, 2)


def _share(true_N: NDArray[np.bool_]) -> float:
    return float(true_N.mean()) if len(true_N) else 0.0


def _one(fits: Mapping[str, float]) -> str:
    """The one of two that nearly all fit, if most do not fit the other."""
    best, other = sorted(fits, key=fits.__getitem__, reverse=True)
    return best if fits[best] >= order.MOST and fits[other] < 0.5 else ""


def _in_degrees(places: angles.Places) -> angles.Places:
    """Positions in degrees, where they are in radians, as some Mavic Air 2 wrote them.

    As degrees, all that can be radians lies in the open sea of the Gulf of Guinea.
    """
    both = (places.lat, places.lon)
    ends = [(np.nanmin(angle_N), np.nanmax(angle_N)) for angle_N in both]
    for (least, most), limit in zip(ends, order.RADIANS, strict=True):
        if max(-least, most) > limit or most - least > _REACH or not (least or most):
            return places
    lat, lon = map(np.degrees, both)
    return angles.Places(lat, lon, (*places.told, "positions in radians: turned into degrees"))


def _altitude_m(block: str) -> float:
    found = _ALTITUDE.search(block)
    return float(found[1].replace(",", ".")) if found else np.nan


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


READER = Beside((".srt",), read, trust=65)
