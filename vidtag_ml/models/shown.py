"""Located tracks as the page shows them: where their recordings lie, small pictures of some frames.

Belongs here: what is beside an answer, and reading answers back from the files of `vidtag locate`.
Does not belong here: the page (plots/viewer), answers themselves (located.py), opening a browser
(cli/view.py). Shape legend: T frames, H W pixels, 3 = red, green, blue.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.models import recording
from vidtag_ml.models.recording import Pictures, Recording, Video
from vidtag_ml.plots.viewer import ground
from vidtag_ml.plots.viewer.page import Shown

Row = Mapping[str, Any]

NUM_THUMBNAILS = 24
"""Frames that the page can show where the browser cannot play the video."""
_THUMBNAIL_PX = 240
_QUALITY = 70
_AT_ONCE = 8
"""Frames of a video that are held at a time."""
_MAPPED = ".gpx"
"""What lies beside the JSON of each track."""


def where(seen: Recording | None, folder: Path) -> dict[str, Any]:
    """Where a recording lies, for a file in a folder."""
    if seen is None:
        return {"video": None}
    video = Path(os.path.relpath(seen.path.resolve(), folder.resolve())).as_posix()
    if isinstance(seen, Video):
        return {"video": video}
    return {"video": video, "pictures": [file.name for file in seen.files]}


def beside(row: Row, seen: Recording | None) -> Shown:
    """An answer, and what is shown of its recording.

    Raises:
        VideoError: the recording is a video, and no longer one that can be decoded.
    """
    name = str(row["track"][0]["clip"])
    if seen is None:
        return Shown(row, name)
    thumbnails = _thumbnails(seen, [point["time_s"] for point in row["track"]])
    if isinstance(seen, Pictures):
        return Shown(row, name, pictures=seen.files, thumbnails=thumbnails)
    return Shown(row, name, video=seen.path, thumbnails=thumbnails)


def on_map(paths: Sequence[Path]) -> tuple[list[Shown], list[Path]]:
    """The answers in files that have a place on a map, and the files of the others.

    Raises:
        ValueError: there is none that has, or one is no answer that tells a track.
        VideoError: a recording is a video, and no longer one that can be decoded.
    """
    rows = {path: _row(path) for path in paths}
    nowhere = [path for path, row in rows.items() if all(p["lat"] is None for p in row["track"])]
    if len(nowhere) == len(rows):
        said = ", ".join(str(path) for path in nowhere)
        raise ValueError(f"{said}: no position is known, so there is no map of it")
    return [_again(path, row) for path, row in rows.items() if path not in nowhere], nowhere


def _row(path: Path) -> Row:
    """The answer in NAME.json as `vidtag locate` writes it.

    Raises:
        ValueError: it is no such file, or tells no track.
    """
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: this is no JSON: {error}") from error
    if not isinstance(row, dict) or "origin" not in row:
        raise ValueError(f"{path}: no file that `vidtag locate` wrote")
    if not row.get("track"):
        raise ValueError(f"{path}: this answer has no track, so there is no map of it")
    return row


def _again(path: Path, row: Row) -> Shown:
    """The answer of a file, with what is shown beside it if that is still there.

    Raises:
        VideoError: the recording is a video, and no longer one that can be decoded.
    """
    seen = _recording(row, path.parent)
    if seen is None and row["video"]:
        lost = f"the recording is not where it was when it was located ({row['video']})"
        row = {**row, "told": [*row["told"], lost]}
    return beside(row, seen)


def files(asked: Sequence[Path]) -> list[Path]:
    """The JSON files of answers that are asked for: by any file of theirs, or by their folders.

    Raises:
        ValueError: there is none where one is asked for.
    """
    found: list[Path] = []
    for path in asked:
        if path.is_dir():
            inside = sorted(each.with_suffix(".json") for each in path.rglob(f"*{_MAPPED}"))
            answers = [each for each in inside if each.is_file()]
        else:
            answers = [each for each in [path.with_suffix(".json")] if each.is_file()]
        if not answers:
            raise ValueError(f"{path}: no answer there that `vidtag locate` wrote (track.json)")
        found += answers
    return list(dict.fromkeys(found))


def _recording(row: Row, folder: Path) -> Recording | None:
    """What an answer is of, if it is still there."""
    if not row["video"]:
        return None
    path = folder / row["video"]
    names = row.get("pictures")
    if not names:
        return Video(path) if path.is_file() else None
    at = path if path.is_dir() else path.parent
    there = all((at / name).is_file() for name in names)
    return recording.of_pictures(at, names) if there else None


def _thumbnails(seen: Recording, time_s: Sequence[float]) -> list[tuple[float, str]]:
    """Times of some frames of a track, evenly chosen, and small pictures of them."""
    chosen = np.linspace(0, len(time_s) - 1, min(NUM_THUMBNAILS, len(time_s))).round().astype(int)
    times = np.asarray(time_s, float)[chosen]
    pictures = (frame for frames in seen.batches_at(times, _AT_ONCE) for frame in frames)
    return [(round(float(at), 4), _small(frame)) for at, frame in zip(times, pictures, strict=True)]


def _small(frame_HW3: NDArray[np.uint8]) -> str:
    height, width, _ = frame_HW3.shape
    return ground.jpeg(frame_HW3, max(1, min(height, width) // _THUMBNAIL_PX), _QUALITY)
