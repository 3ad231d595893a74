"""CityGuessr's batches as Lightning asks for them.

Belongs here: which steps an epoch has, and for which process. Does not belong here: what a step
sees (features/data_module.py), the loop (models/fit.py).
"""

import pytorch_lightning as pl

from vidtag_ml.features.batches import StepSampler, in_order
from vidtag_ml.models.cityguessr.data import Batches, Labelled


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
