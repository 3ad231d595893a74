"""GeoJSON tracks: points or lines, with times among their properties.

Belongs here: what a feature says, and which geometries are a track. Does not belong here: the names
that properties go by (table.py).
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.ingest.telemetry import angles, coordinates, table, text, times
from vidtag_ml.ingest.telemetry.readers import Beside, Reading

Floats = NDArray[np.float64]
Row = dict[str, str]
Columns = Mapping[str, Sequence[str]]

_LINE_TIMES = ("time_s", "coordTimes", "times")
_OF_POINTS = table.KNOWN - {"ns", "ew"}
"""Properties of a point that are read; its coordinates have signs."""
_SAID = "said "
"""Before the names of all properties of a point, some of which may tell its place once more."""
_SAME = 1e-3
"""Degrees by which two tellings of one place may differ."""
_WGS_84 = re.compile(r"crs84|(?<!\d)(?:4326|4979)(?!\d)", re.IGNORECASE)
_POINTS, _LINES = ("Point", "MultiPoint"), ("LineString", "MultiLineString")


def read(path: Path) -> Reading:
    """Positions of a GeoJSON file: points with a time each, or lines with a list of times.

    Where there are both, those with times are the track, or else the lines; what is left out is
    told.

    Raises:
        ValueError: the file is not GeoJSON, or has no position; names the file.
    """
    document, assumed = text.decoded(path.read_bytes())
    rows: dict[str, list[Row]] = {"line": [], "point": []}
    left_out: Counter[str] = Counter()
    try:
        for kind, where, properties in _geometries(json.loads(document)):
            found = list(_rows(kind, where, properties))
            if found:
                rows["line" if kind in _LINES else "point"] += found
            else:
                left_out[f"of type {kind[:40]} left out: no track"] += 1
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not GeoJSON of points or lines: {error}") from error
    told = [f"{num} {what}" for what, num in left_out.items()]
    made = {kind: _made(path, found) for kind, found in rows.items() if found}
    if not made:
        raise ValueError(f"{path}: {'; '.join(('holds no point and no line', *told))}")
    track = max(made, key=lambda kind: _timed(made[kind]))
    for kind in made.keys() - {track}:
        what = f"positions of {kind}s left out: the {track}s are the track"
        left_out[what] = len(rows[kind])
        told.append(f"{len(rows[kind])} {what}")
    told = [*assumed, *told, *made[track].repairs]
    return replace(made[track], repairs=tuple(told), left_out={**left_out, **made[track].left_out})


def _made(path: Path, rows: Sequence[Row]) -> Reading:
    """Positions of points, or of lines."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: [row.get(name, "") for row in rows] for name in names}
    beside = {n.removeprefix(_SAID): columns.pop(n) for n in names if n.startswith(_SAID)}
    places, told = _as_said(columns, beside)
    return table.positions(path, {**columns, **places}, "geojson", told)


def _as_said(columns: Columns, beside: Columns) -> tuple[Columns, tuple[str, ...]]:
    """Coordinates of points as properties have them, if those are in order, and what is told.

    Programs that write latitudes first, or lose signs, often have the right ones beside them.
    """
    found = angles.places(columns["lat"], columns["lon"], (), ())
    names, said = _said(columns, beside)
    here_N2, said_N2 = (np.stack([places.lat, places.lon], -1) for places in (found, said))
    differ_N2 = np.abs(here_N2 - said_N2) > _SAME
    apart_N = np.asarray(differ_N2.any(-1) & ~np.isnan(said_N2).any(-1))
    if not apart_N.any():
        return {}, ()
    turned_N = _turned(here_N2, said_N2)
    if not turned_N[apart_N].all():
        return {}, (f"{names} differ from coordinates, which are read",)
    right_N2 = np.where(apart_N[:, None], said_N2, here_N2)
    told = f"{apart_N.sum()} coordinates are in another order, or lack signs: read as {names} say"
    return {"lat": _texts(right_N2[:, 0]), "lon": _texts(right_N2[:, 1])}, (told,)


def _turned(here_N2: Floats, said_N2: Floats) -> NDArray[np.bool_]:
    """Whether places are others in another order, or without a minus that those have."""
    apart_N2 = np.abs(np.sort(np.abs(here_N2)) - np.sort(np.abs(said_N2)))
    has_signs_N = (said_N2 < 0.0).sum(-1) >= (here_N2 < 0.0).sum(-1)
    return np.asarray(has_signs_N & (apart_N2 <= _SAME).all(-1))


