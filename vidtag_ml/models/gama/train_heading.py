"""GAMa-Net goes on learning, on tiles turned to the direction of travel. Beyond GAMa's paper.

North-up tiles are learnt in any turn, because the gallery cannot know how they were driven across.
Once a track is known, so is its direction, and what was hidden by the turns can be compared.

Belongs here: pairs of clips and turned tiles, `train_heading`. Does not belong here: the first
training (train.py), re-ranking (tile_tracks.py).
Shape legend: T frames, C channels, H W pixels.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from pytorch_lightning.loggers import Logger
from torch import Tensor

from vidtag_ml import config
from vidtag_ml.aerial import pictures as aerial_pictures
from vidtag_ml.models import base, fit
from vidtag_ml.models.gama import data as gama_data
from vidtag_ml.models.gama import embedding, sampling, tile_tracks
from vidtag_ml.models.gama.data import CrossViewData, DriveFixes, Pairs
from vidtag_ml.models.gama.network import GAMaNet
from vidtag_ml.models.gama.train import Alignment, pair_data


class TurnedPairs(Pairs):
    """Clips with their tiles as they look from the vehicle: the direction of travel is up."""

    def __init__(
        self,
        found: Sequence[DriveFixes],
        world: CrossViewData,
        settings: config.GamaTraining,
        jitter_deg: float,
    ) -> None:
        """Reads nothing yet; tiles are cut when they are asked for."""
        super().__init__(found, world.footage, settings)
        self.world, self.jitter_deg = world, jitter_deg
        tile_km = world.tiles.protocol["tile_km"]
        self.headings = {
            drive.name: tile_tracks.headings_deg(drive.latlon_N2, drive.time_s_N, tile_km)
            for drive in found
        }

    def pair(
        self, drive: DriveFixes, fix: int, rng: Generator, *, random: bool
    ) -> tuple[Tensor, Tensor]:
        """A clip (C, T, H, W) around a fix, and the fix's tile (C, H, W), turned.

        What is random, whatever `gama.augment` says: the clip's beginning, a jitter of the heading,
        crops, and whether both are mirrored. A tile that was not driven across is turned anyhow.
        """
        settings, shape = self.settings, gama_data.shape_of(self.settings)
        num, time_s = self.footage.num_frames(drive.name), float(drive.time_s_N[fix])
        heading = self.headings[drive.name][fix]
        side = settings.tile_crop, settings.tile_crop
        if not random:
            centre = settings.center_test_clip
            first = sampling.first_at(time_s, num, shape, center_test_clip=centre)
            clip_TCHW = self.footage.clip(drive.name, first, shape)
            tile_CHW = self._tile(drive.tile_N[fix], 0.0 if np.isnan(heading) else heading)
            clip_TCHW = sampling.centre_crop(clip_TCHW, settings.clip_crop)
            return clip_TCHW.transpose(0, 1), sampling.centre_crop(tile_CHW, side)
        first = sampling.draw_first(time_s, num, shape, rng)
        clip_TCHW = self.footage.clip(drive.name, first, shape)
        turn = rng.uniform(0, 360) if np.isnan(heading) else rng.normal(heading, self.jitter_deg)
        tile_CHW = self._tile(drive.tile_N[fix], turn)
        clip_TCHW = sampling.random_crop(clip_TCHW, settings.clip_crop, rng)
        tile_CHW = sampling.random_crop(tile_CHW, side, rng)
        if rng.random() < 0.5:
            clip_TCHW, tile_CHW = clip_TCHW.flip(-1), tile_CHW.flip(-1)
        return clip_TCHW.transpose(0, 1), tile_CHW

    def _tile(self, row: int, heading_deg: float) -> Tensor:
        tiles = self.world.tiles
        side = tiles.protocol["tile_pixels"]
        pixels_HW3 = aerial_pictures.pixels(tiles, [row], side, self.world.imagery, heading_deg)[0]
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels_HW3, -1, 0)))


def train_heading(
    settings: config.HeadingTraining,
    gama: config.GamaTraining,
    gama_folder: Path,
    world: CrossViewData,
    out: Path,
    logger: Logger | None = None,
    progress: bool = True,
) -> GAMaNet:
    """GAMa-Net for turned tiles, in evaluation mode, also written to `out`.

    Args:
        settings: what differs from GAMa-Net's training.
        gama: GAMa-Net's settings.
        gama_folder: the trained GAMa-Net, from which it starts.
        world: what is learnt.
        out: folder; an interrupted training in it is resumed.
        logger: receives the losses of each epoch.
        progress: whether to tell a person how far it is.

    Raises:
        ValueError: there is no trained GAMa-Net, or no video can be learnt from.
    """
    model = embedding.read_gama(gama_folder)
    if settings.epochs == 0:
        base.save(model, out)
        return model
    learnt = dataclasses.replace(
        gama, seed=settings.seed, epochs=settings.epochs, learning_rate=settings.learning_rate
    )
    train, val = (
        TurnedPairs(gama_data.trainable(drives), world, learnt, settings.jitter_deg)
        for drives in (world.train, world.val)
    )
    data = pair_data(train, val, learnt)
    embed, per_epoch = (model.embed_clips, model.embed_tiles), data.steps_per_epoch
    module = Alignment(model, embed, learnt, learnt, settings.milestones, per_epoch)
    model.train()
    return fit.finish(model, fit.fit(module, data, learnt, out, logger, progress))
