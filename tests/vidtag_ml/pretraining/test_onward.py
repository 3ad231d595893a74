"""Claims about training encoders on: from what is there, in place, and with a card that says so."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from vidtag_ml import config
from vidtag_ml.encoders import frames as frame_encoders
from vidtag_ml.models.gps_retrieval import contrastive
from vidtag_ml.models.vidtag.network import VidTAG
from vidtag_ml.pretraining import frames, onward

ROOT = Path(__file__).parents[3]
NAME = "flyover_dino"
RECIPE = replace(
    onward.RECIPES[NAME],
    steps=2,
    batch_size=8,
    fresh=4,
    pool=16,
    num_cells=300,
    warmup=1,
)


@pytest.fixture(scope="module")
def sizes():
    """Those of the shipped heads."""
    return config.load(ROOT / "params.yaml").model


@pytest.fixture(scope="module")
def shipped(sizes):
    """The head over the shipped encoder, with the GPS encoder."""
    model = VidTAG(replace(sizes, temporal_layers=0), {NAME: 512}).eval()
    folder = ROOT / "data" / "encoders"
    contrastive.start_from(model, folder / "flyover_location.safetensors")
    contrastive.load_image(model.head, folder / "flyover_heads.safetensors", "vidtag", (NAME,))
    return model


def test_cells_are_scored_as_the_model_scores_places(shipped):
    places = np.array([[48.0, 2.0], [-33.0, 151.0], [0.5, 32.0]])
    features = torch.randn(4, 512)
    scorer = onward.Cells(shipped, places)
    with torch.inference_mode():
        valid, at = torch.ones(4, 1, dtype=torch.bool), torch.zeros(4, 1)
        seen = shipped.embed_frames(features[:, None], valid, at)[:, 0]
        expected = shipped.scale() * seen @ shipped.embed_locations(torch.tensor(places).float()).T
        torch.testing.assert_close(scorer(features), expected)


def test_frames_of_a_video_differ_a_little_and_keep_their_order(tmp_path):
    rendered, _ = frames.pictures(np.random.default_rng(1), 12)
    coded = frames.through_codec(rendered, tmp_path / "x.mp4").astype(float)
    apart = np.abs(coded[:, None] - rendered[None]).mean((2, 3, 4))
    assert (apart.argmin(1) == np.arange(12)).all()
    assert 0.5 < apart.diagonal().mean() < 8
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_an_encoder_is_trained_on_and_its_card_says_so_once(sizes, tmp_path):
    folder = tmp_path / "encoders"
    shutil.copytree(ROOT / "data" / "encoders", folder)
    assert "## Trained on" in (folder / f"{NAME}.md").read_text()
    before = load_file(folder / f"{NAME}.safetensors")
    onward.train(NAME, RECIPE, sizes, folder, tmp_path / "state.pt")
    after = load_file(folder / f"{NAME}.safetensors")
    learnt = [key for key in before if "running" not in key]
    moved = max((after[key].float() - before[key].float()).abs().max() for key in learnt)
    assert 0 < moved < 0.1
    assert frame_encoders.load(folder, NAME).spec == frames.SPECS[NAME]
    assert (folder / f"{NAME}.md").read_text().count("## Trained on") == 1