def _said(columns: Columns, beside: Columns) -> tuple[str, angles.Places]:
    """Names of properties that tell places, or hemispheres of coordinates, and what they tell.

    Nowhere, if there are none or it is not known which belong together.
    """
    header = list(beside)
    try:
        chosen = coordinates.of(header)
    except ValueError:
        chosen = coordinates.of([])
    parts = [chosen.parts.get(axis, []) for axis in angles.NAMES]
    if not any(parts) and not chosen.refs:
        return "", angles.places([""] * len(columns["lat"]), [""] * len(columns["lat"]), (), ())
    texts, refs = [], []
    for axis, at in zip(angles.NAMES, parts, strict=True):
        cells = [beside[header[k]] for k in at]
        texts.append(coordinates.together(header, cells)[0] if all(parts) else columns[axis])
        refs.append(beside[header[chosen.refs[axis]]] if axis in chosen.refs else ())
    names = [header[k] for k in (*parts[0], *parts[1], *chosen.refs.values())]
    return ", ".join(names), angles.places(texts[0], texts[1], refs[0], refs[1])


def _texts(angle_N: Floats) -> list[str]:
    """Numbers as a table has them; empty for none."""
    return ["" if np.isnan(angle) else repr(angle) for angle in angle_N.tolist()]


def _timed(reading: Reading) -> bool:
    return bool(reading.points[["time_s", "utc_s"]].notna().any(axis=None))


def _geometries(document: Any) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    """Type, coordinates and properties of all geometries of a document.

    Raises:
        ValueError: it is no GeoJSON, or not in WGS 84.
    """
    root = _typed(document, dict)
    _refuse_crs(root)
    alone = root if root.get("type") == "Feature" else {"geometry": root}
    for feature in _typed(root.get("features", [alone]), list):
        parts = [_typed(feature, dict).get(name) or {} for name in ("geometry", "properties")]
        geometry, properties = (_typed(part, dict) for part in parts)
        _refuse_crs(feature)
        yield from _parts(geometry, properties)


def _parts(
    geometry: Mapping[str, Any], properties: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    _refuse_crs(geometry)
    if geometry.get("type") == "GeometryCollection":
        for part in _typed(geometry.get("geometries"), list):
            yield from _parts(_typed(part, dict), properties)
    else:
        yield str(geometry.get("type", "null")), geometry.get("coordinates"), properties


def _refuse_crs(of: Mapping[str, Any]) -> None:
    """Raises ValueError if coordinates are said to be in anything but WGS 84."""
    crs = str(of.get("crs") or "CRS84")
    if not _WGS_84.search(crs):
        raise ValueError(f"its coordinates are in {crs[:80]}: save it in WGS 84")


def _rows(kind: str, where: Any, properties: Mapping[str, Any]) -> Iterator[Row]:
    """Cells of a geometry's positions; none if it is no point and no line."""
    if kind == "Point":
        said = {times.name(n) or n.lower(): str(value) for n, value in properties.items()}
        beside = {f"{_SAID}{name}": str(value) for name, value in properties.items()}
        yield {name: said[name] for name in _OF_POINTS & set(said)} | beside | _place(where)
        return
    if kind not in (*_POINTS, *_LINES):
        return
    line = _flat(_typed(where, list)) if kind == "MultiLineString" else _typed(where, list)
    moments = _times(properties) or [""] * len(line)
    if len(moments) != len(line):
        raise ValueError(f"a line of {len(line)} positions has {len(moments)} times")
    for place, time in zip(line, moments, strict=True):
        yield {"time": str(time), **_place(place)}


def _times(properties: Mapping[str, Any]) -> list[Any]:
    """Times of a line, or of lines that follow each other; empty if it has none."""
    beside = _typed(properties.get("coordinateProperties") or {}, dict)
    known = (p[key] for p in (properties, beside) for key in _LINE_TIMES if key in p)
    return _flat(_typed(next(known, []), list))


def _flat(parts: Sequence[Any]) -> list[Any]:
    """What lists hold, one after the other; what is in no list stays."""
    return [x for part in parts for x in (part if isinstance(part, list) else [part])]


def _place(position: Any) -> Row:
    """Cells of a GeoJSON position, which has its longitude first."""
    numbers = _typed(position, list)
    if len(numbers) < 2:
        raise ValueError(f"a position has {len(numbers)} numbers")
    return dict(zip(("lon", "lat", "ele"), map(str, numbers), strict=False))


def _typed(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"has a {type(value).__name__} where a {kind.__name__} should be")
    return value


READER = Beside((".geojson",), read, trust=50)
