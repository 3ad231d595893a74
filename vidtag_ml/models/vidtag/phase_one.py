"""Phase I of VidTAG: frames and coordinates aligned, without a refiner.

Belongs here: what it starts from. Does not belong here: the contrastive step
(gps_retrieval/contrastive.py).
"""

from pathlib import Path

import torch
from pytorch_lightning.loggers import Logger

from vidtag_ml import config
from vidtag_ml.dataset.tables import Tables
from vidtag_ml.features.store import FeatureStore
from vidtag_ml.models.gps_retrieval import contrastive
from vidtag_ml.models.gps_retrieval.network import GeoModel
from vidtag_ml.models.vidtag.network import VidTAG
from vidtag_ml.retrieval.gallery import Gallery


def train_phase_one(
    params: config.Params,
    features: FeatureStore,
    tables: Tables,
    gallery: Gallery,
    starts: tuple[Path | None, Path | None],
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
        starts: files with the GPS encoder and the head to start from; None = random weights.
        out: folder; an interrupted training in it is resumed.
        logger: receives the losses of each epoch.
        progress: whether to tell a person how far it is.
    """
    settings = params.phase_one
    store = features.select(settings.encoders)
    train, val = contrastive.frames_of(params, store, tables)
    torch.manual_seed(settings.seed)
    model = VidTAG(params.model, store.widths)
    location_start, image_start = starts
    if location_start is not None:
        contrastive.start_from(model, location_start)
    if image_start is not None:
        contrastive.load_image(model.head, image_start, model.name, settings.encoders)
    return contrastive.align(model, settings, train, val, gallery, out, logger, progress)
