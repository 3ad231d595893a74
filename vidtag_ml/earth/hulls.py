"""What lies around points on the ground, as a few polygons: an area of which they are the cells.

Belongs here: which points belong together, and the outline of these. Does not belong here: circles
around a single point and cutting at the antimeridian (circles.py), why points count
(vidtag_ml.models.gps_retrieval.belief). Shape legend: N points or corners, M points of a hull, P
pixels, 2 = (lat, lon) in degrees, or east and north in km.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.earth import circles, sphere

Floats = NDArray[np.float64]

_TOGETHER = 1.8
"""Points within so many radii of each other have one outline."""
_FINE = 3.0
"""Pixels to a radius."""
_MOST_PIXELS = 160
"""Width of what an outline is traced on."""
_FARTHEST_KM = 9000.0
"""From the middle of a hull: beyond a quarter of the Earth's girth no plane shows it."""


@dataclass(frozen=True)
class Hull:
    """What lies around some points."""

    members_M: NDArray[np.int64]
    """Which points."""
    rings: list[Floats]
    """Its outlines (N, 2), closed, cut at the antimeridian as `circles.circle` gives them."""


def hulls(latlon_N2: Floats, radius_km: float, most: int) -> list[Hull]:
    """Outlines of what is within a radius of points; at most so many, and no holes in them.

    Where there would be more, the radius is doubled until they are few. Points all over the Earth
    are a circle, or all of it.
    """
    label_N = _together(latlon_N2, radius_km)
    while label_N.max() >= most:
        radius_km *= 2
        label_N = _together(latlon_N2, radius_km)
    members = [np.flatnonzero(label_N == k) for k in range(label_N.max() + 1)]
    return [Hull(each, _outline(latlon_N2[each], radius_km)) for each in members]


def _together(latlon_N2: Floats, radius_km: float) -> NDArray[np.int64]:
    """Number (N,) of the hull that each point is in."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    tree = cKDTree(sphere.unit_vectors(latlon_N2))
    i, j = tree.query_pairs(sphere.chord(_TOGETHER * radius_km), output_type="ndarray").T
    near = coo_array((np.ones(len(i)), (i, j)), shape=(len(latlon_N2),) * 2)
    return np.asarray(connected_components(near, directed=False)[1], np.int64)


def _outline(latlon_M2: Floats, radius_km: float) -> list[Floats]:
    """Rings around points that belong together, traced in a plane that touches their middle."""
    from contourpy import FillType, contour_generator
    from scipy.spatial import cKDTree

    middle_3 = sphere.unit_vectors(latlon_M2).sum(0)
    lat, lon = sphere.from_unit_vectors(middle_3).tolist()
    km_M2 = _in_plane(latlon_M2, (lat, lon))
    reach_km = float(np.hypot(*km_M2.T).max()) + radius_km
    if len(latlon_M2) == 1 or reach_km > _FARTHEST_KM:
        return circles.circle(lat, lon, reach_km)
    low_2, high_2 = km_M2.min(0), km_M2.max(0)
    pixel_km = max(radius_km / _FINE, float((high_2 - low_2).max()) / _MOST_PIXELS)
    level_km, room_km = max(radius_km, pixel_km), radius_km + 2 * pixel_km
    x, y = (
        np.arange(a - room_km, b + room_km, pixel_km) for a, b in zip(low_2, high_2, strict=True)
    )
    grid_P2 = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    away_km = cKDTree(km_M2).query(grid_P2)[0].reshape(len(y), len(x))
    traced = contour_generator(x, y, away_km, fill_type=FillType.OuterOffset)
    parts = zip(*traced.filled(-1.0, level_km), strict=True)
    outer = (points[offsets[0] : offsets[1]] for points, offsets in parts)
    return [ring for points in outer for ring in _on_map(points, (lat, lon))]


def _in_plane(latlon_M2: Floats, middle: tuple[float, float]) -> Floats:
    """Kilometres (M, 2) to the east and north of a middle; distances from it are true."""
    away_km = sphere.great_circle_km(middle, latlon_M2)
    bearing = np.radians(sphere.bearing_deg(np.broadcast_to(middle, latlon_M2.shape), latlon_M2))
    return np.stack([away_km * np.sin(bearing), away_km * np.cos(bearing)], -1)


def _on_map(km_N2: Floats, middle: tuple[float, float]) -> list[Floats]:
    """A closed ring of a plane as rings of degrees, cut at the antimeridian."""
    east, north = km_N2.T
    bearing = np.degrees(np.arctan2(east, north))
    ring = sphere.destination(np.broadcast_to(middle, km_N2.shape), bearing, np.hypot(east, north))
    ring[:, 1] = np.unwrap(ring[:, 1], period=360.0)
    return circles.cut(ring, middle[0])
