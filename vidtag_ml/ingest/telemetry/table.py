"""Tables of positions: CSV tracks, and lists of photos with their places.

Belongs here: the names that columns go by, and what their numbers mean. Does not belong here:
coordinates, angles, which is the latitude, times (coordinates.py, angles.py, order.py, times.py),
the tables of the published datasets (vidtag_ml.ingest), other files of tracks (gpx.py, geojson.py).
"""

import csv
import dataclasses
import io
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.ingest.telemetry import angles, coordinates, order, points, text, times
from vidtag_ml.ingest.telemetry.readers import Beside, Reading

Floats = NDArray[np.float64]
Columns = Mapping[str, Sequence[str]]
"""Texts by the name of their column, in lower case."""

_NAMES = {
    "lat": ("lat", "latitude"),
    "lon": ("lon", "lng", "long", "longitude"),
    "altitude_m": ("altitude_m", "alt_m", "altitude", "alt", "ele"),
    "accuracy_m": ("accuracy_m", "accuracy"),
    "dop": ("hdop", "dop"),
}
_FILES = ("file", "filename", "name", "img_file", "img_id", "id", "path", "sourcefile")
KNOWN = {n for names in (*_NAMES.values(), times.NAMES, _FILES, ("ns", "ew")) for n in names}
"""All names of columns that are read."""
_HEMISPHERES = {"lat": "ns", "lon": "ew"}
_OTHERS = KNOWN - {*_NAMES["lat"], *_NAMES["lon"], "ew"} | {"clip"}
"""Those that are no coordinates; ns are nanoseconds too."""
_WHOLE = re.compile(r"\s*[-+]?\d+\s*", re.ASCII)
_AS_IF_CUT = "as if commas were decimal: separate its cells by semicolons"
_COMMA = re.compile(r"\s*[-+]?\d+,\d+\s*", re.ASCII)
"""A number with a decimal comma."""


class Place(NamedTuple):
    """Where a table says that a photo was taken."""

    lat: float
    lon: float
    told: str
    """What was swapped, negated or assumed in the whole table; empty = nothing."""


def read(path: Path) -> Reading:
    """Positions of a CSV file with a column of latitudes, one of longitudes, and perhaps of times.

    Times without a zone are UTC. Moments decide before times from some start, but in the tables
    that vidtag itself writes, which have a column of clips. A cell that is no number, as NA, is
    missing.

    Raises:
        ValueError: the file is no table, or lacks a column, or has no position; names the file.
    """
    columns, assumed = _columns(path)
    found = positions(path, columns, "csv", assumed)
    moments, starts = times.without_starts(columns)
    if "clip" in columns or not starts or found.points["time_s"].isna().all():
        return found
    told = f"{' and '.join(starts)} may have another start: the moments beside it decide"
    decided = positions(path, moments, "csv", (*assumed, told))
    if decided.points["utc_s"].isna().all():
        return found
    told = f"{starts[0]} is taken from the first frame: no recording time to compare moments with"
    found = dataclasses.replace(found, repairs=(*found.repairs, told))
    return dataclasses.replace(decided, since_start=found)


def read_named(path: Path) -> list[tuple[PureWindowsPath, Place]]:
    """Names of photos as a CSV file writes them, perhaps with folders, each with its position.

    Empty if the file has no column of names or of positions.

    Raises:
        ValueError: the file is no table, or does not tell latitudes from longitudes; names it.
    """
    columns, assumed = _columns(path)
    names = _find(columns, _FILES)
    if names is None or any(_find(columns, _NAMES[axis]) is None for axis in ("lat", "lon")):
        return []
    found = _placed(path, columns)
    told = "; ".join(f"{path.name}: {what}" for what in (*assumed, *found.told))
    rows = zip(names, found.lat.tolist(), found.lon.tolist(), strict=True)
    placed = [(PureWindowsPath(name), Place(lat, lon, told)) for name, lat, lon in rows]
    return [(name, place) for name, place in placed if not np.isnan(place[:2]).any()]


