"""The tables that every source becomes: clips, fixes and, for sequences of pictures, frames.

Belongs here: columns and dtypes (decision 5), reading and writing, splits by group, positions of a
clip, sanity rules. Does not belong here: where clips come from (sources/), decoding (video.py).
Shape legend: T times, 2 = (lat, lon) in degrees.
"""

import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from pyarrow import parquet

from vidtag_ml import geo, stage, track
from vidtag_ml.hierarchy import LEVELS

SPLITS = ("train", "val", "test")
KINDS = ("video", "frames")
MODES = ("walk", "ride", "car", "drone", "flyover", "photos")

CLIP_COLUMNS = {
    "clip_id": "string",
    "dataset": "string",
    "video_path": "string",
    "kind": "string",
    "num_frames": "int64",
    "duration_s": "float64",
    "fps": "float64",
    "width": "int64",
    "height": "int64",
    "codec": "string",
    "mode": "string",
    "split": "string",
    "group_id": "string",
    "city": "string",
    "state": "string",
    "country": "string",
    "continent": "string",
    "licence": "string",
    "content_md5": "string",
}
FIX_COLUMNS = {
    "clip_id": "string",
    "time_s": "float64",
    "lat": "float64",
    "lon": "float64",
    "altitude_m": "float64",
    "accuracy_m": "float64",
    "dop": "float64",
    "fix_type": "string",
    "fix_source": "string",
    "status": "string",
}
FRAME_COLUMNS = {
    "clip_id": "string",
    "frame_index": "int64",
    "file": "string",
    "time_s": "float64",
}


@dataclass(frozen=True)
class Tables:
    """One dataset: its clips, their fixes, and the frames of picture sequences."""

    clips: pd.DataFrame
    """`CLIP_COLUMNS`, one row a clip, sorted by clip_id."""
    fixes: pd.DataFrame
    """`FIX_COLUMNS`, one row a fix, sorted by clip_id and time_s."""
    frames: pd.DataFrame | None = None
    """`FRAME_COLUMNS`, one row a frame, sorted; None if all clips are videos."""

    def clip(self, clip_id: str) -> pd.Series:
        """The row of one clip.

        Raises:
            ValueError: there is no such clip.
        """
        rows = self.clips[self.clips["clip_id"] == clip_id]
        if len(rows) != 1:
            raise ValueError(f"there are {len(rows)} clips named {clip_id!r}")
        return rows.iloc[0]

    def fixes_of(self, clip_id: str) -> pd.DataFrame:
        """The fixes of one clip, in order of time; without those whose status is dropped."""
        return self.fixes.iloc[self._fix_rows.get(clip_id, np.empty(0, np.intp))]

    @functools.cached_property
    def kept(self) -> pd.DataFrame:
        """The fixes whose status is not dropped."""
        return self.fixes[self.fixes["status"].ne("dropped").fillna(value=True)]

    def fixes_in(self, *splits: str) -> pd.DataFrame:
        """The kept fixes of some splits, each with its clip's city, state, country, continent."""
        chosen = self.clips[self.clips["split"].isin(splits)]
        return self.kept.merge(chosen[["clip_id", *LEVELS]], on="clip_id")

    @functools.cached_property
    def _fix_rows(self) -> dict[str, NDArray[np.intp]]:
        kept = np.flatnonzero(self.fixes["status"].ne("dropped").fillna(value=True).to_numpy(bool))
        groups = self.fixes["clip_id"].iloc[kept].groupby(self.fixes["clip_id"].iloc[kept]).indices
        return {str(clip): kept[rows] for clip, rows in groups.items()}


def write(folder: Path, tables: Tables) -> None:
    """Writes the tables as parquet files, sorted: equal tables give equal bytes.

    Raises:
        ValueError: a column is missing or does not fit its dtype; names folder and column.
    """
    for name, table, columns, order in _layout(tables):
        if table is None:
            (folder / name).unlink(missing_ok=True)
            continue
        table = _typed(table, columns, f"{folder / name}")
        table = table.sort_values(order, kind="stable").reset_index(drop=True)
        with stage.replacing(folder / name) as aside:
            table.to_parquet(aside, index=False)


