"""Image benchmarks (Im2GPS3k, YFCC4k, GWS15k): each picture of a table is a test clip of one frame.

A folder holds the pictures, directly or one folder below, and one CSV file with a name, a latitude
and a longitude, or the info.txt of YFCC4k.

Belongs here: the spellings of such tables. Does not belong here: rows of our tables (tables.py).
"""

import csv
from pathlib import Path

import numpy as np
import pandas as pd

from vidtag_ml import config
from vidtag_ml.ingest.published import tables as published
from vidtag_ml.ingest.published.tables import Recording, Report, Source, UnusableError
from vidtag_ml.workflow import progress

SOURCE = Source("images", mode="photos", fix_source="table")
_COLUMNS = {
    "file": ("IMG_ID", "IMG_FILE", "path", "img_id"),
    "lat": ("LAT", "lat", "latitude"),
    "lon": ("LON", "lon", "longitude"),
}
_YFCC = {"IMG_ID": 1, "LON": 12, "LAT": 13}


def write(
    settings: config.Clips, recordings: Path, folder: Path, report: Report | None = None
) -> None:
    """Writes clips.parquet, fixes.parquet and frames.parquet, all in split test.

    One version of Im2GPS3k has the headers LAT and LON swapped: where a "latitude" is beyond 90 and
    no "longitude" is, they are swapped back and a line says so. Labels are those of the nearest
    place.

    Args:
        settings: nothing of it matters here: there is no train clip.
        recordings: the folder with the pictures and the table.
        folder: the dataset's folder; created if absent.
        report: called with (pictures done, all pictures).

    Raises:
        ValueError: there is no table, or more than one, or it lacks a column; names it.
    """
    table = _table(recordings)
    folders = [recordings, *sorted(path for path in recordings.iterdir() if path.is_dir())]
    rows = table[["file", "lat", "lon"]].itertuples(index=False, name=None)

    def read(row: tuple[str, float, float]) -> Recording:
        name, lat, lon = row
        if not published.on_earth((lat, lon)).all():
            raise UnusableError(f"{name}: position {lat}, {lon} is not known or not on Earth")
        return Recording(
            clip_id=_clip_id(name),
            group_id=_clip_id(name),
            split="test",
            media=[_picture(folders, name)],
            latlon_T2=(lat, lon),
            labels=published.labels_at((lat, lon))[0],
            fix_time_s=0.0,
            picture_time_s=0.0,
            duration_s=0.0,
        )

    published.write(SOURCE, settings, recordings, folder, list(rows), read, report)


def _table(recordings: Path) -> pd.DataFrame:
    """File names as they stand in the table, lat and lon as numbers; each picture once."""
    tables, info = sorted(recordings.glob("*.csv")), recordings / "info.txt"
    if len(tables) > 1:
        names = ", ".join(path.name for path in tables)
        raise ValueError(f"{recordings}: one CSV file tells where pictures are, not {names}")
    if tables:
        path, table = tables[0], published.read_csv(tables[0], _COLUMNS)
    else:
        path, table = info, _yfcc(info)
    table["lat"], table["lon"] = (published.numbers(table[name]) for name in ("lat", "lon"))
    table = _unswapped(table, path)
    again = table["file"].map(_clip_id).duplicated()
    if again.any():
        progress.tell(f"{path}: {int(again.sum())} rows name a picture again and are left out")
    return table[~again]


def _yfcc(path: Path) -> pd.DataFrame:
    """The table of YFCC4k, which has tabs and no header; a photo's id is its file's name."""
    return published.read_csv(
        path,
        _COLUMNS,
        sep="\t",
        header=None,
        names=list(_YFCC),
        usecols=list(_YFCC.values()),
        quoting=csv.QUOTE_NONE,
    )


def _unswapped(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    too_far = np.abs(table[["lat", "lon"]].to_numpy(float)) > 90.0
    if not too_far[:, 0].any() or too_far[:, 1].any():
        return table
    progress.tell(f"{path}: latitudes reach beyond 90, so its columns LAT and LON are swapped")
    return table.rename(columns={"lat": "lon", "lon": "lat"})


def _clip_id(name: str) -> str:
    stem = name[: name.rfind(".")] if name.lower().endswith(published.PICTURES) else name
    return stem.replace("/", "-")


def _picture(folders: list[Path], name: str) -> Path:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise UnusableError(f"{name}: lies outside of {folders[0]}")
    for folder in folders:
        for path in (folder / name, folder / f"{name}.jpg"):
            if path.is_file():
                return path
    raise UnusableError(f"{folders[0] / name}: there is no such picture")
