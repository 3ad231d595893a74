"""What CityGuessr knows, by clips as it sees them."""

import dataclasses

import pytest
import torch

from vidtag_ml import config
from vidtag_ml.models.cityguessr import evaluate, inference, knowing
from vidtag_ml.models.cityguessr import stages as cityguessr_stages
from vidtag_ml.models.familiarity import Usual
from vidtag_ml.workflow import layout


@pytest.fixture(scope="module")
def world(made):
    params = config.load(made / "params.yaml")
    at = layout.of(made, params)
    model = inference.load(at.model("cityguessr"))
    return model, params.cityguessr, cityguessr_stages.guess_sources(at, params)


@pytest.mark.parametrize(("limit", "lost"), [(1e9, 0.0), (-1e9, 1.0)])
def test_a_report_says_how_many_clips_would_get_no_answer(world, limit, lost):
    usual = (Usual(1, (0.0, 0.0), (1.0, 1.0), limit),)
    known = dataclasses.replace(knowing.learnt(*world), usual=usual)
    report = evaluate.report_on(*world, "test", 10, known)
    assert report.summary["lost"] == lost
    assert (report.per_clip["lost"] == lost).all()


def test_clips_are_cut_to_their_middle_frames(world):
    seen = torch.arange(8.0)[None, :, None], torch.arange(8)[None] < 6, torch.arange(8.0)[None]
    frames, valid, times = knowing._middle(world[0], seen, 2)
    assert (frames.flatten().tolist(), times.tolist()) == ([2.0, 3.0], [[0.0, 1.0]])
    assert valid.all()
    assert knowing._middle(world[0], seen, 7) is None
