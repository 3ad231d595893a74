"""GPX: tracks of points with a time of the world, and routes where there is no track.

Belongs here: what a point says, and which points are a track. Does not belong here: encodings
(text.py), writing GPX (earth/track_files.py).
"""

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np

from vidtag_ml.ingest.telemetry import angles, order, points, text
from vidtag_ml.ingest.telemetry.readers import Beside, Reading

_MARGIN = 0.01
"""Degrees by which bounds may be rounded."""
_FIX_TYPES = ("none", "2d", "3d")
_COMMA = re.compile(r"\s*[-+]?\d+,\d+\s*", re.ASCII)
"""A number with a decimal comma."""
_DECLARED = re.compile(rb"""<\?xml[^>]{0,80}?\bencoding\s*=\s*["']([\w.:-]{1,40})["']""")
_ENCODINGS = re.compile(
    r"us-ascii|ascii|utf-?8|iso-?8859-\d+|latin-?\d|(windows-?|cp-?)\d+|koi8-[ru]|mac\w+|"
    r"gbk?|gb2312|gb18030|big5|shift[_-]jis|euc-\w+",
    re.IGNORECASE,
)
"""Those that write ASCII as it is; others tell themselves by their first bytes."""


def read(path: Path) -> Reading:
    """Track points of all tracks and segments, in the order of the file, or those of its route.

    Waypoints, and routes beside a track, are not read, which is told.

    Raises:
        ValueError: the file is not GPX, declares entities, or has no track point with a position.
    """
    try:
        document, assumed = _document(path.read_bytes())
        root = ET.fromstring(document)  # noqa: S314 - entities are refused above
    except (ValueError, ET.ParseError) as error:
        raise ValueError(f"{path}: not a GPX file: {error}") from error
    if root.tag.rpartition("}")[2] != "gpx":
        raise ValueError(f"{path}: not a GPX file: its root is {root.tag[:80]!r}")
    found, told, others = _points(root)
    lat, lon = ([point.get(name) or "" for point in found] for name in ("lat", "lon"))
    try:
        places = _as_bounded(root, angles.places(lat, lon, (), ()))
        places = order.as_track(order.put_right(places))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    fix_types = [(point.findtext("{*}fix") or "").strip().lower() for point in found]
    table = points.table(
        utc_s=[text.utc_s(point.findtext("{*}time")) for point in found],
        lat=places.lat,
        lon=places.lon,
        altitude_m=[text.number(point.findtext("{*}ele")) for point in found],
        dop=[text.number(point.findtext("{*}hdop")) for point in found],
        speed_mps=[text.number(point.findtext(".//{*}speed")) for point in found],
        fix_type=[fix if fix in _FIX_TYPES else None for fix in fix_types],
    )
    table, nowhere = points.placed(table)
    told = (*assumed, *told, *places.told)
    if table.empty:
        raise ValueError(f"{path}: {'; '.join(('has no track point with a position', *told))}")
    return Reading(table, "gpx", repairs=told, left_out=others | nowhere)


def _document(data: bytes) -> tuple[str, tuple[str, ...]]:
    """An XML document as text, and what was assumed of its encoding.

    Raises:
        ValueError: it declares an encoding that is not known, a document type, or entities.
    """
    declared = _DECLARED.match(data.removeprefix(b"\xef\xbb\xbf"))
    encoding = declared[1].decode("ascii") if declared else "utf-8"
    if encoding.lower().startswith(("utf-16", "utf16", "ucs-2")):
        encoding = "utf-8"  # it has just been read as ASCII
    if not _ENCODINGS.fullmatch(encoding):
        raise ValueError(f"its encoding is {encoding!r}: save it as UTF-8")
    try:
        document, assumed = text.decoded(data, encoding)
    except LookupError as error:
        raise ValueError(f"its encoding is {encoding!r}: save it as UTF-8") from error
    # Entities can fetch other files or grow without bound; no GPX needs them.
    if "<!DOCTYPE" in document or "<!ENTITY" in document:
        raise ValueError("it declares a document type or entities")
    return document, assumed


def _as_bounded(root: ET.Element, places: angles.Places) -> angles.Places:
    """Places, exchanged if only so they lie within the bounds that the file states."""
    found = root.find("{*}metadata/{*}bounds")
    stated = {} if found is None else found.attrib
    least_2, most_2 = (
        np.array([text.number(stated.get(f"{end}{axis}")) for axis in angles.NAMES])
        for end in ("min", "max")
    )
    latlon_N2 = np.stack([places.lat, places.lon], -1)
    latlon_N2 = latlon_N2[~np.isnan(latlon_N2).any(-1)]
    if np.isnan([least_2, most_2]).any() or not (least_2.any() and len(latlon_N2)):
        return places
    is_inside_N, is_turned_N = (
        ((places_N2 >= least_2 - _MARGIN) & (places_N2 <= most_2 + _MARGIN)).all(-1)
        for places_N2 in (latlon_N2, latlon_N2[:, ::-1])
    )
    if is_inside_N.any():
        return places
    if is_turned_N.all():
        told = "latitude and longitude were exchanged: only so they lie within the file's bounds"
        return angles.Places(places.lon, places.lat, (*places.told, told))
    told = "no position lies within the bounds that the file states: they are passed over"
    return angles.Places(places.lat, places.lon, (*places.told, told))


def _points(
    root: ET.Element,
) -> tuple[Sequence[ET.Element], tuple[str, ...], dict[str, int]]:
    """Points of the track, else of the route, what is told of the others, and how many they are."""
    track, route = root.findall("{*}trk/{*}trkseg/{*}trkpt"), root.findall("{*}rte/{*}rtept")
    told, left_out = [], {}
    if route and track:
        left_out["points of a route: left out, as there is a track"] = len(route)
    elif route:
        told.append(f"{len(route)} points of a route: there is no track: taken for it")
    if lost := len(root.findall(".//{*}trkpt")) - len(track):
        left_out["track points outside of segments: left out"] = lost
    if waypoints := root.findall("{*}wpt"):
        left_out["waypoints left out: they are no track"] = len(waypoints)
    told += [f"{num} {what}" for what, num in left_out.items()]
    found = track or route
    if any("," in (point.get("lat") or "") for point in found):
        _put_points(found)
    return found, tuple(told), left_out


def _put_points(found: Sequence[ET.Element]) -> None:
    """Puts points for the decimal commas of numbers in elements of track points."""
    for element in (e for point in found for e in point.iter()):
        if _COMMA.fullmatch(element.text or ""):
            element.text = (element.text or "").replace(",", ".")


READER = Beside((".gpx",), read, trust=70)
