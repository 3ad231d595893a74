"""Frames and coordinates meet in one space (docs/specs/vidtag.md, sections 4.1, 5).

Belongs here: the contrastive step and its data, shared by VidTAG's Phase I and the fine-tuning of
GeoCLIP. Does not belong here: the loss itself (losses.py), the loop (models/fit.py), what each
model starts from (vidtag/phase_one.py, geoclip/train.py). Shape legend: B clips, T frames, U units
of a clip (its frames, or itself), N units of a batch, Q the queue, M random coordinates and the
queue, X all N + M, G gallery entries, E embedding, 2 = (lat, lon) in degrees.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pytorch_lightning.loggers import Logger
from safetensors.torch import load_file
from torch import Tensor, nn

from vidtag_ml import config
from vidtag_ml.dataset.tables import Tables
from vidtag_ml.encoders.location import load_location
from vidtag_ml.features.batches import Batch, ClipDataset, Frames
from vidtag_ml.features.store import FeatureStore
from vidtag_ml.models import fit
from vidtag_ml.models.data_module import StepDataModule
from vidtag_ml.models.gps_retrieval import losses
from vidtag_ml.models.gps_retrieval.network import AlignedModel, GeoModel
from vidtag_ml.models.task import Task
from vidtag_ml.retrieval.gallery import Gallery


class Alignment(Task):
    """Trains all but the refiner to place a frame's embedding at its coordinate's."""

    model: AlignedModel
    settings: config.PhaseOne
    queue_Q2: Tensor

    def __init__(
        self,
        model: AlignedModel,
        settings: config.PhaseOne,
        gallery_latlon_G2: NDArray[np.float64],
        steps_per_epoch: int,
    ) -> None:
        """The gallery gives the random negatives and the first queue; it knows no clip's place."""
        super().__init__(model, settings, steps_per_epoch)
        self.gallery_latlon_G2 = torch.from_numpy(np.ascontiguousarray(gallery_latlon_G2))
        first = torch.Generator().manual_seed(settings.seed)
        rows = torch.randint(len(gallery_latlon_G2), (settings.queue_size,), generator=first)
        self.register_buffer("queue_Q2", self.gallery_latlon_G2[rows])
        for part in model.unaligned():
            part.requires_grad_(False)

    def training_loss(self, batch: Batch) -> Tensor:
        """The loss of a batch, whose places go to the queue."""
        generator = batch.generator(self.global_rank)
        moved_BT2 = losses.jitter(batch.latlon_BT2, self.settings.gps_noise_m, generator)
        loss = self.loss(replace(batch, latlon_BT2=moved_BT2), fit.joined)
        self._enqueue(batch)
        return loss

    def validation_loss(self, batch: Batch) -> Tensor:
        """The loss of a val batch by itself."""
        return self.loss(batch, lambda values_BX: values_BX)

    def loss(self, batch: Batch, joined: Callable[[Tensor], Tensor]) -> Tensor:
        """The loss over the units of a batch, and of those of all processes if `joined` joins."""
        frames_BTE = self.model.embed_frames(batch.features_BTD, batch.valid_BT, batch.time_BT)
        latlon_BU2, valid_BU = units(batch, self.settings.unit)
        if self.settings.unit == "clip":
            frames_BTE = losses.video_mean(frames_BTE, batch.valid_BT)[:, None]
        others_M2 = self._others(batch, joined(latlon_BU2)[joined(valid_BU)]).to(latlon_BU2)
        all_2 = torch.cat([latlon_BU2.flatten(0, 1), others_M2])
        all_E = self.model.embed_locations(all_2.float())
        num = valid_BU.numel()
        gps_BUE = all_E[:num].view(*valid_BU.shape, -1)
        frames_BUE, gps_BUE, latlon_BU2, valid_BU = (
            joined(part) for part in (frames_BTE, gps_BUE, latlon_BU2, valid_BU)
        )
        return contrastive(
            frames_BUE[valid_BU],
            torch.cat([gps_BUE[valid_BU], all_E[num:]]),
            torch.cat([latlon_BU2[valid_BU], others_M2]),
            self.model.scale(),
            self.settings,
        )

    def _enqueue(self, batch: Batch) -> None:
        """Puts the coordinates of a batch, of all processes, before those of earlier ones."""
        if not self.settings.queue_size:
            return
        latlon_BU2, valid_BU = (fit.joined(part) for part in units(batch, self.settings.unit))
        seen_Q2 = torch.cat([latlon_BU2[valid_BU], self.queue_Q2])
        self.queue_Q2 = seen_Q2[: self.settings.queue_size]

    def _others(self, batch: Batch, latlon_N2: Tensor) -> Tensor:
        """Random negatives, points around the frames' own, the queue (M, 2): as in all processes.

        `latlon_N2` are the coordinates of all processes' frames.
        """
        settings, gallery_G2 = self.settings, self.gallery_latlon_G2
        random_M2 = gallery_G2[negatives(batch, len(gallery_G2), settings.num_random_negatives)]
        generator = batch.generator()
        queue_Q2 = losses.jitter(self.queue_Q2, settings.queue_noise_m, generator)
        near_M2 = latlon_N2[:0]
        if settings.num_near_targets and settings.soft_targets_km is not None:
            num = (settings.num_near_targets,)
            rows_M = torch.randint(len(latlon_N2), num, generator=generator).to(latlon_N2.device)
            near_M2 = losses.jitter(latlon_N2[rows_M], 1000 * settings.soft_targets_km, generator)
        return torch.cat([random_M2.to(queue_Q2), near_M2.to(queue_Q2), queue_Q2])


