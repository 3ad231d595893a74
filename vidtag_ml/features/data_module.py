"""Batches of cached features as Lightning asks for them.

Belongs here: which steps an epoch has, and for which process. Does not belong here: what a step
sees (batches.py), the loop (models/fit.py).
"""

import numpy as np
import pytorch_lightning as pl
from torch.utils.data import DataLoader

from vidtag_ml.features.batches import Batch, ClipDataset, Frames, Step, StepSampler


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
