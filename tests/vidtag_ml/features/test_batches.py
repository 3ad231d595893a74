"""Claims about frame choice, batches and their order."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from vidtag_ml.dataset.tables import Tables
from vidtag_ml.features.batches import (
    ClipDataset,
    Frames,
    StepDataset,
    StepLoader,
    StepSampler,
    in_order,
)
from vidtag_ml.features.store import ClipFeatures


def frames_of(*num_frames: int, width: int = 4) -> Frames:
    """Clips whose frames carry their own row as feature, and their number as time."""
    num = np.array(num_frames)
    rows = torch.arange(int(num.sum()))
    time = np.concatenate([np.arange(n) for n in num])
    latlon = torch.stack([rows * 0.1, rows * 0.2], 1).double()
    features = rows.half()[:, None].expand(-1, width).contiguous()
    return Frames(features, latlon, torch.from_numpy(time).float(), np.cumsum(num) - num, num)


@pytest.mark.parametrize("num_frames", [4, 5, 16, 37])
def test_one_frame_comes_from_each_of_equal_cells(num_frames):
    frames = frames_of(3, num_frames)
    rng = np.random.default_rng(0)
    for _ in range(50):
        rows, valid = frames.chosen(np.array([1]), 4, rng)
        cells = (rows[0] - 3) * 4 // num_frames
        assert valid.all()
        assert (np.diff(rows[0]) > 0).all()
        if num_frames % 4 == 0:
            assert cells.tolist() == [0, 1, 2, 3]
        assert rows.min() >= 3
        assert rows.max() < 3 + num_frames


def test_every_frame_is_chosen_sometimes():
    frames, rng = frames_of(7), np.random.default_rng(0)
    seen = {int(row) for _ in range(100) for row in frames.chosen(np.array([0]), 4, rng)[0][0]}
    assert seen == set(range(7))


def test_without_randomness_the_middle_of_each_cell_is_chosen():
    rows, _ = frames_of(16).chosen(np.array([0]), 4, None)
    assert rows.tolist() == [[2, 6, 10, 14]]


def test_a_short_clip_gives_all_its_frames_and_padding():
    rows, valid = frames_of(5, 3).chosen(np.array([1]), 4, np.random.default_rng(0))
    assert rows[0, :3].tolist() == [5, 6, 7]
    assert valid.tolist() == [[True, True, True, False]]


def test_whole_clips_are_padded_to_the_longest():
    rows, valid = frames_of(2, 3).whole(np.array([0, 1]))
    assert rows[valid].tolist() == [0, 1, 2, 3, 4]
    assert valid.tolist() == [[True, True, False], [True, True, True]]


def test_a_batch_holds_the_rows_it_was_asked_for():
    frames = frames_of(4, 6)
    rows = np.array([[0, 2], [5, 9]])
    batch = frames.batch(rows, np.ones((2, 2), bool), seed=1)
    assert batch.features_BTD.dtype == torch.float32
    assert batch.features_BTD[..., 0].tolist() == rows.tolist()
    assert torch.equal(batch.latlon_BT2[1, 1], frames.latlon_F2[9])
    assert batch.time_BT.tolist() == [[0, 2], [1, 5]]


def test_phase_two_tensors_travel_with_the_frames():
    frames = frames_of(4, 6)
    frames = replace(frames, truth_FE=torch.rand(10, 3), predicted_FE=torch.rand(10, 3))
    batch = frames.batch(np.array([[1, 7]]), np.ones((1, 2), bool), seed=1).to("cpu")
    assert batch.truth_BTE is not None
    assert torch.equal(batch.truth_BTE[0], frames.truth_FE[[1, 7]])
    assert torch.equal(batch.predicted_BTE[0], frames.predicted_FE[[1, 7]])


def test_parts_that_do_not_fit_together_are_refused():
    frames = frames_of(4, 6)
    with pytest.raises(ValueError, match=r"latlon_F2 has shape \(9, 2\), not \(10, 2\)"):
        replace(frames, latlon_F2=frames.latlon_F2[:9])
    with pytest.raises(ValueError, match="do not make 10 frames"):
        replace(frames, num_C=np.array([4, 5]))
    with pytest.raises(ValueError, match="time_BT"):
        replace(
            frames.batch(np.zeros((1, 2), int), np.ones((1, 2), bool), 0), time_BT=torch.ones(2)
        )


def test_an_epoch_shows_every_clip_once():
    steps = list(StepSampler(12, 4, seed=1))
    assert sorted(np.concatenate([s.clips_B for s in steps])) == list(range(12))
    assert len({s.seed for s in steps}) == 3


def test_the_order_is_a_function_of_seed_and_epoch():
    def order(seed, epoch):
        sampler = StepSampler(12, 4, seed)
        sampler.set_epoch(epoch)
        return [(s.clips_B.tolist(), s.seed) for s in sampler]

    assert order(1, 5) == order(1, 5)
    assert order(1, 5) != order(1, 6)
    assert order(1, 5) != order(2, 5)


def test_the_last_smaller_batch_is_left_out_unless_it_is_the_only_one():
    assert [len(s.clips_B) for s in StepSampler(10, 4, seed=1)] == [4, 4]
    assert [len(s.clips_B) for s in StepSampler(3, 4, seed=1)] == [3]


def test_processes_together_see_what_one_would_see():
    frames = frames_of(9, 8, 7, 9)
    data = ClipDataset(frames, 4, random=True)
    (alone,) = StepSampler(4, 4, seed=1)
    parts = [data[step] for rank in (0, 1) for step in StepSampler(4, 4, 1, rank, 2)]
    both = torch.stack([part.features_BTD for part in parts], 1).flatten(0, 1)
    assert torch.equal(both, data[alone].features_BTD)


def test_batches_that_cannot_be_shared_are_refused():
    with pytest.raises(ValueError, match="batches of 4 clips for 3 processes"):
        StepSampler(8, 4, 1, 0, 3)


class Slow(StepDataset):
    """A step's seed, made by threads."""

    num_threads = 2

    def __getitem__(self, step):
        return step.seed