def units(batch: Batch, unit: Literal["frame", "clip"]) -> tuple[Tensor, Tensor]:
    """Places (B, U, 2) of what is aligned, and which are real (B, U): frames, or clips (U = 1)."""
    if unit == "frame":
        return batch.latlon_BT2, batch.valid_BT
    latlon_B12 = losses.centroid(batch.latlon_BT2, batch.valid_BT)[:, None]
    return latlon_B12, batch.valid_BT.any(1, keepdim=True)


def negatives(batch: Batch, gallery_size: int, num: int) -> Tensor:
    """Gallery rows (num,) of the random negatives of a batch, a function of its seed."""
    return torch.randint(gallery_size, (num,), generator=batch.generator())


def contrastive(
    frames_NE: Tensor, all_XE: Tensor, all_X2: Tensor, scale: Tensor, settings: config.PhaseOne
) -> Tensor:
    """The contrastive loss in float32, whatever the models' precision.

    The first N of all coordinates are the frames' own, row for row; the last are the queue.
    """
    num, soft, size = len(frames_NE), settings.soft_targets_km, settings.queue_size
    masked = size > 0 and settings.queue_mask_km > 0
    distance_NX = masked_NX = None
    if masked or soft is not None:
        distance_NX = losses.distance_km(all_X2[:num], all_X2)
        masked_NX = distance_NX < settings.queue_mask_km if masked else None
        if masked_NX is not None:
            masked_NX[:, : len(all_X2) - size] = False
    with torch.autocast(frames_NE.device.type, enabled=False):
        return losses.contrastive(
            frames_NE.float(),
            all_XE[:num].float(),
            scale.float(),
            direction=settings.direction,
            negatives_ME=all_XE[num:].float(),
            masked_NX=masked_NX,
            distance_NX=None if soft is None else distance_NX,
            soft_targets_km=soft,
        )


def start_from(model: AlignedModel, path: Path) -> None:
    """Gives `model` the GPS encoder and temperature in a file.

    Raises:
        ValueError: there is no such file, or it has other sizes; names it.
    """
    weights, logit_scale = load_location(path, model.sizes.location.sigmas)
    model.logit_scale.data.copy_(logit_scale)
    load_part(model.location, weights, path)


def load_image(part: nn.Module, path: Path, model: str, encoders: Sequence[str]) -> None:
    """Gives the layers over the encoders their weights, from a file of one such part or of several.

    Keys of a file of several begin with `part_prefix`.

    Raises:
        ValueError: the file has none for these encoders, or of other sizes.
    """
    weights, prefix = load_file(path), part_prefix(model, encoders)
    known = sorted({key.rpartition("/")[0] for key in weights})
    if known != [""]:
        if prefix.removesuffix("/") not in known:
            raise ValueError(f"{path}: has {', '.join(known)}; nothing for {prefix[:-1]}")
        weights = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    load_part(part, weights, path)


def part_prefix(model: str, encoders: Sequence[str]) -> str:
    """What keys begin with in a file that has the layers of several models over their encoders."""
    return f"{model}/{'+'.join(encoders)}/"


def load_part(part: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Gives a part of a model the weights of a file; ValueError if sizes differ."""
    try:
        part.load_state_dict({key: value.float() for key, value in weights.items()})
    except RuntimeError as error:
        raise ValueError(f"{path}: has other sizes than the params' model: {error}") from error


def frames_of(
    params: config.Params, features: FeatureStore, tables: Tables
) -> tuple[Frames, Frames]:
    """All frames of the train and of the val split, in memory."""
    gap_s = params.clips.max_gap_s
    train = Frames.load(features, tables, "train", gap_s)
    return train, Frames.load(features, tables, "val", gap_s)


def align(
    model: AlignedModel,
    settings: config.PhaseOne,
    train: Frames,
    val: Frames,
    gallery: Gallery,
    out: Path,
    logger: Logger | None = None,
    progress: bool = True,
) -> GeoModel:
    """`model` after contrastive training, in evaluation mode, also written to `out`."""
    data = clip_data(train, val, settings)
    module = Alignment(model, settings, gallery.latlon_G2, data.steps_per_epoch)
    return fit.finish(model, fit.fit(module, data, settings, out, logger, progress))


def clip_data(train: Frames, val: Frames, settings: config.Training) -> StepDataModule[Batch]:
    """Batches as a phase's settings ask for them; random negatives of val follow its seed, too."""
    num, seed = settings.frames_per_clip, settings.seed
    return StepDataModule(
        ClipDataset(train, num, random=True),
        ClipDataset(val, num, random=False),
        batch_size=settings.batch_size,
        seed=seed,
        val_seed=seed,
    )
