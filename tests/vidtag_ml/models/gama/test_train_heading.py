"""Turned tiles: what they show, and that a network goes on learning on them."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from vidtag_ml import config
from vidtag_ml.aerial import pictures as aerial_pictures
from vidtag_ml.aerial import sources as aerial_sources
from vidtag_ml.earth import sphere
from vidtag_ml.models import base
from vidtag_ml.models.gama import data as gama_data
from vidtag_ml.models.gama import train_heading as training
from vidtag_ml.models.gama.data import CrossViewData, PixelStore
from vidtag_ml.models.gama.network import GAMaNet
from vidtag_ml.models.gama.train_heading import TurnedPairs, train_heading

ROOT = Path(__file__).parents[4]
PARAMS = config.load(ROOT / "params.yaml")
SIZES = config.GamaNetwork(4, 1, "video", "fast", 0.0, "none", 1, 1, 0.0, "none")
CROPPED = dataclasses.replace(
    PARAMS.gama, frame_size=(12, 12), clip_crop=(10, 10), tile_crop=10, batch_size=2
)
WHOLE = dataclasses.replace(CROPPED, clip_crop=(12, 12), tile_crop=12)
HEADING = dataclasses.replace(PARAMS.heading, epochs=2, milestones=(1,))
STEPS_KM = {"north-east": 100.0, "parked": 0.0, "again": 80.0, "val": 90.0}
FRAMES = 48


@pytest.fixture(scope="module")
def world():
    """Four videos; all frames of one are the same picture, so that a clip tells how it was cut."""
    fixes = []
    for k, (name, step_km) in enumerate(STEPS_KM.items()):
        latlon = sphere.destination((40.0, 5.0 + 9 * k), 60.0, step_km * np.arange(6))
        table = pd.DataFrame(latlon, columns=["lat", "lon"])
        fixes.append(table.assign(clip_id=name, time_s=np.arange(6.0)))
    wanted = config.Aerial("flyover", None, "centred", 8, None, 12, 7)
    tiles, regions = aerial_sources.build(wanted, pd.concat(fixes, ignore_index=True))
    rng = np.random.default_rng(0)
    pictures = rng.integers(256, size=(len(STEPS_KM), 12, 12, 3), dtype=np.uint8)
    first = FRAMES * np.arange(len(STEPS_KM))
    videos = pd.DataFrame({"clip_id": list(STEPS_KM), "first": first, "num_frames": FRAMES})
    footage = PixelStore(videos, np.repeat(pictures, FRAMES, 0), pictures, pictures)
    drives = []
    for k, name in enumerate(STEPS_KM):
        rows = np.flatnonzero(tiles.table["region"] == name)
        drives.append(gama_data.DriveFixes(name, k, np.arange(6.0), tiles.latlon_G2[rows], rows))
    return CrossViewData(drives[:3], drives[3:], footage, tiles, regions, None, Path())


def pairs_of(world, settings, jitter_deg=0.0):
    return TurnedPairs(world.train, world, settings, jitter_deg)


def tile(world, drive, fix, heading_deg):
    """A tile's picture (C, H, W)."""
    (picture,) = aerial_pictures.pixels(world.tiles, drive.tile_N[[fix]], 12, None, heading_deg)
    return np.moveaxis(picture, -1, 0)


def picture(world, drive):
    """The frame (C, H, W) of a video."""
    return np.moveaxis(world.footage.tiles_GHW3[drive.region], -1, 0)


def draw(pairs, drive, seed, fix=2):
    clip, seen = pairs.pair(drive, fix, np.random.default_rng(seed), random=True)
    return clip.numpy(), seen.numpy()


def test_up_in_a_tile_is_the_direction_of_travel(world):
    pairs, drive = pairs_of(world, CROPPED, 10.0), world.train[0]
    heading = pairs.headings[drive.name][2]
    assert heading == pytest.approx(60.0, abs=4)
    clip, seen = pairs.pair(drive, 2, np.random.default_rng(0), random=False)
    wanted = tile(world, drive, 2, heading)[:, 1:11, 1:11]
    assert np.array_equal(seen, wanted)
    assert not np.array_equal(seen, tile(world, drive, 2, 0.0)[:, 1:11, 1:11])
    assert clip.shape == (3, 8, 10, 10)
    assert (clip.numpy() == picture(world, drive)[:, None, 1:11, 1:11]).all()


def test_a_tile_that_was_not_driven_across_is_turned_anyhow_in_training(world):
    pairs, parked = pairs_of(world, WHOLE), world.train[1]
    assert np.isnan(pairs.headings["parked"]).all()
    _, seen = pairs.pair(parked, 2, np.random.default_rng(0), random=False)
    north = tile(world, parked, 2, 0.0)
    assert np.array_equal(seen, north)
    drawn = [draw(pairs, parked, seed)[1] for seed in range(4)]
    assert not any(np.array_equal(one, north) for one in drawn)
    assert not np.array_equal(drawn[0], drawn[1])