def read(folder: Path) -> Tables:
    """The tables in a dataset's folder.

    Raises:
        ValueError: a table is absent, unreadable, or lacks a column; names folder and column.
    """
    clips = _read(folder / "clips.parquet", CLIP_COLUMNS)
    fixes = _read(folder / "fixes.parquet", FIX_COLUMNS)
    frames_path = folder / "frames.parquet"
    return Tables(clips, fixes, _read(frames_path, FRAME_COLUMNS) if frames_path.exists() else None)


def assign_splits(group_ids: Sequence[str], sizes: Mapping[str, float], seed: int) -> list[str]:
    """The split of each of `group_ids`; equal ids get equal splits.

    Groups are shuffled by a hash of seed and id, so their order in the list does not matter. As
    many groups go to each split as `sizes` says, scaled to the number of groups; no split whose
    size is positive stays empty while another has two groups.

    Args:
        group_ids: one id a clip, repeated for clips of one drive, flight or ride.
        sizes: counts of groups or shares by split, for example {"train": 0.8, "val": 0.2}.
        seed: another seed gives another shuffle.
    """
    if not sizes or min(sizes.values()) < 0 or sum(sizes.values()) <= 0:
        raise ValueError(f"sizes of splits must be positive, not {dict(sizes)}")

    def rank(group: str) -> str:
        return hashlib.md5(f"{seed}:{group}".encode(), usedforsecurity=False).hexdigest()

    groups = sorted(set(group_ids), key=rank)
    exact = np.array(list(sizes.values()), float) / sum(sizes.values()) * len(groups)
    counts = np.floor(exact + 1e-9).astype(int)
    for k in np.argsort(counts - exact, kind="stable")[: len(groups) - counts.sum()]:
        counts[k] += 1
    for k in np.flatnonzero((exact > 0) & (counts == 0)):
        if counts.max() > 1:
            counts[counts.argmax()] -= 1
            counts[k] += 1
    names = [name for name, count in zip(sizes, counts, strict=True) for _ in range(count)]
    split_of = dict(zip(groups, names, strict=True))
    return [split_of[group] for group in group_ids]


def near_groups(fixes: pd.DataFrame, group_of_clip: Mapping[str, str], km: float) -> dict[str, str]:
    """For each group the first, by name, of all to which fixes nearer than `km` tie it.

    Ties are transitive. Splits that `assign_splits` draws from these names in place of the groups'
    own are nowhere nearer to each other than `km`. Dropped fixes do not count. Memory grows with
    the number of fixes, however many lie in one place.
    """
    names = np.array(sorted(set(group_of_clip.values())), object)
    kept = _kept(fixes)
    placed = kept[_on_earth(kept) & kept["clip_id"].isin(group_of_clip.keys())]
    group_of_fix = pd.Index(names).get_indexer(placed["clip_id"].map(group_of_clip))
    placed = placed.assign(group=group_of_fix)
    # Groups that share a place exactly are tied; from here on a place is one point.
    first = placed.groupby(["lat", "lon"])["group"].transform("min")
    label_G = _united(np.arange(len(names)), np.stack([placed["group"], first], -1))
    points = placed.drop_duplicates(["lat", "lon"])
    group_N, vectors_N3 = points["group"].to_numpy(), geo.unit_vectors(points[["lat", "lon"]])
    while len(group_N):
        label_N, near_N = label_G[group_N], np.zeros(len(group_N), bool)
        for pairs in _neighbours(vectors_N3, label_N, _chord(km)):
            label_G, near_N[pairs] = _united(label_G, label_G[group_N[pairs]]), True
        # A point that has no neighbour in another group will have none in a larger one.
        group_N, vectors_N3 = group_N[near_N], vectors_N3[near_N]
    return dict(zip(names, names[label_G], strict=True))


