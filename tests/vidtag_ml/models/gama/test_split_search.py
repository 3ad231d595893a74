"""A split's videos and regions: which tiles the best regions leave. Runs are in test_stages."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from vidtag_ml import config
from vidtag_ml.aerial import sources as aerial_sources
from vidtag_ml.models.gama.data import CrossViewData
from vidtag_ml.models.gama.metrics import Items
from vidtag_ml.models.gama.split_search import EmbeddedSplit, ScreenedSplit

NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def world():
    """Three regions of six tiles, a video each."""
    when, lon = np.arange(6.0), 2.0 * np.arange(6)
    fixes = pd.concat(
        pd.DataFrame({"clip_id": name, "time_s": when, "lat": 20.0 * k, "lon": lon})
        for k, name in enumerate(NAMES)
    )
    wanted = config.Aerial("flyover", None, "centred", 8, None, 12, 7)
    return CrossViewData([], [], None, *aerial_sources.build(wanted, fixes), None, Path())


def items(names):
    vectors = torch.eye(3)[[NAMES.index(name) for name in names]]
    return Items(vectors, np.array(names, object), np.zeros((len(names), 2)))


def test_step_three_takes_all_tiles_of_the_best_regions_alone(world):
    region = world.tiles.table["region"].to_numpy()
    tile_row_M = np.flatnonzero(np.isin(region, ["b", "c"]))
    found = EmbeddedSplit([], [], None, None, tile_row_M)
    screened = ScreenedSplit(videos=items(["c", "b", "c"]), regions=items(["b", "c"]))
    rows = screened.best(found, world, "top1pct")
    assert [sorted(region[tile_row_M[own]]) for own in rows] == [["c"] * 6, ["b"] * 6, ["c"] * 6]
    assert [len(own) for own in screened.best(found, world, "top10")] == [12] * 3