def test_batches_that_threads_make_come_in_the_order_of_their_steps():
    loader = StepLoader(Slow(), in_order(7, 1, seed=4))
    assert len(loader) == 7
    assert list(loader) == [4, 5, 6, 7, 8, 9, 10]


class Store:
    """A store of three clips of four frames; a feature is clip number and frame number."""

    def clip(self, clip_id: str) -> ClipFeatures:
        number = torch.full((4,), float(clip_id[-1]))
        features = torch.stack([number, torch.arange(4.0)], 1).half()
        return ClipFeatures(features, np.arange(4.0))


def tables_of(fixes: list[tuple[str, float]], splits: dict[str, str]) -> Tables:
    clips = pd.DataFrame({"clip_id": splits.keys(), "split": splits.values()})
    rows = [(clip, time, 10.0, time, "measured", "gps") for clip, time in fixes]
    columns = ["clip_id", "time_s", "lat", "lon", "status", "fix_source"]
    return Tables(clips, pd.DataFrame(rows, columns=columns))


def test_frames_without_a_position_are_left_out():
    fixes = [("c0", 0.0), ("c0", 1.0), ("c1", 0.0), ("c1", 1.0), ("c1", 2.0), ("c1", 3.0)]
    tables = tables_of(fixes, {"c0": "train", "c1": "train", "c2": "val"})
    frames = Frames.load(Store(), tables, "train", max_gap_s=2.0)
    assert frames.num_C.tolist() == [2, 4]
    assert frames.features_FD.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1], [1, 2], [1, 3]]
    assert frames.latlon_F2[:, 1].tolist() == pytest.approx([0, 1, 0, 1, 2, 3])


def test_a_split_without_positions_is_an_error():
    tables = tables_of([("c0", 0.0)], {"c0": "train"})
    with pytest.raises(ValueError, match="split 'val' has no frame with a position"):
        Frames.load(Store(), tables, "val", max_gap_s=2.0)
