"""What the published datasets have in common: recordings in a folder become the tables.

Recordings stay where they are: the tables name them relative to the dataset's folder, so both
folders move together or not at all. What cannot be used is left out, counted and told.

Belongs here: the rows of a recording, its digest, names of places near it, reading CSV files as
they are written. Does not belong here: where a dataset keeps what (its own module).
Shape legend: T pictures or fixes of a clip, N clips, P places, 2 = (lat, lon) in degrees.
"""

import hashlib
import io
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from vidtag_ml import config
from vidtag_ml.dataset import tables
from vidtag_ml.earth import geonames, sphere
from vidtag_ml.media import video
from vidtag_ml.workflow import progress, stage

Report = Callable[[int, int], None]
Candidate = TypeVar("Candidate")
PICTURES = (".jpg", ".jpeg", ".png")


class UnusableError(ValueError):
    """A recording that is left out: says which and why."""


@dataclass(frozen=True)
class Source:
    """What is the same for all clips of a dataset."""

    name: str
    """The dataset."""
    mode: str
    """How its cameras move, one of `tables.MODES`."""
    fix_source: str
    """Where its positions come from."""

    @property
    def licence(self) -> str:
        """Nothing is copied, so nothing is licensed anew."""
        return f"terms of {self.name}"


@dataclass(frozen=True)
class Recording:
    """One clip, as its source tells of it."""

    clip_id: str
    group_id: str
    split: str
    media: Sequence[Path]
    """One video, or the pictures in their order."""
    latlon_T2: ArrayLike
    """Fixes: one for each picture if there are no times."""
    labels: Mapping[str, str]
    """City, state, country and continent."""
    fix_time_s: ArrayLike = np.nan
    """Times of the fixes from the first frame; NaN where the source has none."""
    accuracy_m: ArrayLike = np.nan
    """Accuracy of the fixes."""
    altitude_m: ArrayLike = np.nan
    """Altitude of the fixes."""
    fix_source: str | None = None
    """Where these positions come from; None = whence those of all the dataset do."""
    picture_time_s: ArrayLike = np.nan
    """Times of the pictures from the first; NaN where the source has none."""
    duration_s: float = np.nan
    """Of pictures; a video tells itself."""
    kind: str = "frames"
    """video or frames."""


def write(
    source: Source,
    settings: config.Clips,
    recordings: Path,
    folder: Path,
    candidates: Sequence[Candidate],
    read: Callable[[Candidate], Recording],
    report: Report | None = None,
) -> None:
    """Writes the tables of all candidates that can be used; holds one recording at a time.

    Args:
        source: what is the same for all clips.
        settings: train clips of fewer than `min_frames` frames are left out.
        recordings: where the media lie.
        folder: the dataset's folder; created if absent.
        candidates: what there may be a clip of.
        read: the recording of a candidate; raises `UnusableError` if there is none.
        report: called with (candidates done, all candidates).

    Raises:
        ValueError: no candidate can be used; tells the first reason.
    """
    rows = {
        "clips": Rows(tables.CLIP_COLUMNS),
        "fixes": Rows(tables.FIX_COLUMNS),
        "frames": Rows(tables.FRAME_COLUMNS),
    }
    base, num_short, reasons = _between(folder, recordings), 0, []
    for done, candidate in enumerate(candidates, 1):
        try:
            recording = read(candidate)
            if recording.split == "train" and _num_frames(recording) < settings.min_frames:
                num_short += 1
            else:
                facts = _video(recording) if recording.kind == "video" else _pictures(recording)
                files = [(base / p.relative_to(recordings)).as_posix() for p in recording.media]
                _add(rows, source, recording, files, facts)
        except (UnusableError, video.VideoError) as error:
            reasons.append(str(error))
        if report:
            report(done, len(candidates))
    if num_short:
        progress.tell(
            f"{source.name}: {num_short} train clips are shorter than {settings.min_frames}"
        )
    if reasons:
        progress.tell(
            f"{source.name}: {len(reasons)} of {len(candidates)} left out; first: {reasons[0]}"
        )
    if not len(rows["clips"]):
        first = f"; the first: {reasons[0]}" if reasons else ""
        raise ValueError(f"{recordings}: none of {len(candidates)} recordings is a clip{first}")
    frames = rows["frames"].table() if len(rows["frames"]) else None
    tables.write(folder, tables.Tables(rows["clips"].table(), rows["fixes"].table(), frames))


