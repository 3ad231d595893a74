"""GeoJSON tracks: points or lines, with times among their properties.

Belongs here: what a feature says. Does not belong here: the names that properties go by (table.py).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vidtag_ml.ingest.telemetry import table
from vidtag_ml.ingest.telemetry.readers import Beside, Reading

_LINE_TIMES = ("time_s", "coordTimes", "times")


def read(path: Path) -> Reading:
    """Positions of a GeoJSON file: points with a time each, or lines with a list of times.

    Raises:
        ValueError: the file is not GeoJSON, or has no position; names the file.
    """
    try:
        rows = list(_rows(json.loads(path.read_text(encoding="utf-8-sig"))))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not GeoJSON of points or lines: {error}") from error
    if not rows:
        raise ValueError(f"{path}: holds no point and no line")
    names = {name for row in rows for name in row}
    columns = {name: [row.get(name, "") for row in rows] for name in names}
    found, told = table.positions(path, columns)
    return Reading(found, "geojson", repairs=told)


def _rows(document: Any) -> Iterator[dict[str, str]]:
    """Cells of the points of a GeoJSON document."""
    root = _typed(document, dict)
    alone = root if root.get("type") == "Feature" else {"geometry": root}
    for feature in _typed(root.get("features", [alone]), list):
        parts = [_typed(feature, dict).get(name) or {} for name in ("geometry", "properties")]
        geometry, properties = (_typed(part, dict) for part in parts)
        where = geometry.get("coordinates")
        if geometry.get("type") == "Point":
            yield {k: str(v) for k, v in properties.items() if k in table.KNOWN} | _place(where)
        elif geometry.get("type") == "LineString":
            line = _typed(where, list)
            key = next((k for k in _LINE_TIMES if k in properties), None)
            times = _typed(properties[key], list) if key else [""] * len(line)
            if len(times) != len(line):
                raise ValueError(f"a line of {len(line)} positions has {len(times)} times")
            for place, time in zip(line, times, strict=True):
                yield {"time": str(time), **_place(place)}


def _place(position: Any) -> dict[str, str]:
    """Cells of a GeoJSON position, which has its longitude first."""
    numbers = _typed(position, list)
    if len(numbers) < 2:
        raise ValueError(f"a position has {len(numbers)} numbers")
    return dict(zip(("lon", "lat", "ele"), map(str, numbers), strict=False))


def _typed(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"has a {type(value).__name__} where a {kind.__name__} should be")
    return value


READER = Beside((".geojson",), read)
