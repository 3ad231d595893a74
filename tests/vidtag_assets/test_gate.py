"""The gate on reports made by hand: gains, ties, regressions in one place, other splits."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from vidtag_assets import gate
from vidtag_ml.evaluate import Report

NUM = 40


def report(errors_km, gallery="g", shift=0.0):
    clips = [f"clip-{k:02d}" for k in range(NUM)]
    per_clip = pd.DataFrame({"clip_id": clips, "median_km": errors_km})
    per_clip["continent"] = ["Africa"] * 20 + ["Asia"] * 15 + ["Europe"] * 5
    frames = pd.DataFrame({"clip": clips, "time_s": 0.0, "true_lat": shift, "true_lon": 0.0})
    return Report({"gallery_md5": gallery, "split": "val"}, per_clip, frames)


def judge(challenger, rival, by_continent=True):
    return gate.judge(challenger, rival, "champion 1", draws=200, by_continent=by_continent)


ERRORS = np.linspace(50, 150, NUM)


def test_clear_gain_is_promoted_and_measured():
    verdict = judge(report(ERRORS * 0.5), report(ERRORS))
    assert verdict.promoted
    assert verdict.ratio == pytest.approx(0.5)


def test_tie_keeps_the_champion():
    verdict = judge(report(ERRORS), report(ERRORS))
    assert not verdict.promoted
    assert "no significant gain" in verdict.reasons[0]


def test_loss_keeps_the_champion():
    assert not judge(report(ERRORS * 1.1), report(ERRORS)).promoted


def test_gain_by_chance_keeps_the_champion():
    noise = np.exp(np.random.default_rng(0).normal(-0.02, 1.0, NUM))
    assert not judge(report(ERRORS * noise), report(ERRORS)).promoted


def test_regression_of_a_continent_forbids_promotion():
    factor = np.r_[np.full(20, 0.1), np.full(15, 1.5), np.full(5, 0.1)]
    verdict = judge(report(ERRORS * factor), report(ERRORS))
    assert not verdict.promoted
    assert verdict.reasons[0].startswith("Asia got worse: 1.50 times on 15 clips")


def test_continent_of_few_clips_is_not_judged_alone():
    factor = np.r_[np.full(35, 0.1), np.full(5, 1.5)]
    assert judge(report(ERRORS * factor), report(ERRORS)).promoted


def test_first_champion_is_not_judged_by_continent():
    factor = np.r_[np.full(20, 0.1), np.full(15, 1.5), np.full(5, 0.1)]
    assert judge(report(ERRORS * factor), report(ERRORS), by_continent=False).promoted


@pytest.mark.parametrize(
    ("other", "why"), [({"gallery": "h"}, "another gallery"), ({"shift": 1.0}, "another val split")]
)
def test_other_gallery_or_split_cannot_be_compared(other, why):
    verdict = judge(report(ERRORS * 0.1), report(ERRORS, **other))
    assert not verdict.promoted
    assert why in verdict.reasons[0]


def test_order_of_clips_does_not_matter():
    shuffled = dataclasses.replace(
        report(ERRORS * 0.5), per_clip=report(ERRORS * 0.5).per_clip.sample(frac=1, random_state=1)
    )
    assert judge(shuffled, report(ERRORS)) == judge(report(ERRORS * 0.5), report(ERRORS))


def test_perfect_clips_do_not_divide_by_zero():
    assert judge(report(np.zeros(NUM)), report(ERRORS)).promoted
