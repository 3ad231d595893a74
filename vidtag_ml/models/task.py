"""What a step of every training does; a training says what its loss is.

Belongs here: the seed of a step, val_loss, the optimiser of most. Does not belong here: losses
(`losses` of each system), batches (data_module.py), the loop (fit.py).
"""

from collections.abc import Sized
from typing import Any, Protocol

import pytorch_lightning as pl
import torch
from torch import Tensor

from vidtag_ml import config
from vidtag_ml.models import base, fit


class SeededBatch(Sized, Protocol):
    """What one step sees; its length counts clips, its seed is the source of all that is random."""

    @property
    def seed(self) -> int:
        """Equal in all processes that share a step."""


class Task(pl.LightningModule):
    """Trains what of a model takes gradients; a subclass has the losses."""

    def __init__(self, model: base.Model, settings: config.Training, steps_per_epoch: int) -> None:
        """A subclass that narrows types says so in annotations."""
        super().__init__()
        self.model, self.settings, self.steps_per_epoch = model, settings, steps_per_epoch

    def training_loss(self, batch: Any) -> Tensor:
        """The loss of a train batch, over all processes' clips."""
        raise NotImplementedError

    def validation_loss(self, batch: Any) -> Tensor:
        """The loss of a val batch, which every process sees in full."""
        raise NotImplementedError

    def training_step(self, batch: SeededBatch, _batch_idx: int) -> Tensor:
        """The loss of a batch; dropout, noise and negatives follow from the batch's seed."""
        torch.manual_seed(batch.seed + self.global_rank)
        return self.training_loss(batch)

    def validation_step(self, batch: SeededBatch, _batch_idx: int) -> None:
        """Logs the loss of a val batch."""
        self.log("val_loss", self.validation_loss(batch), batch_size=len(batch), logger=False)

    def configure_optimizers(self) -> Any:
        """Adam over what is trained."""
        trained = [p for p in self.model.parameters() if p.requires_grad]
        return fit.adam(trained, self.settings, self.steps_per_epoch)
