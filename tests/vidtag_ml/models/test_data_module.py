"""Claims about the batches of an epoch."""

import numpy as np
import pytest
import torch

from vidtag_ml.features.batches import ClipDataset, Frames, StepDataset
from vidtag_ml.models.data_module import StepDataModule


class Steps(StepDataset):
    """Some clips of which a batch shows numbers and its seed."""

    def __init__(self, num):
        self.num = num

    def __len__(self):
        return self.num

    def __getitem__(self, step):
        return step.clips_B.tolist(), step.seed


@pytest.fixture
def data():
    """Four clips of nine frames; a frame's number is its feature."""
    rows = torch.arange(36.0)
    num = np.full(4, 9)
    features, latlon = rows[:, None], torch.zeros(36, 2).double()
    frames = Frames(features, latlon, rows, np.cumsum(num) - num, num)
    train, val = (ClipDataset(frames, 4, random=random) for random in (True, False))
    return StepDataModule(train, val, batch_size=2, seed=3)


def test_train_batches_repeat_for_the_same_epoch_and_differ_for_another(data):
    loader = data.train_dataloader()
    first = [b.features_BTD for b in loader]
    again = [b.features_BTD for b in data.train_dataloader()]
    loader.sampler.set_epoch(1)
    other = [b.features_BTD for b in loader]
    assert torch.equal(torch.stack(first), torch.stack(again))
    assert not torch.equal(torch.stack(first), torch.stack(other))
    assert data.steps_per_epoch == len(first) == 2


def test_val_batches_show_all_clips_in_order_with_seeds_of_their_own():
    data = StepDataModule(Steps(4), Steps(5), batch_size=2, seed=3, val_seed=7)
    assert list(data.val_dataloader()) == [([0, 1], 7), ([2, 3], 8), ([4], 9)]


def test_the_steps_of_an_epoch_are_those_of_the_train_clips():
    assert StepDataModule(Steps(7), Steps(2), batch_size=3, seed=0).steps_per_epoch == 2
