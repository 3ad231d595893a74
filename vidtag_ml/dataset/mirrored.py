"""Clips whose positions are mirrored: latitude and longitude swapped, or a sign lost.

A clip that is mirrored as a whole keeps its shape and speed, so that only what lies outside its
track can tell: what its labels say, where the other clips are, and where there is land.

Belongs here: finding such clips, and which repairs would put them right. Does not belong here:
rules that each table must keep (rules.py), order and signs in files of positions
(ingest/telemetry). Shape legend: N clips, K ways to mirror, P places, 2 = (lat, lon) in degrees.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.dataset import tables as tables_of
from vidtag_ml.dataset.tables import Tables
from vidtag_ml.earth import geonames, land, sphere

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

Floats = NDArray[np.float64]

REPAIRS = {
    "latitude and longitude are swapped": (True, 1, 1),
    "latitude has lost its sign": (False, -1, 1),
    "longitude has lost its sign": (False, 1, -1),
    "both have lost their signs": (False, -1, -1),
    "they are swapped, and latitude has lost its sign": (True, -1, 1),
    "they are swapped, and longitude has lost its sign": (True, 1, -1),
    "they are swapped, and both have lost their signs": (True, -1, -1),
}
"""What may have happened: whether to swap, and then the factors on latitude and longitude."""
REACH_KM = {"city": 50.0, "country": 200.0, "continent": 500.0}
"""So far from the nearest place that bears its label a clip may be, level by level."""
COARSE = 1.2
"""Labels may be the most populous city near by: no other may be nearer by more than this factor."""
OFF_SHORE_KM = (50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0)
"""Beyond the first, a clip at sea is worth a question; the others are told."""
APART_KM = 500.0
"""A clip further than this from those of all other groups is alone ..."""
COMPANY_KM = 25.0
"""... and in company again if mirroring brings it so near to one of them."""
ANYWHERE = ("flyover",)
"""Modes that lead over the oceans and far from all others."""
COLUMNS = ["clip_id", "lat", "lon", "clear", "reason", "repair"]


def findings(tables: Tables) -> pd.DataFrame:
    """Clips that seem to be mirrored, a row each, in the order of the table of clips.

    Columns: clip_id, lat and lon of its middle fix, whether it is clear that it cannot stay as it
    is, the reason, and what may have happened to it, empty where nothing is known to fit.
    """
    clips = _with_middles(tables)
    if clips.empty:
        return pd.DataFrame(columns=COLUMNS)
    told: dict[int, list[_Finding]] = {}
    for one in [*_against_labels(clips), *_alone(clips), *_at_sea(clips)]:
        told.setdefault(one.row, []).append(one)
    where = list(clips[["clip_id", "lat", "lon"]].itertuples(index=False, name=None))
    rows = [(*where[row], *_together(told[row])) for row in sorted(told)]
    return pd.DataFrame(rows, columns=COLUMNS)


def mirrored(latlon_N2: Floats) -> Floats:
    """Positions (N, K, 2) as they are if what `REPAIRS` tells has happened; NaN if none can be.

    >>> mirrored(np.array([[3.7, 40.4]]))[0, :2].tolist()
    [[40.4, 3.7], [-3.7, 40.4]]
    """
    ways = [
        (latlon_N2[:, ::-1] if swapped else latlon_N2) * (lat, lon)
        for swapped, lat, lon in REPAIRS.values()
    ]
    moved_NK2 = np.stack(ways, 1)
    moved_NK2[np.abs(moved_NK2[..., 0]) > 90.0] = np.nan
    return moved_NK2


@dataclass(frozen=True)
class _Finding:
    """A clip that seems to be mirrored."""

    row: int
    clear: bool
    reason: str
    repairs: tuple[str, ...]


def _together(found: Sequence[_Finding]) -> tuple[bool, str, str]:
    """Whether it is clear, why, and what happened, of what was found of one clip."""
    repairs = next((one.repairs for one in found if one.repairs), ())
    reasons = "; ".join(one.reason for one in found)
    return any(one.clear for one in found), reasons, " or ".join(repairs)


def _with_middles(tables: Tables) -> pd.DataFrame:
    """The clips with lat and lon of the fixes in their middle; without those that have none."""
    fixes = tables.kept[tables_of.on_earth(tables.kept)]
    of_clip = fixes.groupby("clip_id")["clip_id"]
    middle = fixes[of_clip.cumcount() == of_clip.transform("size") // 2]
    placed = tables.clips.merge(middle[["clip_id", "lat", "lon"]], on="clip_id")
    return placed.reset_index(drop=True)


def _fitting(fits_K: Sequence[bool]) -> tuple[str, ...]:
    """The simplest of the repairs that fit: others may, too, near the equator or a meridian."""
    fitting = [name for name, fits in zip(REPAIRS, fits_K, strict=True) if fits]
    single = [name for name in fitting if not name.startswith(("both", "they"))]
    return tuple(single or fitting)


def _against_labels(clips: pd.DataFrame) -> Iterator[_Finding]:
    """Clips that are not where their labels say."""
    atlas = _Atlas.of_earth()
    for labels, there in clips.groupby(["city", "country", "continent"], dropna=False, sort=False):
        named = atlas.named(*(label if isinstance(label, str) else "" for label in labels))
        if named is None:
            continue
        here_N2 = there[["lat", "lon"]].to_numpy(float)
        wrong = ~named.agree(here_N2)
        others_NK = named.agree(mirrored(here_N2[wrong]).reshape(-1, 2)).reshape(-1, len(REPAIRS))
        away_N = named.away_km(here_N2[wrong])
        for row, away_km, fits_K in zip(there.index[wrong], away_N, others_NK, strict=True):
            repairs = _fitting(fits_K.tolist())
            clear = bool(repairs) and named.level != "continent"
            reason = f"{away_km:.0f} km from {named.name}, where its labels place it"
            yield _Finding(int(row), clear, reason, repairs)


@dataclass(frozen=True)
class _Named:
    """All places that bear a label."""

    level: str
    """The finest level of the label that is known: city, country or continent."""
    name: str
    """How people call it."""
    tree: "cKDTree"
    """Unit vectors (P, 3) of the places."""
    centres: "cKDTree | None"
    """Those of the most populous cities, if it is one of them."""

    def away_km(self, latlon_N2: Floats) -> Floats:
        """Distances (N,) to the nearest of the places; infinite from what is no position."""
        return _distance_km(self.tree, latlon_N2)

    def agree(self, latlon_N2: Floats) -> NDArray[np.bool_]:
        """Which positions (N,) may bear the label."""
        away_N = self.away_km(latlon_N2)
        near_N = away_N <= REACH_KM[self.level]
        if self.centres is not None:
            any_N = _distance_km(self.centres, latlon_N2)
            near_N |= np.isfinite(away_N) & (away_N <= COARSE * any_N + REACH_KM["city"])
        return np.asarray(near_N)


@dataclass(frozen=True)
class _Atlas:
    """All places of GeoNames, and the most populous cities among them, by their labels."""

    vectors_P3: Floats
    rows: Mapping[str, Mapping[Any, Any]]
    """For each level, label -> places that bear it; of a city, with its country."""
    centres: "cKDTree"
    """The most populous cities."""
    capital: frozenset[tuple[str, str]]
    """City and country of these."""

    @classmethod
    def of_earth(cls) -> "_Atlas":
        """The one that there is."""
        from scipy.spatial import cKDTree

        (tree, labels), centres = geonames.place_tree(), geonames.city_centres()
        places = pd.DataFrame(labels)
        rows: dict[str, Mapping[Any, Any]] = {
            level: places.groupby(level).indices for level in ("country", "continent")
        }
        rows["city"] = places.groupby(["city", "country"]).indices
        points = sphere.unit_vectors(centres[["lat", "lon"]].to_numpy(float))
        known = centres[["city", "country"]].itertuples(index=False, name=None)
        return cls(np.asarray(tree.data), rows, cKDTree(points), frozenset(known))

    def named(self, city: str, country: str, continent: str) -> _Named | None:
        """The places of a label, of the finest level at which there are any."""
        from scipy.spatial import cKDTree

        keys = {"city": (city, country), "country": country, "continent": continent}
        for level, key in keys.items():
            if key in self.rows[level]:
                centres = self.centres if key in self.capital else None
                name = ", ".join(key) if isinstance(key, tuple) else str(key)
                places = self.vectors_P3[self.rows[level][key]]
                return _Named(level, name, cKDTree(places), centres)
        return None


def _distance_km(tree: "cKDTree", latlon_N2: Floats) -> Floats:
    """Distances (N,) to the nearest point of a tree of unit vectors; infinite from NaN."""
    known = np.isfinite(latlon_N2).all(-1)
    found = np.full(len(latlon_N2), np.inf)
    found[known] = sphere.chord_km(tree.query(sphere.unit_vectors(latlon_N2[known]))[0])
    return found


def _alone(clips: pd.DataFrame) -> Iterator[_Finding]:
    """Clips far from all other groups, of which they are in the midst once they are mirrored."""
    from scipy.spatial import cKDTree

    here_N2, groups = clips[["lat", "lon"]].to_numpy(float), clips["group_id"].to_numpy(str)
    vectors_N3 = sphere.unit_vectors(here_N2)
    near = cKDTree(vectors_N3).query_ball_point(vectors_N3, sphere.chord(APART_KM))
    alone_N = np.array([(groups[rows] == groups[row]).all() for row, rows in enumerate(near)])
    alone_N &= ~clips["mode"].isin(ANYWHERE).to_numpy()
    for row in np.flatnonzero(alone_N).tolist():
        others = cKDTree(vectors_N3[groups != groups[row]])
        fits_K = _distance_km(others, mirrored(here_N2[[row]])[0]) <= COMPANY_KM
        if fits_K.any():
            reason = f"more than {APART_KM:.0f} km from the clips of all other groups"
            yield _Finding(row, False, reason, _fitting(fits_K.tolist()))


def _at_sea(clips: pd.DataFrame) -> Iterator[_Finding]:
    """Clips off shore that do not fly over the oceans; boats and drones may be right."""
    tree, _ = geonames.place_tree()
    here_N2 = clips[["lat", "lon"]].to_numpy(float)
    far_N = ~land.within_km(here_N2, OFF_SHORE_KM[0]) & ~clips["mode"].isin(ANYWHERE).to_numpy()
    far_N &= _distance_km(tree, here_N2) > OFF_SHORE_KM[0]
    for row in np.flatnonzero(far_N).tolist():
        beyond = [km for km in OFF_SHORE_KM if not land.within_km(here_N2[[row]], km)[0]]
        yield _Finding(row, False, f"at sea, more than {beyond[-1]:.0f} km from land", ())
