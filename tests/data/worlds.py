"""Worlds whose truth is known: someone moves over the Earth, films, and logs where they are.

Belongs here: where they were, in vectors on a unit sphere and with nothing of vidtag's own; what
receivers do wrong. Does not belong here: how it is written (dialects.py), what vidtag makes of it.
Shape legend: N moments or positions, K fixes, 2 = (lat, lon) in degrees, 3 = a unit vector.
"""

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

EARTH_M = 6_371_008.8
NEAR_M = 1000.0
"""What moves a position by less than this is jitter and no glitch."""
HELD_S = 7.5
"""For so long a receiver that froze says the same."""
EDGES = (
    (52.0, 4.0), (0.0, 0.001), (0.001, 180.0), (-18.0, -179.999), (-16.5, 179.9999), (89.99, 30.0),
    (-89.99, -120.0), (-33.85, 151.2), (-34.6, -58.4), (19.4, -99.1), (27.7, 85.3), (64.1, -21.9),
)  # fmt: skip
"""Places near which something changes, or in each quarter of the Earth."""
DAY_S = 86400.0


@dataclass(frozen=True)
class Journey:
    """A way at one speed along a circle on the Earth."""

    lat: float
    """Where it is at time 0, as the longitude."""
    lon: float
    bearing_deg: float
    """Where it goes at time 0, from north to east."""
    speed_mps: float
    radius_m: float
    """Of the circle, along the ground; its centre lies to the right."""

    def at(self, time_N):
        """Positions (N, 2) at times in seconds."""
        here, axis = self._here_and_axis()
        turn_N1 = np.asarray(time_N, float)[:, None] * self.speed_mps
        angle_N1 = turn_N1 / EARTH_M / math.sin(self.radius_m / EARTH_M)
        along = axis * (axis @ here)
        across, out = np.cross(axis, here), here - along
        return degrees(along + out * np.cos(angle_N1) + across * np.sin(angle_N1))

    def _here_and_axis(self):
        """Where it begins, and the axis about which it turns."""
        here, lon = vectors([(self.lat, self.lon)])[0], math.radians(self.lon)
        east = np.array([-math.sin(lon), math.cos(lon), 0.0])
        bearing, reach = math.radians(self.bearing_deg), self.radius_m / EARTH_M
        ahead = math.cos(bearing) * np.cross(here, east) + math.sin(bearing) * east
        return here, -math.cos(reach) * here - math.sin(reach) * np.cross(ahead, here)


def vectors(latlon_N2):
    """Unit vectors (N, 3)."""
    lat, lon = np.radians(np.asarray(latlon_N2, float)).T
    return np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], -1)


def degrees(vectors_N3):
    """Positions (N, 2) of vectors."""
    x, y, z = np.asarray(vectors_N3).T
    return np.degrees(np.stack([np.arctan2(z, np.hypot(x, y)), np.arctan2(y, x)], -1))


def apart_m(a_N2, b_N2):
    """Metres between positions, straight through the Earth."""
    return EARTH_M * np.linalg.norm(vectors(a_N2) - vectors(b_N2), axis=-1)


def between(fix_time_K, latlon_K2, time_N, longest_s):
    """Positions (N, 2) at fixes and between them; NaN where these are too far apart."""
    fix_time_K, time_N = np.asarray(fix_time_K, float), np.asarray(time_N, float)
    found_N3 = [np.interp(time_N, fix_time_K, part_K) for part_K in vectors(latlon_K2).T]
    after_N = np.searchsorted(fix_time_K, time_N)
    known_N = (after_N < len(fix_time_K)) & (time_N >= fix_time_K[0])
    gaps_s = np.append(np.diff(fix_time_K, prepend=fix_time_K[0]), np.inf)
    known_N &= (gaps_s[after_N] <= longest_s) | np.isin(time_N, fix_time_K)
    return np.where(known_N[:, None], degrees(np.stack(found_N3, -1)), np.nan)


@dataclass(frozen=True)
class Row:
    """One position as a receiver gives it."""

    time_s: float
    """From the first frame of the video."""
    lat: float
    """NaN, as the longitude: it gives none."""
    lon: float

    @property
    def place(self):
        """Latitude and longitude."""
        return self.lat, self.lon


def rows(journey, time_N):
    """What a receiver without faults gives."""
    return [Row(float(t), *map(float, p)) for t, p in zip(time_N, journey.at(time_N), strict=True)]


def glitches(row):
    """What may be wrong with one row: the fields that are others then."""
    return {
        "beyond": {"lat": 91.0},
        "swapped": {"lat": row.lon, "lon": row.lat},
        "zeros": {"lat": 0.0, "lon": 0.0},
        "south": {"lat": -row.lat},
        "west": {"lon": -row.lon},
        "spike": {"lat": row.lat - math.copysign(0.3, row.lat)},
        "empty": {"lat": math.nan, "lon": math.nan},
        "late": {"time_s": row.time_s - 4.0},
        "days": {"time_s": row.time_s + DAY_S},
    }


GLITCHES = ("", *glitches(Row(0.0, 0.0, 0.0)), "doubled", "frozen")
"""Nothing, one wrong row, a row twice, a receiver that froze."""


def glitched(log, at, name):
    """A log with a glitch at a row, unless that changes less than jitter does."""
    row = log[at]
    if name == "frozen":
        held = [r for r in log[at:] if r.time_s - row.time_s < HELD_S]
        still = [dataclasses.replace(r, lat=row.lat, lon=row.lon) for r in held]
        return [*log[:at], *still, *log[at + len(held) :]]
    if name == "doubled":
        return [*log[:at], row, *log[at:]]
    changes = glitches(row).get(name, {})
    moved = dataclasses.replace(row, **changes)
    if "time_s" not in changes and apart_m([row.place], [moved.place])[0] < NEAR_M:
        return log
    return [*log[:at], moved, *log[at + 1 :]]
