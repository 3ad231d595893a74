"""What is of the kind that a model was trained on, and what is not."""

import numpy as np
import pandas as pd
import pytest
import torch

from vidtag_ml.models import familiarity
from vidtag_ml.models.familiarity import Familiarity, Looks, Usual

WIDTH = 12
RNG = np.random.default_rng(0)
MIX = RNG.normal(size=(4, WIDTH))


def frames(num, rng):
    """Features that lie near a plane of four directions, as those of one kind of video do."""
    return torch.from_numpy(rng.normal(size=(num, 4)) @ MIX + 0.05 * rng.normal(size=(num, WIDTH)))


def answered(features, score=0.9):
    return np.full(len(features), score) + 0.01 * RNG.normal(size=len(features))


@pytest.fixture(scope="module")
def known():
    rng = np.random.default_rng(1)
    looks = Looks.of(frames(2000, rng))
    usual = [
        Usual.of(n, np.array([looks.measures(f, answered(f)) for f in clips]))
        for n, clips in ((n, [frames(n, rng) for _ in range(200)]) for n in (1, 8))
    ]
    return Familiarity("flights", tuple(usual), looks)


@pytest.mark.parametrize("num_frames", [1, 8, 20])
def test_hardly_any_of_the_known_kind_is_taken_for_foreign(known, num_frames):
    rng = np.random.default_rng(2)
    clips = [frames(num_frames, rng) for _ in range(200)]
    assert np.mean([known.beyond(f, answered(f)) > 0 for f in clips]) < 0.08


@pytest.mark.parametrize("num_frames", [8, 20])
def test_what_lies_beside_the_known_kind_is_foreign(known, num_frames):
    rng = np.random.default_rng(3)
    flat = torch.from_numpy(np.tile(rng.normal(size=WIDTH), (num_frames, 1)))
    assert known.beyond(flat, answered(flat)) > 0


def test_known_looks_without_a_place_that_fits_are_foreign(known):
    seen = frames(8, np.random.default_rng(4))
    assert known.beyond(seen, answered(seen)) <= 0 < known.beyond(seen, answered(seen, 0.3))


def test_fewer_clips_than_needed_tell_nothing(known):
    assert Usual.of(1, np.ones((39, 2))) is None
    seen = frames(1, np.random.default_rng(5))
    nothing = Familiarity("flights", (), known.looks)
    assert nothing.beyond(seen, answered(seen)) is None
    assert (nothing.foreign(seen, answered(seen)), known.unsure) == ("", ())
    assert "fewer than 40 val clips" in nothing.unsure[0]


def test_what_was_learnt_is_kept(known, tmp_path):
    known.write(tmp_path / "there")
    again = Familiarity.read(tmp_path / "there")
    assert Familiarity.read(tmp_path / "not there") is None
    seen = frames(3, np.random.default_rng(6))
    found = answered(seen)
    assert again.beyond(seen, found) == known.beyond(seen, found)


def test_kinds_are_those_of_the_clips_and_not_ours():
    clips = pd.DataFrame({"mode": ["walk"] * 3 + ["car"] * 2 + ["boat"], "dataset": "own"})
    assert familiarity.kinds(clips) == "walks, drives and boat (own)"
