"""Slippy-map tiles: squares of the Web Mercator plane, by number.

The plane's x runs from 0 at 180 W to 1 at 180 E, y from 0 at 85.05 N to 1 at 85.05 S; a zoom cuts
each side into 2^zoom (docs/specs/datasets.md, section 3). A zoom that is no whole number gives
tiles of any ground size.

Belongs here: positions, tile numbers and bounds. Does not belong here: tables of tiles
(aerial/gallery.py), pictures (aerial/pictures.py). Shape legend: 2 = (lat, lon) in degrees or (x,
y), 4 = (south, west, north, east) in degrees; west is in [-180, 180), east lies eastward of it and
may exceed 180.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vidtag_ml.earth import sphere

Floats = NDArray[np.float64]

LIMIT_LAT = float(np.degrees(np.arctan(np.sinh(np.pi))))
"""The plane ends here, at 85.05 degrees north and south."""


def plane(latlon_2: ArrayLike) -> Floats:
    """Positions (..., 2) as (x, y) of the plane.

    Raises:
        ValueError: a position lies beyond 85.05 degrees north or south.
    """
    lat, lon = np.moveaxis(np.asarray(latlon_2, float), -1, 0)
    beyond = ~(np.abs(lat) <= LIMIT_LAT)
    if beyond.any():
        raise ValueError(f"latitude {lat[beyond][0]}: slippy tiles end at 85.05 degrees")
    y = (1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2
    return np.stack([((lon + 180.0) % 360.0) / 360.0, y], -1)


def from_plane(xy_2: ArrayLike) -> Floats:
    """Points (..., 2) of the plane as (lat, lon); x need not be in [0, 1)."""
    x, y = np.moveaxis(np.asarray(xy_2, float), -1, 0)
    lat = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * y))))
    return np.stack([lat, sphere.wrap_lon(360.0 * x - 180.0)], -1)


def numbers(latlon_2: ArrayLike, zoom: float) -> NDArray[np.int64]:
    """Numbers (..., 2), x then y, of the tiles in which positions lie.

    >>> numbers((37.7749, -122.4194), 19).tolist()
    [83857, 202648]

    Raises:
        ValueError: a position lies beyond 85.05 degrees north or south.
    """
    num = 2.0**zoom
    return np.asarray(np.clip(np.floor(plane(latlon_2) * num), 0, np.ceil(num) - 1), np.int64)


def centres(xy_2: ArrayLike, zoom: float) -> Floats:
    """Positions (..., 2) of the middles of tiles, in the plane, by number."""
    return from_plane((np.asarray(xy_2) + 0.5) / 2.0**zoom)


def bounds(xy_2: ArrayLike, zoom: float, across: int = 1) -> Floats:
    """South, west, north and east (..., 4) of tiles by number.

    Args:
        xy_2: numbers (..., 2), x then y; fractions give a square between tiles.
        zoom: of the numbers.
        across: the squares are this many tiles wide; the number is that of the north-western one.

    >>> bounds((0, 0), 1).round(2).tolist()
    [0.0, -180.0, 85.05, 0.0]
    """
    upper = np.asarray(xy_2, float)
    num = 2.0**zoom
    north, west = np.moveaxis(from_plane(upper / num), -1, 0)
    south = from_plane((upper + across) / num)[..., 0]
    return np.stack([south, west, north, west + 360.0 * across / num], -1)


def around(latlon_2: ArrayLike, zoom: float) -> Floats:
    """Bounds (..., 4) of squares of a tile's size that have positions in their middle.

    Raises:
        ValueError: a position lies beyond 85.05 degrees north or south.
    """
    return bounds(plane(latlon_2) * 2.0**zoom - 0.5, zoom)


def squares(bounds_4: ArrayLike) -> Floats:
    """Middle x, middle y and width (..., 3), in the plane, of squares with bounds (..., 4)."""
    south, west, north, east = np.moveaxis(np.asarray(bounds_4, float), -1, 0)
    ends = np.clip(np.stack([south, north], -1), -LIMIT_LAT, LIMIT_LAT)
    y = plane(np.stack([ends, np.zeros_like(ends)], -1))[..., 1].mean(-1)
    return np.stack([(west + east + 360.0) / 720.0, y, (east - west) / 360.0], -1)


def width_km(lat: ArrayLike, zoom: float) -> Floats:
    """Ground width of a tile at a latitude.

    >>> round(float(width_km(38.0, 19)), 3)
    0.06
    """
    circle_km = 360.0 * sphere.KM_PER_DEGREE * np.cos(np.radians(np.asarray(lat, float)))
    return np.asarray(circle_km / 2.0**zoom)


def zoom_of(width_km: float, lat: float) -> float:
    """The zoom, perhaps no whole number, whose tiles are `width_km` wide at a latitude.

    >>> round(zoom_of(0.06, 38.0), 1)
    19.0

    Raises:
        ValueError: the width is not positive.
    """
    if not width_km > 0:
        raise ValueError(f"a tile {width_km} km wide: the width must be positive")
    return float(np.log2(360.0 * sphere.KM_PER_DEGREE * np.cos(np.radians(lat)) / width_km))


def middle(latlon_N2: ArrayLike, zoom: float) -> NDArray[np.int64]:
    """Number (2,) of the tile in the middle of the tiles between which positions lie.

    A square of tiles around it holds all of them if any square of that many does; across the date
    line too.
    """
    num = 2.0**zoom
    xy = plane(latlon_N2)
    xy[:, 0] = xy[0, 0] + (xy[:, 0] - xy[0, 0] + 0.5) % 1.0 - 0.5
    tiles = np.floor(xy * num).astype(np.int64)
    return wrapped((tiles.min(0) + tiles.max(0)) // 2, zoom)


def square(middle_2: ArrayLike, across: int, zoom: float) -> NDArray[np.int64]:
    """Numbers (across^2, 2) of the square of tiles around one, row by row from the north-west.

    Near the plane's northern and southern edges the square is moved inside; across the date line
    it goes on.

    Raises:
        ValueError: there are fewer than `across` tiles around the Earth.
    """
    num = int(2.0**zoom)
    if num < across:
        raise ValueError(f"zoom {zoom} has {num} tiles from pole to pole, not {across}")
    x, y = np.asarray(middle_2) - across // 2
    rows, columns = np.divmod(np.arange(across**2), across)
    return wrapped(np.stack([x + columns, np.clip(y, 0, num - across) + rows], -1), zoom)


def wrapped(xy_2: NDArray[np.int64], zoom: float) -> NDArray[np.int64]:
    """Numbers with x brought between 0 and 2^zoom, where that is a whole number."""
    if not float(zoom).is_integer():
        return xy_2
    return np.stack([xy_2[..., 0] % int(2.0**zoom), xy_2[..., 1]], -1)
