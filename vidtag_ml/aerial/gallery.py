"""The aerial gallery: tiles with known bounds, and the large regions that they make up.

A tile's row is its index among embeddings and scores. A region stands for a video: a square of
tiles around it, read as one large image (docs/specs/gama.md, section 1).

Belongs here: the tables, their files, what is wrong with them, coverage, reduction to some regions
and search there. Does not belong here: which tiles there are (sources.py), their
pictures (pictures.py), numbers and bounds (earth/slippy.py).
Shape legend: G tiles or regions, N positions or queries, K best tiles, R rows, E embedding,
2 = (lat, lon), 4 = (south, west, north, east) in degrees.
"""

import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from pyarrow import parquet

from vidtag_ml.earth import slippy, sphere
from vidtag_ml.retrieval import gallery

if TYPE_CHECKING:
    from torch import Tensor


Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

BOUNDS = ["south", "west", "north", "east"]
_PLACE = [("lat", pa.float64()), ("lon", pa.float64()), *((name, pa.float64()) for name in BOUNDS)]
_TOLERANCE_DEG = 1e-9
"""Bounds that differ by less are the same: a tenth of a millimetre."""
_AT_ONCE = 512
"""Positions whose near tiles are looked through at once."""


@dataclass(frozen=True)
class Areas:
    """Squares with known bounds, one row each."""

    table: pd.DataFrame
    """`FIELDS`; a row's number is the index of its class."""
    protocol: dict[str, Any]
    """How they were made: source, kind, zoom, tile_pixels, tile_km, region_tiles."""
    digest: str = ""
    """md5 of the table's file, the same that DVC lists for it."""

    FIELDS: ClassVar[list[tuple[str, pa.DataType]]]

    def __post_init__(self) -> None:
        """Checks columns and positions once; `problems` tells what else may be wrong.

        Raises:
            ValueError: a column is absent, or a position is not on the globe.
        """
        absent = [name for name, _ in self.FIELDS if name not in self.table]
        if absent:
            raise ValueError(f"the table of {type(self).__name__} has no column {absent[0]}")
        wrong = np.flatnonzero(~(np.abs(self.latlon_G2) <= (90.0, 180.0)).all(1))
        if len(wrong):
            name, latlon = self.ids[wrong[0]], self.latlon_G2[wrong[0]].tolist()
            raise ValueError(f"{name} lies at {latlon}, which is not (lat, lon) in degrees")

    def __len__(self) -> int:
        """How many there are."""
        return len(self.table)

    @functools.cached_property
    def ids(self) -> "pd.Index[Any]":
        """Their names, in order."""
        names: pd.Index[Any] = pd.Index(self.table[self.FIELDS[0][0]].to_numpy(object))
        return names

    @functools.cached_property
    def latlon_G2(self) -> Floats:
        """Positions."""
        return self.table[["lat", "lon"]].to_numpy(float)

    @functools.cached_property
    def bounds_G4(self) -> Floats:
        """South, west, north and east."""
        return self.table[BOUNDS].to_numpy(float)

    def rows(self, ids: Sequence[str]) -> Rows:
        """Row numbers (N,) of some names.

        Raises:
            ValueError: one of them is unknown, or some name recurs in the table.
        """
        if not self.ids.is_unique:
            raise ValueError(f"{self.ids[self.ids.duplicated()][0]} recurs in the aerial gallery")
        found = np.asarray(self.ids.get_indexer(pd.Index(ids, dtype=object)), np.int64)
        if (found < 0).any():
            raise ValueError(f"the aerial gallery has no {ids[int((found < 0).argmax())]}")
        return found


@dataclass(frozen=True)
class Tiles(Areas):
    """The tiles of a gallery; lat and lon are their middles."""

    FIELDS: ClassVar = [
        ("tile_id", pa.string()),
        *_PLACE,
        ("region", pa.string()),
        ("file", pa.string()),
        ("time_s", pa.float64()),
    ]
    """region: the first region that it belongs to, or ""; file: relative to the imagery's folder,
    null if the tile is cut on demand; time_s: of the fix around which it lies, null if of none."""

    def __post_init__(self) -> None:
        """Checks that there is a tile, too."""
        super().__post_init__()
        if len(self.table) == 0:
            raise ValueError("an aerial gallery has at least one tile")


@dataclass(frozen=True)
class Regions(Areas):
    """Large regions; lat and lon are the medians of their video's fixes.

    See docs/specs/metrics.md, section 6.
    """

    FIELDS: ClassVar = [
        ("region", pa.string()),
        *_PLACE,
        ("file", pa.string()),
        ("members", pa.list_(pa.string())),
    ]
    """region: the video's clip_id; members: tile_id of the tiles within."""


