"""Columns of coordinates: which of a table's hold a latitude and a longitude that belong together.

Belongs here: what names say, of degrees, minutes, seconds and hemispheres, which columns are one
angle, and what columns of letters say whose names say nothing. Does not belong here: what a cell
says (angles.py), which file has columns (table.py).
"""

import itertools
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from vidtag_ml.ingest.telemetry import angles

_PARTS = {
    "deg": ("", "deg", "degree", "degrees", "dd", "decimal", "decimaldegrees", "wgs84"),
    "d": ("d",),
    "min": ("min", "mins", "minute", "minutes", "m", "mm"),
    "sec": ("sec", "secs", "second", "seconds", "s", "ss"),
    "ref": (
        *("ref", "dir", "direction", "hemisphere", "hemi", "hem", "indicator", "sign"),
        *("ns", "ew"),
    ),
    "max": ("max", "maximum"),
}
_PART_OF = {word: part for part, words in _PARTS.items() for word in words}
_PART = "|".join(sorted(filter(None, _PART_OF), key=len, reverse=True))
_IN_FULL = ("latitude", "longitude", "longtitude")
_BEFORE = "|".join(word for word in _PART.split("|") if len(word) > 2)
_NAME = re.compile(rf"(gps)?({_BEFORE})?({'|'.join(_IN_FULL)}|lat|long|lng|lon)({_PART})?")

_HEADINGS = re.compile("heading|course|bearing|cog|wind|track|facing|compass")
"""Names of what has letters of the compass and is no hemisphere."""
_BOTH = re.compile("hemi|quadr")
"""Names of what tells both hemispheres, as SW; under others it is a direction."""
_PAIR = re.compile(r"\s*([ns])[\s/,-]*([ew])\s*", re.IGNORECASE)
_MOST_LETTERED = 8


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


def unread(header: Sequence[str]) -> tuple[str, ...]:
    """What is told of columns that hold somebody's coordinates, and are nobody's of those read.

    >>> unread(["time", "lat", "lon", "drone_lat", "drone_lon"])
    ('drone_lat, drone_lon are not read: they may be of another than lat and lon',)
    """
    words = {written: re.split(r"[^a-z0-9]+", written.lower()) for written in header}
    others = [
        written
        for written, parts in words.items()
        if {"lat", "lon", "lng", *_IN_FULL} & set(parts) and not _NAME.fullmatch(_name_of(written))
    ]
    said = f"{', '.join(others)} are not read: they may be of another than lat and lon"
    return (said,) if others and any(_NAME.fullmatch(_name_of(h)) for h in header) else ()


def _name_of(written: str) -> str:
    return re.sub(r"[^a-z0-9]", "", written.lower())


def _named(header: Sequence[str]) -> list[Column]:
    columns: list[Column] = []
    count: Counter[tuple[str, ...]] = Counter()
    for at, written in enumerate(header):
        bare = _name_of(written)
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


def lettered(
    rows: Iterable[Sequence[str]], header: Sequence[str], named: Collection[int]
) -> list[int]:
    """Where columns stand whose names say nothing, and whose first words are hemispheres."""
    left = {k for k, name in enumerate(header) if not _HEADINGS.search(name.lower())} - set(named)
    found = []
    for row in rows:
        for k in [k for k, cell in enumerate(row) if k in left and not angles.is_missing(cell)]:
            left.remove(k)
            both = _BOTH.search(header[k].lower()) and _PAIR.fullmatch(row[k])
            if both or angles.letter(row[k]) in angles.AXES:
                found.append(k)
        if not left:
            break
    return sorted(found)[:_MOST_LETTERED]


def hemispheres(
    header: Sequence[str],
    chosen: Chosen,
    angled: Mapping[str, Sequence[str]],
    cells: Mapping[int, Sequence[str]],
    letters: Mapping[int, Sequence[str]],
) -> tuple[dict[str, Sequence[str]], tuple[str, ...]]:
    """Hemispheres by axis, also of columns of letters whose names do not say so, and what is told.

    Those tell the signs of numbers without any if they stand after them, or are called alike.

    Args:
        header: names of all columns.
        chosen: where the coordinates stand.
        angled: texts of angles by axis.
        cells: those of `chosen.refs`, by where they stand.
        letters: columns of letters, by where they stand.

    Raises:
        ValueError: columns contradict each other, or perhaps they are no hemispheres.
    """
    used, told = {}, []
    for axis in chosen.parts:
        of_axis = _of_axis(axis, letters)
        listed = {k: cells[k] for of, k in chosen.refs.items() if of == axis}
        by_name = {k: refs for k, refs in listed.items() if any(map(angles.letter, refs))}
        if not _have_signs(angled[axis]):
            _refuse_unnamed(header, {k: listed[k] for k in listed.keys() - by_name.keys()})
        _refuse_contradiction(header, by_name | of_axis)
        south = [k for k, refs in of_axis.items() if {*map(angles.letter, refs)} & {*"SW"}]
        if south and not by_name and not _have_signs(angled[axis]):
            said = f"{header[south[0]].strip()!r} has only letters of hemispheres"
            if not any(_belongs(header, k, axis, chosen.parts[axis]) for k in of_axis):
                raise ValueError(f"{said}: call it {axis}_ref if they are, or else heading")
            used[axis] = of_axis[south[0]]
            told.append(f"{said}: taken for those of {angles.NAMES[axis]}s")
    return used, tuple(told)


def _belongs(header: Sequence[str], at: int, axis: str, parts: Sequence[int]) -> bool:
    """Whether a column stands after the angle of an axis, or has a name like it."""
    words = {"lat": "lat|n.?s|north", "lon": "lon|lng|e.?w|east"}[axis]
    words = f"{words}|{_BOTH.pattern}"
    return at - 1 in parts or bool(re.search(words, header[at].lower()))


def _of_axis(axis: str, columns: Mapping[int, Sequence[str]]) -> dict[int, Sequence[str]]:
    """Columns with letters of one axis and nothing else, or of both axes together."""
    own = {"", *(letter for letter, of in angles.AXES.items() if of == axis)}
    which = 1 if axis == "lat" else 2
    found: dict[int, Sequence[str]] = {}
    for k, cells in columns.items():
        pairs = map(_PAIR.fullmatch, cells)
        mine = [pair[which] if pair else cell for pair, cell in zip(pairs, cells, strict=True)]
        if {*map(angles.letter, mine)} <= own:
            found[k] = mine
    return found


def _refuse_unnamed(header: Sequence[str], columns: Mapping[int, Sequence[str]]) -> None:
    """Raises ValueError if a column of hemispheres tells them in an unknown way, as by 1 and 0."""
    for k in (k for k in columns if _name_of(header[k]) not in ("ns", "ew")):
        said = next((c for c in columns[k] if "-" in c or not angles.is_missing(c)), "")
        if said:
            name = header[k].strip()
            raise ValueError(f"{name!r} names no hemisphere, as {said[:20]!r}: write N, S, E or W")


def _refuse_contradiction(header: Sequence[str], columns: Mapping[int, Sequence[str]]) -> None:
    for (one, cells), (other, beside) in itertools.combinations(columns.items(), 2):
        pairs = zip(map(angles.letter, cells), map(angles.letter, beside), strict=True)
        if any(first and second and first != second for first, second in pairs):
            said = f"{header[one].strip()!r} and {header[other].strip()!r}"
            raise ValueError(f"{said} contradict each other on hemispheres: take one out")


def _have_signs(cells: Iterable[str]) -> bool:
    return any(angle.sign == "-" or angle.letter for angle in map(angles.angle, cells) if angle)
