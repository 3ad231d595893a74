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

from vidtag_ml.ingest.telemetry import table, text, times
from vidtag_ml.ingest.telemetry.readers import Beside, Reading

Row = dict[str, str]

_LINE_TIMES = ("time_s", "coordTimes", "times")
_OF_POINTS = table.KNOWN - {"ns", "ew"}
"""Properties of a point that are read; its coordinates have signs."""
_WGS_84 = re.compile(r"crs84|4326|4979", re.IGNORECASE)
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
    names = {name for row in rows for name in row}
    columns = {name: [row.get(name, "") for row in rows] for name in names}
    return table.positions(path, columns, "geojson")


def _timed(reading: Reading) -> bool:
    return bool(reading.points[["time_s", "utc_s"]].notna().any(axis=None))


def _geometries(document: Any) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    """Type, coordinates and properties of all geometries of a document.

    Raises:
        ValueError: it is no GeoJSON, or not in WGS 84.
    """
    root = _typed(document, dict)
    crs = str(root.get("crs") or "CRS84")
    if not _WGS_84.search(crs):
        raise ValueError(f"its coordinates are in {crs[:80]}: save it in WGS 84")
    alone = root if root.get("type") == "Feature" else {"geometry": root}
    for feature in _typed(root.get("features", [alone]), list):
        parts = [_typed(feature, dict).get(name) or {} for name in ("geometry", "properties")]
        geometry, properties = (_typed(part, dict) for part in parts)
        yield from _parts(geometry, properties)


def _parts(
    geometry: Mapping[str, Any], properties: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    if geometry.get("type") == "GeometryCollection":
        for part in _typed(geometry.get("geometries"), list):
            yield from _parts(_typed(part, dict), properties)
    else:
        yield str(geometry.get("type", "null")), geometry.get("coordinates"), properties


def _rows(kind: str, where: Any, properties: Mapping[str, Any]) -> Iterator[Row]:
    """Cells of a geometry's positions; none if it is no point and no line."""
    if kind == "Point":
        said = {times.name(n) or n.lower(): str(value) for n, value in properties.items()}
        yield {name: said[name] for name in _OF_POINTS & set(said)} | _place(where)
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
