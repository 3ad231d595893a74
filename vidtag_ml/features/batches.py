"""Training data: all frames of a split in a few contiguous tensors, and batches cut out of them.

A batch is one index operation: the sampler names the clips of a step, frames are drawn by
arithmetic on all of them at once. Everything random in a step follows from (seed, epoch, step), so
that a resumed training sees what an uninterrupted one would have seen.

Belongs here: which clips and frames a step sees. Does not belong here: where features come from
(extraction.py), positions from fixes (dataset/tables.py), noise and losses
(models/gps_retrieval/losses.py, models/vidtag/losses.py). Shape legend: C clips, F frames of a
split, B clips of a batch, T frames a clip, D features, E embedding, 2 = (lat, lon) in degrees.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.dataset.tables import Tables
from vidtag_ml.features.store import FeatureStore

Indices = NDArray[np.int64]
Made = TypeVar("Made")
"""What a step sees: the batches of a system."""


@dataclass(frozen=True)
class Frames:
    """All frames of some clips that have a position, clip after clip."""

    features_FD: Tensor
    """Cached features (any float type), or frame embeddings in Phase II."""
    latlon_F2: Tensor
    """True positions, float64."""
    time_F: Tensor
    """Seconds from the clip's first frame, float32."""
    first_C: Indices
    """Row of each clip's first frame."""
    num_C: Indices
    """Frames of each clip, at least one."""
    truth_FE: Tensor | None = None
    """Phase II: embeddings of the true positions."""
    predicted_FE: Tensor | None = None
    """Phase II: embeddings of the positions that Phase I predicts."""

    def __post_init__(self) -> None:
        """Checks that the parts fit together."""
        num = len(self.features_FD)
        _check("features_FD", self.features_FD, (num, self.features_FD.shape[-1]))
        _check("latlon_F2", self.latlon_F2, (num, 2))
        _check("time_F", self.time_F, (num,))
        if len(self.num_C) == 0 or self.num_C.min() < 1 or self.num_C.sum() != num:
            raise ValueError(f"clips of {self.num_C.tolist()} frames do not make {num} frames")

    @classmethod
    def load(cls, store: FeatureStore, tables: Tables, split: str, max_gap_s: float) -> "Frames":
        """The frames of a split; frames without a position, in a gap of the fixes, are left out.

        Raises:
            ValueError: the split has no frame with a position, or a clip is not in the store.
        """
        names = tables.clips.loc[tables.clips["split"] == split, "clip_id"]
        features, latlon, time = [], [], []
        for name in names:
            clip = store.clip(name)
            latlon_T2, valid_T = clip_tables.clip_positions(tables, name, clip.time_s, max_gap_s)
            if valid_T.any():
                features.append(clip.features_TD[torch.from_numpy(valid_T)])
                latlon.append(latlon_T2[valid_T])
                time.append(clip.time_s[valid_T])
        if not features:
            raise ValueError(f"split {split!r} has no frame with a position; see `vidtag ingest`")
        num_C = np.array([len(t) for t in time], np.int64)
        return cls(
            torch.cat(features),
            torch.from_numpy(np.concatenate(latlon)),
            torch.from_numpy(np.concatenate(time)).float(),
            np.cumsum(num_C) - num_C,
            num_C,
        )

    @classmethod
    def joined(cls, parts: "Sequence[Frames]") -> "Frames":
        """The clips of several, one behind the other; all are of one phase."""
        num_C = np.concatenate([part.num_C for part in parts])
        columns = {
            field.name: [getattr(part, field.name) for part in parts]
            for field in fields(cls)
            if isinstance(getattr(parts[0], field.name), Tensor)
        }
        joined = {name: torch.cat(tensors) for name, tensors in columns.items()}
        return cls(**joined, first_C=np.cumsum(num_C) - num_C, num_C=num_C)

    def batch(self, rows_BT: Indices, valid_BT: NDArray[np.bool_], seed: int) -> "Batch":
        """The frames in `rows_BT`, of which those that are not valid are padding."""
        rows_N = torch.from_numpy(rows_BT).flatten()

        def pick(column: Tensor) -> Tensor:
            return column.index_select(0, rows_N).view(*rows_BT.shape, *column.shape[1:])

        return Batch(
            pick(self.features_FD).float(),
            pick(self.latlon_F2),
            pick(self.time_F),
            torch.from_numpy(valid_BT),
            seed,
            None if self.truth_FE is None else pick(self.truth_FE),
            None if self.predicted_FE is None else pick(self.predicted_FE),
        )

    def whole(self, clips_B: Indices) -> tuple[Indices, NDArray[np.bool_]]:
        """Rows (B, T) of all frames of some clips, and which of them are not padding."""
        num = self.num_C[clips_B, None]
        step = np.arange(num.max())[None]
        return self.first_C[clips_B, None] + np.minimum(step, num - 1), step < num

    def chosen(
        self, clips_B: Indices, num_frames: int, rng: np.random.Generator | None
    ) -> tuple[Indices, NDArray[np.bool_]]:
        """Rows (B, num_frames), one from each of as many equal cells of each clip.

        With `rng` None the middle of each cell. A clip with fewer frames gives all, and padding.
        """
        num = self.num_C[clips_B, None]
        cell = np.arange(num_frames)[None]
        low, high = cell * num // num_frames, (cell + 1) * num // num_frames
        part = 0.5 if rng is None else rng.random((len(clips_B), num_frames))
        drawn = low + (part * (high - low)).astype(np.int64)
        step = np.where(num >= num_frames, drawn, np.minimum(cell, num - 1))
        return self.first_C[clips_B, None] + step, cell < num