def positions(
    path: Path, columns: Columns, fix_source: str, assumed: tuple[str, ...] = ()
) -> Reading:
    """Positions, and perhaps times, in the columns of a file of which something was assumed.

    Raises:
        ValueError: a column is lacking, or no row has a position; names the file.
    """
    columns = _with_points(columns)
    places = _placed(path, columns, is_track=True)
    known = ~(np.isnan(places.lat) | np.isnan(places.lon))
    if not known.any():
        said = "; ".join(("no row has a number for both latitude and longitude", *places.told))
        raise ValueError(f"{path}: {said}")
    found = {name: _find(columns, names) for name, names in _NAMES.items()}
    numbers = {name: _numbers(cells) for name, cells in found.items() if cells is not None}
    numbers |= {"lat": places.lat, "lon": places.lon}
    when = times.read(columns, np.stack([places.lat, places.lon], -1))
    table = points.table(time_s=when.time_s, utc_s=when.utc_s, **numbers)
    table, nowhere = points.placed(table)
    told = (*assumed, *places.told, *when.told)
    return Reading(table, fix_source, repairs=told, shifts_s=when.shifts_s, left_out=nowhere)


def _placed(path: Path, columns: Columns, *, is_track: bool = False) -> angles.Places:
    """Latitudes and longitudes in the columns of a file, whatever their order and signs.

    Raises:
        ValueError: a column is lacking, or which is which cannot be told; names the file.
    """
    lat, lat_refs = _axis(path, columns, "lat", "ns")
    lon, lon_refs = _axis(path, columns, "lon", "ew")
    try:
        places = order.put_right(angles.places(lat, lon, lat_refs, lon_refs))
        return order.as_track(places) if is_track else places
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _axis(
    path: Path, columns: Columns, axis: str, hemispheres: str
) -> tuple[Sequence[str], Sequence[str]]:
    """Cells of an angle, and of its hemisphere; a column called latitude N/S may hold both.

    Raises:
        ValueError: there is no such column; names the file.
    """
    cells, refs = _find(columns, _NAMES[axis]), columns.get(hemispheres, ())
    if cells is None and any(map(angles.angle, refs)):
        return refs, ()
    if cells is None:
        wanted = ", ".join(_NAMES[axis])
        raise ValueError(f"{path}: has no column {axis}; looked for {wanted}")
    return cells, refs


def _columns(path: Path) -> tuple[Columns, tuple[str, ...]]:
    """Cells of a CSV file, separated by whatever its first line is, and what was assumed.

    Short rows end empty.
    """
    content, assumed = text.decoded(path.read_bytes())
    file = io.StringIO(content, newline="")
    head = file.readline(65536)
    if said := re.fullmatch(r"sep=(.)\s*", head):  # what Excel writes and reads
        start, delimiter = file.tell(), said[1]
    else:
        start, delimiter = 0, max(",;\t|", key=head.count)
    file.seek(start)
    try:
        rows = csv.reader(file, delimiter=delimiter)
        header = next(rows, [])
        chosen = coordinates.of(header)
        kept = _kept(header, chosen)
        letters = coordinates.lettered(filter(None, rows), header, kept)
        file.seek(start)
        rows = csv.reader(file, delimiter=delimiter)
        next(rows, [])
        degrees = [parts[0] for parts in chosen.parts.values()]
        cells, num_cut = [], 0
        for row in filter(None, rows):
            _refuse_cut(row, degrees, len(header))
            num_cut += delimiter == "," and _may_be_cut(row, degrees)
            cells.append([row[k] if k < len(row) else "" for k in (*kept, *letters)])
        if num_cut == len(cells) > 1:
            raise ValueError(f"no number has a fraction, {_AS_IF_CUT}")
    except (csv.Error, ValueError) as error:
        raise ValueError(f"{path}: not a table: {error}") from error
    at = {k: [row[i] for row in cells] for i, k in enumerate((*kept, *letters))}
    columns = {name: at[k] for k, name in kept.items() if name}
    try:
        angled, told = _coordinates(header, chosen, at, letters)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return {**columns, **angled}, (*assumed, *told, *coordinates.unread(header))


