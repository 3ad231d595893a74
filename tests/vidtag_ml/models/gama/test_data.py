"""Tests of vidtag_ml.models.gama.data."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from vidtag_ml import config
from vidtag_ml.aerial import pictures as aerial_pictures
from vidtag_ml.aerial import sources as aerial_sources
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.features.batches import Step
from vidtag_ml.ingest.flyover import camera
from vidtag_ml.ingest.flyover import dataset as flyover_dataset
from vidtag_ml.models.gama import data as gama_data
from vidtag_ml.models.gama import sampling
from vidtag_ml.models.gama.data import Pairs, Sequences
from vidtag_ml.models.gama.train import pair_data

ROOT = Path(__file__).parents[4]
SIZES = {"frame_size": (12, 12), "clip_crop": (10, 10), "tile_crop": 10}


@pytest.fixture(scope="module")
def settings():
    return dataclasses.replace(config.load(ROOT / "params.yaml").gama, **SIZES)


@pytest.fixture(scope="module")
def tables(params, tmp_path_factory):
    few = {"num_train": 3, "num_val": 1, "num_test": 0, "min_frames": 40, "max_frames": 40}
    folder = tmp_path_factory.mktemp("flights")
    flyover_dataset.write(dataclasses.replace(params.clips, source="flyover_gama", **few), folder)
    return folder, clip_tables.read(folder)


@pytest.fixture(scope="module", params=["centred", "uncentred"])
def gallery(request, tables):
    wanted = config.Aerial("flyover", None, request.param, 8, None, 12, 7)
    return aerial_sources.build(wanted, tables[1].kept)


@pytest.fixture(scope="module")
def footage(tables, gallery, settings, tmp_path_factory):
    out = tmp_path_factory.mktemp("pixels")
    gama_data.write(tables[1], tables[0], *gallery, None, settings, out)
    return gama_data.PixelStore.read(out)


@pytest.fixture(scope="module")
def drives(tables, gallery):
    return gama_data.drives(tables[1], *gallery, "train")


def test_a_drive_s_tiles_contain_its_fixes(drives, gallery, tables):
    assert [len(drive.tile_N) for drive in drives] == [5] * 3
    for drive in drives:
        fixes = tables[1].fixes_of(drive.name)[["lat", "lon"]].to_numpy(float)
        south, west, north, east = gallery[0].bounds_G4[drive.tile_N].T
        assert ((south <= fixes[:, 0]) & (fixes[:, 0] <= north)).all()
        assert ((fixes[:, 1] - west) % 360 <= east - west).all()
        assert drive.name == gallery[1].ids[drive.region]


def test_pixels_are_those_of_the_files(footage, gallery, drives):
    tiles, regions = gallery
    row = drives[1].tile_N[2]
    assert (footage.tiles_GHW3[row] == aerial_pictures.pixels(tiles, [row], 12)[0]).all()
    assert (footage.regions_RHW3[2] == aerial_pictures.pixels(regions, [2], 12)[0]).all()
    assert footage.frames_FHW3.shape == (160, 12, 12, 3)


def test_a_clip_and_its_tile_are_of_one_fix(footage, drives, settings):
    pairs = Pairs(drives, footage, settings)
    clip, tile = pairs.pair(drives[0], 2, np.random.default_rng(0), random=False)
    first = sampling.first_at(2.0, 40, gama_data.shape_of(settings))
    frame = footage.frames_FHW3[footage.videos["first"][footage.number[drives[0].name]] + first]
    assert (clip[:, 0].numpy() == np.moveaxis(frame[1:11, 1:11], -1, 0)).all()
    wanted = footage.tiles_GHW3[drives[0].tile_N[2], 1:11, 1:11]
    assert (tile.numpy() == np.moveaxis(wanted, -1, 0)).all()
    assert clip.shape == (3, 8, 10, 10)


@pytest.mark.parametrize(("hard_pairs", "rows"), [(True, 4), (False, 2)])
def test_hard_pairs_are_two_of_one_video(footage, drives, settings, hard_pairs, rows):
    pairs = Pairs(drives, footage, dataclasses.replace(settings, hard_pairs=hard_pairs))
    data = pair_data(pairs, pairs, dataclasses.replace(settings, batch_size=2, seed=1))
    batch = next(iter(data.train_dataloader()))
    assert batch.left.shape == (rows, 3, 8, 10, 10)
    assert batch.right.shape == (rows, 3, 10, 10)


def test_rows_of_a_batch_are_first_pairs_then_their_partners(footage, drives, settings):
    seen = []

    class Told(Pairs):
        def pair(self, drive, fix, rng, *, random):
            seen.append((drive.name, fix))
            return super().pair(drive, fix, rng, random=random)

    steps = gama_data.PairDataset(Told(drives, footage, settings), random=True)
    batch = steps[Step(np.array([2, 0]), 9)]
    names = [name for name, _ in seen]
    assert names == [drives[2].name] * 2 + [drives[0].name] * 2
    assert all(a != b for (_, a), (_, b) in zip(seen[::2], seen[1::2], strict=True))
    again = steps[Step(np.array([2]), 9)]
    assert torch.equal(batch.left[[0, 2]], again.left)


def test_processes_together_see_what_one_sees(footage, drives, settings):
    steps = gama_data.PairDataset(Pairs(drives, footage, settings), random=True)
    which = np.array([1, 0])
    whole, *parts = (steps[Step(which, 3, r, w)] for r, w in ((0, 1), (0, 2), (1, 2)))
    assert torch.equal(whole.left[[0, 2]], parts[0].left)
    assert torch.equal(whole.right[[1, 3]], parts[1].right)


@pytest.mark.parametrize("predicted", [None, [np.array([0, 1, 0, 1])] * 3])
def test_sequences_go_with_their_region(footage, drives, settings, predicted):
    samples = Sequences(drives, footage, settings, 4, predicted)
    ((tiles, region),) = samples.of(drives[2], np.random.default_rng(0), random=False)
    assert tiles.shape == (4, 3, 10, 10)
    wanted = footage.regions_RHW3[drives[2].region, 1:11, 1:11]
    assert (region.numpy() == np.moveaxis(wanted, -1, 0)).all()
    if predicted:
        assert torch.equal(tiles[0], tiles[2])


def test_videos_without_a_usable_fix_are_left_out_of_training(drives):
    short = dataclasses.replace(drives[0], time_s_N=np.array([-1.0, -0.5, 3.0]))
    assert gama_data.trainable([short, drives[1]]) == [drives[1]]
    with pytest.raises(ValueError, match="nothing can be learnt"):
        gama_data.trainable([short])


def test_another_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match=tmp_path.name):
        gama_data.PixelStore.read(tmp_path)


def test_a_split_without_tiles_is_refused(tables, gallery):
    with pytest.raises(ValueError, match="'test' has no video"):
        gama_data.drives(tables[1], *gallery, "test")


def test_flights_keep_within_their_square_of_tiles():
    flights = camera.FLIGHTS["flyover_gama"]
    for seed in range(5):
        latlon, _ = camera.fly_within(np.random.default_rng(seed), 256, flights)
        table = aerial_sources._kept(None)
        table["lat"], table["lon"] = latlon.T
        table["clip_id"], table["time_s"] = "a", np.arange(256.0)
        _, regions = aerial_sources.build(
            config.Aerial("flyover", None, "centred", 8, None, 12, 7), table
        )
        south, west, north, east = regions.bounds_G4[0]
        assert (south <= latlon[:, 0]).all()
        assert (latlon[:, 0] <= north).all()
        assert ((latlon[:, 1] - west) % 360 <= east - west).all()
