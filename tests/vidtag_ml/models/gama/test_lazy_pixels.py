"""Lazy pixels: what is read on demand is what would be in the arrays."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from vidtag_ml import config
from vidtag_ml.aerial import sources as aerial_sources
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.ingest.flyover import dataset as flyover_dataset
from vidtag_ml.models.gama import data as gama_data
from vidtag_ml.models.gama import lazy_pixels
from vidtag_ml.models.gama.data import Pairs
from vidtag_ml.models.gama.train import pair_data

ROOT = Path(__file__).parents[4]
SIZES = {"frame_size": (12, 12), "clip_crop": (10, 10), "tile_crop": 10}


@pytest.fixture(scope="module")
def settings():
    return dataclasses.replace(config.load(ROOT / "params.yaml").gama, **SIZES)


@pytest.fixture(scope="module")
def both(settings, tmp_path_factory):
    """Tables, gallery, and the footage as arrays and as read."""
    few = {"num_train": 3, "num_val": 1, "num_test": 0, "min_frames": 40, "max_frames": 40}
    folder, arrays, index = (tmp_path_factory.mktemp(n) for n in ("flights", "arrays", "index"))
    wanted = config.load(ROOT / "params.yaml").clips
    flyover_dataset.write(dataclasses.replace(wanted, source="flyover_gama", **few), folder)
    tables = clip_tables.read(folder)
    aerial = config.Aerial("flyover", None, "centred", 8, None, 12, 7)
    gallery = aerial_sources.build(aerial, tables.kept)
    gama_data.write(tables, folder, *gallery, None, settings, arrays)
    lazy_pixels.write(tables, folder, settings, index)
    read = lazy_pixels.read(index, folder, *gallery, None, settings)
    return tables, gallery, gama_data.PixelStore.read(arrays), read


def test_rows_are_those_of_the_arrays(both):
    _, _, arrays, read = both
    assert arrays.videos.equals(read.videos[["clip_id", "first", "num_frames"]])
    rows = np.array([[3, 3, 41], [159, 0, 80]])
    assert (read.frames_FHW3[rows] == arrays.frames_FHW3[rows]).all()
    assert (read.tiles_GHW3[np.asarray(4)] == arrays.tiles_GHW3[4]).all()
    assert (read.regions_RHW3[[1, 0]] == arrays.regions_RHW3[[1, 0]]).all()


def test_training_sees_the_same_batches(both, settings):
    tables, gallery, arrays, read = both
    drives = gama_data.drives(tables, *gallery, "train")
    batches = []
    for footage in (arrays, read):
        pairs = Pairs(drives, footage, settings)
        data = pair_data(pairs, pairs, dataclasses.replace(settings, batch_size=2, seed=1))
        batches.append(list(data.train_dataloader()))
    assert len(batches[0]) == len(batches[1]) > 0
    for one, other in zip(*batches, strict=True):
        assert (one.left == other.left).all()
        assert (one.right == other.right).all()


def test_without_an_index_the_folder_is_named(both, settings, tmp_path):
    _, gallery, _, _ = both
    with pytest.raises(ValueError, match="holds no index of videos"):
        lazy_pixels.read(tmp_path, tmp_path, *gallery, None, settings)
