"""The tables every source is brought into: clips and fixes, frames where there are pictures.

Belongs here: columns, reading and writing, positions of clips. Does not belong here: splits
(splits.py), rules (rules.py), where clips come from (ingest/), decoding (media/video.py).
"""

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from pyarrow import parquet

from vidtag_ml.dataset.hierarchy import LEVELS
from vidtag_ml.earth import tracks
from vidtag_ml.workflow import stage

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
        return self.fixes[is_kept(self.fixes)]

    def fixes_in(self, *splits: str) -> pd.DataFrame:
        """The kept fixes of some splits, each with its clip's city, state, country, continent."""
        chosen = self.clips[self.clips["split"].isin(splits)]
        return self.kept.merge(chosen[["clip_id", *LEVELS]], on="clip_id")

    @functools.cached_property
    def _fix_rows(self) -> dict[str, NDArray[np.intp]]:
        kept = np.flatnonzero(is_kept(self.fixes))
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


def first_positions(tables: Tables, clip_ids: Iterable[str]) -> NDArray[np.float64]:
    """Position (N, 2) of the first kept fix of each clip."""
    first = tables.kept.drop_duplicates("clip_id").set_index("clip_id")
    return np.asarray(first.loc[list(clip_ids), ["lat", "lon"]].to_numpy(float))


def clip_positions(
    tables: Tables, clip_id: str, time_s: ArrayLike, max_gap_s: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Positions (T, 2) of a clip at times (T,) and which are valid (T,); see tracks.positions_at.

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
        return tracks.positions_at(fix_time, latlon, time, max_gap_s)
    except ValueError as error:
        raise ValueError(f"clip {clip_id}: {error}") from error


def is_kept(fixes: pd.DataFrame) -> NDArray[np.bool_]:
    """Which fixes (N,) are used: those whose status, if they have one, is not dropped."""
    if "status" not in fixes:
        return np.ones(len(fixes), bool)
    return fixes["status"].ne("dropped").fillna(value=True).to_numpy(bool)


def kept_fixes(fixes: pd.DataFrame) -> pd.DataFrame:
    """Where and when the fixes are that are not dropped, those of a clip in a row."""
    kept = is_kept(fixes) & fixes["clip_id"].notna().to_numpy(bool)
    where = fixes.loc[kept, ["clip_id", "time_s", "lat", "lon"]]
    return where.iloc[np.argsort(pd.factorize(where["clip_id"])[0], kind="stable")]


def on_earth(fixes: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether latitudes and longitudes are within their ranges, fix by fix."""
    return np.asarray((fixes[["lat", "lon"]].abs() <= (90.0, 180.0)).all(axis=1))


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
