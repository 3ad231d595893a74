"""Claims about Phase I: it learns, leaves the refiner alone, and follows its seed."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

from vidtag_ml import models
from vidtag_ml.models import base
from vidtag_ml.training import phase_one as phase
from vidtag_ml.training.phase_one import PhaseOne, align, clip_data, start_from


def build(name, sizes):
    torch.manual_seed(0)
    return models.build(name, sizes, 16)


def first_batch(train, settings):
    return next(iter(clip_data(train, train, settings).train_dataloader()))


@pytest.mark.parametrize(("name", "share"), [("vidtag", 0.95), ("geoclip", 0.75)])
def test_frames_find_their_own_positions(name, share, sizes, thorough, train, points, tmp_path):
    sizes = replace(sizes, dropout=0.0)
    model = align(build(name, sizes), thorough, train, train, points, tmp_path, progress=False)
    batch = train.batch(*train.whole(torch.arange(9).numpy()), seed=0)
    with torch.no_grad():
        frames = model.embed_frames(batch.features_BTD, batch.valid_BT, batch.time_BT)
        gps = model.embed_locations(train.latlon_F2.float())
    found = (frames[batch.valid_BT] @ gps.T).argmax(1)
    assert (found == torch.arange(len(found))).float().mean() > share


def test_the_trained_model_is_written_and_the_checkpoint_removed(
    sizes, phase_one, train, val, points, tmp_path
):
    model = align(build("vidtag", sizes), phase_one, train, val, points, tmp_path, progress=False)
    names = ["losses.csv", "model.json", "model.safetensors"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    loaded = base.load(tmp_path).state_dict()
    assert all(torch.equal(loaded[k], v) for k, v in model.state_dict().items())


def test_the_refiner_is_not_touched(sizes, phase_one, train, val, points, tmp_path):
    model = build("vidtag", sizes)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    align(model, phase_one, train, val, points, tmp_path, progress=False)
    moved = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert not {k for k in moved if k.startswith("refiner.")}
    assert {k.split(".")[0] for k in moved} == {"temporal", "head", "location", "logit_scale"}


def test_equal_seeds_give_equal_losses(sizes, phase_one, train, val, points, tmp_path):
    texts = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        settings = replace(phase_one, seed=seed)
        model = build("vidtag", sizes)
        align(model, settings, train, val, points, tmp_path / name, progress=False)
        texts.append((tmp_path / name / "losses.csv").read_text())
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    "change",
    [
        {"direction": "symmetric"},
        {"num_random_negatives": 0},
        {"soft_targets_km": 1000.0},
    ],
)
def test_every_setting_of_the_loss_changes_it(change, sizes, phase_one, train, points):
    model, batch = build("vidtag", sizes).eval(), first_batch(train, phase_one)
    values = [
        PhaseOne(model, settings, points.latlon_G2, 2)._loss(batch).item()
        for settings in (phase_one, replace(phase_one, **change))
    ]
    assert abs(values[0] - values[1]) > 1e-4


def test_dropout_and_negatives_follow_from_the_batch_alone(sizes, phase_one, train, points):
    module = PhaseOne(build("vidtag", sizes).train(), phase_one, points.latlon_G2, 2)
    batch = first_batch(train, phase_one)
    first = module.training_step(batch, 0).item()
    torch.rand(3)
    assert module.training_step(batch, 1).item() == first
    assert module.training_step(replace(batch, seed=batch.seed + 1), 0).item() != first


def test_padding_takes_no_part_in_the_loss(sizes, phase_one, train, points):
    module = PhaseOne(build("vidtag", sizes).eval(), phase_one, points.latlon_G2, 2)
    rows, valid = train.whole(torch.arange(4).numpy())
    batch = train.batch(rows, valid, seed=0)
    spoiled = batch.features_BTD.masked_fill(~batch.valid_BT[..., None], 7.0)
    assert not batch.valid_BT.all()
    loss = module._loss(replace(batch, features_BTD=spoiled))
    assert loss.item() == pytest.approx(module._loss(batch).item(), abs=1e-5)


def test_val_loss_falls(sizes, phase_one, train, points, tmp_path):
    settings = replace(phase_one, epochs=10, decay=1.0)
    align(build("vidtag", sizes), settings, train, train, points, tmp_path, progress=False)
    val_loss = pd.read_csv(tmp_path / "losses.csv")["val_loss"].dropna()
    assert val_loss.iloc[-1] < val_loss.iloc[0] - 0.2


def test_negatives_are_rows_of_the_gallery(phase_one, train):
    rows = phase.negatives(first_batch(train, phase_one), 5, 100)
    assert set(rows.tolist()) == {0, 1, 2, 3, 4}


def write_location(model, folder):
    from safetensors.torch import save_file

    weights = {k: v.half() for k, v in model.location.state_dict().items()}
    save_file({**weights, "logit_scale": torch.tensor(3.5)}, folder / "start.safetensors")


def test_training_can_start_from_a_pretrained_gps_encoder(sizes, tmp_path):
    released, fresh = (build("vidtag", sizes) for _ in range(2))
    write_location(released, tmp_path)
    start_from(fresh, tmp_path, "start")
    points = torch.tensor([[48.86, 2.35], [-33.87, 151.21]])
    torch.testing.assert_close(
        fresh.embed_locations(points), released.embed_locations(points), atol=1e-2, rtol=0
    )
    assert fresh.logit_scale.item() == 3.5


def test_an_absent_gps_encoder_names_the_command_that_makes_it(sizes, tmp_path):
    with pytest.raises(ValueError, match="vidtag train-encoders start"):
        start_from(build("geoclip", sizes), tmp_path, "start")


def test_a_gps_encoder_of_another_size_is_refused(sizes, tmp_path):
    larger = replace(sizes, embed_dim=32)
    write_location(build("geoclip", larger), tmp_path)
    with pytest.raises(ValueError, match="other sizes"):
        start_from(build("geoclip", sizes), tmp_path, "start")
