"""Where the sun stands, to a degree: enough to tell day from night.

Belongs here: its height above the horizon. Does not belong here: clocks (ingest/own/clocks.py),
zones of time. Shape legend: N moments, 2 = (lat, lon) in degrees.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
_J2000_S = 946_728_000.0
"""Noon of 1 January 2000, in seconds since 1970."""
_DAY_S = 86_400.0


def height_deg(utc_s: ArrayLike, latlon_N2: ArrayLike) -> Floats:
    """Height (N,) of the sun above the horizon, in degrees; below it is negative.

    By the low-precision formulas of the Astronomical Almanac, section C, good to 0.1 degrees from
    1950 to 2050, without refraction.

    Args:
        utc_s: moments (N,) in seconds since 1970; NaN gives NaN.
        latlon_N2: from where it is seen.

    At the equator at noon of the March equinox of 2024 it is overhead, at midnight beneath:

    >>> height_deg([1710936000.0, 1710892800.0], [(0.0, 0.0), (0.0, 0.0)]).round()
    array([ 88., -88.])
    """
    day_N = (np.asarray(utc_s, float) - _J2000_S) / _DAY_S
    lat_N, lon_N = np.radians(np.asarray(latlon_N2, float)).T
    anomaly_N = np.radians(357.528 + 0.9856003 * day_N)
    along_N = np.radians(280.460 + 0.9856474 * day_N)
    along_N += np.radians(1.915) * np.sin(anomaly_N) + np.radians(0.020) * np.sin(2 * anomaly_N)
    tilt_N = np.radians(23.439 - 4e-7 * day_N)
    ascension_N = np.arctan2(np.cos(tilt_N) * np.sin(along_N), np.cos(along_N))
    declination_N = np.arcsin(np.sin(tilt_N) * np.sin(along_N))
    sidereal_N = np.radians((280.46062 + 360.98564737 * day_N) % 360.0)
    hour_N = sidereal_N + lon_N - ascension_N
    high_N = np.sin(lat_N) * np.sin(declination_N)
    high_N += np.cos(lat_N) * np.cos(declination_N) * np.cos(hour_N)
    return np.asarray(np.degrees(np.arcsin(np.clip(high_N, -1.0, 1.0))))
