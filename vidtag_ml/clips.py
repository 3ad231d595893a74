"""The tables that every source becomes: clips, fixes and, for sequences of pictures, frames.

Belongs here: columns and dtypes (decision 5), reading and writing, splits by group, positions of a
clip, sanity rules. Does not belong here: where clips come from (sources/), decoding (video.py).
Shape legend: T times, 2 = (lat, lon) in degrees.
"""

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from vidtag_ml import stage, track
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

    def fixes_in(self, *splits: str) -> pd.DataFrame:
        """The fixes of some splits, each with its clip's city, state, country and continent."""
        chosen = self.clips[self.clips["split"].isin(splits)]
        return self.fixes.merge(chosen[["clip_id", *LEVELS]], on="clip_id")

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
    tables: Tables, max_speed_kmh: Mapping[str, float] | None = None
) -> list[dict[str, str]]:
    """What is wrong with the tables: one dict of clip_id and reason each; empty if nothing is.

    Args:
        tables: a dataset.
        max_speed_kmh: limit by mode; without it, speeds are not judged.
    """
    found = [*_clip_problems(tables), *_fix_problems(tables, max_speed_kmh or {})]
    return [{"clip_id": clip, "reason": reason} for clip, reason in found]


def _clip_problems(tables: Tables) -> Iterator[tuple[str, str]]:
    clips = tables.clips
    for clip in clips.loc[clips["clip_id"].duplicated(), "clip_id"]:
        yield clip, "clip_id occurs more than once"
    splits_of = clips.groupby("group_id")["split"].agg(lambda split: sorted(set(split)))
    for clip, group in zip(clips["clip_id"], clips["group_id"], strict=True):
        if len(splits_of.get(group, [])) > 1:
            yield clip, f"group {group} is in splits {', '.join(splits_of[group])}"
    for column, allowed in (("split", SPLITS), ("mode", MODES), ("kind", KINDS)):
        wrong = clips.loc[~clips[column].isin(allowed), ["clip_id", column]]
        for clip, value in wrong.itertuples(index=False):
            yield clip, f"{column} is {value!r}, not one of {', '.join(allowed)}"
    for clip in clips.loc[clips["num_frames"] < 1, "clip_id"]:
        yield clip, "has no frame"
    strangers = set(tables.fixes["clip_id"]) - set(clips["clip_id"])
    for clip in sorted(strangers):
        yield clip, "has fixes but no row in clips"


def _fix_problems(tables: Tables, max_speed_kmh: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    for clip, mode in zip(tables.clips["clip_id"], tables.clips["mode"], strict=True):
        fixes = tables.fixes_of(clip)
        if fixes.empty:
            yield clip, "has no fix"
            continue
        latlon, time = fixes[["lat", "lon"]].to_numpy(float), fixes["time_s"].to_numpy(float)
        off = ~((np.abs(latlon) <= (90.0, 180.0)).all(-1))
        if off.any():
            lat, lon = latlon[off.argmax()]
            yield clip, f"position {lat}, {lon} is not on Earth"
            continue
        if (np.abs(latlon) < 1e-6).all(-1).any():
            yield clip, "position 0, 0: a receiver without a fix"
        back = np.diff(time) <= 0
        if back.any():
            yield clip, f"fix times do not grow after {time[back.argmax()]} s"
            continue
        limit, speeds = max_speed_kmh.get(mode, np.inf), track.speeds_kmh(time, latlon)
        if len(speeds) and np.nanmax(speeds, initial=0.0) > limit:
            yield clip, f"moves at {np.nanmax(speeds):.0f} km/h; the limit of {mode} is {limit:.0f}"


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
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not a readable parquet file: {error}") from error
    return _typed(table, columns, str(path))


def _typed(table: pd.DataFrame, columns: Mapping[str, str], where: str) -> pd.DataFrame:
    typed = {}
    for column, dtype in columns.items():
        if column not in table.columns:
            raise ValueError(f"{where}: column {column} is missing")
        try:
            typed[column] = table[column].astype(cast("Any", dtype))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: column {column} is not {dtype}: {error}") from error
    return pd.DataFrame(typed)
