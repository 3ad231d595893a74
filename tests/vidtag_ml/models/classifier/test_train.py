"""Claims about the classifiers' training: it learns cells, from the layer alone."""

import pytest
import torch

from vidtag_ml import config
from vidtag_ml.earth import sphere
from vidtag_ml.models import fit
from vidtag_ml.models.classifier.network import CellClassifier, Sizes, cells
from vidtag_ml.models.classifier.train import Classify
from vidtag_ml.models.gps_retrieval.contrastive import clip_data


@pytest.fixture
def settings():
    return config.Classifier(
        seed=3,
        encoder="flyover_dino",
        cell_km=500.0,
        epochs=60,
        batch_size=9,
        frames_per_clip=6,
        learning_rate=1e-1,
        decay=0.98,
        warmup_steps=1,
        weight_decay=0.0,
        precision="float32",
        clip_gradients=1.0,
    )


def test_frames_find_their_own_cells(settings, train, tmp_path):
    torch.manual_seed(0)
    centres = cells(train.latlon_F2.numpy(), settings.cell_km, settings.seed)
    model = CellClassifier(Sizes(len(centres)), {"clip": 16})
    model.cells_K2.copy_(torch.from_numpy(centres))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    data = clip_data(train, train, settings)
    fit.fit(
        Classify(model, settings, data.steps_per_epoch), data, settings, tmp_path, progress=False
    )
    found = centres[model.scores(train.features_FD).argmax(1)]
    errors = sphere.great_circle_km(found, train.latlon_F2.numpy())
    assert (errors < 500).mean() > 0.8
    moved = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert moved == {"layer.weight", "layer.bias"}