def _kept(header: Sequence[str], chosen: coordinates.Chosen) -> dict[int, str]:
    """Where the cells stand that are read, as a file may claim any number of others, and what of.

    Coordinates have no name here.
    """
    named = {_name(name): k for k, name in reversed(list(enumerate(header)))}
    kept = {k: name for name, k in named.items() if name in _OTHERS}
    parts = itertools.chain.from_iterable(chosen.parts.values())
    angled = (*chosen.refs.values(), *(chosen.others or ()), *parts)
    return kept | {k: kept.get(k, "") for k in angled}


def _coordinates(
    header: Sequence[str],
    chosen: coordinates.Chosen,
    at: Mapping[int, Sequence[str]],
    letters: Sequence[int],
) -> tuple[Columns, tuple[str, ...]]:
    """Angles and hemispheres by their usual names, and what is told of them.

    Raises:
        ValueError: hemispheres are contradictory, or perhaps are none.
    """
    columns = {}
    told = []
    for axis, parts in chosen.parts.items():
        names = [header[k].strip() for k in parts]
        columns[axis], joined = coordinates.together(names, [at[k] for k in parts])
        told.append(joined)
    first = [parts[0] for parts in chosen.parts.values()]
    others = chosen.others or ()
    if others and coordinates.differ([at[k] for k in first], [at[k] for k in others]):
        read, unread = (" and ".join(header[k].strip() for k in pair) for pair in (first, others))
        told.append(f"{unread} differ from {read}, which are read")
    lettered = {k: at[k] for k in letters}
    found, said = coordinates.hemispheres(header, chosen, columns, at, lettered)
    refs = {axis: at[k] for axis, k in chosen.refs.items()} | found
    columns |= {_HEMISPHERES[axis]: cells for axis, cells in refs.items()}
    return columns, tuple(filter(None, (*told, *said)))


def _name(written: str) -> str:
    """The name of a column in lower case; that of times as it is usual."""
    return times.name(written) or written.strip().lower()


def _refuse_cut(row: Sequence[str], coordinates: Sequence[int], num_names: int) -> None:
    """Refuses a row whose decimal commas were taken for the ends of cells.

    Raises:
        ValueError: there are more cells than names, and no fraction in the coordinates.
    """
    if not any(cell.strip() for cell in row[num_names:]):
        return
    if coordinates and all(_WHOLE.fullmatch(row[k]) for k in coordinates):
        said = f"a row has {len(row)} cells under {num_names} names"
        raise ValueError(f"{said}, {_AS_IF_CUT}")


def _may_be_cut(row: Sequence[str], coordinates: Sequence[int]) -> bool:
    """Whether two angles side by side may be one that a decimal comma cut off, and more follow."""
    rest = row[min(coordinates, default=0) :]
    side_by_side = len(coordinates) == 2 and abs(coordinates[0] - coordinates[1]) == 1
    return side_by_side and len(rest) >= 4 and all(map(_WHOLE.fullmatch, rest))


def _with_points(columns: Columns) -> Columns:
    """Columns with points for decimal commas, which coordinates give away: none is above 1,000."""
    places = (cell for axis in ("lat", "lon") for cell in _find(columns, _NAMES[axis]) or ())
    if not any(map(_COMMA.fullmatch, places)):
        return columns
    return {
        name: [cell.replace(",", ".") if _COMMA.fullmatch(cell) else cell for cell in cells]
        for name, cells in columns.items()
    }


def _find(columns: Columns, names: Iterable[str]) -> Sequence[str] | None:
    return next((columns[name] for name in names if name in columns), None)


def _numbers(cells: Iterable[str]) -> Floats:
    return np.array([text.number(cell) for cell in cells], np.float64)


READER = Beside((".csv",), read, trust=55)
