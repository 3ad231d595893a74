"""Labelled videos: which frames are seen, and that batches carry the right labels."""

import numpy as np
import pandas as pd
import pytest
import torch

from vidtag_ml.features import batches as features_batches
from vidtag_ml.features.batches import Step
from vidtag_ml.features.store import FeatureStore
from vidtag_ml.media import video
from vidtag_ml.models.cityguessr import data as cityguessr_data


@pytest.fixture
def cached(made, tables):
    store = FeatureStore.open(made / "out" / "features")
    return cityguessr_data.CachedVideos(store, tables.clips["clip_id"].tolist(), 4)


def step(*clips, seed=1, rank=0, world_size=1):
    return Step(np.array(clips), seed, rank, world_size)


@pytest.mark.parametrize(
    ("num", "wanted", "stride", "frames"),
    [
        (100, 16, 5, list(range(0, 76, 5))),
        (76, 16, 5, list(range(0, 76, 5))),
        (75, 16, 5, list(range(0, 61, 4))),
        (31, 16, 5, list(range(0, 31, 2))),
        (16, 16, 5, list(range(16))),
        (3, 5, 5, [0, 1, 2, 2, 2]),
        (9, 1, 5, [0]),
    ],
)
def test_frames_are_sampled_as_published(num, wanted, stride, frames):
    assert cityguessr_data.sampled(num, wanted, stride).tolist() == frames


@pytest.mark.parametrize(("num", "wanted"), [(3, 16), (16, 16), (17, 16), (100, 16)])
def test_middles_are_the_frames_that_the_cache_gives(num, wanted):
    cells = cityguessr_data.middles(num, wanted)
    assert len(cells) == min(num, wanted)
    edges = np.arange(wanted + 1) * num // wanted
    if num > wanted:
        assert ((edges[:-1] <= cells) & (cells < edges[1:])).all()


def test_cached_videos_give_the_features_of_their_clips(cached, made):
    store = FeatureStore.open(made / "out" / "features")
    frames, valid, time = cached.seen(np.array([3]), None)
    clip = store.clip(cached.clip_ids[3])
    which = cityguessr_data.middles(len(clip.time_s), 4)
    assert torch.equal(frames[0], clip.features_TD[which].float())
    assert torch.equal(time[0], torch.from_numpy(clip.time_s[which]).float())
    assert valid.all()


def test_decoded_videos_give_the_pixels_of_their_files(tables, tiny_world):
    names = tables.clips["clip_id"].tolist()[:2]
    videos = cityguessr_data.DecodedVideos(tables, tiny_world, names, 4, 2, 32)
    squares, valid, time = videos.seen(np.array([1]), None)
    path = tiny_world / tables.clips["video_path"].iloc[1]
    ((frames, _),) = video.batches_at(path, np.array([0.0, 2.0, 4.0, 6.0]), 8)
    assert squares.shape == (1, 4, 3, 32, 32)
    assert squares.dtype == torch.uint8
    assert time.tolist() == [[0.0, 2.0, 4.0, 6.0]]
    assert torch.equal(squares[0], cityguessr_data._square(frames, 32))
    assert valid.all()


def test_decoded_pictures_come_in_the_order_of_their_numbers(tmp_path, tables):
    from PIL import Image

    clips = tables.clips.head(1).assign(kind="frames", num_frames=11)
    for k in range(11):
        Image.new("RGB", (8, 8), (k * 20, 0, 0)).save(tmp_path / f"{k}.png")
    files = [f"{k}.png" for k in range(11)]
    frames = pd.DataFrame(
        {"clip_id": clips["clip_id"].iloc[0], "frame_index": range(11), "file": files}
    )
    shuffled = type(tables)(clips, tables.fixes, frames.sample(frac=1, random_state=1))
    videos = cityguessr_data.DecodedVideos(shuffled, tmp_path, clips["clip_id"].tolist(), 3, 5, 8)
    squares, _, time = videos.seen(np.array([0]), None)
    assert time.tolist() == [[0.0, 5.0, 10.0]]
    assert squares[0, :, 0, 0, 0].tolist() == [0, 100, 200]


def test_batches_carry_labels_and_scenes_of_their_clips(cached):
    num = len(cached.clip_ids)
    classes = torch.arange(num * 4).view(num, 4)
    scenes = torch.eye(num)
    batch = cityguessr_data.Labelled(cached, classes, scenes).batch(step(5, 2), None)
    assert batch.classes_B4[:, 0].tolist() == [20, 8]
    assert batch.scenes_BS.argmax(1).tolist() == [5, 2]


def test_processes_share_a_step(cached):
    clips = cityguessr_data.Labelled(
        cached, torch.zeros(len(cached.clip_ids), 4, dtype=torch.int64)
    )
    whole = clips.batch(step(0, 1, 2, 3), None).frames_BTX
    shares = [clips.batch(step(0, 1, 2, 3, rank=r, world_size=2), None).frames_BTX for r in (0, 1)]
    assert torch.equal(whole[0::2], shares[0])
    assert torch.equal(whole[1::2], shares[1])


def test_equal_seeds_draw_equal_frames(cached):
    rows = [cached.seen(np.arange(6), np.random.default_rng(k))[2] for k in (1, 1, 2)]
    assert torch.equal(rows[0], rows[1])
    assert not torch.equal(rows[0], rows[2])


def test_steps_in_order_see_each_clip_once():
    seen = [clip for part in features_batches.in_order(7, 3) for clip in part.clips_B.tolist()]
    assert seen == list(range(7))


def test_parts_of_other_clips_are_refused(cached):
    with pytest.raises(ValueError, match="classes_C4 is of 3 clips, not of 10"):
        cityguessr_data.Labelled(cached, torch.zeros(3, 4, dtype=torch.int64))
