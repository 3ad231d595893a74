"""Phase I: frames and coordinates meet in one space (vidtag.md sections 4.1, 5).

Belongs here: the contrastive step, shared by VidTAG and by the fine-tuning of GeoCLIP, and `train`.
Does not belong here: the loss itself (losses.py), the loop (fit.py). Shape legend: B clips, T
frames, N frames of a batch, M random coordinates, X all N + M, G gallery entries, E embedding,
2 = (lat, lon) in degrees.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.loggers import Logger
from safetensors.torch import load_file
from torch import Tensor

from vidtag_ml import config, losses, models
from vidtag_ml.clips import Tables
from vidtag_ml.dataset import Batch, ClipDataModule, Frames
from vidtag_ml.features import FeatureStore
from vidtag_ml.gallery import Gallery
from vidtag_ml.models import base
from vidtag_ml.models.base import GeoModel
from vidtag_ml.training import fit


class PhaseOne(pl.LightningModule):
    """Trains all but the refiner to place a frame's embedding at its coordinate's."""

    def __init__(
        self,
        model: GeoModel,
        settings: config.PhaseOne,
        gallery_latlon_G2: NDArray[np.float64],
        steps_per_epoch: int,
    ) -> None:
        """The gallery gives the random negatives; it knows no clip's position."""
        super().__init__()
        self.model, self.settings, self.steps_per_epoch = model, settings, steps_per_epoch
        self.gallery_latlon_G2 = torch.from_numpy(np.ascontiguousarray(gallery_latlon_G2))
        if hasattr(model, "refiner"):
            model.refiner.requires_grad_(False)

    def training_step(self, batch: Batch, _batch_idx: int) -> Tensor:
        """The loss of a batch; dropout and negatives follow from the batch's seed."""
        torch.manual_seed(batch.seed)
        return self._loss(batch)

    def validation_step(self, batch: Batch, _batch_idx: int) -> None:
        """Logs the loss of a val batch."""
        self.log("val_loss", self._loss(batch), batch_size=len(batch.valid_BT), logger=False)

    def configure_optimizers(self) -> Any:
        """Adam over what is trained."""
        trained = [p for p in self.model.parameters() if p.requires_grad]
        return fit.adam(trained, self.settings, self.steps_per_epoch)

    def _loss(self, batch: Batch) -> Tensor:
        frames_BTE = self.model.embed_frames(batch.features_BTD, batch.valid_BT, batch.time_BT)
        latlon_N2 = batch.latlon_BT2[batch.valid_BT]
        others_M2 = self.gallery_latlon_G2[
            negatives(batch, len(self.gallery_latlon_G2), self.settings.num_random_negatives)
        ]
        all_X2 = torch.cat([latlon_N2, others_M2.to(latlon_N2)])
        all_XE = self.model.embed_locations(all_X2.float())
        return contrastive(
            frames_BTE[batch.valid_BT], all_XE, all_X2, self.model.scale(), self.settings
        )


def negatives(batch: Batch, gallery_size: int, num: int) -> Tensor:
    """Gallery rows (num,) of the random negatives of a batch, a function of its seed."""
    return torch.randint(gallery_size, (num,), generator=batch.generator())


def contrastive(
    frames_NE: Tensor, all_XE: Tensor, all_X2: Tensor, scale: Tensor, settings: config.PhaseOne
) -> Tensor:
    """The contrastive loss; the first N of all coordinates are the frames' own, row for row."""
    num, soft = len(frames_NE), settings.soft_targets_km
    return losses.contrastive(
        frames_NE,
        all_XE[:num],
        scale,
        direction=settings.direction,
        negatives_ME=all_XE[num:],
        distance_NX=None if soft is None else losses.distance_km(all_X2[:num], all_X2),
        soft_targets_km=soft,
    )


def train_phase_one(
    params: config.Params,
    features: FeatureStore,
    tables: Tables,
    gallery: Gallery,
    encoders_dir: Path,
    out: Path,
    logger: Logger | None = None,
    progress: bool = True,
) -> GeoModel:
    """VidTAG after Phase I, also written to `out` (model.json, model.safetensors, losses.csv).

    Args:
        params: sections model, phase_one and clips are read.
        features: cached features of all train and val clips.
        tables: the clips and their fixes.
        gallery: points from which random negatives are drawn.
        encoders_dir: where the GPS encoder to start from lies.
        out: folder; an interrupted training in it is resumed.
        logger: receives the losses of each epoch.
        progress: whether to tell a person how far it is.
    """
    train, val = frames_of(params, features, tables)
    settings = params.phase_one
    torch.manual_seed(settings.seed)
    model = models.build("vidtag", params.model, features.num_features)
    if settings.location_start:
        start_from(model, encoders_dir, settings.location_start)
    return align(model, settings, train, val, gallery, out, logger, progress)


def train_geoclip(
    params: config.Params,
    features: FeatureStore,
    tables: Tables,
    gallery: Gallery,
    encoders_dir: Path,
    out: Path,
    logger: Logger | None = None,
    progress: bool = True,
) -> GeoModel:
    """GeoCLIP fine-tuned on the features of the first encoder; see `train_phase_one`."""
    train, val = frames_of(params, features, tables)
    first_width = next(iter(features.widths.values()))
    settings = params.geoclip
    torch.manual_seed(settings.seed)
    model = models.build("geoclip", params.model, first_width)
    if settings.location_start:
        start_from(model, encoders_dir, settings.location_start)
    return align(model, settings, train, val, gallery, out, logger, progress)


def start_from(model: base.GeoModel, folder: Path, name: str) -> None:
    """Gives `model` the GPS encoder and temperature in `folder`/NAME.safetensors.

    Raises:
        ValueError: there is no such file, or it has other sizes; names it.
    """
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        raise ValueError(f"{path}: no such weights; `vidtag train-encoders {name}` makes them")
    weights = {key: value.float() for key, value in load_file(path).items()}
    model.logit_scale.data.copy_(weights.pop("logit_scale"))
    try:
        model.location.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{path}: has other sizes than params model.location: {error}") from error


def frames_of(
    params: config.Params, features: FeatureStore, tables: Tables
) -> tuple[Frames, Frames]:
    """All frames of the train and of the val split, in memory."""
    gap_s = params.clips.max_gap_s
    train = Frames.load(features, tables, "train", gap_s)
    return train, Frames.load(features, tables, "val", gap_s)


def align(
    model: GeoModel,
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
    module = PhaseOne(model, settings, gallery.latlon_G2, data.steps_per_epoch)
    last = fit.fit(
        module,
        data,
        epochs=settings.epochs,
        out=out,
        logger=logger,
        progress=progress,
        clip_gradients=settings.clip_gradients,
    )
    return finish(model, last)


def clip_data(
    train: Frames, val: Frames, settings: config.PhaseOne | config.PhaseTwo
) -> ClipDataModule:
    """Batches as a phase's settings ask for them."""
    return ClipDataModule(
        train,
        val,
        batch_size=settings.batch_size,
        frames_per_clip=settings.frames_per_clip,
        seed=settings.seed,
    )


def finish(model: GeoModel, last: Path) -> GeoModel:
    """The trained model in evaluation mode, written beside its checkpoint, which is removed."""
    model.cpu().eval().requires_grad_(True)
    if not (torch.distributed.is_initialized() and torch.distributed.get_rank()):
        base.save(model, last.parent)
        last.unlink()
    return model
