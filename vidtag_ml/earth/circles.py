"""Circles on the ground as polygons: where a position is, give or take a radius.

Belongs here: their corners, cut where maps are cut. Does not belong here: distances (sphere.py),
what lies around several points (hulls.py), files that hold them (track_files.py). Shape legend: N
corners, 2 = (lat, lon) in degrees.
"""

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.earth import sphere

Floats = NDArray[np.float64]

NUM_CORNERS = 48
_HALF_KM = np.pi / 2 * sphere.EARTH_RADIUS_KM
"""Radius of a circle that is half of the Earth."""
_WORLD = np.array([(-90.0, -180.0), (-90.0, 180.0), (90.0, 180.0), (90.0, -180.0), (-90.0, -180.0)])
_TURNS = range(-720, 721, 360)
_LAST_LAT = 89.999
"""Bearings mean nothing at a pole itself."""


def circle(lat: float, lon: float, radius_km: float) -> list[Floats]:
    """Rings (N, 2) of a circle, closed, counterclockwise as a map shows them, lons in [-180, 180].

    It is one ring, or two where the antimeridian cuts it. One that holds a pole reaches the edge of
    the map there, as programs need it that know no sphere; more than half of the Earth is all of
    it.

    >>> [ring[:, 1].max().round(3).item() for ring in circle(0, 0, 111.195)]
    [1.0]
    """
    if radius_km >= _HALF_KM:
        return [_WORLD]
    reach = radius_km / sphere.EARTH_RADIUS_KM
    at = np.radians(np.clip(lat, -_LAST_LAT, _LAST_LAT))
    bearing_N = np.linspace(0, -2 * np.pi, NUM_CORNERS + 1)
    sine = np.sin(at) * np.cos(reach) + np.cos(at) * np.sin(reach) * np.cos(bearing_N)
    across = np.sin(bearing_N) * np.sin(reach) * np.cos(at)
    east = np.unwrap(np.arctan2(across, np.cos(reach) - np.sin(at) * sine))
    ring = np.stack([np.degrees(np.arcsin(sine)), lon + np.degrees(east)], -1)
    return cut(ring, lat)


def cut(ring_N2: Floats, lat: float) -> list[Floats]:
    """Rings (N, 2) of a closed one whose lons do not leap, as `circle` gives them.

    Args:
        ring_N2: its last corner is its first, or that after a whole turn around a pole.
        lat: of a point in it; tells which pole, if it holds one.
    """
    ring = ring_N2
    if abs(ring[-1, 1] - ring[0, 1]) > 180.0:
        pole = np.copysign(90.0, lat)
        ring = np.concatenate([ring, [(pole, ring[-1, 1]), (pole, ring[0, 1])]])
    else:
        ring = ring[:-1]
    least, most = ring[:, 1].min(), ring[:, 1].max()
    turns = [turn for turn in _TURNS if turn - 180.0 < most and least < turn + 180.0]
    parts = (_between(ring, turn - 180.0, turn + 180.0) - [0, turn] for turn in turns)
    return [part for part in parts if len(part)]


def _between(ring: Floats, west: float, east: float) -> Floats:
    """The part of a ring between two meridians, closed; empty if there is none."""
    for edge, sign in ((west, 1.0), (east, -1.0)):
        if (sign * (ring[:, 1] - edge) > 0).all():
            continue
        kept: list[Floats] = []
        for here, there in zip(ring, np.roll(ring, -1, 0), strict=True):
            inside, next_inside = (sign * (p[1] - edge) > 0 for p in (here, there))
            if inside:
                kept.append(here)
            if inside != next_inside:
                share = (edge - here[1]) / (there[1] - here[1])
                kept.append(np.array([here[0] + (there[0] - here[0]) * share, edge]))
        ring = np.array(kept).reshape(-1, 2)
    return np.concatenate([ring, ring[:1]])