@dataclass(frozen=True)
class Batch:
    """What one step sees; `seed` is the source of everything random in it."""

    features_BTD: Tensor
    latlon_BT2: Tensor
    time_BT: Tensor
    valid_BT: Tensor
    seed: int
    truth_BTE: Tensor | None = None
    predicted_BTE: Tensor | None = None

    def __post_init__(self) -> None:
        """Checks shapes."""
        shape = self.features_BTD.shape
        _check("features_BTD", self.features_BTD, (*shape[:2], shape[-1]))
        _check("latlon_BT2", self.latlon_BT2, (*shape[:2], 2))
        _check("time_BT", self.time_BT, tuple(shape[:2]))
        _check("valid_BT", self.valid_BT, tuple(shape[:2]))

    def to(self, device: torch.device | str) -> "Batch":
        """The batch on another device."""
        parts = [getattr(self, field.name) for field in fields(self)]
        moved: list[Any] = [p.to(device) if isinstance(p, Tensor) else p for p in parts]
        return Batch(*moved)

    def __len__(self) -> int:
        """Clips."""
        return len(self.valid_BT)

    def generator(self, rank: int = 0) -> torch.Generator:
        """A fresh CPU generator at the batch's seed; another for each process that asks by rank."""
        return torch.Generator().manual_seed(self.seed + rank)


@dataclass(frozen=True)
class Step:
    """Clips of one step of an epoch, the seed of all its draws, and this process's share of them.

    Frames are drawn for all clips, so that several processes together see what one would see.
    """

    clips_B: Indices
    seed: int
    rank: int = 0
    world_size: int = 1


class StepSampler(Sampler[Step]):
    """The steps of an epoch, a function of (seed, epoch): the clips shuffled and cut in batches.

    The last, smaller batch is left out, if it is not the only one. Of several processes, each takes
    every `world_size`-th clip of each batch, as many as every other.
    """

    def __init__(
        self, num_clips: int, batch_size: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        """`batch_size` counts the clips of all processes together.

        Raises:
            ValueError: a batch cannot be shared equally among the processes.
        """
        self.num_clips, self.batch_size, self.seed = num_clips, min(batch_size, num_clips), seed
        self.rank, self.world_size, self.epoch = rank, world_size, 0
        if self.batch_size % world_size:
            raise ValueError(f"batches of {self.batch_size} clips for {world_size} processes")

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch; Lightning calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Steps an epoch."""
        return self.num_clips // self.batch_size

    def __iter__(self) -> Iterator[Step]:
        """The steps of the chosen epoch."""
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.num_clips)
        for step in range(len(self)):
            batch = order[step * self.batch_size : (step + 1) * self.batch_size]
            state = np.random.SeedSequence([self.seed, self.epoch, step, 0])
            seed = int(state.generate_state(1, np.uint32)[0])
            yield Step(batch, seed, self.rank, self.world_size)


def in_order(num_clips: int, batch_size: int, seed: int = 0) -> list[Step]:
    """Steps that see each clip once; their seeds count up from `seed`."""
    every = np.arange(num_clips)
    parts = np.split(every, range(batch_size, num_clips, batch_size))
    return [Step(part, seed + k) for k, part in enumerate(parts)]


class StepDataset(Dataset[Made]):
    """Batches by step: an item is what this process sees of a step."""

    num_threads = 0
    """Threads that make batches ahead, where that takes as long as a step; 0 = none is needed."""

    def __len__(self) -> int:
        """Clips, of which steps name some."""
        raise NotImplementedError


class StepLoader(Generic[Made]):
    """Batches in the order of their steps; what takes long is made ahead, by threads."""

    batch_sampler = None  # Lightning asks for it wherever there is a sampler

    def __init__(self, dataset: StepDataset[Made], sampler: StepSampler | Sequence[Step]) -> None:
        """Lightning tells `sampler` which epoch it is."""
        self.dataset, self.sampler = dataset, sampler

    def __len__(self) -> int:
        """Steps an epoch."""
        return len(self.sampler)

    def __iter__(self) -> Iterator[Made]:
        """The batches of the sampler's steps."""
        num, made = self.dataset.num_threads, self.dataset.__getitem__
        if not num:
            yield from map(made, self.sampler)
            return
        with ThreadPoolExecutor(num) as pool:
            steps = iter(self.sampler)
            ahead = deque(pool.submit(made, step) for step in islice(steps, num))
            while ahead:
                batch = ahead.popleft().result()
                ahead.extend(pool.submit(made, step) for step in islice(steps, 1))
                yield batch


class ClipDataset(StepDataset[Batch]):
    """Of each clip a frame from each of `frames_per_clip` equal cells."""

    def __init__(self, frames: Frames, frames_per_clip: int, *, random: bool) -> None:
        """With `random` False the middle of each cell is taken."""
        self.frames, self.frames_per_clip, self.random = frames, frames_per_clip, random

    def __len__(self) -> int:
        """Clips."""
        return len(self.frames.num_C)

    def __getitem__(self, step: Step) -> Batch:
        """The batch of a step."""
        rng = np.random.default_rng(step.seed) if self.random else None
        rows, valid = self.frames.chosen(step.clips_B, self.frames_per_clip, rng)
        mine = slice(step.rank, None, step.world_size)
        return self.frames.batch(rows[mine], valid[mine], step.seed)


def _check(name: str, value: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(value.shape) != shape:
        raise ValueError(f"{name} has shape {tuple(value.shape)}, not {shape}")
