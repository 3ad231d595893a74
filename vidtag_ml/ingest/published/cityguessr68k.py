"""CityGuessr68k: a hundred pictures of a walk or drive are a clip, its position is a city's centre.

The published folders are meta with labels_list.csv, train_labels*.txt and val_labels*.txt, and
{train,val}/CITY/VIDEO/N.jpg, numbered from 1 without padding. The centres of the 166 cities are
GeoNames' (CC BY 4.0) and stand in cityguessr68k.csv beside this module, in the published order.

Belongs here: the lists and the scenes in them, the spellings of cities, the published split. Does
not belong here: the tables (tables.py, dataset/scenes.py), models of the labels (models/).
"""

import functools
import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml import config
from vidtag_ml.dataset import scenes
from vidtag_ml.dataset import splits as dataset_splits
from vidtag_ml.dataset.hierarchy import LEVELS
from vidtag_ml.ingest.published import tables as published
from vidtag_ml.ingest.published.tables import Recording, Report, Source, UnusableError

SOURCE = Source("cityguessr68k", mode="car", fix_source="city_centre")
CENTRES = Path(__file__).with_suffix(".csv")
NUM_FIELDS = 1 + len(LEVELS) + 512 + scenes.NUM_CLASSES
"""Of a list's line with scenes: video, ids, text vector, scenes (docs/specs/datasets.md, section
2)."""
_LABELS = {level: (level.capitalize(), level) for level in LEVELS}
_OTHER_SPELLINGS = {
    "Bandar_Seri_Bagawan": ("Bandar Seri Begawan",),
    "Banglore": ("Bangalore", "Bengaluru"),
    "Genova": ("Genoa",),
    "Kuwait": ("Kuwait City",),
    "Makkah": ("Mecca",),
    "Malm": ("Malmo",),
    "Oklahoma": ("Oklahoma City",),
    "Talinn": ("Tallinn",),
    "Washington_DC": ("Washington", "Washington D.C."),
}


def write(
    settings: config.Clips, recordings: Path, folder: Path, report: Report | None = None
) -> None:
    """Writes clips.parquet, fixes.parquet and frames.parquet of the listed videos.

    Scenes of the videos whose list carries them are scenes.parquet; without any there is no such
    file.

    The published val videos are our test split; in each city a share `num_val` of the train videos,
    beside `num_train`, is our val split. Pictures have an order but no times.

    Args:
        settings: shares of the splits and their seed; the least length of a train clip.
        recordings: the folder that holds meta, train and val.
        folder: the dataset's folder; created if absent.
        report: called with (videos done, all videos).

    Raises:
        ValueError: a file of meta is absent, lacks a city or has a malformed line; names the file.
    """
    labels, places = _labels(recordings / "meta" / "labels_list.csv"), centres()
    videos = {published_as: _listed(recordings, published_as) for published_as in ("train", "val")}
    folders = {published_as: _folders(recordings / published_as) for published_as in videos}
    split_of = _splits(list(videos["train"]), settings)
    candidates = [(published_as, name) for published_as, names in videos.items() for name in names]

    def read(candidate: tuple[str, str]) -> Recording:
        published_as, video = candidate
        city = label(city_of(video))
        if city is None or city not in labels:
            raise UnusableError(f"{video}: {city_of(video)!r} is none of the {len(labels)} cities")
        pictures = published.numbered(folders[published_as].get(city, recordings) / video)
        return Recording(
            clip_id=video,
            group_id=video,
            split="test" if published_as == "val" else split_of[video],
            media=list(pictures.values()),
            latlon_T2=places.loc[city, ["lat", "lon"]].to_numpy(float),
            labels=labels[city],
            fix_time_s=0.0,
        )

    published.write(SOURCE, settings, recordings, folder, candidates, read, report)
    _write_scenes(folder, {**videos["train"], **videos["val"]})


@functools.cache
def centres() -> pd.DataFrame:
    """Centre (lat, lon), state, country and continent of each city label, in published order."""
    table = pd.read_csv(CENTRES, dtype=dict.fromkeys(LEVELS, str), keep_default_na=False)
    return table.set_index("city")


