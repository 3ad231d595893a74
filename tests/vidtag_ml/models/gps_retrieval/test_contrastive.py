"""Claims about Phase I: it learns, leaves the refiner alone, and follows its seed."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from vidtag_ml.earth import sphere
from vidtag_ml.models import base, fit, networks
from vidtag_ml.models.gps_retrieval import contrastive as phase
from vidtag_ml.models.gps_retrieval.contrastive import Alignment, align, clip_data, start_from


def build(name, sizes):
    torch.manual_seed(0)
    return networks.build(name, sizes, {"clip": 10, "dino": 6})


def alone(values_BX):
    """What `joined` is to one process."""
    return values_BX


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
    loaded = networks.load(tmp_path).state_dict()
    assert all(torch.equal(loaded[k], v) for k, v in model.state_dict().items())


def test_near_targets_lie_all_round_the_frames(sizes, phase_one, train, points):
    settings = replace(phase_one, num_near_targets=400, num_random_negatives=0)
    module = Alignment(build("vidtag", sizes), settings, points.latlon_G2, 1)
    batch = first_batch(train, settings)
    here = batch.latlon_BT2[batch.valid_BT]
    near = module._others(batch, here).numpy()
    apart = sphere.great_circle_km(near[:, None], here.numpy()[None])
    nearest = apart.min(1)
    assert near.shape == (400, 2)
    assert 40 < np.median(nearest) < 90  # 60 km north, 60 east
    towards = near - here.numpy()[apart.argmin(1)]
    assert (towards > 0).mean(0) == pytest.approx([0.5, 0.5], abs=0.1)


def test_near_targets_ask_for_soft_targets(phase_one):
    with pytest.raises(ValueError, match="no soft targets"):
        replace(phase_one, num_near_targets=8, soft_targets_km=None)


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
        {"unit": "clip"},
        {"queue_size": 16},
    ],
)
def test_every_setting_of_the_loss_changes_it(change, sizes, phase_one, train, points):
    model, batch = build("vidtag", sizes).eval(), first_batch(train, phase_one)
    values = [
        Alignment(model, settings, points.latlon_G2, 2).loss(batch, alone).item()
        for settings in (phase_one, replace(phase_one, **change))
    ]
    assert abs(values[0] - values[1]) > 1e-4


def test_dropout_and_negatives_follow_from_the_batch_alone(sizes, phase_one, train, points):
    module = Alignment(build("vidtag", sizes).train(), phase_one, points.latlon_G2, 2)
    batch = first_batch(train, phase_one)
    first = module.training_step(batch, 0).item()
    torch.rand(3)
    assert module.training_step(batch, 1).item() == first
    assert module.training_step(replace(batch, seed=batch.seed + 1), 0).item() != first


def test_padding_takes_no_part_in_the_loss(sizes, phase_one, train, points):
    module = Alignment(build("vidtag", sizes).eval(), phase_one, points.latlon_G2, 2)
    rows, valid = train.whole(torch.arange(4).numpy())
    batch = train.batch(rows, valid, seed=0)
    spoiled = batch.features_BTD.masked_fill(~batch.valid_BT[..., None], 7.0)
    assert not batch.valid_BT.all()
    loss = module.loss(replace(batch, features_BTD=spoiled), alone)
    assert loss.item() == pytest.approx(module.loss(batch, alone).item(), abs=1e-5)


def test_val_loss_falls(sizes, phase_one, train, points, tmp_path):
    settings = replace(phase_one, epochs=10, decay=1.0)
    align(build("vidtag", sizes), settings, train, train, points, tmp_path, progress=False)
    val_loss = pd.read_csv(tmp_path / "losses.csv")["val_loss"].dropna()
    assert val_loss.iloc[-1] < val_loss.iloc[0] - 0.2


def test_negatives_are_rows_of_the_gallery(phase_one, train):
    rows = phase.negatives(first_batch(train, phase_one), 5, 100)
    assert set(rows.tolist()) == {0, 1, 2, 3, 4}


def write_location(model, path):
    from safetensors.torch import save_file

    weights = {k: v.half() for k, v in model.location.state_dict().items()}
    save_file({**weights, "logit_scale": torch.tensor(3.5)}, path)


def test_training_can_start_from_a_pretrained_gps_encoder(sizes, tmp_path):
    released, fresh = (build("vidtag", sizes) for _ in range(2))
    write_location(released, tmp_path / "start.safetensors")
    start_from(fresh, tmp_path / "start.safetensors")
    points = torch.tensor([[48.86, 2.35], [-33.87, 151.21]])
    torch.testing.assert_close(
        fresh.embed_locations(points), released.embed_locations(points), atol=1e-2, rtol=0
    )
    assert fresh.logit_scale.item() == 3.5


def test_training_can_start_from_a_fine_tuned_geoclip(sizes, tmp_path):
    tuned, fresh = build("geoclip", sizes), build("vidtag", sizes)
    tuned.logit_scale.data.fill_(3.25)
    base.save(tuned, tmp_path)
    start_from(fresh, tmp_path / "model.safetensors")
    for name, value in tuned.location.state_dict().items():
        torch.testing.assert_close(fresh.location.state_dict()[name], value)
    assert fresh.logit_scale.item() == 3.25


def test_a_gps_encoder_of_another_size_is_refused(sizes, tmp_path):
    larger = replace(sizes, embed_dim=32)
    write_location(build("geoclip", larger), tmp_path / "start.safetensors")
    with pytest.raises(ValueError, match=r"start\.safetensors: .*other sizes"):
        start_from(build("geoclip", sizes), tmp_path / "start.safetensors")


def test_the_queue_holds_the_newest_coordinates_first(sizes, phase_one, train, points):
    settings = replace(phase_one, queue_size=20, gps_noise_m=100.0)
    module = Alignment(build("vidtag", sizes), settings, points.latlon_G2, 2)
    start = module.queue_Q2.clone()
    batch = first_batch(train, phase_one)
    module.training_step(batch, 0)
    seen = batch.latlon_BT2[batch.valid_BT]
    assert torch.equal(module.queue_Q2[: len(seen)], seen)
    assert torch.equal(module.queue_Q2[len(seen) :], start[: 20 - len(seen)])
    assert {tuple(p) for p in start.tolist()} <= {tuple(p) for p in points.latlon_G2.tolist()}


def test_near_entries_of_the_queue_are_no_negatives(sizes, phase_one, train, points):
    settings = replace(phase_one, queue_size=4, soft_targets_km=None)
    batch = first_batch(train, phase_one)
    values = []
    for mask_km in (0.0, 1.0):
        settings = replace(settings, queue_mask_km=mask_km)
        module = Alignment(build("vidtag", sizes).eval(), settings, points.latlon_G2, 2)
        near = batch.latlon_BT2[batch.valid_BT][:4] + 1e-4
        module.queue_Q2 = near
        values.append(module.loss(batch, alone).item())
    assert values[0] > values[1] + 0.005


def test_gps_noise_moves_only_what_is_trained_on(sizes, phase_one, train, points):
    batch, losses_of = first_batch(train, phase_one), []
    for noise_m in (0.0, 500_000.0):
        settings = replace(phase_one, gps_noise_m=noise_m)
        module = Alignment(build("vidtag", sizes).eval(), settings, points.latlon_G2, 2)
        losses_of.append((module.training_step(batch, 0).item(), module.loss(batch, alone).item()))
    (still, quiet), (moved, again) = losses_of
    assert abs(still - moved) > 1e-3
    assert quiet == again


def test_a_clips_unit_is_its_mean_embedding_at_its_mean_place(sizes, phase_one, train, points):
    settings = replace(phase_one, unit="clip", num_random_negatives=0, soft_targets_km=None)
    module = Alignment(build("vidtag", sizes).eval(), settings, points.latlon_G2, 2)
    batch = first_batch(train, phase_one)
    frames = module.model.embed_frames(batch.features_BTD, batch.valid_BT, batch.time_BT)
    means = [
        f[v].mean(0) / f[v].mean(0).norm() for f, v in zip(frames, batch.valid_BT, strict=True)
    ]
    places = [
        sphere.centroid(p[v].numpy()) for p, v in zip(batch.latlon_BT2, batch.valid_BT, strict=True)
    ]
    gps = module.model.embed_locations(torch.tensor(np.array(places)).float())
    logits = module.model.scale() * torch.stack(means) @ gps.T
    wanted = torch.nn.functional.cross_entropy(logits, torch.arange(len(logits)))
    torch.testing.assert_close(module.loss(batch, alone), wanted, atol=1e-4, rtol=1e-4)


def test_bfloat16_trains_and_keeps_weights_in_float32(
    sizes, phase_one, train, val, points, tmp_path, monkeypatch
):
    monkeypatch.setattr(fit, "multiplies_bfloat16", lambda: True)
    settings = replace(phase_one, precision="bfloat16", epochs=1)
    model = align(build("vidtag", sizes), settings, train, val, points, tmp_path, progress=False)
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert pd.read_csv(tmp_path / "losses.csv")["loss"].notna().all()
