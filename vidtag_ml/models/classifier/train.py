"""Training of the classifiers of the paper's tables (docs/specs/vidtag.md, section 9).

Belongs here: cells of the train coordinates, the cross-entropy step, `train_classifier`. Does not
belong here: the layer (network.py), the loop (models/fit.py). Shape legend: N frames of a batch,
K cells.
"""

from pathlib import Path

import torch
from pytorch_lightning.loggers import Logger
from torch import Tensor
from torch.nn import functional

from vidtag_ml import config
from vidtag_ml.dataset.tables import Tables
from vidtag_ml.features.batches import Batch
from vidtag_ml.features.store import FeatureStore
from vidtag_ml.models import fit
from vidtag_ml.models.classifier import network
from vidtag_ml.models.gps_retrieval.contrastive import clip_data, frames_of
from vidtag_ml.models.gps_retrieval.network import GeoModel
from vidtag_ml.models.task import Task


class Classify(Task):
    """Trains a classifier, whose cells are set, to name the cell that a frame is nearest to."""

    model: network.CellClassifier

    def training_loss(self, batch: Batch) -> Tensor:
        """The cross-entropy of a batch."""
        scores_NK = self.model.scores(batch.features_BTD[batch.valid_BT])
        cell_N = self.model.cell_of(batch.latlon_BT2[batch.valid_BT])
        return functional.cross_entropy(scores_NK, cell_N)

    validation_loss = training_loss


def train_classifier(
    params: config.Params,
    features: FeatureStore,
    tables: Tables,
    out: Path,
    logger: Logger | None = None,
    progress: bool = True,
) -> GeoModel:
    """A classifier on one encoder's features, also written to `out`.

    Args:
        params: sections classifier and clips are read.
        features: cached features of all train and val clips.
        tables: the clips and their fixes.
        out: folder; an interrupted training in it is resumed.
        logger: receives the losses of each epoch.
        progress: whether to tell a person how far it is.
    """
    settings = params.classifier
    store = features.select((settings.encoder,))
    train, val = frames_of(params, store, tables)
    centres_K2 = network.cells(train.latlon_F2.numpy(), settings.cell_km, settings.seed)
    torch.manual_seed(settings.seed)
    model = network.CellClassifier(network.Sizes(len(centres_K2)), store.widths)
    model.cells_K2.copy_(torch.from_numpy(centres_K2))
    data = clip_data(train, val, settings)
    module = Classify(model, settings, data.steps_per_epoch)
    return fit.finish(model, fit.fit(module, data, settings, out, logger, progress))
