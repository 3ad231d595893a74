"""Quantiles that hold of new clips as often as they are said to."""

import numpy as np
import pytest

from vidtag_ml.metrics import conformal


@pytest.mark.parametrize("num_clips", [9, 40])
def test_new_clips_are_within_as_often_as_said(num_clips):
    rng = np.random.default_rng(0)
    held = []
    for _ in range(200):
        clips = rng.lognormal(0, 1, (num_clips + 1, 1)) * rng.lognormal(0, 0.3, (num_clips + 1, 6))
        bound = conformal.quantile(list(clips[1:]), 0.9)
        held.append((clips[0] <= bound).mean())
    assert 0.87 < np.mean(held) <= 0.97


def test_fewer_clips_than_a_share_takes_bound_nothing():
    assert conformal.quantile([np.array([1.0])] * 8, 0.9) == np.inf
    assert conformal.quantile([], 0.5) == np.inf


def test_a_clip_of_many_frames_weighs_as_much_as_any_other():
    long, others = np.full(1000, 9.0), [np.array([float(k)]) for k in range(1, 9)]
    assert conformal.quantile([*others, long], 0.5) == 5.0
