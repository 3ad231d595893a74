"""comma2k19: a minute of a Californian commute is a clip, with a pose for each of its frames.

The published folders are DONGLE|TIME/SEGMENT, the pipe being an underscore where a system would not
have it, with video.hevc and global_pose (global_pos in its README) or, where that is of no use, the
receiver's own fixes in processed_log/GNSS/live_gnss_ublox. Arrays are NumPy files without a suffix.
All times are on one clock, seconds since boot; the column of UTC, which the README calls seconds
but is in milliseconds, is not needed.

Belongs here: which folders are segments, the arrays and their clock. Does not belong here: the
tables (tables.py), the shape of the Earth (earth/sphere.py). Shape legend: T frames or fixes of a
clip.
"""

import tokenize
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidtag_ml import config
from vidtag_ml.dataset import splits as dataset_splits
from vidtag_ml.dataset import tables
from vidtag_ml.earth import sphere
from vidtag_ml.ingest.published import tables as published
from vidtag_ml.ingest.published.tables import Recording, Report, Source, UnusableError

SOURCE = Source("comma2k19", mode="car", fix_source="pose")
VIDEO = "video.hevc"
POSES = ("global_pose", "global_pos")
RECEIVER = "processed_log/GNSS/live_gnss_ublox"

Floats = NDArray[np.float64]


def write(
    settings: config.Clips, recordings: Path, folder: Path, report: Report | None = None
) -> None:
    """Writes clips.parquet and fixes.parquet of the segments anywhere in `recordings`.

    Splits are drawn among drives, of which all the segments stay together. Labels are those of the
    place nearest to the middle of the segment.

    Args:
        settings: shares of the splits and their seed; the least length of a train clip.
        recordings: the folder that holds the drives or the chunks of them.
        folder: the dataset's folder; created if absent.
        report: called with (segments done, all segments).

    Raises:
        ValueError: there is no segment, or none can be used; names folder and reason.
    """
    segments = _segments(recordings)
    drives = [_drive(segment) for segment in segments]
    shares = published.sizes(settings, *tables.SPLITS)
    splits = dataset_splits.assign_splits(drives, shares, settings.seed)

    def read(candidate: tuple[Path, str, str]) -> Recording:
        segment, drive, split = candidate
        if not (segment / VIDEO).is_file():
            raise UnusableError(f"{segment / VIDEO}: there is no such file")
        time_s, place_T3, fix_source = _fixes(segment)
        return Recording(
            clip_id=f"{drive.replace('|', '_')}--{segment.name}",
            group_id=drive,
            split=split,
            media=[segment / VIDEO],
            kind="video",
            latlon_T2=place_T3[:, :2],
            altitude_m=place_T3[:, 2],
            fix_time_s=time_s,
            fix_source=fix_source,
            labels=published.labels_at(place_T3[len(place_T3) // 2, :2])[0],
        )

    candidates = list(zip(segments, drives, splits, strict=True))
    published.write(SOURCE, settings, recordings, folder, candidates, read, report)


def _segments(recordings: Path) -> list[Path]:
    marks = (VIDEO, *POSES)
    found = sorted({path.parent for mark in marks for path in recordings.rglob(mark)})
    if not found:
        raise ValueError(f"{recordings}: has no DRIVE/SEGMENT with a {VIDEO} or a {POSES[0]}")
    return found


def _drive(segment: Path) -> str:
    """DONGLE|TIME of a segment, whichever way its folder is spelt."""
    name = segment.parent.name
    return name if "|" in name else name.replace("_", "|", 1)


def _fixes(segment: Path) -> tuple[Floats, Floats, str]:
    """Times (T,) from the first frame, (lat, lon, altitude) (T, 3), and what told them."""
    pose = next((segment / name for name in POSES if (segment / name).is_dir()), segment / POSES[0])
    start_s: float | None = None
    try:
        time_T = _array(pose / "frame_times")
        start_s = float(time_T[0])
        metres_T3 = _array(pose / "frame_positions", 3)
        return *_usable(pose, time_T - start_s, sphere.from_earth_centred(metres_T3)), "pose"
    except UnusableError as error:
        return *_received(segment / RECEIVER, start_s, error), "ublox"


def _received(folder: Path, start_s: float | None, why: UnusableError) -> tuple[Floats, Floats]:
    """The receiver's fixes; if nothing tells when the first frame was, it was at the first fix.

    In the published example that is 0.1 s off.
    """
    try:
        time_T, value_T6 = _array(folder / "t"), _array(folder / "value", 6)
        zero_s = time_T[0] if start_s is None else start_s
        return _usable(folder, time_T - zero_s, value_T6[:, [0, 1, 4]])
    except UnusableError as error:
        raise UnusableError(f"{why}; {error}") from None


def _usable(folder: Path, time_T: Floats, place_T3: Floats) -> tuple[Floats, Floats]:
    """Times to the millisecond and places that are on Earth, one a time, in order."""
    if len(time_T) != len(place_T3):
        raise UnusableError(f"{folder}: has {len(time_T)} times for {len(place_T3)} positions")
    kept = np.flatnonzero(published.on_earth(place_T3[:, :2]) & np.isfinite(time_T))
    time_T, first = np.unique(time_T[kept].round(3), return_index=True)
    if len(kept) == 0:
        raise UnusableError(f"{folder}: has no position on Earth")
    return time_T, place_T3[kept[first]]


def _array(path: Path, num_columns: int = 0) -> Floats:
    """The numbers (T,) or (T, columns) of a NumPy file, whose name has no suffix.

    It is mapped before it is copied, so no more is held than the file has bytes.
    """
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise UnusableError(f"{path}: there is no such file") from None
    except (ValueError, EOFError, OSError, SyntaxError, tokenize.TokenError) as error:
        raise UnusableError(f"{path}: not a NumPy array: {error}") from None
    columns = (num_columns,) if num_columns else ()
    numeric = isinstance(found, np.ndarray) and found.dtype.kind in "fiu" and found.size > 0
    if not numeric or found.shape != (found.shape[:1] + columns) or found.ndim == 0:
        raise UnusableError(f"{path}: is no array of {num_columns or 1} numbers a time")
    return np.array(found, np.float64)
