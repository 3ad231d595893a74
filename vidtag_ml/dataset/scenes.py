"""Soft scene labels: a distribution over 16 classes of scenery for each clip.

CityGuessr's scene head learns them (docs/specs/cityguessr.md, section 4). Where a dataset brings
them they are read from its folder; over Flyover Earth, where no scene classifier has anything to
say, a scene is the cover of the ground: deep sea, forest, desert, ice, as the colours of the Blue
Marble tell.

Belongs here: where the labels of a clip come from, and their table. Does not belong here: the loss
(models/cityguessr/losses.py), a published dataset's lists (ingest/). Shape legend: N clips, F
fixes, K samples, S = 16 classes, H W rows and columns of the map, 2 = (lat, lon) in degrees, 3 =
red, green, blue.
"""

import functools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from vidtag_ml.earth import sphere
from vidtag_ml.workflow import stage

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NUM_CLASSES = 16
COLUMNS = tuple(f"scene_{k:02d}" for k in range(NUM_CLASSES))
FILE = "scenes.parquet"
"""The table's name in a dataset's folder."""
REACH_KM = 200.0
"""How far from a fix its scene reaches: about what a frame of Flyover Earth shows."""
_CELL_PX = 4
_NUM_SAMPLES = 20_000
_SEED = 0


def from_table(path: Path, clip_ids: Sequence[str]) -> Floats:
    """Scene probabilities (N, S) that a dataset brought, a row for each of `clip_ids`.

    Raises:
        ValueError: the table or a column is absent, a clip is not in it exactly once, or its row is
            no distribution; names the file.
    """
    if not path.exists():
        raise ValueError(f"{path}: there is no such file, so the dataset brings no scenes")
    table = pd.read_parquet(path)
    absent = [column for column in ("clip_id", *COLUMNS) if column not in table.columns]
    if absent:
        raise ValueError(f"{path}: column {absent[0]} is missing")
    table = table.set_index("clip_id")
    num_rows = Counter(table.index)
    for clip in clip_ids:
        if num_rows[clip] != 1:
            raise ValueError(f"{path}: clip {clip} has {num_rows[clip]} rows, not one")
    return distributions(table.loc[list(clip_ids), list(COLUMNS)], str(path))


def write(path: Path, clip_ids: Sequence[str], scene_NS: ArrayLike) -> None:
    """Writes the table that `from_table` reads, sorted by clip: equal labels give equal bytes."""
    table = pd.DataFrame(distributions(scene_NS, str(path)), columns=list(COLUMNS))
    table.insert(0, "clip_id", pd.Series(list(clip_ids), dtype="string"))
    with stage.replacing(path) as aside:
        table.sort_values("clip_id", kind="stable").to_parquet(aside, index=False)


def distributions(scene_NS: ArrayLike, where: str) -> Floats:
    """Rows (N, S) brought to a sum of one: 16 rounded probabilities rarely have it.

    Raises:
        ValueError: a row is negative, not finite or all zero; `where` says whose rows they are.
    """
    scene = np.asarray(scene_NS, float).reshape(-1, NUM_CLASSES)
    sums_N = scene.sum(1)
    good_N = (scene >= 0).all(1) & np.isfinite(sums_N) & (sums_N > 0)
    if not good_N.all():
        first = scene[~good_N][0].tolist()
        raise ValueError(f"{where}: {first} is no distribution over {NUM_CLASSES} scenes")
    return np.asarray(scene / sums_N[:, None])


def majority(scene_NS: ArrayLike) -> Floats:
    """One-hot labels (N, S) of the likeliest scenes; of equal ones the first.

    The ablation "majority scenes" (docs/specs/cityguessr.md, section 8).

    >>> majority([[0.2, 0.5, 0.3]]).tolist()
    [[0.0, 1.0, 0.0]]
    """
    scene = np.asarray(scene_NS, float)
    return np.asarray(np.eye(scene.shape[1])[scene.argmax(1)])


def land_cover(fixes: pd.DataFrame, clip_ids: Sequence[str]) -> Floats:
    """Share of each class of cover (N, S) around the fixes of each of `clip_ids`.

    The mean over a clip's fixes of the shares by area within about `REACH_KM`: in a box of the map,
    wider the nearer to a pole, that runs over the date line as over any other meridian.

    Args:
        fixes: kept fixes (tables.Tables.kept) of these clips and perhaps of others.
        clip_ids: clips, each once.

    Raises:
        ValueError: a clip has no fix, or one that is not on Earth.
    """
    clip_F = pd.Index(clip_ids).get_indexer(pd.Index(fixes["clip_id"]))
    latlon_F2, clip_F = fixes[["lat", "lon"]].to_numpy(float)[clip_F >= 0], clip_F[clip_F >= 0]
    num_N = np.bincount(clip_F, minlength=len(clip_ids))
    if (num_N == 0).any():
        raise ValueError(f"clip {clip_ids[int(num_N.argmin())]} has no fix, so no land cover")
    on_earth_F = (np.abs(latlon_F2) <= (90.0, 180.0)).all(1)
    if not on_earth_F.all():
        first = clip_F[~on_earth_F][0]
        raise ValueError(f"clip {clip_ids[first]} has a fix that is not on Earth")
    sums_NS = np.zeros((len(clip_ids), NUM_CLASSES))
    np.add.at(sums_NS, clip_F, _shares_around(latlon_F2, cover_map()))
    return np.asarray(sums_NS / num_N[:, None])


