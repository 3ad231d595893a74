"""Which of two numbers is the latitude, where a file puts them the wrong way round.

A latitude beyond 90 degrees fits on Earth as a longitude only. A single row of them is a bad row;
nearly all rows, or those that others join smoothly once exchanged, tell of swapped columns.

Belongs here: what the numbers of all rows say together. Does not belong here: what letters say
(angles.py), which single positions are believed (vidtag_ml.ingest.own.plausibility).
Shape legend: N rows.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.earth import sphere
from vidtag_ml.ingest.telemetry.angles import Places

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

MOST = 0.9
"""So large a share of all rows is nearly all of them."""
STEP_KM = 20.0
"""Positions of a track that follow each other are nearer than this."""
JOINT = 0.2
"""Degrees, also at the poles, where all is near."""
LEAP_KM, LANDED_KM = 100.0, 2.0
"""A step so long that would be so short once its end is turned is no movement."""
_TURNS: Mapping[str, Callable[[Floats, Floats], tuple[Floats, Floats]]] = {
    "latitude and longitude exchanged": lambda lat, lon: (lon, lat),
    "the other sign of latitude": lambda lat, lon: (-lat, lon),
    "the other sign of longitude": lambda lat, lon: (lat, -lon),
    "the other signs": lambda lat, lon: (-lat, -lon),
}
"""What a part of a table may have that is not so in the rest."""
RADIANS = (np.pi / 2, np.pi)
"""The largest latitude and longitude in radians."""


def put_right(places: Places) -> Places:
    """Latitudes and longitudes, exchanged if their numbers say that they were the wrong way round.

    Raises:
        ValueError: the rows contradict each other, or both columns are one.
    """
    exchange, told = exchanged(places.lat, places.lon)
    lat_N, lon_N = (places.lon, places.lat) if exchange else (places.lat, places.lon)
    over_N = _fits(lat_N, lon_N - 360.0) & (lon_N > 180.0)
    _refuse_one_column(lat_N, lon_N)
    most = over_N.sum() >= MOST * max(1, int(_known(lat_N, lon_N).sum()))
    if most or _joins(lat_N, lon_N, over_N):
        lon_N = np.where(over_N, lon_N - 360.0, lon_N)
        told = (*told, f"{over_N.sum()} longitudes from 180 to 360: taken as west, minus 360")
    return Places(lat_N, lon_N, (*places.told, *told))


def as_track(places: Places) -> Places:
    """The same, as rows that follow each other, and what is told of all of them together.

    Raises:
        ValueError: none is on Earth, or many are another way round than the others.
    """
    on_earth_N, known_N = _fits(places.lat, places.lon), _known(places.lat, places.lon)
    if known_N.any() and not on_earth_N[known_N].any():
        first = int(known_N.argmax())
        raise ValueError(
            f"no position is on Earth, the first is {places.lat[first]:.9g}, "
            f"{places.lon[first]:.9g}: write degrees as 47.5083, and not 4730.5 as NMEA, metres, "
            "or whole numbers of 1e-7 degrees"
        )
    lat_N, lon_N = places.lat[on_earth_N], places.lon[on_earth_N]
    for what, turn in _TURNS.items():
        num = _num_turned(lat_N, lon_N, *turn(lat_N, lon_N))
        if num > max(1.0, (1.0 - MOST) * len(lat_N)):
            said = f"{num} of {len(lat_N)} rows have {what}, or the others do"
            raise ValueError(f"{said}, and nothing tells which: correct them")
    near_N = (np.abs(places.lat) <= RADIANS[0]) & (np.abs(places.lon) <= RADIANS[1])
    if not known_N.any() or not near_N[known_N].all():
        return places
    told = "all positions are in the sea around 0, 0, where radians lie as well: taken for degrees"
    return Places(places.lat, places.lon, (*places.told, told))


def turned(lat_N: Floats, lon_N: Floats) -> str:
    """What some of a few places have that the others have not; empty if they are all alike."""
    places = {what: turn(lat_N, lon_N) for what, turn in _TURNS.items()}
    return next((w for w, there in places.items() if _num_turned(lat_N, lon_N, *there)), "")


def _num_turned(lat_N: Floats, lon_N: Floats, to_lat_N: Floats, to_lon_N: Floats) -> int:
    """How many rows are another way round than most, which begin and end by leaps.

    Args:
        lat_N: latitudes.
        lon_N: longitudes.
        to_lat_N: those of the rows, turned.
        to_lon_N: likewise; a place that is on Earth no more is none.
    """
    leap_N = _steps_km(lat_N, lon_N) > LEAP_KM
    here_N2, to_N2 = np.stack([lat_N, lon_N], -1), np.stack([to_lat_N, to_lon_N], -1)
    landed_N = np.asarray(sphere.great_circle_km(here_N2[:-1], to_N2[1:])) < LANDED_KM
    is_turned_N = np.cumsum(leap_N & landed_N & _fits(to_lat_N, to_lon_N)[1:]) % 2
    num = int(is_turned_N.sum())
    return min(num, len(lat_N) - num)


def _refuse_one_column(lat_N: Floats, lon_N: Floats) -> None:
    """Raises ValueError if a latitude was written twice, or a longitude."""
    known_N = _known(lat_N, lon_N)
    if (lat_N == lon_N)[known_N].all() and len(set(lat_N[known_N])) > 1:
        raise ValueError("latitude and longitude are the same number in all rows: correct one")


def exchanged(lat_N: Floats, lon_N: Floats) -> tuple[bool, tuple[str, ...]]:
    """Whether latitudes and longitudes are the wrong way round, and what is told of it.

    Args:
        lat_N: what should be latitudes, NaN where a row has none.
        lon_N: what should be longitudes.

    Raises:
        ValueError: some rows say so and others do not, and neither order makes a track.
    """
    swapped_N, written_N = _fits(lon_N, lat_N), _fits(lat_N, lon_N)
    says_N = swapped_N & ~written_N
    denies_N = written_N & ~swapped_N
    num, num_known = int(says_N.sum()), int(_known(lat_N, lon_N).sum())
    if not num:
        return False, ()
    said = f"{num} of {num_known} rows have a latitude beyond 90 that fits as a longitude"
    smooth = not denies_N.any() and _joins(lat_N, lon_N, says_N)
    if num >= MOST * num_known or smooth:
        return True, (f"{said}: latitude and longitude were exchanged",)
    written_N &= (lat_N != 0.0) | (lon_N != 0.0)
    if num <= (1.0 - MOST) * num_known or _is_track(lat_N[written_N], lon_N[written_N]):
        return False, (f"{said}, the others do not: read as written",)
    joined = 2 * num > num_known and _is_track(lon_N[says_N], lat_N[says_N])
    if joined or (num > 1 and not denies_N.any()):
        return True, (f"{said}: latitude and longitude were exchanged",)
    raise ValueError(f"{said}, the others do not: put the names of its columns right")


def _known(lat_N: Floats, lon_N: Floats) -> Mask:
    """Which rows have a position; 0, 0 is what receivers write without one."""
    return np.asarray(~np.isnan(lat_N + lon_N) & ((lat_N != 0.0) | (lon_N != 0.0)))


def _fits(lat_N: Floats, lon_N: Floats) -> Mask:
    return np.asarray((np.abs(lat_N) <= 90.0) & (np.abs(lon_N) <= 180.0))


def _joins(lat_N: Floats, lon_N: Floats, says_N: Mask) -> bool:
    """Whether the numbers of rows that say so go on where those of their neighbours stop."""
    known = np.flatnonzero(~np.isnan(lat_N + lon_N))
    meet = np.flatnonzero(says_N[known][1:] != says_N[known][:-1])
    step_N = np.abs(np.diff(np.stack([lat_N[known], lon_N[known]]))).max(0)
    return bool(len(meet)) and bool((step_N[meet] < JOINT).all())


def _is_track(lat_N: Floats, lon_N: Floats) -> bool:
    """Whether most rows are near the one before: a bad row spoils two steps."""
    near = _steps_km(lat_N, lon_N) < STEP_KM
    return bool(len(near)) and 2 * int(near.sum()) >= len(near)


def _steps_km(lat_N: Floats, lon_N: Floats) -> Floats:
    latlon_N2 = np.stack([lat_N, lon_N], -1)
    return np.asarray(sphere.great_circle_km(latlon_N2[:-1], latlon_N2[1:]))