def too_close(tables: Tables, km: float) -> list[dict[str, str]]:
    """Clips of val and test with a fix nearer than `km` to one of train: clip_id and reason each.

    The reason names the train clip that is nearest. Dropped fixes do not count.
    """
    from scipy.spatial import cKDTree

    kept = _kept(tables.fixes)
    split_of = dict(zip(tables.clips["clip_id"], tables.clips["split"], strict=True))
    placed = kept[_on_earth(kept)].assign(split=kept["clip_id"].map(split_of))
    train = placed[placed["split"] == "train"].drop_duplicates(["lat", "lon"])
    held_out = placed[placed["split"].isin(["val", "test"])]
    if train.empty or held_out.empty:
        return []
    tree = cKDTree(geo.unit_vectors(train[["lat", "lon"]]))
    vectors = geo.unit_vectors(held_out[["lat", "lon"]])
    chord, nearest = tree.query(vectors, distance_upper_bound=_chord(km))
    near = held_out.assign(chord=chord, nearest=nearest)[nearest < len(train)]
    near = near.sort_values("chord", kind="stable").drop_duplicates("clip_id").sort_index()
    other = train.iloc[near["nearest"]]
    away_km = geo.great_circle_km(near[["lat", "lon"]], other[["lat", "lon"]])
    told = zip(near["clip_id"], near["split"], away_km, other["clip_id"], strict=True)
    return [
        {"clip_id": clip, "reason": f"is in {split}, {away:.3g} km from {of_train}, in train"}
        for clip, split, away, of_train in told
    ]


def first_positions(tables: Tables, clip_ids: Iterable[str]) -> NDArray[np.float64]:
    """Position (N, 2) of the first kept fix of each clip."""
    first = tables.kept.drop_duplicates("clip_id").set_index("clip_id")
    return np.asarray(first.loc[list(clip_ids), ["lat", "lon"]].to_numpy(float))


