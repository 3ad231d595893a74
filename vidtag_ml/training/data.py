"""Batches as Lightning asks for them: which steps an epoch has, and for which process.

Belongs here: data modules, which need Lightning and are nothing but loaders around the samples of
dataset.py, labelled.py and crossview_data.py. Does not belong here: what a step sees (there), the
loop (fit.py).
"""

from typing import Generic

import numpy as np
import pytorch_lightning as pl
from torch.utils.data import DataLoader

from vidtag_ml import crossview_data
from vidtag_ml.crossview_data import Kind, PairDataset
from vidtag_ml.dataset import Batch, ClipDataset, Frames, Step, StepSampler
from vidtag_ml.labelled import Batches, Labelled, in_order


class ClipDataModule(pl.LightningDataModule):
    """Train and val batches, made in the training process: cheaper than handing them over."""

    def __init__(
        self, train: Frames, val: Frames, *, batch_size: int, frames_per_clip: int, seed: int
    ) -> None:
        """`batch_size` counts clips; the val split is seen in full, by every process."""
        super().__init__()
        self.batch_size, self.seed = batch_size, seed
        self.train = ClipDataset(train, frames_per_clip, random=True)
        self.val = ClipDataset(val, frames_per_clip, random=False)

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps an epoch."""
        return len(StepSampler(len(self.train.frames.num_C), self.batch_size, self.seed))

    def train_dataloader(self) -> "DataLoader[Batch]":
        """Ready batches in the order of `StepSampler`."""
        rank, size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        sampler = StepSampler(len(self.train.frames.num_C), self.batch_size, self.seed, rank, size)
        return DataLoader(self.train, batch_size=None, sampler=sampler)

    def val_dataloader(self) -> "DataLoader[Batch]":
        """Ready batches, the same in each epoch."""
        every = np.arange(len(self.val.frames.num_C))
        parts = np.split(every, range(self.batch_size, len(every), self.batch_size))
        steps = [Step(part, self.seed + k) for k, part in enumerate(parts)]
        return DataLoader(self.val, batch_size=None, sampler=steps)


class LabelledDataModule(pl.LightningDataModule):
    """Train and val batches; pixels are decoded ahead."""

    def __init__(self, train: Labelled, val: Labelled, *, batch_size: int, seed: int) -> None:
        """`batch_size` counts clips; the val split is seen in full, by every process."""
        super().__init__()
        self.train, self.val, self.batch_size, self.seed = train, val, batch_size, seed

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps an epoch."""
        return len(self._sampler(0, 1))

    def train_dataloader(self) -> Batches:
        """Ready batches in the order of `StepSampler`."""
        rank, size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return Batches(self.train, self._sampler(rank, size), random=True)

    def val_dataloader(self) -> Batches:
        """Ready batches, the same in each epoch."""
        steps = in_order(len(self.val.classes_C4), self.batch_size)
        return Batches(self.val, steps, random=False)

    def _sampler(self, rank: int, world_size: int) -> StepSampler:
        num = len(self.train.classes_C4)
        return StepSampler(num, self.batch_size, self.seed, rank, world_size)


class PairDataModule(pl.LightningDataModule, Generic[Kind]):
    """Train and val batches."""

    def __init__(self, train: Kind, val: Kind, *, batch_size: int, seed: int) -> None:
        """`batch_size` counts drives; the val split is seen in full, by every process."""
        super().__init__()
        self.train: Kind = train
        self.val: Kind = val
        self.batch_size, self.seed = batch_size, seed

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps an epoch."""
        return len(self._sampler(0, 1))

    def train_dataloader(self) -> "DataLoader[crossview_data.Batch]":
        """Ready batches in the order of `StepSampler`."""
        rank, size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        steps = PairDataset(self.train, random=True)
        return DataLoader(steps, batch_size=None, sampler=self._sampler(rank, size))

    def val_dataloader(self) -> "DataLoader[crossview_data.Batch]":
        """Ready batches, the same in each epoch."""
        steps = in_order(len(self.val.drives), self.batch_size)
        return DataLoader(PairDataset(self.val, random=False), batch_size=None, sampler=steps)

    def _sampler(self, rank: int, world_size: int) -> StepSampler:
        return StepSampler(len(self.train.drives), self.batch_size, self.seed, rank, world_size)
