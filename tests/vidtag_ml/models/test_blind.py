"""Answers of whoever looks at no frame: their errors clip by clip, and where the centre is."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from vidtag_ml.earth import sphere
from vidtag_ml.models import blind
from vidtag_ml.models.report import Report

TRAIN = np.array([[0.0, 0.0], [0.0, 0.5], [0.0, 1.0], [0.0, 2.0], [0.0, 90.0]])


def report():
    frames = pd.DataFrame({"clip": ["b", "b", "b", "a", "c"], "true_lat": 0.0})
    frames["true_lon"] = [2.0, 4.0, np.nan, 1.0, np.nan]
    return Report({}, pd.DataFrame({"clip_id": ["b", "a"], "median_km": 1.0}), frames)


def test_errors_are_those_of_a_constant_answer_clip_by_clip():
    found = blind.medians_km(report(), TRAIN)
    assert list(found.index) == ["a", "b"]
    expected = [0.0, 2 * sphere.KM_PER_DEGREE]
    np.testing.assert_allclose(found["the centre of the train fixes"], expected)


def test_a_train_fix_is_drawn_for_each_clip_and_the_same_each_time():
    drawn = blind.medians_km(report(), TRAIN)["a random train fix"]
    backwards = dataclasses.replace(report(), per_clip=report().per_clip.iloc[::-1])
    pd.testing.assert_series_equal(drawn, blind.medians_km(backwards, TRAIN)[drawn.name])
    possible = sphere.great_circle_km(TRAIN, (0.0, 1.0))
    assert np.abs(possible - drawn["a"]).min() < 1e-9


def test_the_centre_of_two_towns_lies_in_the_larger_and_outliers_do_not_move_it():
    town = np.array([48.0, 2.0]) + 0.01 * np.random.default_rng(0).normal(size=(60, 2))
    both = np.concatenate([town, np.array([0.0, 90.0]) + town[:40]])
    assert sphere.great_circle_km(blind.centre(both), (48.0, 2.0)) < 3


def test_the_centre_is_looked_for_among_a_thousand_of_many_fixes():
    line = np.stack([np.zeros(10_001), np.linspace(170, 190, 10_001)], -1)
    assert sphere.great_circle_km(blind.centre(line), (0.0, 180.0)) < 3


def test_without_train_fixes_there_is_no_blind_answer():
    with pytest.raises(ValueError, match="train split has no fix"):
        blind.medians_km(report(), np.empty((0, 2)))
