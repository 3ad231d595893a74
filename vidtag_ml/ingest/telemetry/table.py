"""Tables of positions: CSV tracks, and lists of photos with their places.

Belongs here: the names that columns go by, and what their numbers mean. Does not belong here: the
tables of the published datasets (vidtag_ml.ingest), other files of tracks (gpx.py, geojson.py).
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PureWindowsPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.ingest.telemetry import points, text
from vidtag_ml.ingest.telemetry.readers import Beside, Reading

Floats = NDArray[np.float64]
Place = tuple[float, float]
"""Latitude and longitude in degrees."""
Columns = Mapping[str, Sequence[str]]
"""Texts by the name of their column, in lower case."""

_NAMES = {
    "lat": ("lat", "latitude"),
    "lon": ("lon", "lng", "long", "longitude"),
    "altitude_m": ("altitude_m", "alt_m", "altitude", "alt", "ele"),
    "accuracy_m": ("accuracy_m", "accuracy"),
    "dop": ("hdop", "dop"),
}
_TIMES = ("time_s", "t_s", "timestamp", "utc", "datetime", "time")
_FILES = ("file", "filename", "name", "img_file", "img_id", "id", "path")
KNOWN = {name for names in (*_NAMES.values(), _TIMES, _FILES) for name in names}
"""All names of columns that are read."""
_EPOCH_S, _EPOCH_MS = 1e8, 1e11
"""Times from here are seconds, or milliseconds, since 1970; smaller ones seconds of a video."""


def read(path: Path) -> Reading:
    """Positions of a CSV file with a column of latitudes, one of longitudes, and perhaps of times.

    Times without a zone are UTC. A cell that is no number, as NA, is missing.

    Raises:
        ValueError: the file is no table, or lacks a column, or has no position; names the file.
    """
    return Reading(positions(path, _columns(path)), "csv")


def read_places(path: Path) -> dict[str, Place]:
    """Positions of a CSV file by the names of photos, each with and without its suffix.

    Empty if the file has no column of names or of positions.

    Raises:
        ValueError: the file is no table; names it.
    """
    placed = read_named(path)
    return {n.stem: place for n, place in placed} | {n.name: place for n, place in placed}


def read_named(path: Path) -> list[tuple[PureWindowsPath, Place]]:
    """Names of photos as a CSV file writes them, perhaps with folders, each with its position.

    Raises:
        ValueError: the file is no table; names it.
    """
    columns = _columns(path)
    names, lat, lon = (_find(columns, those) for those in (_FILES, _NAMES["lat"], _NAMES["lon"]))
    if names is None or lat is None or lon is None:
        return []
    latlon = zip(*_unswapped(_numbers(lat), _numbers(lon)), strict=True)
    named = zip(map(PureWindowsPath, names), latlon, strict=True)
    return [(n, (float(a), float(o))) for n, (a, o) in named if not np.isnan([a, o]).any()]


def _columns(path: Path) -> Columns:
    """Cells of a CSV file, separated by whatever its first line is; short rows end empty."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            head = file.readline(65536)
            file.seek(0)
            rows = csv.reader(file, delimiter=max(",;\t", key=head.count))
            header = [name.strip().lower() for name in next(rows, [])]
            # Only the cells that are read are kept: a file may claim any number of others.
            at = {name: header.index(name) for name in header if name in KNOWN}
            cells = [[row[k] if k < len(row) else "" for k in at.values()] for row in rows if row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a table in UTF-8: {error}") from error
    return {name: [row[k] for row in cells] for k, name in enumerate(at)}


def positions(path: Path, columns: Columns) -> pd.DataFrame:
    """Positions, and perhaps times, in the columns of a file.

    Raises:
        ValueError: a column is lacking, or no row has a position; names the file.
    """
    found = {name: _find(columns, names) for name, names in _NAMES.items()}
    for name in ("lat", "lon"):
        if found[name] is None:
            wanted = ", ".join(_NAMES[name])
            raise ValueError(f"{path}: has no column {name}; looked for {wanted}")
    numbers = {name: _numbers(cells) for name, cells in found.items() if cells is not None}
    numbers["lat"], numbers["lon"] = _unswapped(numbers["lat"], numbers["lon"])
    time_s, utc_s = _times(columns, len(numbers["lat"]))
    known = ~(np.isnan(numbers["lat"]) | np.isnan(numbers["lon"]))
    if not known.any():
        raise ValueError(f"{path}: no row has a number for both latitude and longitude")
    table = points.table(time_s=time_s, utc_s=utc_s, **numbers)
    return table[known].reset_index(drop=True)


def _find(columns: Columns, names: Iterable[str]) -> Sequence[str] | None:
    return next((columns[name] for name in names if name in columns), None)


def _unswapped(lat: Floats, lon: Floats) -> tuple[Floats, Floats]:
    """Latitudes and longitudes, exchanged if only that makes them fit on Earth."""
    misfit = (np.abs(lat) > 90).any()
    fit = not ((np.abs(lat) > 180).any() or (np.abs(lon) > 90).any())
    return (lon, lat) if misfit and fit else (lat, lon)


def _times(columns: Columns, num: int) -> tuple[Floats, Floats]:
    """Seconds of the video, and seconds since 1970, from the first column that has times."""
    unknown = np.full(num, np.nan)
    for name in _TIMES:
        if name not in columns:
            continue
        number = _numbers(columns[name])
        given = np.abs(number[np.isfinite(number)])
        if not len(given):
            moments = np.array([text.utc_s(cell) for cell in columns[name]], float)
            if not np.isnan(moments).all():
                return unknown, moments
        elif np.median(given) <= _EPOCH_S:
            return number, unknown
        else:
            return unknown, number / (1000 if np.median(given) > _EPOCH_MS else 1)
    return unknown, unknown


def _numbers(cells: Iterable[str]) -> Floats:
    return np.array([text.number(cell) for cell in cells], np.float64)


READER = Beside((".csv",), read)
