"""MSLS, Mapillary Street-Level Sequences: a sequence of photos is a clip, each photo has its fix.

The published folders are train_val/CITY/{query,database} with images/KEY.jpg, seq_info.csv and
raw.csv. There are no times within a sequence, only an order, so the tables have none either. The
cities of `test` have no coordinates and are no clips.

Belongs here: which rows make a sequence, and its place in a split (docs/specs/vidtag.md, section
6). Does not belong here: the tables (tables.py).
"""

from pathlib import Path

import numpy as np
import pandas as pd

from vidtag_ml import config
from vidtag_ml.dataset import splits as dataset_splits
from vidtag_ml.dataset import tables
from vidtag_ml.earth import sphere
from vidtag_ml.ingest.published import tables as published
from vidtag_ml.ingest.published.tables import Recording, Report, Source
from vidtag_ml.workflow import progress

SOURCE = Source("msls", mode="photos", fix_source="mapillary")
SIDES = ("database", "query")
_SEQUENCES = {
    "key": ("key",),
    "sequence": ("sequence_key", "sequence_id"),
    "number": ("frame_number",),
}
_POSITIONS = {"key": ("key",), "lat": ("lat",), "lon": ("lon",), "pano": ("pano",)}


def write(
    settings: config.Clips, recordings: Path, folder: Path, report: Report | None = None
) -> None:
    """Writes clips.parquet, fixes.parquet and frames.parquet of the sequences in `recordings`.

    Panoramas are dropped. Splits are drawn among the sequences of each city, so every city is in
    all of them; state, country and continent are those of the place nearest to the city's photos.

    Args:
        settings: shares of the splits and their seed; the least length of a train clip.
        recordings: the folder that holds train_val.
        folder: the dataset's folder; created if absent.
        report: called with (sequences done, all sequences).

    Raises:
        ValueError: a file is absent or lacks a column, or there is no sequence; names the file.
    """
    sides = [side for city in _cities(recordings) for side in _sides(city)]
    photos = pd.concat([_photos(side) for side in sides], ignore_index=True)
    labels, split_of = _labels(photos), _splits(photos, settings)
    rows_of = {str(name): rows for name, rows in photos.groupby("sequence").indices.items()}

    def read(sequence: str) -> Recording:
        rows = photos.iloc[rows_of[sequence]].sort_values("number", kind="stable")
        city, side, key = sequence.split("/", 2)
        images = recordings / "train_val" / city / side / "images"
        return Recording(
            clip_id=f"{city}-{side}-{key}",
            group_id=sequence,
            split=split_of[sequence],
            media=[images / f"{name}.jpg" for name in rows["key"]],
            latlon_T2=rows[["lat", "lon"]].to_numpy(float),
            labels=labels[city],
        )

    published.write(SOURCE, settings, recordings, folder, sorted(rows_of), read, report)


def _cities(recordings: Path) -> list[Path]:
    root = recordings / "train_val"
    if not root.is_dir():
        raise ValueError(f"{root}: there is no such folder; metadata.zip of MSLS makes it")
    return sorted(path for path in root.iterdir() if path.is_dir())


def _sides(city: Path) -> list[Path]:
    sides = [city / side for side in SIDES if (city / side).is_dir()]
    if not sides:
        raise ValueError(f"{city}: has neither a folder {' nor '.join(SIDES)}")
    return sides


def _photos(side: Path) -> pd.DataFrame:
    """Photos of one side of a city: key, number, lat, lon, city, and CITY/SIDE/KEY of sequence."""
    order = published.read_csv(side / "seq_info.csv", _SEQUENCES).drop_duplicates("key")
    places = published.read_csv(side / "raw.csv", _POSITIONS).drop_duplicates("key")
    photos = order.merge(places, "left", on="key")
    photos = photos[photos["pano"].str.lower().ne("true")]
    for column in ("number", "lat", "lon"):
        photos[column] = published.numbers(photos[column])
    usable = published.on_earth(photos[["lat", "lon"]]) & photos["number"].notna()
    if not usable.all():
        num = int((~usable).sum())
        progress.tell(f"{side}: {num} photos without a position or a number are left out")
    city, name = side.parent.name, side.name
    sequence = f"{city}/{name}/" + photos["sequence"]
    kept = photos.assign(city=city, sequence=sequence)[usable]
    return kept[["city", "sequence", "number", "key", "lat", "lon"]]


def _labels(photos: pd.DataFrame) -> dict[str, dict[str, str]]:
    """Labels of each city: its own name, and the rest from the place nearest to its centre."""
    found = {}
    for city, rows in photos.groupby("city"):
        (near,) = published.labels_at(sphere.centroid(rows[["lat", "lon"]].to_numpy(np.float64)))
        found[str(city)] = {**near, "city": str(city)}
    return found


def _splits(photos: pd.DataFrame, settings: config.Clips) -> dict[str, str]:
    """The split of each sequence."""
    shares = published.sizes(settings, *tables.SPLITS)
    split_of: dict[str, str] = {}
    for _, sequences in photos.groupby("city")["sequence"]:
        groups = sorted(set(sequences))
        splits = dataset_splits.assign_splits(groups, shares, settings.seed)
        split_of.update(zip(groups, splits, strict=True))
    return split_of
