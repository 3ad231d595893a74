"""BDD100K with GAMa's lists: forty seconds of driving are a clip, the phone's GPS gives its fixes.

The published folders are info/{train,val}/VIDEO.json and video_data/{train,val}/VIDEO.mov, which is
the video or, after GAMa's extraction, a folder of pictures 0000.png, 0001.png ... at 30 a second.
The lists train.list (or train_day.list) and val_day_vid.list say which videos are meant; without
them, all are.

Belongs here: the lists, the clock of the info files, the published split. Does not belong here: the
tables (tables.py), aerial tiles (aerial/sources.py). Shape legend: T fixes of a clip, 2 = (lat,
lon) in degrees.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml import config
from vidtag_ml.dataset import splits as dataset_splits
from vidtag_ml.ingest.published import tables as published
from vidtag_ml.ingest.published.tables import Recording, Report, Source, UnusableError

SOURCE = Source("bdd100k", mode="car", fix_source="phone")
PICTURES_PER_SECOND = 30
OUTSIDE_S = 2.0
"""Fixes farther than this from the video's start and end are of another time."""
_LISTS = {"train": ("train.list", "train_day.list"), "val": ("val_day_vid.list",)}
_INFO = ("info", "info/100k", "bdd100k/info/100k")
_MEDIA = ("video_data", "videos", "bdd100k/videos")
_POINT = ["timestamp", "latitude", "longitude", "accuracy"]