def clip_positions(
    tables: Tables, clip_id: str, time_s: ArrayLike, max_gap_s: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Positions (T, 2) of a clip at times (T,) and which are valid (T,); see track.positions_at.

    A clip whose only fix is a city's centre is there all the time. In a sequence of pictures
    without times each frame has its own fix, and `time_s` counts frames.
    """
    fixes = tables.fixes_of(clip_id)
    latlon = fixes[["lat", "lon"]].to_numpy(float)
    time = np.asarray(time_s, float)
    if len(fixes) == 1 and fixes["fix_source"].iloc[0] == "city_centre":
        return np.repeat(latlon, len(time), axis=0), np.ones(len(time), bool)
    fix_time = fixes["time_s"].to_numpy(float)
    if len(fixes) and np.isnan(fix_time).all():
        fix_time, max_gap_s = np.arange(len(fixes), dtype=float), 0.0
    try:
        return track.positions_at(fix_time, latlon, time, max_gap_s)
    except ValueError as error:
        raise ValueError(f"clip {clip_id}: {error}") from error


def problems(
    tables: Tables,
    max_speed_kmh: Mapping[str, float] | None = None,
    min_split_km: float = 0.0,
) -> list[dict[str, str]]:
    """What is wrong with the tables: one dict of clip_id and reason each; empty if nothing is.

    Args:
        tables: a dataset.
        max_speed_kmh: limit by mode; without it, speeds are not judged.
        min_split_km: how far val and test must be from train; 0 = any distance will do.
    """
    found = [*_clip_problems(tables), *_fix_problems(tables, max_speed_kmh or {})]
    told = [{"clip_id": clip, "reason": reason} for clip, reason in found]
    return told + (too_close(tables, min_split_km) if min_split_km > 0 else [])


def _clip_problems(tables: Tables) -> Iterator[tuple[str, str]]:
    clips = tables.clips
    for clip in clips.loc[clips["clip_id"].duplicated(), "clip_id"]:
        yield clip, "clip_id occurs more than once"
    num_splits = clips.groupby("group_id")["split"].nunique()
    torn = clips[clips["group_id"].isin(num_splits.index[num_splits > 1])]
    splits_of = torn.groupby("group_id")["split"].agg(lambda split: sorted(set(split.dropna())))
    for clip, group in zip(torn["clip_id"], torn["group_id"], strict=True):
        yield clip, f"group {group} is in splits {', '.join(splits_of[group])}"
    for column, allowed in (("split", SPLITS), ("mode", MODES), ("kind", KINDS)):
        wrong = clips.loc[~clips[column].isin(allowed), ["clip_id", column]]
        for clip, value in wrong.itertuples(index=False):
            yield clip, f"{column} is {value!r}, not one of {', '.join(allowed)}"
    for clip in clips.loc[clips["num_frames"] < 1, "clip_id"]:
        yield clip, "has no frame"
    strangers = set(tables.fixes["clip_id"].dropna().unique()) - set(clips["clip_id"])
    for clip in sorted(strangers):
        yield clip, "has fixes but no row in clips"


def _fix_problems(tables: Tables, max_speed_kmh: Mapping[str, float]) -> list[tuple[str, str]]:
    """In the order of the table of clips; those of one clip in the order of the rules."""
    clips, fixes = tables.clips, _kept(tables.fixes)
    without = clips.loc[~clips["clip_id"].isin(fixes["clip_id"].unique()), "clip_id"]
    off = fixes[~_on_earth(fixes)].drop_duplicates("clip_id")
    on_earth = _without(fixes, off["clip_id"])
    at_zero = on_earth[(on_earth[["lat", "lon"]].abs() < 1e-6).all(axis=1)]["clip_id"].unique()
    mode_of = dict(zip(clips["clip_id"], clips["mode"], strict=True))
    found = [
        *((clip, "has no fix") for clip in without),
        *(
            (clip, f"position {lat}, {lon} is not on Earth")
            for clip, lat, lon in off[["clip_id", "lat", "lon"]].itertuples(index=False)
        ),
        *((clip, "position 0, 0: a receiver without a fix") for clip in at_zero),
        *_motion_problems(on_earth, mode_of, max_speed_kmh),
    ]
    place = {clip: k for k, clip in enumerate(clips["clip_id"])}
    return sorted((f for f in found if f[0] in place), key=lambda f: place[f[0]])


def _motion_problems(
    fixes: pd.DataFrame, mode_of: Mapping[str, str], max_speed_kmh: Mapping[str, float]
) -> Iterator[tuple[str, str]]:
    timed = fixes[np.isfinite(fixes["time_s"])]
    same_clip = timed["clip_id"] == timed["clip_id"].shift(-1)
    back = timed[same_clip & (timed["time_s"].shift(-1) <= timed["time_s"])]
    back = back.drop_duplicates("clip_id")
    for clip, time_s in back[["clip_id", "time_s"]].itertuples(index=False):
        yield clip, f"fix times do not grow after {time_s} s"
    timed = _without(timed, back["clip_id"])
    clip_T, names = pd.factorize(timed["clip_id"])
    speeds_kmh = track.speeds_kmh(timed["time_s"], timed[["lat", "lon"]], track.SPAN_S, clip_T)
    fastest_kmh = np.zeros(len(names))
    np.fmax.at(fastest_kmh, clip_T[:-1], speeds_kmh)
    limit_kmh = np.array([max_speed_kmh.get(mode_of.get(clip, ""), np.inf) for clip in names])
    for k in np.flatnonzero(fastest_kmh > limit_kmh).tolist():
        limit = f"the limit of {mode_of[names[k]]} is {limit_kmh[k]:.0f}"
        yield names[k], f"moves at {fastest_kmh[k]:.0f} km/h; {limit}"


def _kept(fixes: pd.DataFrame) -> pd.DataFrame:
    """Where and when the fixes are that are not dropped, those of a clip in a row."""
    kept = fixes["status"].ne("dropped").fillna(value=True) & fixes["clip_id"].notna()
    where = fixes.loc[kept.to_numpy(bool), ["clip_id", "time_s", "lat", "lon"]]
    return where.iloc[np.argsort(pd.factorize(where["clip_id"])[0], kind="stable")]


def _without(fixes: pd.DataFrame, clip_ids: pd.Series) -> pd.DataFrame:
    """The fixes of all other clips; no copy if that is all of them."""
    return fixes if clip_ids.empty else fixes[~fixes["clip_id"].isin(clip_ids)]


def _on_earth(fixes: pd.DataFrame) -> NDArray[np.bool_]:
    return np.asarray((fixes[["lat", "lon"]].abs() <= (90.0, 180.0)).all(axis=1))


def _chord(km: float) -> float:
    """Straight distance of unit vectors whose points are `km` apart."""
    return float(2 * np.sin(min(km / geo.EARTH_RADIUS_KM, np.pi) / 2))


def _united(label_G: NDArray[np.intp], pairs: NDArray[np.intp]) -> NDArray[np.intp]:
    """Labels (G,) after those in `pairs` (P, 2) became one; a label is the least of its group."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    num = len(label_G)
    edges = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(num, num))
    num_components, component_G = connected_components(edges, directed=False)
    least = np.full(num_components, num)
    np.minimum.at(least, component_G, np.arange(num))
    return np.asarray(least[component_G][label_G], np.intp)


