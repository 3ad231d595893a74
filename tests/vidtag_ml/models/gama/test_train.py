"""Tests of vidtag_ml.models.gama.train; tests/test_gama_preset.py has the whole way."""

import dataclasses
from pathlib import Path

import pytest
import torch

from vidtag_ml import config
from vidtag_ml.models.gama import losses as gama_losses
from vidtag_ml.models.gama import network as networks
from vidtag_ml.models.gama.data import Batch
from vidtag_ml.models.gama.train import Alignment

ROOT = Path(__file__).parents[4]
PARAMS = config.load(ROOT / "params.yaml")
SMALL = dataclasses.replace(PARAMS.gama, width=4, blocks=1, tx_layers=1)


def module(settings):
    torch.manual_seed(0)
    model = networks.GAMaNet(config.part(settings, config.GamaNetwork))
    embed = (model.embed_clips, model.embed_tiles)
    return Alignment(model, embed, settings, settings, settings.milestones, steps_per_epoch=2)


def batch(seed=3):
    return Batch(torch.rand(4, 3, 8, 16, 16), torch.rand(4, 3, 16, 16), seed)


def test_the_rate_warms_up_and_falls_at_each_milestone():
    settings = dataclasses.replace(SMALL, warmup_steps=2, milestones=(2, 3), decay=0.1)
    scheduler = module(settings).configure_optimizers()["lr_scheduler"]["scheduler"]
    factors = [scheduler.lr_lambdas[0](step) for step in range(8)]
    assert factors == pytest.approx([0.5, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_adam_is_not_fused_which_would_round_differently():
    assert module(SMALL).configure_optimizers()["optimizer"].defaults["fused"] is None


@pytest.mark.parametrize("loss", ["nt_xent", "triplet"])
def test_a_step_has_the_loss_that_the_settings_name(loss):
    settings = dataclasses.replace(SMALL, loss=loss, dropout=0.0, tx_dropout=0.0)
    trained, seen = module(settings), batch()
    found = trained.training_step(seen, 0)
    vectors = trained.model.embed_clips(seen.left), trained.model.embed_tiles(seen.right)
    wanted = (
        gama_losses.triplet(*vectors, 0.2)
        if loss == "triplet"
        else gama_losses.nt_xent(*vectors, 0.1)
    )
    assert found.item() == pytest.approx(wanted.item(), abs=1e-5)


def test_dropout_follows_from_the_seed_of_the_batch():
    settings = dataclasses.replace(SMALL, dropout=0.5)
    trained, seen = module(settings), batch()
    first, again = trained.training_step(seen, 0), trained.training_step(seen, 1)
    other = trained.training_step(dataclasses.replace(seen, seed=4), 2)
    assert first == again
    assert first != other


def test_a_published_batch_is_refused_if_its_sides_do_not_match():
    with pytest.raises(ValueError, match="do not go with"):
        Batch(torch.rand(4, 3, 8, 16, 16), torch.rand(3, 3, 16, 16), 0)
