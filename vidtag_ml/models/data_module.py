"""Batches of a training as Lightning asks for them.

Belongs here: which steps an epoch has, and for which process. Does not belong here: what a step
sees (a `StepDataset`, of features/batches.py or of a system's `data`), the loop (fit.py).
"""

from typing import Generic

import pytorch_lightning as pl

from vidtag_ml.features.batches import Made, StepDataset, StepLoader, StepSampler, in_order


class StepDataModule(pl.LightningDataModule, Generic[Made]):
    """Train and val batches, made in the training process: cheaper than handing them over."""

    def __init__(
        self,
        train: StepDataset[Made],
        val: StepDataset[Made],
        *,
        batch_size: int,
        seed: int,
        val_seed: int = 0,
    ) -> None:
        """`batch_size` counts clips; the val split is seen in full, by every process."""
        super().__init__()
        self.train, self.val = train, val
        self.batch_size, self.seed, self.val_seed = batch_size, seed, val_seed

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps an epoch."""
        return len(self._sampler(0, 1))

    def train_dataloader(self) -> StepLoader[Made]:
        """Ready batches in the order of `StepSampler`."""
        rank, size = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return StepLoader(self.train, self._sampler(rank, size))

    def val_dataloader(self) -> StepLoader[Made]:
        """Ready batches, the same in each epoch."""
        return StepLoader(self.val, in_order(len(self.val), self.batch_size, self.val_seed))

    def _sampler(self, rank: int, world_size: int) -> StepSampler:
        return StepSampler(len(self.train), self.batch_size, self.seed, rank, world_size)
