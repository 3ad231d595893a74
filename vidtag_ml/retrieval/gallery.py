"""The GPS gallery: the coordinates among which a model searches.

Belongs here: building, saving and loading a gallery, the finer points into which its own can be
divided, ceilings and leaks. Does not belong here: what embeds a coordinate (encoders/location.py),
search among embeddings (index.py), the mask of land (earth/land.py).
Shape legend: N points, G gallery entries, F finer points, C nearest entries, 2 = (lat, lon) in
degrees.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from vidtag_ml import config
from vidtag_ml.dataset import tables
from vidtag_ml.dataset.hierarchy import LEVELS
from vidtag_ml.earth import land, sphere

Floats = NDArray[np.float64]

DECIMALS = 7
"""Of degrees: a centimetre. In the last bits of a sine CPUs differ, and with them md5s would."""
REGION_DEG = 0.5
"""grid: train fixes in cells of this size that touch belong to one region."""
KEPT_PERCENT = (0.5, 99.5)
"""grid: fixes of a region beyond these percentiles of lat or lon do not widen its box."""
MOST_POINTS = 20_000_000
"""A gallery that would be larger is refused: its embeddings would not fit on a disk."""
_CANDIDATES = 16
"""Entries near a point among which the ancestor of its nearest finer point is."""


@dataclass(frozen=True)
class Gallery:
    """A gallery as it lies on disk."""

    latlon_G2: Floats
    """Points in degrees, float64."""
    protocol: dict[str, Any]
    """How it was built: source, spacing and whatever else the builder recorded."""
    digest: str
    """md5 of gallery.parquet, the same that DVC lists for the file."""
    labels: pd.DataFrame | None = None
    """City, state, country and continent of each point, where the points are cities."""

    def __post_init__(self) -> None:
        """Checks shape and content once.

        Raises:
            ValueError: not (G, 2), empty, or a point is not on the globe.
        """
        points = self.latlon_G2
        if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0:
            raise ValueError(f"a gallery has shape (points, 2), not {points.shape}")
        wrong = ~(np.isfinite(points).all(1) & (np.abs(points) <= (90.0, 180.0)).all(1))
        if wrong.any():
            raise ValueError(
                f"gallery point {points[wrong][0].tolist()} is not (lat, lon) in degrees"
            )


def build(
    settings: config.Gallery, train_fixes: pd.DataFrame | None = None, file: Path | None = None
) -> pd.DataFrame:
    """Table lat, lon of the gallery that the settings describe; `cities` adds the cities' labels.

    Args:
        settings: sources "lattice" and "file" read no fixes and are blind to every split; "grid"
            covers boxes around the train fixes, "cities" is their cities' centres
            (docs/specs/vidtag.md, sections 7 and 8).
        train_fixes: fixes of the train split alone, columns lat, lon and perhaps status (those
            that are dropped do not count); "cities" also reads fix_source and the labels of the
            fixes' clips: city, state, country, continent.
        file: where `settings.file` lies; for "file" only.

    Raises:
        ValueError: spacing is not positive, the gallery would be too large, or what the source
            needs is missing or not as it should be.
    """
    if not settings.spacing_km > 0:
        raise ValueError(f"gallery.spacing_km is {settings.spacing_km}; it must be positive")
    if settings.source == "file":
        if file is None:
            raise ValueError("gallery.source is file, but gallery.file names none")
        return _released(file)
    if settings.source == "lattice":
        return _table(_lattice(settings))
    if train_fixes is None:
        raise ValueError(
            f"gallery.source is {settings.source}, which needs the fixes of the train split"
        )
    train_fixes = train_fixes[tables.is_kept(train_fixes)]
    if settings.source == "cities":
        return _cities(train_fixes)
    return _table(_grid(settings, train_fixes[["lat", "lon"]].dropna().to_numpy(float)))


def _table(latlon_G2: Floats) -> pd.DataFrame:
    return pd.DataFrame(latlon_G2.round(DECIMALS), columns=["lat", "lon"])


def _released(file: Path) -> pd.DataFrame:
    """Points of a CSV in GeoCLIP's form, in its order; points that recur are kept, as released."""
    try:
        points = pd.read_csv(file, usecols=["LAT", "LON"], dtype=float)[["LAT", "LON"]]
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: not a gallery with columns LAT and LON: {error}") from error
    return points.set_axis(["lat", "lon"], axis=1)


