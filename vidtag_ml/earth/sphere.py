"""Geometry on the sphere: degrees in, kilometres out.

Belongs here: distances, bearings, unit vectors, equal-area lattices, Earth-centred metres. This is
the only module that knows an Earth radius or shape. Coordinates are (lat, lon) in degrees, in that
order; functions broadcast over leading dimensions and compute in float64. Does not belong here:
time (tracks.py).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

EARTH_RADIUS_KM = 6371.0088
KM_PER_DEGREE = EARTH_RADIUS_KM * np.pi / 180.0
_WGS84_EQUATOR_M = 6_378_137.0
_WGS84_FLATTENING = 1 / 298.257223563


def great_circle_km(a_2: ArrayLike, b_2: ArrayLike, radius_km: float = EARTH_RADIUS_KM) -> Floats:
    """Haversine distance between (lat, lon) points in degrees; leading dimensions broadcast.

    Args:
        a_2: points (..., 2).
        b_2: points (..., 2).
        radius_km: sphere radius, to reproduce protocols that use another one.

    >>> round(float(great_circle_km((0, 0), (0, 1))), 3)
    111.195
    """
    a, b = np.radians(np.asarray(a_2, float)), np.radians(np.asarray(b_2, float))
    half = (a - b) / 2
    h = np.sin(half[..., 0]) ** 2
    h = h + np.cos(a[..., 0]) * np.cos(b[..., 0]) * np.sin(half[..., 1]) ** 2
    return np.asarray(2 * radius_km * np.arcsin(np.sqrt(np.clip(h, 0.0, 1.0))))


def unit_vectors(latlon_2: ArrayLike) -> Floats:
    """Points (..., 2) in degrees as unit vectors (..., 3); x to (0, 0), z to the north pole."""
    lat, lon = np.moveaxis(np.radians(np.asarray(latlon_2, float)), -1, 0)
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], -1)


def chord_km(chord: ArrayLike) -> Floats:
    """Distances along the ground of points whose unit vectors are `chord` apart.

    >>> round(float(chord_km(2.0)), 3)
    20015.114
    """
    return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.clip(np.asarray(chord) / 2, 0, 1)))


def chord(distance_km: float, radius_km: float = EARTH_RADIUS_KM) -> float:
    """Straight distance of the unit vectors of points that are so far apart along the ground.

    >>> chord(30000.0)
    2.0
    """
    return float(2 * np.sin(min(distance_km / radius_km, np.pi) / 2))


def from_unit_vectors(vectors_3: ArrayLike) -> Floats:
    """Vectors (..., 3) of any positive length as (lat, lon) in degrees, lon in [-180, 180)."""
    x, y, z = np.moveaxis(np.asarray(vectors_3, float), -1, 0)
    lat = np.degrees(np.arctan2(z, np.hypot(x, y)))
    return np.stack([lat, wrap_lon(np.degrees(np.arctan2(y, x)))], -1)


def from_earth_centred(metres_3: ArrayLike) -> Floats:
    """WGS84 (lat, lon, altitude in metres) of Earth-centred, Earth-fixed metres (..., 3).

    Exact to a micrometre wherever people go, the poles included; lon in [-180, 180).

    >>> from_earth_centred((-2712087.517, -4261670.056, 3881014.454)).round(3).tolist()
    [37.721, -122.472, 31.639]
    """
    x, y, z = np.moveaxis(np.asarray(metres_3, float), -1, 0)
    from_axis = np.hypot(x, y)
    squeezed = _WGS84_FLATTENING * (2 - _WGS84_FLATTENING)
    lat = np.arctan2(z, from_axis * (1 - squeezed))
    for _ in range(5):
        normal = _WGS84_EQUATOR_M / np.sqrt(1 - squeezed * np.sin(lat) ** 2)
        lat = np.arctan2(z + squeezed * normal * np.sin(lat), from_axis)
    surface = _WGS84_EQUATOR_M * np.sqrt(1 - squeezed * np.sin(lat) ** 2)
    altitude_m = from_axis * np.cos(lat) + z * np.sin(lat) - surface
    return np.stack([np.degrees(lat), wrap_lon(np.degrees(np.arctan2(y, x))), altitude_m], -1)


def wrap_lon(lon: ArrayLike) -> Floats:
    """Longitudes brought into [-180, 180).

    >>> float(wrap_lon(190.0))
    -170.0
    """
    return np.asarray((np.asarray(lon, float) + 180.0) % 360.0 - 180.0)


def destination(latlon_2: ArrayLike, bearing_deg: ArrayLike, distance_km: ArrayLike) -> Floats:
    """Points (..., 2) reached from `latlon_2` along a great circle.

    Args:
        latlon_2: starts (..., 2). At a pole the bearing is counted from the meridian of its lon.
        bearing_deg: initial bearings, clockwise from north.
        distance_km: distances along the ground.

    >>> destination((0, 179.5), 90.0, 111.19508).round(3).tolist()
    [0.0, -179.5]
    """
    start = unit_vectors(latlon_2)
    forward, _ = heading_frame(latlon_2, bearing_deg)
    angle = np.asarray(distance_km, float)[..., None] / EARTH_RADIUS_KM
    return from_unit_vectors(np.cos(angle) * start + np.sin(angle) * forward)


def quarters(latlon_2: ArrayLike, side_km: ArrayLike) -> Floats:
    """Centres (..., 4, 2) of the quarters of the square cells around points (..., 2).

    A quarter of the side to the north or south and to the east or west; at the poles, and where
    the date line is crossed, as anywhere.

    >>> quarters((0, 0), 4 * 111.19508).round(2).tolist()
    [[1.0, 1.0], [-1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]]
    """
    points = np.asarray(latlon_2, float)[..., None, :]
    away_km = np.asarray(side_km, float)[..., None] * np.sqrt(2) / 4
    return destination(np.repeat(points, 4, -2), np.array([45.0, 135.0, 225.0, 315.0]), away_km)


def heading_frame(latlon_2: ArrayLike, bearing_deg: ArrayLike) -> tuple[Floats, Floats]:
    """Unit vectors (..., 3) pointing forward and to the right of a bearing at each point."""
    lat, lon = np.moveaxis(np.radians(np.asarray(latlon_2, float)), -1, 0)
    north = np.stack([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)], -1)
    east = np.stack([-np.sin(lon), np.cos(lon), np.zeros_like(lon)], -1)
    bearing = np.radians(np.asarray(bearing_deg, float))[..., None]
    forward = np.cos(bearing) * north + np.sin(bearing) * east
    right = np.cos(bearing) * east - np.sin(bearing) * north
    return forward, right


def bearing_deg(a_2: ArrayLike, b_2: ArrayLike) -> Floats:
    """Initial bearing from `a_2` to `b_2` in [0, 360), clockwise from north; 0 for equal points."""
    towards = unit_vectors(b_2)
    north, east = heading_frame(a_2, np.zeros(np.shape(a_2)[:-1]))
    angle = np.arctan2((towards * east).sum(-1), (towards * north).sum(-1))
    return np.asarray(np.degrees(angle) % 360.0)


def interpolate(a_2: ArrayLike, b_2: ArrayLike, fraction: ArrayLike) -> Floats:
    """Points (..., 2) at `fraction` of the great circle from `a_2` to `b_2`.

    Raises:
        ValueError: two points are antipodal, so no single great circle joins them.
    """
    a, b = unit_vectors(a_2), unit_vectors(b_2)
    angle = np.asarray(great_circle_km(a_2, b_2) / EARTH_RADIUS_KM)[..., None]
    if np.any(angle > np.pi - 1e-6):
        raise ValueError("no single great circle joins two antipodal points")
    f = np.asarray(fraction, float)[..., None]
    safe = np.where(angle < 1e-12, 1.0, np.sin(angle))
    near, far = np.sin((1 - f) * angle) / safe, np.sin(f * angle) / safe
    close = angle < 1e-12
    return from_unit_vectors(np.where(close, a, near * a + far * b))


def centroid(latlon_N2: ArrayLike) -> Floats:
    """Mean of unit vectors of points (N, 2), as one point (2,): safe at the date line.

    Raises:
        ValueError: there is no point, or the points cancel out.
    """
    points = np.asarray(latlon_N2, float)
    if len(points) == 0:
        raise ValueError("the centroid of no points is undefined")
    mean = unit_vectors(points).mean(0)
    if np.linalg.norm(mean) < 1e-9:
        raise ValueError("the points surround the Earth evenly and have no centroid")
    return from_unit_vectors(mean)


def equal_area_lattice(num_points: int) -> Floats:
    """Fibonacci lattice of `num_points` (lat, lon) points spread evenly over the globe.

    Neighbours lie about sqrt(4 pi R^2 / num_points) apart: 100,000 points are 71 km apart.
    """
    k = np.arange(num_points) + 0.5
    lat = np.degrees(np.arcsin(1 - 2 * k / num_points))
    lon = wrap_lon(k * 360.0 * (np.sqrt(5) - 1) / 2)
    return np.stack([lat, lon], -1)