def write(folder: Path, tiles: Tiles, regions: Regions) -> None:
    """Writes tiles.parquet, regions.parquet and aerial.json. Same in, same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for areas in (tiles, regions):
        table = pa.Table.from_pandas(areas.table, pa.schema(areas.FIELDS), preserve_index=False)
        parquet.write_table(table.replace_schema_metadata(), folder / _file(type(areas)))
    record = {**tiles.protocol, "num_tiles": len(tiles), "num_regions": len(regions)}
    (folder / "aerial.json").write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")


def read(folder: Path) -> tuple[Tiles, Regions]:
    """The gallery in a folder.

    Raises:
        ValueError: a file is missing or not as `write` makes it; names the folder.
    """
    try:
        made = json.loads((folder / "aerial.json").read_text())
        contents = [(folder / _file(kind)).read_bytes() for kind in (Tiles, Regions)]
        tables = [parquet.read_table(pa.BufferReader(content)) for content in contents]
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ValueError(f"{folder} holds no aerial gallery: {error}") from error
    digests = [hashlib.md5(content, usedforsecurity=False).hexdigest() for content in contents]
    return (
        Tiles(tables[0].to_pandas(), made, digests[0]),
        Regions(tables[1].to_pandas(), made, digests[1]),
    )


def _file(kind: type[Areas]) -> str:
    return f"{kind.__name__.lower()}.parquet"


def problems(tiles: Tiles, regions: Regions, folder: Path | None = None) -> list[tuple[str, str]]:
    """What is wrong with a gallery, as (id, reason) in order of rows; empty if nothing is.

    Args:
        tiles: its tiles.
        regions: its regions.
        folder: where the imagery lies; None = files are not looked for.
    """
    found = [*_problems(tiles, folder), *_problems(regions, folder)]
    if tiles.protocol["kind"] == "uncentred":
        found += _named(tiles, _misnumbered(tiles), "its number is not that of its bounds")
    homeless = ~tiles.table["region"].isin(["", *regions.ids]).to_numpy(bool)
    return [*found, *_named(tiles, homeless, "its region is none"), *_membership(tiles, regions)]


def _membership(tiles: Tiles, regions: Regions) -> Iterator[tuple[str, str]]:
    lists = [np.asarray(members, object) for members in regions.table["members"]]
    num = np.array([len(members) for members in lists], int)
    yield from _named(regions, num == 0, "has no tile")
    members = np.concatenate([np.empty(0, object), *lists])
    region = np.repeat(np.arange(len(regions)), num)
    first = np.flatnonzero(~tiles.ids.duplicated())
    found = np.asarray(tiles.ids[first].get_indexer(pd.Index(members)))
    yield from ((str(name), "is in a region but no tile") for name in members[found < 0])
    row, region = first[found[found >= 0]], region[found >= 0]
    outside = ~_contain(regions.bounds_G4[region], tiles.latlon_G2[row])
    for tile, name in zip(row[outside], region[outside], strict=True):
        yield str(tiles.ids[tile]), f"lies outside its region {regions.ids[name]}"


def _problems(areas: Areas, folder: Path | None) -> Iterator[tuple[str, str]]:
    south, west, north, east = areas.bounds_G4.T
    inverted = ~((south < north) & (west < east))
    yield from _named(areas, inverted, "its bounds are inverted")
    outside = ~inverted & ~_contain(areas.bounds_G4, areas.latlon_G2)
    yield from _named(areas, outside, "its bounds do not contain its position")
    yield from _named(areas, areas.ids.duplicated(), "recurs")
    if folder is not None:
        needed = areas.protocol["source"] == "published"
        missing = [
            not (folder / name).is_file() if isinstance(name, str) else needed
            for name in areas.table["file"]
        ]
        yield from _named(areas, np.array(missing, bool), "its file is missing")


def _named(areas: Areas, wrong_G: NDArray[np.bool_], reason: str) -> list[tuple[str, str]]:
    return [(str(name), reason) for name in areas.ids[wrong_G]]


def _misnumbered(tiles: Tiles) -> NDArray[np.bool_]:
    """Tiles (G,) whose id is not the x_y of the tile with their bounds."""
    name = tiles.table["tile_id"].astype(str).str.extract(r"^(-?\d+)_(-?\d+)$").astype(float)
    true_G4 = slippy.bounds(name.to_numpy(float), tiles.protocol["zoom"])
    return np.asarray(~(np.abs(true_G4 - tiles.bounds_G4) <= _TOLERANCE_DEG).all(1))


def _contain(bounds_N4: Floats, latlon_N2: Floats) -> NDArray[np.bool_]:
    """Whether squares (N,) contain a position each; across the date line too."""
    south, west, north, east = bounds_N4.T
    lat, lon = latlon_N2.T
    eastward = (lon - west + _TOLERANCE_DEG) % 360.0
    within = (lat >= south - _TOLERANCE_DEG) & (lat <= north + _TOLERANCE_DEG)
    return np.asarray(within & (eastward <= east - west + 2 * _TOLERANCE_DEG))


def coverage(tiles: Tiles, latlon_N2: ArrayLike) -> dict[str, float]:
    """How well tiles cover positions.

    Returns:
        inside: share of positions inside some tile. nearest_{median,p95,max}_{km,tiles}: distance
        from a position to the nearest middle of a tile, in km and in widths of a tile there.

    Raises:
        ValueError: there is no position.
    """
    points = np.asarray(latlon_N2, float).reshape(-1, 2)
    if len(points) == 0:
        raise ValueError("no position is given whose coverage could be told")
    distance_km = gallery.oracle_km(tiles.latlon_G2, points)
    width_km = slippy.width_km(points[:, 0], tiles.protocol["zoom"])
    found = {"inside": float(_inside(tiles, points).mean())}
    for unit, distance in (("km", distance_km), ("tiles", distance_km / width_km)):
        found[f"nearest_median_{unit}"] = float(np.median(distance))
        found[f"nearest_p95_{unit}"] = float(np.percentile(distance, 95))
        found[f"nearest_max_{unit}"] = float(distance.max())
    return found


def _inside(tiles: Tiles, latlon_N2: Floats) -> NDArray[np.bool_]:
    """Which positions (N,) lie inside some tile: the nearest one, or else any whose circle does."""
    from scipy.spatial import cKDTree

    vectors_N3 = sphere.unit_vectors(latlon_N2)
    middles_G3 = sphere.unit_vectors(tiles.latlon_G2)
    corners_G43 = sphere.unit_vectors(tiles.bounds_G4[:, [[0, 1], [0, 3], [2, 1], [2, 3]]])
    radius = float(np.linalg.norm(corners_G43 - middles_G3[:, None], axis=-1).max()) + 1e-9
    tree = cKDTree(middles_G3)
    _, nearest = tree.query(vectors_N3)
    inside = _contain(tiles.bounds_G4[nearest], latlon_N2)
    for point in np.array_split(rest := np.flatnonzero(~inside), len(rest) // _AT_ONCE + 1):
        near = [np.asarray(rows, int) for rows in tree.query_ball_point(vectors_N3[point], radius)]
        tile = np.concatenate([np.empty(0, int), *near])
        position = np.repeat(point, [len(rows) for rows in near])
        within = _contain(tiles.bounds_G4[tile], latlon_N2[position])
        inside[position[within]] = True
    return inside


def reduced(tiles: Tiles, regions: Regions, kept: Sequence[str]) -> Rows:
    """Rows of the tiles that belong to some regions, in order: a reduced gallery.

    Embeddings of these rows are those of the whole gallery; nothing is embedded again
    (docs/specs/gama.md, section 9).

    Raises:
        ValueError: a region or one of its tiles is unknown.
    """
    members = regions.table["members"].iloc[regions.rows(kept)]
    return np.unique(tiles.rows([tile for of_region in members for tile in of_region]))


def search(
    queries_NE: "Tensor", embedding_GE: "Tensor", k: int, rows_R: Rows | None = None
) -> tuple["Tensor", "Tensor"]:
    """The k greatest inner products (N, k) of each query, best first, and their tiles (N, k).

    As `search.search`, in some of the rows only; these are read in pieces, so that a mapped
    file of millions stays on disk.

    Args:
        queries_NE: embeddings of clips.
        embedding_GE: embeddings of all tiles, perhaps a mapped file.
        k: how many are found.
        rows_R: rows among which to search, from `reduced`; None = all.

    Raises:
        ValueError: k is not between 1 and the number of rows, or widths disagree.
    """
    import torch

    from vidtag_ml.retrieval import search

    if rows_R is None:
        return search.search(queries_NE, embedding_GE, k)
    if not 1 <= k <= len(rows_R):
        raise ValueError(f"k is {k}; the reduced gallery has {len(rows_R)} tiles")
    scores = queries_NE.new_empty(len(queries_NE), 0)
    index = torch.empty(scores.shape, dtype=torch.int64, device=scores.device)
    for start in range(0, len(rows_R), search.GALLERY_ROWS):
        piece = torch.as_tensor(rows_R[start : start + search.GALLERY_ROWS])
        own = embedding_GE[piece.to(embedding_GE.device)]
        best, where = search.search(queries_NE, own, min(k, len(piece)))
        joined = torch.cat([scores, best], 1)
        scores, order = joined.topk(min(k, joined.shape[1]), 1)
        index = torch.cat([index, piece.to(index.device)[where]], 1).gather(1, order)
    return scores, index
