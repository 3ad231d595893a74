"""Features by the workers of a Ray cluster: the same batches as of one process, so the same bytes.

All frames of all clips, one after the other, are cut into stretches of whole batches. A worker
decodes the clips of its stretch and encodes what of them belongs to it; only clips that lie on a
cut are decoded twice. Every worker must reach videos and weights by the same paths.

Belongs here: stretches, and clips put together from them. Does not belong here: Ray
(workflow/ray_workers.py), encoding and the store (extraction.py).
Shape legend: N pictures, D features.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from vidtag_ml.config import Features
from vidtag_ml.dataset.tables import Tables
from vidtag_ml.features import decoding, extraction
from vidtag_ml.features.decoding import Piece
from vidtag_ml.features.extraction import SHARD_FRAMES, Clip
from vidtag_ml.media import video, views
from vidtag_ml.workflow import ray_workers

_THREADS = 16
"""Videos that are asked at once how long they are."""


@dataclass(frozen=True)
class Stretch:
    """Consecutive frames of consecutive clips."""

    tables: Tables
    """The clips, without their fixes."""
    skip: int
    """Frames of the first clip that belong to the stretch before."""
    num: int
    """Frames of the stretch."""


def by_ray(
    tables: Tables, folder: Path, encoders_dir: Path, config: Features, clips: pd.DataFrame
) -> Iterator[list[Clip]]:
    """After each stretch the clips that it finished, in their order.

    Raises:
        VideoError: a video cannot be decoded; says which.
        ValueError: Ray is not installed, or an output does not fit into float16.
    """
    times = _times(clips, tables, folder, config.frames_per_second)
    begin = functools.partial(_begin, folder, encoders_dir, config)
    made = ray_workers.mapped(list(_stretches(clips, tables, times, config.batch_size)), begin)
    num_views, at = views.NUM[config.views], 0
    rows = np.zeros((0, 0), np.float16)
    for part in made:
        rows = np.concatenate([rows, part]) if len(rows) else part
        finished = []
        while at < len(times) and len(rows) >= (num := len(times[at]) * num_views):
            content = str(clips["content_md5"].iloc[at])
            features = torch.from_numpy(rows[:num].copy())
            finished.append(extraction.clip_of(content, times[at], features, num_views))
            rows, at = rows[num:], at + 1
        yield finished


def _times(
    clips: pd.DataFrame, tables: Tables, folder: Path, frames_per_second: float
) -> list[NDArray[np.float64]]:
    """The times of each clip's frames."""
    frames_of = {} if tables.frames is None else dict(list(tables.frames.groupby("clip_id")))

    def times_of(clip_id: str, kind: str, path: str) -> NDArray[np.float64]:
        if kind == "frames":
            return decoding.pictures_of(frames_of[clip_id], folder)[1]
        return video.sample_times(folder / path, frames_per_second)

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(times_of, clips["clip_id"], clips["kind"], clips["video_path"]))


def _stretches(
    clips: pd.DataFrame, tables: Tables, times: list[NDArray[np.float64]], batch_size: int
) -> Iterator[Stretch]:
    """All frames in stretches of whole batches, about as many as a shard has."""
    ends = np.cumsum([len(time_s) for time_s in times])
    length = max(1, SHARD_FRAMES // batch_size) * batch_size
    for start in range(0, int(ends[-1]) if len(ends) else 0, length):
        stop = min(start + length, int(ends[-1]))
        first, last = np.searchsorted(ends, [start, stop - 1], "right")
        part = clips.iloc[first : last + 1]
        frames = tables.frames
        if frames is not None:
            frames = frames[frames["clip_id"].isin(part["clip_id"])]
        some = dataclasses.replace(tables, clips=part, fixes=tables.fixes.iloc[:0], frames=frames)
        yield Stretch(some, start - int(ends[first]) + len(times[first]), stop - start)


def _begin(
    folder: Path, encoders_dir: Path, config: Features
) -> Callable[[Stretch], NDArray[np.float16]]:
    """A worker's function from a stretch to the features (N, D) of its pictures."""
    encoders = extraction.load_encoders(config, encoders_dir)

    def encode(stretch: Stretch) -> NDArray[np.float16]:
        clips, rate = stretch.tables.clips, config.frames_per_second
        decoded = decoding.of_clips(clips, stretch.tables, folder, rate)
        own = _cut(decoded, stretch.skip, stretch.num)
        batches = extraction.batches_of(own, encoders, config.batch_size, config.views)
        return torch.cat(list(batches)).numpy()

    return encode


def _cut(decoded: Iterator[Piece], skip: int, num: int) -> Iterator[Piece]:
    """Of the frames those that come after `skip` others, at most `num`."""
    at = 0
    for piece in decoded:
        own = slice(max(0, skip - at), max(0, skip + num - at))
        at += len(piece.time_s)
        if len(piece.time_s[own]):
            yield dataclasses.replace(
                piece, frames_THW3=piece.frames_THW3[own], time_s=piece.time_s[own]
            )
