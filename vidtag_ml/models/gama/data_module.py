"""GAMa's batches as Lightning asks for them.

Belongs here: which steps an epoch has, and for which process. Does not belong here: what a step
sees (features/data_module.py), the loop (models/fit.py).
"""

from typing import Generic

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from vidtag_ml.features.batches import StepSampler, in_order
from vidtag_ml.models.gama import data
from vidtag_ml.models.gama.data import Kind, PairDataset


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

    def train_dataloader(self) -> "DataLoader[data.Batch]":
        """Ready batches in the order of `StepSampler`."""
        rank, size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        steps = PairDataset(self.train, random=True)
        return DataLoader(steps, batch_size=None, sampler=self._sampler(rank, size))

    def val_dataloader(self) -> "DataLoader[data.Batch]":
        """Ready batches, the same in each epoch."""
        steps = in_order(len(self.val.drives), self.batch_size)
        return DataLoader(PairDataset(self.val, random=False), batch_size=None, sampler=steps)

    def _sampler(self, rank: int, world_size: int) -> StepSampler:
        return StepSampler(len(self.train.drives), self.batch_size, self.seed, rank, world_size)