def label(spelling: str) -> str | None:
    """The published label of a city, however it is spelt; None if it is none of the 166.

    >>> label("Malmö"), label("Washington D.C."), label("Atlantis")
    ('Malm', 'Washington_DC', None)
    """
    return _spellings().get(_plain(spelling))


def city_of(video: str) -> str:
    """The city in a video's name, which may have underscores itself.

    >>> city_of("Abu_Dhabi_0000")
    'Abu_Dhabi'
    """
    return video.rpartition("_")[0]


@functools.cache
def _spellings() -> dict[str, str]:
    own = {_plain(city): city for city in centres().index}
    pairs = [(other, city) for city, others in _OTHER_SPELLINGS.items() for other in others]
    return {**own, **{_plain(other): city for other, city in pairs}}


def _plain(spelling: str) -> str:
    letters = unicodedata.normalize("NFKD", spelling).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]", "", letters.lower())


def _labels(path: Path) -> dict[str, dict[str, str]]:
    """Published labels of each city; its own name is always spelt as in `centres`."""
    table = published.read_csv(path, _LABELS)
    found = {}
    for row in table.to_dict("records"):
        city = label(row["city"])
        if city is None:
            raise ValueError(f"{path}: city {row['city']!r} has no centre in {CENTRES.name}")
        found[city] = {**{str(level): str(name) for level, name in row.items()}, "city": city}
    return found


def _listed(recordings: Path, published_as: str) -> dict[str, NDArray[np.float64] | None]:
    """The videos of a published split, in order, each with its scenes if a list carries them."""
    meta = recordings / "meta"
    paths = sorted(meta.glob(f"{published_as}_labels*.txt"))
    if not paths:
        raise ValueError(f"{meta / published_as}_labels.txt: there is no such file")
    scene_of: dict[str, NDArray[np.float64] | None] = {}
    for path in paths:
        for video, scene_S in _lines(path):
            if scene_of.get(video) is None:
                scene_of[video] = scene_S
    return scene_of


def _lines(path: Path) -> Iterator[tuple[str, NDArray[np.float64] | None]]:
    """Video and scenes of each line of a list; the first field may be a path.

    The text vectors are most of a list: they are never split into fields.
    """
    num_first = 0
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            video, num_fields = Path(line.split(",", 1)[0].strip()).name, line.count(",") + 1
            num_first = num_first or num_fields
            if num_fields != num_first:
                raise ValueError(
                    f"{path}: line {number} has {num_fields} fields where the first line has "
                    f"{num_first}; copy the list again"
                )
            has_scene = num_fields == NUM_FIELDS
            yield video, _scene(line, f"{path}: line {number}") if has_scene else None


def _scene(line: str, where: str) -> NDArray[np.float64]:
    fields = line.rstrip().rsplit(",", scenes.NUM_CLASSES)[1:]
    try:
        scene_S = np.array(fields, float)
    except ValueError as error:
        raise ValueError(f"{where}: its last 16 fields are no probabilities: {error}") from error
    (row_S,) = scenes.distributions(scene_S, where)
    return np.asarray(row_S)


def _write_scenes(folder: Path, scene_of: Mapping[str, NDArray[np.float64] | None]) -> None:
    """Writes the scenes of those videos that became clips."""
    clip_ids = pd.read_parquet(folder / "clips.parquet", columns=["clip_id"])["clip_id"]
    known = {clip: scene_S for clip in clip_ids if (scene_S := scene_of[clip]) is not None}
    if known:
        scenes.write(folder / scenes.FILE, list(known), np.stack(list(known.values())))
    else:
        (folder / scenes.FILE).unlink(missing_ok=True)


def _folders(root: Path) -> dict[str, Path]:
    """The folder of each city."""
    if not root.is_dir():
        raise ValueError(f"{root}: there is no such folder")
    return {city: path for path in sorted(root.iterdir()) if (city := label(path.name))}


def _splits(videos: list[str], settings: config.Clips) -> dict[str, str]:
    """The split of each published train video."""
    shares = published.sizes(settings, "train", "val")
    split_of: dict[str, str] = {}
    table = pd.DataFrame({"video": videos, "city": [city_of(video) for video in videos]})
    for _, names in table.groupby("city")["video"]:
        splits = dataset_splits.assign_splits(names.tolist(), shares, settings.seed)
        split_of.update(zip(names, splits, strict=True))
    return split_of
