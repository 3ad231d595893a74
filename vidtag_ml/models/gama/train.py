"""Training of GAMa-Net and of the screening network (docs/specs/gama.md, sections 4, 7 and 8).

Belongs here: the step, the optimiser's schedule, `train_gama` and `train_screening`, and embedding
what they are searched in. Does not belong here: losses (losses.py), networks (network.py),
batches (data.py), the loop (models/fit.py), searches (screening.py, evaluate.py).
Shape legend: N clips, V videos, G tiles or regions, C channels, T frames, S tiles of a sequence,
H W pixels, E common space.
"""

import dataclasses
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning.loggers import Logger
from torch import Tensor, distributed

from vidtag_ml import config
from vidtag_ml.models import base, fit
from vidtag_ml.models.data_module import StepDataModule
from vidtag_ml.models.gama import data as gama_data
from vidtag_ml.models.gama import embedding, losses, screening
from vidtag_ml.models.gama import network as networks
from vidtag_ml.models.gama.data import (
    Batch,
    CrossViewData,
    DriveFixes,
    Kind,
    PairDataset,
    Pairs,
    PixelStore,
    Sequences,
)
from vidtag_ml.models.gama.embedding import TRUE_TILES, embed_areas
from vidtag_ml.models.task import Task
from vidtag_ml.retrieval import embeddings

Indices = NDArray[np.int64]
Embed = Callable[[Tensor], Tensor]


class Alignment(Task):
    """Brings two encoders' vectors of what belongs together close to each other."""

    def __init__(
        self,
        model: base.Model,
        embed: tuple[Embed, Embed],
        loss: config.GamaTraining,
        settings: config.Training,
        milestones: Sequence[int],
        steps_per_epoch: int,
    ) -> None:
        """`embed` reads the left and the right of a batch with the parameters of `model`."""
        super().__init__(model, settings, steps_per_epoch)
        self.embed, self.loss, self.milestones = embed, loss, tuple(milestones)

    def training_loss(self, batch: Batch) -> Tensor:
        """The loss of the pairs of all processes."""
        return self._loss(*(fit.joined(vectors) for vectors in self._vectors(batch)))

    def validation_loss(self, batch: Batch) -> Tensor:
        """The loss of a val batch's pairs."""
        return self._loss(*self._vectors(batch))

    def configure_optimizers(self) -> Any:
        """Adam that is not fused; its rate falls by `decay` at each milestone."""
        trained, steps = self.model.parameters(), self.steps_per_epoch
        return fit.adam(trained, self.settings, steps, self.milestones, fused=False)

    def _vectors(self, batch: Batch) -> tuple[Tensor, Tensor]:
        left, right = self.embed
        return left(batch.left).float(), right(batch.right).float()

    def _loss(self, left_BE: Tensor, right_BE: Tensor) -> Tensor:
        with torch.autocast(left_BE.device.type, enabled=False):
            if self.loss.loss == "triplet":
                return losses.triplet(left_BE, right_BE, self.loss.margin)
            return losses.nt_xent(left_BE, right_BE, self.loss.temperature)


def pair_data(train: Kind, val: Kind, settings: config.Training) -> StepDataModule[Batch]:
    """Batches as a training's settings ask for them; `batch_size` counts drives."""
    return StepDataModule(
        PairDataset(train, random=True),
        PairDataset(val, random=False),
        batch_size=settings.batch_size,
        seed=settings.seed,
    )


def train_gama(
    settings: config.GamaTraining, world: CrossViewData, out: Path, logger: Logger | None = None,
    progress: bool = True,
) -> networks.GAMaNet:  # fmt: skip
    """GAMa-Net in evaluation mode, written to `out` with the embeddings of all tiles.

    Args:
        settings: of the networks and their training.
        world: what is learnt.
        out: folder; an interrupted training in it is resumed.
        logger: receives the losses of each epoch.
        progress: whether to tell a person how far it is.

    Raises:
        ValueError: no video can be learnt from, or weights to start from are missing.
    """
    if not _is_trained(out):
        torch.manual_seed(settings.seed)
        model = networks.GAMaNet(config.part(settings, config.GamaNetwork))
        _start(model.ground.network, settings.ground_start, world.weights)
        _start(model.aerial.network, settings.aerial_start, world.weights)
        train, val = (
            Pairs(gama_data.trainable(drives), world.footage, settings)
            for drives in (world.train, world.val)
        )
        data = pair_data(train, val, settings)
        embed = (model.embed_clips, model.embed_tiles)
        per_epoch = data.steps_per_epoch
        module = Alignment(model, embed, settings, settings, settings.milestones, per_epoch)
        fit.finish(model, fit.fit(module, data, settings, out, logger, progress))
    _by_the_first_process(lambda: _with_tiles(out, settings, world))
    return embedding.read_gama(out)


