"""Phase II: the GeoRefiner learns to undo errors of tracks.

See docs/specs/vidtag.md, sections 3.5, 3.6, 4.2.

Everything else is frozen, so frame embeddings, embeddings of true positions and Phase I's
predictions are computed once, over whole clips; a step costs the refiner and the embedding of
corrupted tracks.

Belongs here: what is precomputed, which queries a step sees, `train_phase_two`. Does not belong
here: losses and noise (losses.py), the loop (models/fit.py). Shape legend: B clips, T frames, N
real frames of a batch, F frames of a split, M random coordinates, X all N + M, G gallery entries,
E embedding, 2 = (lat, lon) in degrees.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from pytorch_lightning.loggers import Logger
from torch import Tensor
from torch.nn import functional

from vidtag_ml import config
from vidtag_ml.dataset.tables import Tables
from vidtag_ml.features.batches import Batch, Frames
from vidtag_ml.features.store import FeatureStore
from vidtag_ml.models import fit, networks
from vidtag_ml.models.gps_retrieval import network as geo_models
from vidtag_ml.models.gps_retrieval.contrastive import clip_data, contrastive, frames_of, negatives
from vidtag_ml.models.task import Task
from vidtag_ml.models.vidtag import cross_fit, losses
from vidtag_ml.models.vidtag.network import GeoRefiner, VidTAG
from vidtag_ml.retrieval import embeddings as retrieval_embeddings
from vidtag_ml.retrieval import gallery, search
from vidtag_ml.workflow import accelerator


class PhaseTwo(Task):
    """Trains the refiner alone; batches hold frame embeddings, as `embedded` makes them."""

    model: VidTAG
    settings: config.PhaseTwo

    def __init__(
        self,
        model: VidTAG,
        settings: config.PhaseTwo,
        alignment: config.PhaseOne,
        gallery_latlon_G2: Tensor,
        gallery_GE: Tensor,
        steps_per_epoch: int,
    ) -> None:
        """`alignment` is Phase I's section, without a queue: loss `retrieval` is its loss."""
        super().__init__(model, settings, steps_per_epoch)
        self.alignment = alignment
        self.gallery_latlon_G2, self.gallery_GE = gallery_latlon_G2, gallery_GE
        model.eval().requires_grad_(False)
        model.refiner.train().requires_grad_(True)

    def training_loss(self, batch: Batch) -> Tensor:
        """The loss of a batch with corrupted queries."""
        generator = batch.generator(self.global_rank)
        batch = self._misled(batch, generator)
        return self.loss(batch, self._queries(batch, generator), fit.joined)

    def validation_loss(self, batch: Batch) -> Tensor:
        """The loss of a val batch with Phase I's predictions as queries, as in use."""
        assert batch.predicted_BTE is not None
        return self.loss(batch, batch.predicted_BTE, lambda values_BX: values_BX)

    def _misled(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The batch as Phase I might see it: its frames and predictions wander, or are swapped."""
        noise, seen_BTE, found_BTE = self.settings.noise, batch.features_BTD, batch.predicted_BTE
        assert found_BTE is not None
        if noise.wander_km:
            moved_BT2 = losses.wander(batch.latlon_BT2, batch.valid_BT, noise, generator)
            apart_BTE = self._embedded(moved_BT2) - self._embedded(batch.latlon_BT2)
            seen_BTE, found_BTE = (
                functional.normalize(part + apart_BTE, dim=-1) for part in (seen_BTE, found_BTE)
            )
        if noise.swap_probability:
            rows_BT = losses.swap(batch.valid_BT, noise.swap_probability, generator)
            seen_BTE, found_BTE = (
                part.flatten(0, 1)[rows_BT.to(part.device)] for part in (seen_BTE, found_BTE)
            )
        return replace(batch, features_BTD=seen_BTE, predicted_BTE=found_BTE)

    def _embedded(self, latlon_BT2: Tensor) -> Tensor:
        """Embeddings (B, T, E) of coordinates."""
        latlon_N2 = torch.nan_to_num(latlon_BT2.flatten(0, 1)).float().to(self.device)
        embedded_NE: Tensor = self.model.embed_locations(latlon_N2)
        return embedded_NE.view(*latlon_BT2.shape[:2], -1)

    def _queries(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Embeddings (B, T, E): of corrupted true tracks, or in some clips of predicted ones."""
        noise = self.settings.noise
        chance_B = torch.rand(len(batch.valid_BT), generator=generator)
        predicted_B = (chance_B < noise.predicted_probability).to(self.device)
        assert batch.predicted_BTE is not None
        queries_BTE = batch.predicted_BTE.clone()
        true_B = ~predicted_B
        if true_B.any():
            wrong_BT2 = losses.corrupt(
                batch.latlon_BT2[true_B].cpu(), batch.valid_BT[true_B].cpu(), noise, generator
            )
            queries_BTE[true_B] = self._embedded(wrong_BT2).to(queries_BTE)
        return queries_BTE

    def loss(self, batch: Batch, queries_BTE: Tensor, joined: Callable[[Tensor], Tensor]) -> Tensor:
        """The loss of the refined queries, over all processes' clips if `joined` joins them."""
        refined_BTE = self.model.refine(
            queries_BTE, batch.features_BTD, batch.valid_BT, batch.time_BT
        )
        assert batch.truth_BTE is not None
        refined_BTE, truth_BTE, latlon_BT2, valid_BT = (
            joined(part)
            for part in (refined_BTE, batch.truth_BTE, batch.latlon_BT2, batch.valid_BT)
        )
        if self.settings.loss == "retrieval":
            rows_M = negatives(batch, len(self.gallery_GE), self.alignment.num_random_negatives)
            others_ME = self.gallery_GE[rows_M].to(refined_BTE)
            others_M2 = self.gallery_latlon_G2[rows_M].to(latlon_BT2)
            return contrastive(
                refined_BTE[valid_BT],
                torch.cat([truth_BTE[valid_BT], others_ME]),
                torch.cat([latlon_BT2[valid_BT], others_M2]),
                self.model.scale(),
                self.alignment,
            )
        with torch.autocast(refined_BTE.device.type, enabled=False):
            return losses.similarities(
                refined_BTE.float(),
                truth_BTE,
                latlon_BT2,
                valid_BT,
                self.settings.loss,
                off_diagonal_weight=self.settings.off_diagonal_weight,
                diagonal_weight=self.settings.diagonal_weight,
                same_place_km=self.settings.same_place_km,
                video_unit=self.settings.video_unit,
            )


@torch.no_grad()
def embedded(
    model: geo_models.GeoModel, frames: Frames, gallery_GE: Tensor, batch_size: int
) -> Frames:
    """The same frames with embeddings for features, and those of true and predicted positions.

    Each clip is seen at its natural length, as in evaluation.
    """
    embeddings = []
    for first in range(0, len(frames.num_C), batch_size):
        clips_B = np.arange(first, min(first + batch_size, len(frames.num_C)))
        batch = frames.batch(*frames.whole(clips_B), seed=0).to(model.device)
        frames_BTE = model.embed_frames(batch.features_BTD, batch.valid_BT, batch.time_BT)
        embeddings.append(frames_BTE[batch.valid_BT])
    frames_FE = torch.cat(embeddings)
    _, nearest_F1 = search.search(frames_FE, gallery_GE, 1)
    truth_FE = retrieval_embeddings.embed_gallery(model, frames.latlon_F2.numpy())
    predicted_FE = gallery_GE[nearest_F1[:, 0]]
    return replace(
        frames,
        features_FD=frames_FE.cpu(),
        truth_FE=truth_FE.cpu(),
        predicted_FE=predicted_FE.cpu(),
    )


def out_of_part(
    params: config.Params,
    features: FeatureStore,
    tables: Tables,
    points: gallery.Gallery,
    whole: VidTAG,
    gallery_GE: Tensor,
    parts: Sequence[Path],
) -> Frames:
    """All train frames as `embedded`, those of each part by the model that did not learn from it.

    They are in the space of `whole`, which learnt from all, embeds the true positions and has
    embedded the gallery as `gallery_GE`.
    """
    seen = []
    for k, folder in enumerate(parts):
        model = networks.load(folder).to(accelerator.device())
        held = cross_fit.without(tables, k, len(parts))
        frames = Frames.load(features, held, cross_fit.HELD, params.clips.max_gap_s)
        own_GE = retrieval_embeddings.embed_gallery(model, points.latlon_G2)
        frames = embedded(model, frames, own_GE, params.phase_two.batch_size)
        truth_FE = retrieval_embeddings.embed_gallery(whole, frames.latlon_F2.numpy()).cpu()
        turned = cross_fit.turned(frames, own_GE.cpu(), gallery_GE.cpu())
        seen.append(replace(turned, truth_FE=truth_FE))
    return Frames.joined(seen)


def train_phase_two(
    params: config.Params,
    phase_one: Path,
    features: FeatureStore,
    tables: Tables,
    points: gallery.Gallery,
    out: Path,
    logger: Logger | None = None,
    progress: bool = True,
    parts: Sequence[Path] = (),
) -> geo_models.GeoModel:
    """VidTAG after Phase II, also written to `out` (model.json, model.safetensors, losses.csv).

    Args:
        params: sections phase_one, phase_two and clips are read.
        phase_one: folder of the model that Phase I wrote; its refiner is started anew.
        features: cached features of all train and val clips.
        tables: the clips and their fixes.
        points: the gallery in which Phase I predicts.
        out: folder; an interrupted training in it is resumed.
        logger: receives the losses of each epoch.
        progress: whether to tell a person how far it is.
        parts: folders of models that did not learn from a part of the train clips each, which
            embed the frames of that part; none: all are embedded by Phase I's.

    Raises:
        ValueError: the model in `phase_one` has no refiner.
    """
    model, settings = networks.load(phase_one), params.phase_two
    if not isinstance(model, VidTAG):
        raise ValueError(f"{phase_one}: a {model.name} model has no refiner to train")
    torch.manual_seed(settings.seed)
    model.refiner = GeoRefiner(model.sizes)
    model.to(accelerator.device())
    gallery_GE = retrieval_embeddings.embed_gallery(model, points.latlon_G2)
    store, size = features.select(tuple(model.widths)), settings.batch_size
    train, val = (
        embedded(model, frames, gallery_GE, size) for frames in frames_of(params, store, tables)
    )
    if parts:
        train = out_of_part(params, store, tables, points, model, gallery_GE, parts)
    data = clip_data(train, val, settings)
    alignment = replace(params.phase_one, queue_size=0)
    latlon_G2 = torch.from_numpy(np.ascontiguousarray(points.latlon_G2))
    module = PhaseTwo(model, settings, alignment, latlon_G2, gallery_GE.cpu(), data.steps_per_epoch)
    return fit.finish(model, fit.fit(module, data, settings, out, logger, progress))