def write(
    settings: config.Clips, recordings: Path, folder: Path, report: Report | None = None
) -> None:
    """Writes the tables of the listed videos: frames.parquet too, if they are folders of pictures.

    The published val videos are our test split; a share `num_val` of the train videos, beside
    `num_train`, is our val split. Names that begin alike may be of one ride and stay together. Of a
    folder, the first picture of each second is a frame. Labels are those of the nearest place.

    Args:
        settings: shares of the splits and their seed; the least length of a train clip.
        recordings: the folder that holds info, video_data and the lists.
        folder: the dataset's folder; created if absent.
        report: called with (videos done, all videos).

    Raises:
        ValueError: there are no info files, or no video can be used; names folder and reason.
    """
    videos = {published_as: _listed(recordings, published_as) for published_as in _LISTS}
    groups = [f"train/{video.split('-')[0]}" for video in videos["train"]]
    shares = published.sizes(settings, "train", "val")
    splits = dataset_splits.assign_splits(groups, shares, settings.seed)
    candidates = [
        *zip(["train"] * len(groups), videos["train"], splits, strict=True),
        *(("val", video, "test") for video in videos["val"]),
    ]

    def read(candidate: tuple[str, str, str]) -> Recording:
        published_as, video, split = candidate
        info = _find(recordings, _INFO, f"{published_as}/{video}.json")
        media = _find(recordings, _MEDIA, f"{published_as}/{video}.mov")
        time_s, latlon, accuracy_m = _fixes(info)
        pictures = _pictures(media) if media.is_dir() else {}
        return Recording(
            clip_id=video,
            group_id=f"{published_as}/{video.split('-')[0]}",
            split=split,
            latlon_T2=latlon,
            labels=published.labels_at(latlon[len(latlon) // 2])[0],
            fix_time_s=time_s,
            accuracy_m=accuracy_m,
            **(pictures or {"media": [media], "kind": "video"}),
        )

    published.write(SOURCE, settings, recordings, folder, candidates, read, report)


def locations(recordings: Path, video: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times (T,) and positions (T, 2) of `locations[]` of a video, in its order; NaN where absent.

    Raises:
        UnusableError: there is no info file of the video, or it is broken.
    """
    names = tuple(f"{place}/{published_as}" for place in _INFO for published_as in _LISTS)
    path = _find(recordings, names, f"{video}.json")
    info = _info(path)
    time_s, latlon, _ = _points(info.get("locations") or [], _limits_s(path, info)[0])
    return time_s, np.where(published.on_earth(latlon)[:, None], latlon, np.nan)


def _listed(recordings: Path, published_as: str) -> list[str]:
    """Names of the videos of a published split, in order."""
    for name in _LISTS[published_as]:
        if (recordings / name).is_file():
            lines = (recordings / name).read_text(encoding="utf-8").splitlines()
            names = [Path(line.split()[0]).name for line in lines if line.strip()]
            return list(dict.fromkeys(name.removesuffix(".mov") for name in names))
    folders = [recordings / place / published_as for place in _INFO]
    found = sorted({path.stem for folder in folders for path in folder.glob("*.json")})
    if not found:
        raise ValueError(f"{recordings}: has no info/{published_as} with a JSON file a video")
    return found


def _find(recordings: Path, places: tuple[str, ...], name: str) -> Path:
    for place in places:
        if (recordings / place / name).exists():
            return recordings / place / name
    raise UnusableError(f"{recordings / places[0] / name}: there is no such file or folder")


def _fixes(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Times (T,) from the video's start, positions (T, 2) and accuracies (T,) of an info file."""
    info = _info(path)
    start_s, end_s = _limits_s(path, info)
    time_s, latlon, accuracy_m = _points(info.get("locations") or info.get("gps") or [], start_s)
    length_s = np.inf if np.isnan(end_s) else end_s - start_s
    usable = (time_s >= -OUTSIDE_S) & (time_s <= length_s + OUTSIDE_S)
    kept = np.flatnonzero(usable & published.on_earth(latlon))
    _, first = np.unique(time_s[kept], return_index=True)
    kept = kept[first]
    if len(kept) == 0:
        raise UnusableError(f"{path}: has no position within the video's time")
    return time_s[kept], latlon[kept], np.where(accuracy_m >= 0, accuracy_m, np.nan)[kept]


def _limits_s(path: Path, info: dict[str, Any]) -> tuple[float, float]:
    """Start and end of a video since 1970; the end may be NaN."""
    limits = pd.Series([info.get("startTime"), info.get("endTime")], dtype=object)
    start_s, end_s = _seconds(published.numbers(limits))
    if np.isnan(start_s):
        raise UnusableError(f"{path}: has no startTime")
    return start_s, end_s


def _points(
    points: Sequence[Any], start_s: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Times (T,), positions (T, 2) and accuracies (T,) of points in their order, NaN if absent."""
    table = pd.DataFrame([p if isinstance(p, dict) else {} for p in points]).reindex(columns=_POINT)
    time_s = (_seconds(published.numbers(table["timestamp"])) - start_s).round(3)
    latlon = np.stack([published.numbers(table[name]) for name in ("latitude", "longitude")], -1)
    return time_s, latlon, published.numbers(table["accuracy"])


def _info(path: Path) -> dict[str, Any]:
    try:
        info = json.loads(path.read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UnusableError(f"{path}: not JSON: {error}") from None
    if not isinstance(info, dict):
        raise UnusableError(f"{path}: is no JSON object")
    return info


def _seconds(epoch: NDArray[np.float64]) -> NDArray[np.float64]:
    """Seconds since 1970 of times in milliseconds, or in seconds: 1e11 s are the year 5138."""
    return np.where(epoch > 1e11, epoch / 1000.0, epoch)


def _pictures(folder: Path) -> dict[str, Any]:
    """The first picture of each second, with its time; how long all of them last."""
    numbered = published.numbered(folder)
    if not numbered:
        raise UnusableError(f"{folder}: has no picture")
    chosen: dict[int, int] = {}
    for number in numbered:
        chosen.setdefault(number // PICTURES_PER_SECOND, number)
    return {
        "media": [numbered[number] for number in chosen.values()],
        "picture_time_s": np.array(list(chosen.values())) / PICTURES_PER_SECOND,
        "duration_s": (max(numbered) + 1) / PICTURES_PER_SECOND,
    }
