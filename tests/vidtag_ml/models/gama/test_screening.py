"""Claims about the hierarchical search, on embeddings whose answer is known."""

import doctest

import numpy as np
import pytest
import torch
from torch.nn import functional

from vidtag_ml.models.gama import metrics as gama_metrics
from vidtag_ml.models.gama import screening

NUM_REGIONS, TILES_A_REGION, VIDEOS, CLIPS_A_VIDEO = 30, 9, 4, 5
REGION_M = np.repeat(np.arange(NUM_REGIONS), TILES_A_REGION)
VIDEO_N = np.repeat(np.arange(VIDEOS), CLIPS_A_VIDEO)
HOME_V = np.array([3, 11, 12, 29])
TRUE_N = HOME_V[VIDEO_N] * TILES_A_REGION + np.tile(np.arange(CLIPS_A_VIDEO), VIDEOS)


def unit(*shape, seed):
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(torch.randn(*shape, generator=generator), dim=-1)


@pytest.fixture
def tiles():
    return unit(len(REGION_M), 48, seed=0)


@pytest.fixture
def clips(tiles):
    """Each near its own tile, but every other one nearer to a tile of region 20."""
    lure = tiles[20 * TILES_A_REGION + np.arange(len(TRUE_N)) % TILES_A_REGION]
    weight = torch.tensor([0.0, 1.3]).repeat(len(TRUE_N))[: len(TRUE_N), None]
    return functional.normalize(tiles[TRUE_N] + weight * lure, dim=1)


@pytest.fixture
def regions():
    return unit(NUM_REGIONS, 16, seed=1)


def videos(regions, other=0.0):
    """Each like its own region, and `other` times like the next."""
    return functional.normalize(
        regions[HOME_V] + other * regions[(HOME_V + 1) % NUM_REGIONS], dim=1
    )


def test_examples_in_docstrings_are_true():
    result = doctest.testmod(screening)
    assert (result.failed, result.attempted) == (0, 2)


def test_step_one_finds_the_nearest_tile_of_each_clip(tiles, clips):
    found = screening.first_tiles(clips, tiles)
    assert found.tolist() == (clips @ tiles.T).argmax(1).tolist()
    assert 0 < (found == TRUE_N).mean() < 1


@pytest.mark.parametrize(
    ("found", "wanted"),
    [([5], [5, 5, 5, 5]), ([5, 2, 5], [5, 2, 5, 5]), ([1, 2, 3, 4, 9], [1, 2, 3, 4])],
    ids=["one", "few", "many"],
)
def test_sequences_keep_the_order_and_repeat_in_cycles(found, wanted):
    assert screening.tile_sequence(found, 4).tolist() == wanted


def test_a_video_without_clips_has_no_sequence():
    with pytest.raises(ValueError, match="without clips"):
        screening.tile_sequence([], 32)


@pytest.mark.parametrize(
    ("kept", "num_regions", "wanted"),
    [("top10", 3103, 10), ("top1pct", 3103, 31), ("top10pct", 3103, 310), ("top10", 7, 7),
     ("top1pct", 7, 1), ("top10pct", 7, 1)],
)  # fmt: skip
def test_the_number_of_regions_kept_is_the_papers(kept, num_regions, wanted):
    assert screening.num_kept(kept, num_regions) == wanted


def test_step_two_puts_the_most_similar_regions_first(regions):
    found = screening.best_regions(videos(regions), regions, "top10")
    assert found.shape == (VIDEOS, 10)
    assert found[:, 0].tolist() == HOME_V.tolist()
    assert found.tolist() == (regions[HOME_V] @ regions.T).topk(10).indices.tolist()


def judged(clips, tiles, galleries=None):
    """What the clips find in the gallery of their video, step 4, or among all tiles."""
    places = np.random.default_rng(0).uniform(-60, 60, (len(tiles), 2))
    queries = gama_metrics.Items(clips, TRUE_N, places[TRUE_N])
    bank = gama_metrics.Items(tiles, np.arange(len(tiles)), places)
    among = None if galleries is None else [galleries[v] for v in VIDEO_N]
    rule = gama_metrics.Rule(None, near_only_first=False, top1_km={"1mile": 1.609344})
    return gama_metrics.judge(queries, bank, rule, among)


def tiles_of(regions_vk):
    """Step 3."""
    return [np.flatnonzero(np.isin(REGION_M, rows)) for rows in regions_vk]


def test_step_four_finds_what_a_lure_elsewhere_hid(tiles, clips, regions):
    best = screening.best_regions(videos(regions), regions, "top10pct")
    assert 20 not in best
    assert not judged(clips, tiles)["recall_at_1"].all()
    found = judged(clips, tiles, tiles_of(best))
    assert found["top1"].tolist() == TRUE_N.tolist()
    assert found["recall_at_1"].all()


@pytest.mark.parametrize(("kept", "share"), [("top10", 1.0), ("top1pct", 0.0)])
def test_a_region_that_is_screened_out_cannot_be_found(kept, share, tiles, regions):
    best = screening.best_regions(videos(regions, 1.5), regions, kept)
    found = judged(tiles[TRUE_N], tiles, tiles_of(best))
    assert (found["top1"] == TRUE_N).mean() == share


def test_step_four_is_a_search_of_each_videos_gallery(tiles, clips):
    galleries = [np.arange(v, len(REGION_M), VIDEOS) for v in range(VIDEOS)]
    found = judged(clips, tiles, galleries)["top1"]
    for n, video in enumerate(VIDEO_N):
        nearest = (clips[n] @ tiles[galleries[video]].T).argmax()
        assert found[n] == galleries[video][nearest]