def _cities(fixes: pd.DataFrame) -> pd.DataFrame:
    """The centre of each city that a fix stands for, with its labels, in order of label."""
    places = [level for level in LEVELS if level != "continent"]
    centres = fixes.loc[fixes["fix_source"] == "city_centre", ["lat", "lon", *LEVELS]].dropna()
    if centres.empty:
        raise ValueError(
            "gallery.source is cities, but no fix of the train split is a city's centre"
        )
    distinct = centres.drop_duplicates()
    twice = distinct[distinct.duplicated(places)]
    if len(twice):
        raise ValueError(f"{twice['city'].iloc[0]} has more than one centre among the train fixes")
    return distinct.sort_values(places, ignore_index=True)


def _lattice(settings: config.Gallery) -> Floats:
    """Points of the equal-area lattice over land, lakes and the sea near land."""
    size = round(4 * np.pi * (sphere.EARTH_RADIUS_KM / settings.spacing_km) ** 2)
    _refuse_above(size, settings.spacing_km)
    points = sphere.equal_area_lattice(size)
    return points[land.within_km(points, settings.coast_km)]


def _grid(settings: config.Gallery, fixes_N2: Floats) -> Floats:
    """Uniform points over the padded box of each region of fixes."""
    if len(fixes_N2) == 0:
        raise ValueError("gallery.source is grid, but the train split has no fix")
    boxes = [_box(fixes_N2[r], settings.padding_deg) for r in _regions(fixes_N2)]
    shapes = [_grid_shape(low, high, settings.spacing_km) for low, high in boxes]
    _refuse_above(sum(rows * columns for rows, columns in shapes), settings.spacing_km)
    pieces = []
    for (low, high), shape in zip(boxes, shapes, strict=True):
        at = [low[k] + (np.arange(n) + 0.5) / n * (high[k] - low[k]) for k, n in enumerate(shape)]
        pieces.append(np.stack(np.meshgrid(*at, indexing="ij"), -1).reshape(-1, 2))
    points = np.concatenate(pieces)
    return np.stack([points[:, 0], sphere.wrap_lon(points[:, 1])], -1)


def _regions(fixes_N2: Floats) -> list[NDArray[np.int64]]:
    """Indices of the fixes of each region, cells being neighbours across the date line too."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    shifted = np.stack([fixes_N2[:, 0] + 90.0, sphere.wrap_lon(fixes_N2[:, 1]) + 180.0], -1)
    cells, cell = np.unique((shifted // REGION_DEG).astype(int), axis=0, return_inverse=True)
    tree = cKDTree(cells, boxsize=[0, 360.0 / REGION_DEG])
    i, j = tree.query_pairs(1.0, p=np.inf, output_type="ndarray").T
    touching = coo_array((np.ones(len(i)), (i, j)), shape=(len(cells), len(cells)))
    num, label = connected_components(touching, directed=False)
    return [np.flatnonzero(label[cell.ravel()] == k) for k in range(num)]


def _box(fixes_N2: Floats, padding_deg: float) -> tuple[Floats, Floats]:
    """Lower and upper corner (2,); lons count from the first fix on, so they may leave +-180."""
    lon = fixes_N2[0, 1] + sphere.wrap_lon(fixes_N2[:, 1] - fixes_N2[0, 1])
    points = np.stack([fixes_N2[:, 0], lon], -1)
    low = np.percentile(points, KEPT_PERCENT[0], axis=0, method="lower") - padding_deg
    high = np.percentile(points, KEPT_PERCENT[1], axis=0, method="higher") + padding_deg
    return np.maximum(low, [-90.0, -np.inf]), np.minimum(high, [90.0, np.inf])


def _grid_shape(low: Floats, high: Floats, spacing_km: float) -> tuple[int, int]:
    """Rows and columns of a box's grid."""
    lat_km, lon_km = (high - low) * sphere.KM_PER_DEGREE
    lon_km *= np.cos(np.radians((low[0] + high[0]) / 2))
    return max(1, round(lat_km / spacing_km)), max(1, round(lon_km / spacing_km))


def _refuse_above(size: int, spacing_km: float) -> None:
    if size > MOST_POINTS:
        raise ValueError(
            f"gallery.spacing_km of {spacing_km} makes {size:,} points; {MOST_POINTS:,} are "
            "searchable"
        )


