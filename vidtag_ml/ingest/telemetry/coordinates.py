"""Columns of coordinates: which of a table's hold a latitude and a longitude that belong together.

Belongs here: what names say, of degrees, minutes, seconds and hemispheres, and which columns
are one angle. Does not belong here: what a cell says (angles.py), which file
has columns (table.py).
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vidtag_ml.ingest.telemetry import angles

_PARTS = {
    "deg": ("", "deg", "degree", "degrees", "dd", "decimal", "decimaldegrees", "wgs84"),
    "d": ("d",),
    "min": ("min", "mins", "minute", "minutes", "m", "mm"),
    "sec": ("sec", "secs", "second", "seconds", "s", "ss"),
    "ref": ("ref", "dir", "direction", "hemisphere", "hemi", "hem", "indicator", "ns", "ew"),
    "max": ("max", "maximum"),
}
_PART_OF = {word: part for part, words in _PARTS.items() for word in words}
_PART = "|".join(sorted(filter(None, _PART_OF), key=len, reverse=True))
_IN_FULL = ("latitude", "longitude", "longtitude")
_BEFORE = "|".join(word for word in _PART.split("|") if len(word) > 2)
_NAME = re.compile(rf"(gps)?({_BEFORE})?({'|'.join(_IN_FULL)}|lat|long|lng|lon)({_PART})?")


@dataclass(frozen=True)
class Column:
    """What the name of a column says."""

    at: int
    """Where it stands."""
    axis: str
    part: str
    style: tuple[str, bool, int]
    """Of GPS or not, written in full or not, and which of those that are alike."""


@dataclass(frozen=True)
class Chosen:
    """Where the coordinates of a table stand."""

    parts: Mapping[str, list[int]]
    """Degrees, minutes and seconds by axis; of those that there are."""
    refs: Mapping[str, int]
    """Hemispheres, by axis."""
    others: tuple[int, int] | None
    """Another latitude and longitude."""


def of(header: Sequence[str]) -> Chosen:
    """The first latitude and longitude that belong together, and what belongs to them.

    Raises:
        ValueError: there are several, and their names do not tell which belong together.
    """
    columns = _named(header)
    lats, lons = (_degrees(columns, axis) for axis in angles.NAMES)
    pairs = _pairs(lats, lons)
    if lats and lons and not pairs:
        said = ", ".join(header[column.at] for column in (*lats, *lons)[:6])
        raise ValueError(f"which of {said} belong together its names do not tell: take some out")
    first = pairs[0] if pairs else (*lats[:1], *lons[:1])
    others = (pairs[1][0].at, pairs[1][1].at) if len(pairs) > 1 else None
    refs = {axis: ref.at for axis in angles.NAMES if (ref := _ref(columns, axis, first))}
    return Chosen({column.axis: _parts(columns, column) for column in first}, refs, others)


def _named(header: Sequence[str]) -> list[Column]:
    columns: list[Column] = []
    count: Counter[tuple[str, ...]] = Counter()
    for at, written in enumerate(header):
        bare = re.sub(r"[^a-z0-9]", "", written.lower())
        if bare in ("ns", "ew"):
            columns.append(Column(at, "lat" if bare == "ns" else "lon", "ref", ("", False, -1)))
        found = _NAME.fullmatch(bare)
        if found and not (found[2] and found[4]):
            gps, word = found[1] or "", found[3]
            axis, part = word[:3].replace("lng", "lon"), _PART_OF[found[2] or found[4] or ""]
            in_full = word in _IN_FULL
            kind = (gps, axis, part, str(in_full))
            columns.append(Column(at, axis, part, (gps, in_full, count[kind])))
            count[kind] += 1
    return columns


def _degrees(columns: Sequence[Column], axis: str) -> list[Column]:
    """Columns of degrees; D is one beside M only."""
    of_axis = [column for column in columns if column.axis == axis]
    with_minutes = any(column.part == "min" for column in of_axis)
    degrees = [column for column in of_axis if column.part == "deg"]
    return degrees or [column for column in of_axis if column.part == "d" and with_minutes]


def _pairs(lats: Sequence[Column], lons: Sequence[Column]) -> list[tuple[Column, Column]]:
    """Latitudes with their longitudes: of one style, else of GPS both or neither, else the only."""
    of_style = {lon.style: lon for lon in reversed(lons)}
    if pairs := [(lat, of_style[lat.style]) for lat in lats if lat.style in of_style]:
        return pairs
    of_gps = {lon.style[::2]: lon for lon in reversed(lons)}
    if pairs := [(lat, of_gps[lat.style[::2]]) for lat in lats if lat.style[::2] in of_gps]:
        return pairs
    return [(lats[0], lons[0])] if len(lats) == len(lons) == 1 else []


def _parts(columns: Sequence[Column], degrees: Column) -> list[int]:
    """Where the degrees stand, and the minutes and seconds that belong to them."""
    own = [c for c in columns if c.axis == degrees.axis and c.style[0] == degrees.style[0]]
    by_part: dict[str, Column] = {}
    for column in sorted(own, key=lambda column: column.style != degrees.style):
        by_part.setdefault(column.part, column)
    found = [degrees.at]
    for part in ("min", "sec"):
        if part not in by_part or "max" in by_part:  # the least and the largest of all
            break
        found.append(by_part[part].at)
    return found


def _ref(columns: Sequence[Column], axis: str, chosen: Sequence[Column]) -> Column | None:
    style = next((column.style for column in chosen if column.axis == axis), None)
    refs = [column for column in columns if (column.axis, column.part) == (axis, "ref")]
    return min(refs, key=lambda ref: ref.style != style, default=None)


def together(names: Sequence[str], parts: Sequence[Sequence[str]]) -> tuple[Sequence[str], str]:
    """Angles of columns of degrees, minutes and seconds as one, and what is told of it.

    Degrees with a fraction need no minutes.
    """
    degrees = parts[0]
    more = [k for k, cells in enumerate(parts) if k and any(cell.strip() for cell in cells)]
    if not more:
        return degrees, ""
    said = f"{', '.join(names[k] for k in more)} beside {names[0]}"
    if any(angle.size % 1 for angle in map(angles.angle, degrees) if angle):
        return degrees, f"{said}: not read, its degrees have fractions"
    rows = zip(degrees, *(parts[k] for k in more), strict=True)
    joined = [" ".join(map(str.strip, row)) if all(map(str.strip, row)) else "" for row in rows]
    return joined, f"{said}: read as minutes and seconds of its degrees"


def differ(first: Sequence[Sequence[str]], other: Sequence[Sequence[str]]) -> bool:
    """Whether two columns of angles are not those of two others, to ten metres."""
    return any(
        one and two and abs(one.size - two.size) > 1e-4
        for cells, beside in zip(first, other, strict=True)
        for one, two in zip(map(angles.angle, cells), map(angles.angle, beside), strict=True)
    )
