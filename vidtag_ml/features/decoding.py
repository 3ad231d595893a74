"""Decoded frames of many clips, in order, piece by piece, made by threads that run ahead.

Belongs here: what is decoded side by side, and how far ahead. Does not belong here: decoding videos
(media/video.py), what becomes of the frames (extraction.py).
Shape legend: T frames, H W pixels, 3 = red, green, blue.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.dataset.tables import Tables
from vidtag_ml.media import pictures as picture_files
from vidtag_ml.media import video

PIECE_FRAMES = 16
"""Frames that a thread decodes at once."""
_MAX_THREADS = 8
P = TypeVar("P")


@dataclass(frozen=True)
class Piece:
    """Consecutive frames of one clip content; `last` closes the content."""

    content: str
    frames_THW3: NDArray[np.uint8]
    time_s: NDArray[np.float64]
    last: bool


def of_clips(
    clips: pd.DataFrame, tables: Tables, folder: Path, frames_per_second: float
) -> Iterator[Piece]:
    """Pieces of the frames of `clips`, clip by clip.

    Args:
        clips: the clips to decode.
        tables: has the table of frames, if clips are sequences of pictures.
        folder: folder that `video_path` and `file` are relative to.
        frames_per_second: sampling rate of videos; of a sequence every picture is taken.

    Raises:
        VideoError: a video cannot be decoded; says which.
    """
    return _ahead(_streams(clips, tables, folder, frames_per_second))


def _streams(
    clips: pd.DataFrame, tables: Tables, folder: Path, frames_per_second: float
) -> Iterator[Iterator[Piece]]:
    """What can be decoded side by side, in order: videos, and parts of picture sequences."""
    frames_of: dict[str, pd.DataFrame] = {}
    if tables.frames is not None:
        frames_of = {str(clip_id): frames for clip_id, frames in tables.frames.groupby("clip_id")}
    for clip in clips.itertuples():
        content = str(clip.content_md5)
        if clip.kind == "frames":
            paths, time_s = pictures_of(frames_of[str(clip.clip_id)], folder)
            for k in range(0, len(paths), PIECE_FRAMES):
                part = slice(k, k + PIECE_FRAMES)
                yield _pictures(content, paths[part], time_s[part], k + PIECE_FRAMES >= len(paths))
        else:
            yield _video(content, folder / str(clip.video_path), frames_per_second)


def _video(content: str, path: Path, frames_per_second: float) -> Iterator[Piece]:
    time_s = video.sample_times(path, frames_per_second)
    start = 0
    for frames, _ in video.batches_at(path, time_s, PIECE_FRAMES):
        stop = start + len(frames)
        yield Piece(content, frames, time_s[start:stop], stop == len(time_s))
        start = stop


def _pictures(
    content: str, paths: Sequence[Path], time_s: NDArray[np.float64], last: bool
) -> Iterator[Piece]:
    """Pieces of pictures of one size."""
    start = 0
    for frames in alike(paths):
        stop = start + len(frames)
        yield Piece(content, frames, time_s[start:stop], last and stop == len(paths))
        start = stop


def pictures_of(frames: pd.DataFrame, folder: Path) -> tuple[list[Path], NDArray[np.float64]]:
    """The pictures of a sequence in their order, and their times, or numbers if they have none.

    Args:
        frames: the rows of the table of frames that are the sequence's.
        folder: folder that `file` is relative to.
    """
    ordered = frames.sort_values("frame_index")
    column = "frame_index" if ordered["time_s"].isna().all() else "time_s"
    return [folder / file for file in ordered["file"]], ordered[column].to_numpy(np.float64)


def alike(paths: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
    """Pictures (T, H, W, 3), as many at once as follow each other and are of one size."""
    pictures = [picture_files.picture(path) for path in paths]
    for _, same in groupby(pictures, lambda pixels: pixels.shape):
        yield np.stack(list(same))


def one_ahead(parts: Iterator[P]) -> Iterator[P]:
    """The parts, each made by a thread while the one before it is used."""
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(next, parts, None)
        while (part := made.result()) is not None:
            made = pool.submit(next, parts, None)
            yield part


def _ahead(streams: Iterator[Iterator[Piece]]) -> Iterator[Piece]:
    """The pieces of all streams in order, made by threads that each work at another stream."""
    num_threads = min(_MAX_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(num_threads) as pool:

        def begun(stream: Iterator[Piece]) -> tuple[Iterator[Piece], "Future[Piece | None]"]:
            return stream, pool.submit(next, stream, None)

        begun_streams = deque(begun(stream) for stream in islice(streams, num_threads + 1))
        while begun_streams:
            stream, made = begun_streams[0]
            if (piece := made.result()) is not None:
                begun_streams[0] = begun(stream)
                yield piece
            else:
                begun_streams.popleft()
                begun_streams.extend(begun(stream) for stream in islice(streams, 1))