def write(folder: Path, points: pd.DataFrame, protocol: dict[str, Any]) -> None:
    """Writes gallery.parquet (lat, lon, labels if there are any) and gallery.json (protocol, size).

    Same in, same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    labels = [level for level in LEVELS if level in points]
    table = points[["lat", "lon", *labels]].astype({"lat": "float64", "lon": "float64"})
    table.to_parquet(folder / "gallery.parquet", index=False)
    record = {**protocol, "size": len(points)}
    (folder / "gallery.json").write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")


def read(folder: Path) -> Gallery:
    """The gallery in a folder.

    Raises:
        ValueError: a file is missing or not as `write` makes it; names the file.
    """
    table, record = folder / "gallery.parquet", folder / "gallery.json"
    try:
        content = table.read_bytes()
        stored = pd.read_parquet(table)
        points = stored[["lat", "lon"]].to_numpy(float)
        protocol = json.loads(record.read_text())
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f"{folder} holds no gallery; `vidtag gallery` makes one: {error}"
        ) from error
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    labels = stored[list(LEVELS)] if set(LEVELS) <= set(stored) else None
    return Gallery(latlon_G2=points, protocol=protocol, digest=digest, labels=labels)


def oracle_km(gallery_latlon_G2: ArrayLike, points_N2: ArrayLike) -> Floats:
    """Distance (N,) of each point from the nearest gallery entry: no search can do better."""
    return _nearest_km(gallery_latlon_G2, points_N2, 1)


def spacing_km(gallery_latlon_G2: ArrayLike) -> Floats:
    """Distance (G,) of each entry from the nearest other one."""
    return _nearest_km(gallery_latlon_G2, gallery_latlon_G2, 2)


def leaks(gallery_latlon_G2: ArrayLike, points_N2: ArrayLike, within_km: float = 0.001) -> int:
    """How many of the evaluation's points the gallery contains, to within a metre."""
    return int((oracle_km(gallery_latlon_G2, points_N2) <= within_km).sum())


def coverage(gallery_latlon_G2: ArrayLike, points_N2: ArrayLike) -> dict[str, float]:
    """Median, 95th percentile and maximum of `oracle_km`, and the number of leaked points."""
    distance = oracle_km(gallery_latlon_G2, points_N2)
    return {
        **ceiling(distance),
        "leak_frames": int((distance <= 0.001).sum()),
    }


def ceiling(oracle_km_N: Floats) -> dict[str, float]:
    """Median, 95th percentile and maximum of the distances of the best possible answers."""
    return {
        "oracle_median_km": float(np.median(oracle_km_N)),
        "oracle_p95_km": float(np.percentile(oracle_km_N, 95)),
        "oracle_max_km": float(oracle_km_N.max()),
    }


def _nearest_km(gallery_G2: ArrayLike, points_N2: ArrayLike, rank: int) -> Floats:
    """Distance (N,) of each point from its `rank`-th nearest gallery entry."""
    from scipy.spatial import cKDTree

    tree = cKDTree(sphere.unit_vectors(gallery_G2))
    chord, _ = tree.query(sphere.unit_vectors(points_N2), k=[rank])
    return sphere.chord_km(chord[:, 0])


def halvings(spacing_km: float, finest_km: float) -> list[float]:
    """Sides of the cells that are divided, level by level, until a side is at most `finest_km`.

    >>> halvings(46.0, 12.0)
    [46.0, 23.0]

    Raises:
        ValueError: a length is not positive.
    """
    if not (spacing_km > 0 and finest_km > 0):
        raise ValueError(f"from {spacing_km} km to {finest_km} km: both must be positive")
    sides = [spacing_km]
    while sides[-1] > finest_km:
        sides.append(sides[-1] / 2)
    return sides[:-1]


def finest_oracle_km(
    gallery_latlon_G2: Floats, spacing_km: float, finest_km: float, points_N2: ArrayLike
) -> Floats:
    """Distance (N,) of each point from the finest grid's nearest: no search there can do better.

    The grid (see `index.finest_grid`) is not built: the descendants of the nearest
    `_CANDIDATES` are followed; no other entry's cell is near enough.
    """
    from scipy.spatial import cKDTree

    points = np.asarray(points_N2, float)
    tree = cKDTree(sphere.unit_vectors(gallery_latlon_G2))
    num = min(_CANDIDATES, len(gallery_latlon_G2))
    _, nearest_NC = tree.query(sphere.unit_vectors(points), k=np.arange(1, num + 1))
    near_NC2 = gallery_latlon_G2[nearest_NC]
    for side in halvings(spacing_km, finest_km):
        finer = sphere.quarters(near_NC2, side).reshape(len(points), -1, 2)
        order = sphere.great_circle_km(finer, points[:, None]).argsort(1)[:, :_CANDIDATES]
        near_NC2 = np.take_along_axis(finer, order[..., None], 1)
    return np.asarray(sphere.great_circle_km(near_NC2, points[:, None]).min(1))