def sizes(settings: config.Clips, *splits: str) -> dict[str, float]:
    """Shares of some splits, for `splits.assign_splits`."""
    return {split: getattr(settings, f"num_{split}") for split in splits}


def read_csv(path: Path, columns: Mapping[str, Sequence[str]], **options: Any) -> pd.DataFrame:
    """Columns of a CSV file, all as strings: no key is a number and no "NA" is missing.

    Args:
        path: the file.
        columns: name of each column, and the names under which it is published.
        options: of `pandas.read_csv`.

    Raises:
        ValueError: the file is absent, no CSV, or lacks a column; names file and column.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, **options)
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such file, so the layout is another one") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not a CSV file: {error}") from error
    found = {}
    for column, names in columns.items():
        known = [name for name in names if name in table.columns]
        if not known:
            raise ValueError(f"{path}: has no column {' or '.join(names)}")
        found[column] = table[known[0]]
    return pd.DataFrame(found)


def numbers(text: pd.Series) -> NDArray[np.float64]:
    """Numbers (N,) written as text; NaN where there is none."""
    return pd.to_numeric(text, errors="coerce").to_numpy(np.float64)


def on_earth(latlon_N2: ArrayLike) -> NDArray[np.bool_]:
    """Which positions (N,) are on Earth and not those of a receiver without a fix, (0, 0)."""
    degrees = np.abs(np.asarray(latlon_N2, float).reshape(-1, 2))
    return np.asarray((degrees <= (90.0, 180.0)).all(-1) & (degrees > 0).any(-1))


def numbered(folder: Path) -> dict[int, Path]:
    """Pictures of a folder by the number that is their name, in order of numbers: 2 before 10."""
    if not folder.is_dir():
        raise UnusableError(f"{folder}: there is no such folder")
    paths = [p for p in folder.iterdir() if p.suffix.lower() in PICTURES and p.stem.isdecimal()]
    return {int(path.stem): path for path in sorted(paths, key=lambda path: int(path.stem))}


def labels_at(latlon_N2: ArrayLike) -> list[dict[str, str]]:
    """City, state, country and continent of the place of 15,000 people nearest to each point."""
    tree, labels = geonames.place_tree()
    _, nearest = tree.query(sphere.unit_vectors(np.asarray(latlon_N2, float).reshape(-1, 2)))
    return [labels[k] for k in nearest]


def fingerprint(recordings: Path) -> str:
    """Digest of what lies in a folder: names, sizes and times of files; of pictures only how many.

    Reads no file: recordings are as large as disks.

    Raises:
        ValueError: there is no such folder.
    """
    if not recordings.is_dir():
        raise ValueError(f"{recordings}: there is no such folder; `clips.folder` names it")
    seen = hashlib.md5(usedforsecurity=False)
    for line in sorted(_inventory(recordings)):
        seen.update(line.encode(errors="surrogateescape"))
    return seen.hexdigest()


def _inventory(recordings: Path) -> Iterator[str]:
    for parent, _, names in os.walk(recordings):
        within = os.path.relpath(parent, recordings)
        pictures = Counter(name.lower().endswith(PICTURES) for name in names)[True]
        yield f"{within} {pictures} {Path(parent).stat().st_mtime_ns}\n"
        for name in names:
            if not name.lower().endswith(PICTURES):
                facts = (Path(parent) / name).lstat()
                yield f"{within}/{name} {facts.st_size} {facts.st_mtime_ns}\n"


class Rows:
    """The columns of a growing table, an array a clip."""

    def __init__(self, columns: Mapping[str, str]) -> None:
        """No row yet; `columns` are names with dtypes."""
        self.dtypes = {name: object if kind == "string" else kind for name, kind in columns.items()}
        self.parts: dict[str, list[NDArray[Any]]] = {name: [] for name in columns}

    def __len__(self) -> int:
        """How often rows were added."""
        return len(next(iter(self.parts.values())))

    def add(self, num: int, **values: Any) -> None:
        """`num` rows; a single value holds for all of them, an absent one is missing."""
        for name, dtype in self.dtypes.items():
            absent = None if dtype is object else np.nan
            value = np.asarray(values.get(name, absent), dtype)
            self.parts[name].append(np.broadcast_to(value, num))

    def table(self) -> pd.DataFrame:
        """All rows; there must be one."""
        return pd.DataFrame({name: np.concatenate(parts) for name, parts in self.parts.items()})


def _add(
    rows: Mapping[str, Rows],
    source: Source,
    recording: Recording,
    files: list[str],
    facts: dict[str, Any],
) -> None:
    clip_id, is_video = recording.clip_id, recording.kind == "video"
    rows["clips"].add(
        1,
        clip_id=clip_id,
        dataset=source.name,
        video_path=files[0] if is_video else Path(files[0]).parent.as_posix(),
        kind=recording.kind,
        mode=source.mode,
        split=recording.split,
        group_id=recording.group_id,
        licence=source.licence,
        **facts,
        **recording.labels,
    )
    latlon = np.asarray(recording.latlon_T2, float).reshape(-1, 2)
    rows["fixes"].add(
        len(latlon),
        clip_id=clip_id,
        time_s=recording.fix_time_s,
        lat=latlon[:, 0],
        lon=latlon[:, 1],
        altitude_m=recording.altitude_m,
        accuracy_m=recording.accuracy_m,
        fix_source=recording.fix_source or source.fix_source,
        status="measured",
    )
    if not is_video:
        rows["frames"].add(
            len(files),
            clip_id=clip_id,
            frame_index=np.arange(len(files)),
            file=files,
            time_s=recording.picture_time_s,
        )


def _num_frames(recording: Recording) -> int:
    if recording.kind == "video":
        return video.probe(recording.media[0]).num_frames
    return len(recording.media)


def _video(recording: Recording) -> dict[str, Any]:
    (path,) = recording.media
    probe = video.probe(path)
    names = ("num_frames", "duration_s", "fps", "width", "height", "codec")
    return {"content_md5": stage.digest(path), **{n: getattr(probe, n) for n in names}}


def _pictures(recording: Recording) -> dict[str, Any]:
    """Facts on all pictures, each read once; size and codec are those of the first."""
    from PIL import Image, UnidentifiedImageError

    if not recording.media:
        raise UnusableError(f"{recording.clip_id}: has no picture")
    whole = hashlib.md5(usedforsecurity=False)
    first: tuple[int, int, str] | None = None
    for path in recording.media:
        try:
            content = path.read_bytes()
            with Image.open(io.BytesIO(content)) as image:
                facts = (image.width, image.height, str(image.format).lower())
        except FileNotFoundError:
            raise UnusableError(f"{path}: there is no such picture") from None
        except UnidentifiedImageError:
            raise UnusableError(f"{path}: not a picture; copy it again") from None
        whole.update(content)
        first = first or facts
    num, seconds = len(recording.media), recording.duration_s
    fps = num / seconds if seconds > 0 else np.nan
    assert first is not None
    width, height, codec = first
    return {
        "num_frames": num,
        "duration_s": seconds,
        "fps": fps,
        "width": width,
        "height": height,
        "codec": codec,
        "content_md5": whole.hexdigest(),
    }


def _between(folder: Path, recordings: Path) -> Path:
    """The way from the dataset's folder to the recordings, through no symbolic link of either."""
    return Path(os.path.relpath(recordings.resolve(), folder.resolve()))
