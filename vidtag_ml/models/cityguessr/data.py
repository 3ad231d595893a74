"""Labelled videos: the frames that a classifier of videos sees, and the classes they belong to.

Two kinds of frames give the same batches: features that are cached (features/extraction.py), and
pixels that are decoded when they are asked for. What is random in a step follows from its seed, as
in features/batches.py.

Belongs here: which frames of a clip are seen, batches with classes and scene labels. Does not
belong here: classes (dataset/hierarchy.py), scene labels (dataset/scenes.py), decoding
(features/decoding.py, media/video.py). Shape legend: C clips, B clips of a batch, T frames, X what
a frame is (D features, or 3 S S pixels), K classes of a level, S scenes, 4 = city, state, country,
continent.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidtag_ml.dataset.tables import Tables
from vidtag_ml.features import batches as features_batches
from vidtag_ml.features.batches import Frames, Step, StepDataset, StepLoader
from vidtag_ml.features.store import FeatureStore
from vidtag_ml.media import pictures, video, views

if TYPE_CHECKING:
    from vidtag_ml.models.cityguessr.network import CityGuessr


_MAX_THREADS = 8
Seen = tuple[Tensor, Tensor, Tensor]
"""frames_BTX, valid_BT (True at real frames) and time_BT (seconds from the clip's first frame)."""

Indices = NDArray[np.int64]


class Videos(Protocol):
    """Some clips whose frames can be seen."""

    clip_ids: list[str]
    """Which clips, in the order of their numbers."""
    num_threads: int
    """Threads that make batches ahead, because that takes as long as a step; 0 = none is needed."""

    def seen(self, clips_B: Indices, rng: np.random.Generator | None) -> Seen:
        """What is seen of some clips; with `rng` None what stands for them best."""


class CachedVideos:
    """Clips as cached features: one frame from each of as many equal cells."""

    num_threads = 0

    def __init__(self, store: FeatureStore, clip_ids: Sequence[str], num_frames: int) -> None:
        """Reads all features of the clips into memory.

        Raises:
            ValueError: there is no clip, or one has no features.
        """
        if not clip_ids:
            raise ValueError("no clip is given: a split is empty")
        self.clip_ids, self.num_frames = list(clip_ids), num_frames
        read = [store.clip(name) for name in clip_ids]
        num_C = np.array([len(clip.time_s) for clip in read], np.int64)
        times = torch.from_numpy(np.concatenate([clip.time_s for clip in read])).float()
        self.frames = Frames(
            torch.cat([clip.features_TD for clip in read]),
            torch.full((len(times), 2), torch.nan, dtype=torch.float64),  # labels, not positions
            times,
            np.cumsum(num_C) - num_C,
            num_C,
        )

    def seen(self, clips_B: Indices, rng: np.random.Generator | None) -> Seen:
        """Features of a random frame of each cell, or of the middle one."""
        batch = self.frames.batch(*self.frames.chosen(clips_B, self.num_frames, rng), seed=0)
        return batch.features_BTD, batch.valid_BT, batch.time_BT


class DecodedVideos:
    """Clips as pixels, squeezed to squares: frames 0, 5, 10 ...

    See docs/specs/cityguessr.md, section 5.
    """

    def __init__(
        self, tables: Tables, folder: Path, clip_ids: Sequence[str], num_frames: int, stride: int,
        size: int,
    ) -> None:  # fmt: skip
        """Notes where the clips' files lie.

        Args:
            tables: clips, and frames of those that are sequences of pictures.
            folder: folder that `video_path` and `file` are relative to.
            clip_ids: which clips.
            num_frames: frames of each clip.
            stride: every so many-th frame, if there are enough.
            size: side of the squares.
        """
        self.clip_ids, self.num_threads = list(clip_ids), min(_MAX_THREADS, os.cpu_count() or 1)
        self.folder, self.num_frames, self.stride, self.size = folder, num_frames, stride, size
        self.clips = tables.clips.set_index("clip_id").loc[self.clip_ids]
        self.files: dict[str, list[str]] = {}
        if tables.frames is not None:
            ordered = tables.frames.sort_values("frame_index")
            self.files = {
                str(clip): rows.tolist() for clip, rows in ordered.groupby("clip_id")["file"]
            }

    def seen(self, clips_B: Indices, rng: np.random.Generator | None) -> Seen:  # noqa: ARG002
        """Squares (B, T, 3, S, S), uint8; all frames are valid."""
        read = [self._read(self.clip_ids[k]) for k in clips_B.tolist()]
        squares = torch.stack([squares for squares, _ in read])
        times = torch.stack([torch.from_numpy(time_s).float() for _, time_s in read])
        return squares, torch.ones_like(times, dtype=torch.bool), times

    def _read(self, clip_id: str) -> tuple[Tensor, NDArray[np.float64]]:
        row = self.clips.loc[clip_id]
        if row["kind"] == "video":
            return decoded(self.folder / row["video_path"], self.num_frames, self.stride, self.size)
        files = [self.folder / file for file in self.files[clip_id]]
        return pictured(files, self.num_frames, self.stride, self.size)


def pictured(
    files: Sequence[Path], num_frames: int, stride: int, size: int
) -> tuple[Tensor, NDArray[np.float64]]:
    """Squares (T, 3, S, S), uint8, of the sampled pictures of a sequence, and their numbers."""
    which_T = sampled(len(files), num_frames, stride)
    squares = {k: _square(pictures.picture(files[k])[None], size) for k in which_T}
    return torch.cat([squares[k] for k in which_T]), which_T.astype(float)


def decoded(
    path: Path, num_frames: int, stride: int, size: int
) -> tuple[Tensor, NDArray[np.float64]]:
    """Squares (T, 3, S, S), uint8, of a video's sampled frames, and their times (T,) in seconds."""
    time_s = video.sample_times(path, video.probe(path).fps)
    time_s = time_s[sampled(len(time_s), num_frames, stride)]
    wanted_s, which_T = np.unique(time_s, return_inverse=True)
    parts = [_square(frames, size) for frames, _ in video.batches_at(path, wanted_s, num_frames)]
    return torch.cat(parts)[which_T], time_s


def _square(frames_THW3: NDArray[np.uint8], size: int) -> Tensor:
    return views.squares(torch.from_numpy(frames_THW3), size, "whole").squeeze(1)


def middles(num_frames: int, wanted: int) -> Indices:
    """The frame in the middle of each of `wanted` equal cells; all frames if there are no more."""
    if num_frames <= wanted:
        return np.arange(num_frames)
    edges = np.arange(wanted + 1) * num_frames // wanted
    return np.asarray((edges[:-1] + edges[1:]) // 2)


def sampled(num_frames: int, wanted: int, stride: int) -> Indices:
    """Numbers (T,) of the frames that are seen of a clip (docs/specs/cityguessr.md, section 5).

    Every `stride`-th frame from the first, if there are enough; else as far apart as the clip
    allows, and the last one again and again where it is too short.

    >>> sampled(100, 16, 5)[-1], sampled(31, 16, 5)[-1], sampled(2, 4, 5).tolist()
    (75, 30, [0, 1, 1, 1])
    """
    if num_frames <= (wanted - 1) * stride:
        stride = max(1, (num_frames - 1) // (wanted - 1))
    return np.minimum(np.arange(wanted) * stride, num_frames - 1)


@dataclass(frozen=True)
class Labelled:
    """Clips with what they are to be taken for."""

    videos: Videos
    """What is seen of them."""
    classes_C4: Tensor
    """Class at each level, int64; -1 = it is none of the classes."""
    scenes_CS: Tensor | None = None
    """Shares of scene classes, float32, if scenes are learned as well."""

    def __post_init__(self) -> None:
        """Checks that all parts are of the same clips."""
        num = len(self.videos.clip_ids)
        for name in ("classes_C4", "scenes_CS"):
            part = getattr(self, name)
            if part is not None and len(part) != num:
                raise ValueError(f"{name} is of {len(part)} clips, not of {num}")

    def batch(self, step: Step, rng: np.random.Generator | None) -> "LabelledBatch":
        """This process's share of the clips of a step."""
        mine_B = step.clips_B[step.rank :: step.world_size]
        frames_BTX, valid_BT, time_BT = self.videos.seen(mine_B, rng)
        rows_B = torch.from_numpy(np.ascontiguousarray(mine_B))
        scenes_BS = None if self.scenes_CS is None else self.scenes_CS[rows_B]
        classes_B4 = self.classes_C4[rows_B]
        return LabelledBatch(frames_BTX, valid_BT, time_BT, classes_B4, scenes_BS, step.seed)


@dataclass(frozen=True)
class LabelledBatch:
    """What one step sees; `seed` is the source of everything random in it."""

    frames_BTX: Tensor
    valid_BT: Tensor
    time_BT: Tensor
    classes_B4: Tensor
    scenes_BS: Tensor | None
    seed: int

    def to(self, device: torch.device | str) -> "LabelledBatch":
        """The batch on another device."""
        parts = [getattr(self, field.name) for field in fields(self)]
        moved: list[Any] = [p.to(device) if isinstance(p, Tensor) else p for p in parts]
        return LabelledBatch(*moved)

    def __len__(self) -> int:
        """Clips."""
        return len(self.valid_BT)


class LabelledDataset(StepDataset[LabelledBatch]):
    """Batches of labelled clips by step; pixels are decoded ahead."""

    def __init__(self, clips: Labelled, *, random: bool) -> None:
        """With `random`, frames are drawn."""
        self.clips, self.random, self.num_threads = clips, random, clips.videos.num_threads

    def __len__(self) -> int:
        """Clips."""
        return len(self.clips.classes_C4)

    def __getitem__(self, step: Step) -> LabelledBatch:
        """The batch of a step."""
        return self.clips.batch(step, np.random.default_rng(step.seed) if self.random else None)


@torch.inference_mode()
def logits(model: "CityGuessr", clips: Labelled, batch_size: int) -> list[NDArray[np.float64]]:
    """Logits (C, K) of each level, city first; `model` is in evaluation mode."""
    parts: list[tuple[Tensor, ...]] = []
    steps = features_batches.in_order(len(clips.classes_C4), batch_size)
    for batch in StepLoader(LabelledDataset(clips, random=False), steps):
        seen = batch.to(model.temperatures.device)
        parts.append(model.logits(seen.frames_BTX, seen.valid_BT, seen.time_BT))
    return [
        np.asarray(torch.cat(level).double().cpu().numpy()) for level in zip(*parts, strict=True)
    ]
