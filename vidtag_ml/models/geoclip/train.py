"""GeoCLIP from its released weights or from none (docs/specs/geoclip.md, section 5).

Belongs here: what it starts from. Does not belong here: the contrastive step
(gps_retrieval/contrastive.py).
"""

from dataclasses import replace
from pathlib import Path

import torch
from pytorch_lightning.loggers import Logger

from vidtag_ml import config
from vidtag_ml.dataset.tables import Tables
from vidtag_ml.features.store import FeatureStore
from vidtag_ml.models import base, fit
from vidtag_ml.models.geoclip.network import GeoCLIP
from vidtag_ml.models.gps_retrieval import contrastive
from vidtag_ml.models.gps_retrieval.network import GeoModel
from vidtag_ml.retrieval.gallery import Gallery
from vidtag_ml.workflow import stage


def train_geoclip(
    params: config.Params,
    features: FeatureStore,
    tables: Tables,
    gallery: Gallery,
    starts: tuple[Path | None, Path | None],
    out: Path,
    logger: Logger | None = None,
    progress: bool = True,
) -> GeoModel:
    """GeoCLIP on the features of one encoder; see `train_phase_one`.

    Args:
        params: sections model, geoclip and clips are read.
        features: cached features of all train and val clips.
        tables: the clips and their fixes.
        gallery: points from which random negatives are drawn.
        starts: files with the GPS encoder and the image perceptron to start from; None = random
            weights. With both and no epochs this is the released model: zero-shot.
        out: folder; an interrupted training in it is resumed.
        logger: receives the losses of each epoch.
        progress: whether to tell a person how far it is.
    """
    settings = params.geoclip
    store = features.select(settings.encoders)
    torch.manual_seed(settings.seed)
    location = replace(params.model.location, sigmas=settings.sigmas)
    model = GeoCLIP(replace(params.model, location=location), store.widths)
    location_start, image_start = starts
    if location_start is not None:
        contrastive.start_from(model, location_start)
    if image_start is not None:
        contrastive.load_image(model.image, image_start, model.name, settings.encoders)
    if settings.epochs == 0:
        return untrained(model, out)
    train, val = contrastive.frames_of(params, store, tables)
    return contrastive.align(model, settings, train, val, gallery, out, logger, progress)


def untrained(model: GeoModel, out: Path) -> GeoModel:
    """The model as it starts, in evaluation mode, also written to `out` with no losses."""
    base.save(model.eval(), out)
    stage.write_text(out / fit.LOSSES, "step,loss,lr,val_loss\n")
    return model