def _neighbours(
    vectors_N3: NDArray[np.float64], label_N: NDArray[np.intp], chord: float
) -> Iterator[NDArray[np.intp]]:
    """Pairs (P, 2) of points nearer than `chord` with different labels, a few at a time.

    All pairs may be too many: each point that has such a neighbour is in one or more. Labels that
    differ do so in a bit, so for each bit the nearest point on the other side is looked up.
    """
    from scipy.spatial import cKDTree

    _, number_N = np.unique(label_N, return_inverse=True)
    for bit in range(int(number_N.max()).bit_length()):
        has_bit = (number_N >> bit & 1).astype(bool)
        sides = np.flatnonzero(has_bit), np.flatnonzero(~has_bit)
        for here, there in (sides, sides[::-1]):
            tree = cKDTree(vectors_N3[there])
            _, nearest = tree.query(vectors_N3[here], distance_upper_bound=chord)
            found = nearest < len(there)
            yield np.stack([here[found], there[nearest[found]]], -1)


def _layout(
    tables: Tables,
) -> list[tuple[str, pd.DataFrame | None, dict[str, str], list[str]]]:
    return [
        ("clips.parquet", tables.clips, CLIP_COLUMNS, ["clip_id"]),
        ("fixes.parquet", tables.fixes, FIX_COLUMNS, ["clip_id", "time_s"]),
        ("frames.parquet", tables.frames, FRAME_COLUMNS, ["clip_id", "frame_index"]),
    ]


def _read(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    if not path.exists():
        raise ValueError(f"{path.parent}: there is no {path.name}, so this is not a dataset folder")
    try:
        with parquet.ParquetFile(path) as file:
            # Read without pandas' metadata, equal texts are one object, not one a row.
            known = [name for name in file.schema_arrow.names if name in columns]
            parts = {name: file.read([name]).column(0).to_pandas() for name in known}
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not a readable parquet file: {error}") from error
    typed = _typed(pd.DataFrame(parts, copy=False), columns, str(path))
    parts.clear()
    pa.default_memory_pool().release_unused()
    return typed


def _typed(table: pd.DataFrame, columns: Mapping[str, str], where: str) -> pd.DataFrame:
    typed = {}
    for column, dtype in columns.items():
        if column not in table.columns:
            raise ValueError(f"{where}: column {column} is missing")
        try:
            typed[column] = table[column].astype(cast("Any", dtype))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: column {column} is not {dtype}: {error}") from error
    return pd.DataFrame(typed, copy=False)
