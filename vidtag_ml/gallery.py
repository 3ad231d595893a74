"""The GPS gallery: the coordinates among which a model searches.

Belongs here: building, saving and loading a gallery, its ceiling and leaks, and exact search among
embeddings. Does not belong here: what embeds a coordinate (models/location.py), tracks
(decoding.py), the mask of land (land.py).
Shape legend: N queries, G gallery entries, D embedding, k best entries, 2 = (lat, lon) in degrees.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from vidtag_ml import config, geo, land

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float64]

REGION_DEG = 0.5
"""grid: train fixes in cells of this size that touch belong to one region."""
KEPT_PERCENT = (0.5, 99.5)
"""grid: fixes of a region beyond these percentiles of lat or lon do not widen its box."""
MOST_POINTS = 20_000_000
"""A gallery that would be larger is refused: its embeddings would not fit in memory."""


@dataclass(frozen=True)
class Gallery:
    """A gallery as it lies on disk."""

    latlon_G2: Floats
    """Points in degrees, float64."""
    protocol: dict[str, Any]
    """How it was built: source, spacing and whatever else the builder recorded."""
    digest: str
    """md5 of gallery.parquet, the same that DVC lists for the file."""

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


def build(settings: config.Gallery, train_fixes: pd.DataFrame | None) -> pd.DataFrame:
    """Table lat, lon of the gallery that the settings describe.

    Args:
        settings: source "lattice" reads no fixes and is blind to every split; "grid" covers boxes
            around the train fixes (vidtag.md section 7).
        train_fixes: fixes of the train split alone, columns lat, lon and perhaps status (those
            that are dropped do not count); for "grid" only.

    Raises:
        ValueError: spacing is not positive, the gallery would be too large, or fixes are missing.
    """
    if not settings.spacing_km > 0:
        raise ValueError(f"gallery.spacing_km is {settings.spacing_km}; it must be positive")
    if settings.source == "lattice":
        points = _lattice(settings)
    elif train_fixes is None:
        raise ValueError("gallery.source is grid, which needs the fixes of the train split")
    else:
        if "status" in train_fixes:
            train_fixes = train_fixes[train_fixes["status"].ne("dropped").fillna(value=True)]
        points = _grid(settings, train_fixes[["lat", "lon"]].dropna().to_numpy(float))
    return pd.DataFrame(points, columns=["lat", "lon"])


def _lattice(settings: config.Gallery) -> Floats:
    """Points of the equal-area lattice over land, lakes and the sea near land."""
    size = round(4 * np.pi * (geo.EARTH_RADIUS_KM / settings.spacing_km) ** 2)
    _refuse_above(MOST_POINTS, size, settings.spacing_km)
    points = geo.equal_area_lattice(size)
    return points[land.within_km(points, settings.coast_km)]


def _grid(settings: config.Gallery, fixes_N2: Floats) -> Floats:
    """Uniform points over the padded box of each region of fixes."""
    if len(fixes_N2) == 0:
        raise ValueError("gallery.source is grid, but the train split has no fix")
    boxes = [_box(fixes_N2[r], settings.padding_deg) for r in _regions(fixes_N2)]
    shapes = [_grid_shape(low, high, settings.spacing_km) for low, high in boxes]
    _refuse_above(MOST_POINTS, sum(rows * columns for rows, columns in shapes), settings.spacing_km)
    pieces = []
    for (low, high), shape in zip(boxes, shapes, strict=True):
        at = [low[k] + (np.arange(n) + 0.5) / n * (high[k] - low[k]) for k, n in enumerate(shape)]
        pieces.append(np.stack(np.meshgrid(*at, indexing="ij"), -1).reshape(-1, 2))
    points = np.concatenate(pieces)
    return np.stack([points[:, 0], geo.wrap_lon(points[:, 1])], -1)


def _regions(fixes_N2: Floats) -> list[NDArray[np.int64]]:
    """Indices of the fixes of each region, cells being neighbours across the date line too."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    shifted = np.stack([fixes_N2[:, 0] + 90.0, geo.wrap_lon(fixes_N2[:, 1]) + 180.0], -1)
    cells, cell = np.unique((shifted // REGION_DEG).astype(int), axis=0, return_inverse=True)
    tree = cKDTree(cells, boxsize=[0, 360.0 / REGION_DEG])
    i, j = tree.query_pairs(1.0, p=np.inf, output_type="ndarray").T
    touching = coo_array((np.ones(len(i)), (i, j)), shape=(len(cells), len(cells)))
    num, label = connected_components(touching, directed=False)
    return [np.flatnonzero(label[cell.ravel()] == k) for k in range(num)]


def _box(fixes_N2: Floats, padding_deg: float) -> tuple[Floats, Floats]:
    """Lower and upper corner (2,); lons count from the first fix on, so they may leave +-180."""
    lon = fixes_N2[0, 1] + geo.wrap_lon(fixes_N2[:, 1] - fixes_N2[0, 1])
    points = np.stack([fixes_N2[:, 0], lon], -1)
    low = np.percentile(points, KEPT_PERCENT[0], axis=0, method="lower") - padding_deg
    high = np.percentile(points, KEPT_PERCENT[1], axis=0, method="higher") + padding_deg
    return np.maximum(low, [-90.0, -np.inf]), np.minimum(high, [90.0, np.inf])


def _grid_shape(low: Floats, high: Floats, spacing_km: float) -> tuple[int, int]:
    """Rows and columns of a box's grid."""
    lat_km, lon_km = (high - low) * geo.KM_PER_DEGREE
    lon_km *= np.cos(np.radians((low[0] + high[0]) / 2))
    return max(1, round(lat_km / spacing_km)), max(1, round(lon_km / spacing_km))


def _refuse_above(most: int, size: int, spacing_km: float) -> None:
    if size > most:
        raise ValueError(
            f"gallery.spacing_km of {spacing_km} makes {size:,} points; {most:,} are searchable"
        )


def write(folder: Path, points: pd.DataFrame, protocol: dict[str, Any]) -> None:
    """Writes gallery.parquet (lat, lon) and gallery.json (protocol, size); same in, same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    points[["lat", "lon"]].astype("float64").to_parquet(folder / "gallery.parquet", index=False)
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
        points = pd.read_parquet(table, columns=["lat", "lon"]).to_numpy(float)
        protocol = json.loads(record.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{folder} holds no gallery; `vidtag gallery` makes one: {error}"
        ) from error
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return Gallery(latlon_G2=points, protocol=protocol, digest=digest)


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
        "oracle_median_km": float(np.median(distance)),
        "oracle_p95_km": float(np.percentile(distance, 95)),
        "oracle_max_km": float(distance.max()),
        "leak_frames": int((distance <= 0.001).sum()),
    }


def _nearest_km(gallery_G2: ArrayLike, points_N2: ArrayLike, rank: int) -> Floats:
    """Distance (N,) of each point from its `rank`-th nearest gallery entry."""
    from scipy.spatial import cKDTree

    tree = cKDTree(geo.unit_vectors(gallery_G2))
    chord, _ = tree.query(geo.unit_vectors(points_N2), k=[rank])
    return np.asarray(2 * geo.EARTH_RADIUS_KM * np.arcsin(np.clip(chord[:, 0] / 2, 0, 1)))


QUERY_ROWS, GALLERY_ROWS, BLOCK = 512, 65_536, 64
"""Rows of a score matrix in `search`; columns; columns that are first judged by their best."""


def search(
    queries_ND: "torch.Tensor", gallery_GD: "torch.Tensor", k: int
) -> "tuple[torch.Tensor, torch.Tensor]":
    """The k greatest inner products (N, k) of each query, best first, and their entries (N, k).

    Exact, and the cosine where rows have unit norm. Memory stays near 200 MB whatever the gallery's
    size: scores are made in pieces. Within a piece, the k best are in the k blocks with the best
    maxima, so that only those are sorted. Queries and gallery must be on one device; a float16
    gallery is compared in the queries' precision.

    Raises:
        ValueError: k is not between 1 and the gallery's size, or widths disagree.
    """
    import torch

    size = len(gallery_GD)
    if not 1 <= k <= size:
        raise ValueError(f"k is {k}; the gallery has {size} entries")
    if queries_ND.shape[1:] != gallery_GD.shape[1:]:
        raise ValueError(f"queries {queries_ND.shape} do not fit the gallery {gallery_GD.shape}")
    scores = queries_ND.new_full((len(queries_ND), k), -torch.inf)
    index = torch.zeros_like(scores, dtype=torch.int64)
    buffer = queries_ND.new_empty(min(len(queries_ND), QUERY_ROWS) * min(size, GALLERY_ROWS))
    with torch.no_grad():
        for start in range(0, size, GALLERY_ROWS):
            piece_DP = gallery_GD[start : start + GALLERY_ROWS].to(queries_ND.dtype).T
            for row in range(0, len(queries_ND), QUERY_ROWS):
                rows = slice(row, row + QUERY_ROWS)
                queries = queries_ND[rows]
                out = buffer[: len(queries) * piece_DP.shape[1]].view(len(queries), -1)
                best, where = _top(torch.mm(queries, piece_DP, out=out), k)
                both = torch.cat([scores[rows], best], 1)
                scores[rows], order = both.topk(k, 1)
                index[rows] = torch.cat([index[rows], where + start], 1).gather(1, order)
    return scores, index


def _top(scores_NP: "torch.Tensor", k: int) -> "tuple[torch.Tensor, torch.Tensor]":
    """The best min(k, P) scores of each row, and their columns."""
    rows, columns = scores_NP.shape
    num_blocks = columns // BLOCK
    if num_blocks <= 2 * k:
        best, where = scores_NP.topk(min(k, columns), 1)
        return best, where
    import torch

    whole = scores_NP[:, : num_blocks * BLOCK].view(rows, num_blocks, BLOCK)
    block = whole.amax(2).topk(k, 1, sorted=False).indices
    inside = torch.arange(BLOCK, device=block.device)
    column = (block[:, :, None] * BLOCK + inside).flatten(1)
    rest = torch.arange(num_blocks * BLOCK, columns, device=block.device).expand(rows, -1)
    column = torch.cat([column, rest], 1)
    best, order = scores_NP.gather(1, column).topk(k, 1)
    return best, column.gather(1, order)