def test_clip_and_tile_are_mirrored_together(world):
    pairs, drive = pairs_of(world, WHOLE), world.train[0]
    plain = picture(world, drive), tile(world, drive, 2, pairs.headings[drive.name][2])
    mirrored = []
    for seed in range(16):
        clip, seen = draw(pairs, drive, seed)
        both = list(zip((clip[:, 0], seen), plain, strict=True))
        flips = [np.array_equal(a, b[..., ::-1]) for a, b in both]
        same = [np.array_equal(a, b) for a, b in both]
        assert flips in ([True, True], [False, False])
        assert same == [not flip for flip in flips]
        assert (clip == clip[:, :1]).all()
        mirrored.append(flips[0])
    assert 0 < sum(mirrored) < 16


def test_the_heading_is_jittered_by_as_much_as_is_said(world, monkeypatch):
    turns = []
    real = aerial_pictures.pixels

    def pixels(areas, rows, size, folder, heading_deg):
        turns.append(heading_deg)
        return real(areas, rows, size, folder, heading_deg)

    monkeypatch.setattr(training.aerial_pictures, "pixels", pixels)
    pairs, drive = pairs_of(world, CROPPED, 10.0), world.train[0]
    for seed in range(100):
        draw(pairs, drive, seed)
    away = np.array(turns) - pairs.headings[drive.name][2]
    assert abs(away.mean()) < 4
    assert 7 < away.std() < 13


def test_the_same_seed_gives_the_same_pair(world):
    pairs, drive = pairs_of(world, CROPPED, 10.0), world.train[0]
    first, again, other = (draw(pairs, drive, seed) for seed in (3, 3, 4))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[1], other[1])
    assert first[0].shape == (3, 8, 10, 10)
    assert first[1].shape == (3, 10, 10)


@pytest.fixture(scope="module")
def gama(tmp_path_factory):
    """A folder with a GAMa-Net that has learnt nothing."""
    folder = tmp_path_factory.mktemp("gama")
    torch.manual_seed(0)
    base.save(GAMaNet(SIZES), folder)
    return folder


def train(world, gama, out, **changes):
    settings = dataclasses.replace(HEADING, **changes)
    return train_heading(settings, CROPPED, gama, world, out, progress=False)


def test_no_epochs_leave_gama_net_as_it_is(world, gama, tmp_path):
    model = train(world, gama, tmp_path, epochs=0)
    assert not model.training
    start = load_file(gama / "model.safetensors")
    assert set(start) == set(model.state_dict())
    assert all(torch.equal(start[name], value) for name, value in model.state_dict().items())
    assert (tmp_path / "model.safetensors").read_bytes() == (
        gama / "model.safetensors"
    ).read_bytes()
    assert (tmp_path / "model.json").read_text() == (gama / "model.json").read_text()


def test_training_goes_on_from_gama_net_and_is_written(world, gama, tmp_path):
    model = train(world, gama, tmp_path, learning_rate=1e-4)
    written, start = (load_file(f / "model.safetensors") for f in (tmp_path, gama))
    assert not model.training
    assert all(torch.equal(written[name], value) for name, value in model.state_dict().items())
    moved = max((written[k] - start[k]).abs().max() for k in start if k.endswith("conv1.weight"))
    assert 0 < moved < 1e-3
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"model.json", "model.safetensors", "losses.csv"}
    losses = pd.read_csv(tmp_path / "losses.csv")
    assert losses["lr"].max() <= 1e-4
    assert np.isfinite(losses["loss"]).all()
    assert losses["val_loss"].notna().sum() == 2


def test_a_resumed_training_ends_as_if_it_had_never_stopped(world, gama, tmp_path, monkeypatch):
    def stop(*_):
        raise InterruptedError

    train(world, gama, tmp_path / "whole")
    monkeypatch.setattr(training.fit, "finish", stop)
    with pytest.raises(InterruptedError):
        train(world, gama, tmp_path / "part", epochs=1)
    monkeypatch.undo()
    train(world, gama, tmp_path / "part")
    whole, part = ((tmp_path / name) for name in ("whole", "part"))
    for name in ("model.safetensors", "losses.csv"):
        assert (part / name).read_bytes() == (whole / name).read_bytes()


def test_without_a_gama_net_nothing_is_learnt(world, tmp_path):
    with pytest.raises(ValueError, match="nothing"):
        train(world, tmp_path / "nothing", tmp_path / "out")