@functools.cache
def cover_map() -> NDArray[np.uint8]:
    """Class of cover (H, W) in cells of 4/15 degree; row 0 is north, column 0 starts at 180 W.

    Classes are numbered from the darkest, deep sea, to the brightest, ice. They are the clusters
    (k-means in CIELAB) of the colours of points spread evenly over land and sea.
    """
    from scipy.cluster.vq import kmeans2, vq

    colour_HW3 = _cielab(_cell_colours())
    rows, columns, _ = colour_HW3.shape
    lat_K, lon_K = sphere.equal_area_lattice(_NUM_SAMPLES).T
    row_K = ((90.0 - lat_K) / 180.0 * rows).astype(int)
    column_K = ((lon_K + 180.0) / 360.0 * columns).astype(int)
    colours_K3 = colour_HW3[row_K, column_K]
    rng = np.random.default_rng(_SEED)
    centres_S3, _ = kmeans2(colours_K3, NUM_CLASSES, 50, minit="++", missing="raise", rng=rng)
    centres_S3 = centres_S3[np.argsort(centres_S3[:, 0])]
    nearest, _ = vq(colour_HW3.reshape(-1, 3), centres_S3)
    return np.asarray(nearest.reshape(rows, columns).astype(np.uint8))


def _shares_around(latlon_F2: Floats, classes_HW: NDArray[np.uint8]) -> Floats:
    """Share of each class (F, S) in the box around the cap of `REACH_KM` about each point."""
    rows, columns = classes_HW.shape
    cell_deg = 180.0 / rows
    lat_F, lon_F = latlon_F2.T
    reach_deg = REACH_KM / sphere.KM_PER_DEGREE
    # A cap reaches asin(sin r / cos lat) to the east and west; one that holds a pole, all around.
    ratio_F = np.sin(np.radians(reach_deg)) / np.maximum(np.cos(np.radians(lat_F)), 1e-9)
    wide_F = np.where(ratio_F < 1, np.degrees(np.arcsin(np.minimum(ratio_F, 1))), 180.0)
    top_F, bottom_F = (
        np.clip(np.rint((90.0 - lat_F + away) / cell_deg).astype(int), 0, rows)
        for away in (-reach_deg, reach_deg)
    )
    west_F = np.rint((lon_F + 180.0 - wide_F) / cell_deg).astype(int)
    east_F = np.minimum(west_F + np.rint(2 * wide_F / cell_deg).astype(int), west_F + columns)
    # Whole numbers for areas, so that differences of large sums are exact.
    lat_H = 90.0 - (np.arange(rows) + 0.5) * cell_deg
    area_H1 = np.rint(1e6 * np.cos(np.radians(lat_H))).astype(np.int64)[:, None]
    area_FS = np.empty((len(latlon_F2), NUM_CLASSES))
    for k in range(NUM_CLASSES):
        sums = np.pad(np.where(classes_HW == k, area_H1, 0).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        until_east, until_west = (
            _sums_until(sums, bottom_F, edge) - _sums_until(sums, top_F, edge)
            for edge in (east_F, west_F)
        )
        area_FS[:, k] = until_east - until_west
    return np.asarray(area_FS / area_FS.sum(1, keepdims=True))


def _sums_until(sums: Ints, row_F: Ints, column_F: Ints) -> Ints:
    """Sums (F,) over the cells north of a row and west of a column, which may leave the map."""
    columns = sums.shape[1] - 1
    turns_F, column_F = np.divmod(column_F, columns)
    return np.asarray(sums[row_F, column_F] + turns_F * sums[row_F, columns])


def _cell_colours() -> Floats:
    """Mean colours (H, W, 3) of the cells of the Blue Marble, in 0..1."""
    from vidtag_ml.earth import blue_marble

    words = blue_marble.blue_marble()
    rows, columns = (size // _CELL_PX for size in words.shape)
    pixels = words.view(np.uint8).reshape(rows, _CELL_PX, columns, _CELL_PX, 4)
    sums = pixels.sum(1, dtype=np.uint16).sum(2, dtype=np.uint16)[..., :3]
    return np.asarray(sums / (255.0 * _CELL_PX**2))


def _cielab(rgb_3: Floats) -> Floats:
    """CIELAB (..., 3) of sRGB colours in 0..1 under D65: IEC 61966-2-1 and CIE 15."""
    linear = np.where(rgb_3 <= 0.04045, rgb_3 / 12.92, ((rgb_3 + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = linear @ to_xyz.T / to_xyz.sum(1)
    x, y, z = np.moveaxis(
        np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29), -1, 0
    )
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)