def _with_tiles(out: Path, settings: config.GamaTraining, world: CrossViewData) -> None:
    model = embedding.read_gama(out)
    embed_areas(model.embed_tiles, world.tiles, settings, out, world.imagery)


def train_screening(
    settings: config.Screening, gama: config.GamaTraining, gama_folder: Path, world: CrossViewData,
    out: Path, logger: Logger | None = None, progress: bool = True,
) -> networks.Screening:  # fmt: skip
    """The screening network in evaluation mode, written to `out` with all regions' embeddings.

    It learns true sequences of tiles first; what it is then lies in `out/true_tiles`. Then it
    learns those that GAMa-Net finds for the train videos among their tiles.

    Args:
        settings: of the networks and their training.
        gama: GAMa-Net's settings; its crops, augmentation and loss are used here, too.
        gama_folder: the trained GAMa-Net.
        world: what is learnt.
        out: folder; an interrupted training in it is resumed.
        logger: receives the losses of each epoch.
        progress: whether to tell a person how far it is.

    Raises:
        ValueError: weights to start from are missing.
    """
    first = out / TRUE_TILES
    train, val = (
        Sequences(drives, world.footage, gama, settings.frames_per_clip)
        for drives in (world.train, world.val)
    )
    if not _is_trained(first):
        torch.manual_seed(settings.seed)
        model = networks.Screening(config.part(settings, config.ScreeningNetwork))
        _start(model.small.network, settings.small_start, world.weights)
        _start(model.large.network, settings.large_start, world.weights)
        _fit(model, settings, gama, settings.milestones, (train, val), first, logger, progress)
    _by_the_first_process(lambda: _with_regions(first, gama, world))
    model = embedding.read_screening(first)
    if settings.fine_tune_epochs == 0:
        _by_the_first_process(lambda: shutil.copytree(first, out, dirs_exist_ok=True))
        return model
    if not _is_trained(out):
        predicted = [
            Sequences(drives, world.footage, gama, settings.frames_per_clip, found)
            for drives in (world.train, world.val)
            for found in [predicted_tiles(gama_folder, gama, drives, world.footage, settings)]
        ]
        fine = dataclasses.replace(
            settings, epochs=settings.fine_tune_epochs, batch_size=settings.fine_tune_batch_size
        )
        both = (predicted[0], predicted[1])
        milestones = settings.fine_tune_milestones
        _fit(model.train(), fine, gama, milestones, both, out, logger, progress)
    _by_the_first_process(lambda: _with_regions(out, gama, world))
    return embedding.read_screening(out)


def _with_regions(out: Path, gama: config.GamaTraining, world: CrossViewData) -> None:
    model = embedding.read_screening(out)
    embed_areas(model.embed_regions, world.regions, gama, out, world.imagery)


def _is_trained(out: Path) -> bool:
    """Whether a training that was interrupted later, by its embeddings, was complete."""
    return (out / "model.safetensors").exists() and not (out / fit.CHECKPOINT).exists()


def _by_the_first_process(act: Callable[[], object]) -> None:
    """Of processes that train together one writes files, and the others wait for it."""
    if os.environ.get("RANK", "0") == "0":
        act()
    if distributed.is_initialized():
        distributed.barrier()


def _fit(
    model: networks.Screening, settings: config.Screening, gama: config.GamaTraining,
    milestones: Sequence[int], samples: tuple[Sequences, Sequences], out: Path,
    logger: Logger | None, progress: bool,
) -> None:  # fmt: skip
    data = pair_data(*samples, settings)
    embed = (model.embed_videos, model.embed_regions)
    module = Alignment(model, embed, gama, settings, milestones, data.steps_per_epoch)
    fit.finish(model, fit.fit(module, data, settings, out, logger, progress))


def predicted_tiles(
    gama_folder: Path,
    settings: config.GamaTraining,
    drives: Sequence[DriveFixes],
    footage: PixelStore,
    screened: config.Screening,
) -> list[Indices]:
    """Tiles (S,) of each drive: those that GAMa-Net finds for its clips among all drives' tiles."""
    model = embedding.read_gama(gama_folder)
    rows = np.unique(np.concatenate([drive.tile_N for drive in drives]))
    tiles_ME = embeddings.read(gama_folder / embedding.FILE)[torch.from_numpy(rows)].float()
    seen = embedding.clips_seen(drives, footage, settings)
    found = rows[
        screening.first_tiles(
            embedding.embed_clips(model, settings, seen, drives, footage), tiles_ME
        )
    ]
    drive_N = np.array([drive for drive, _ in seen])
    return [
        screening.tile_sequence(found[drive_N == k], screened.frames_per_clip)
        for k in range(len(drives))
    ]


def _start(network: networks.ResidualNetwork, name: str | None, folder: Path) -> None:
    if name is not None:
        networks.load_published(network, folder / f"{name}.safetensors")
