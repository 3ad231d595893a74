"""Credible areas: what holds so much of the probability, and where else it could be."""

import numpy as np
import pytest

from vidtag_ml.earth import sphere
from vidtag_ml.models.gps_retrieval.belief import MOST_HULLS, Belief, Part, fewest

LATTICE = sphere.equal_area_lattice(20_000)
SPACING_KM = 160.0
PLACES = ((48.0, 2.0), (40.0, -75.0))


def _belief(*weights, num_frames=3):
    """A posterior about `PLACES`, by weight, the same in each frame."""
    away = [sphere.great_circle_km(place, LATTICE) for place in PLACES]
    near = np.unique(np.concatenate([each.argsort()[:40] for each in away]))
    peaks = np.stack([np.exp(-((each[near] / 200) ** 2)) for each in away])
    total = np.array(weights) @ (peaks / peaks.sum(1, keepdims=True))
    rows = np.tile(total, (num_frames, 1)).astype(np.float32)
    return Belief((Part(LATTICE[near], rows),), SPACING_KM)


def test_areas_hold_what_they_say_with_as_few_points_as_can_be():
    probability = np.array([0.05, 0.5, 0.3, 0.15])
    assert fewest(probability, 0.5).tolist() == [False, True, False, False]
    assert fewest(probability, 0.9).tolist() == [False, True, True, True]


def test_each_place_where_it_could_be_has_an_area_with_its_mass():
    areas = _belief(0.7, 0.3).areas(np.arange(3.0))
    whole = [a["properties"] for a in areas if "time_s" not in a["properties"]]
    first, second = (p["mass"] for p in whole if p["of"] == 0.9)
    assert first == pytest.approx(0.65, abs=0.06)
    assert second == pytest.approx(0.27, abs=0.06)
    assert 0.9 <= first + second <= 0.97
    (near, *_), (far, *_) = (a["geometry"]["coordinates"][0] for a in areas[:2])
    assert sphere.great_circle_km(near[::-1], PLACES[0]) < 1000
    assert sphere.great_circle_km(far[::-1], PLACES[1]) < 1000


def test_key_frames_have_areas_of_their_own():
    areas = _belief(1.0, 0.0, num_frames=30).areas(np.arange(30.0) / 2)
    times = [a["properties"]["time_s"] for a in areas if "time_s" in a["properties"]]
    assert (len(times), times[0], times[-1]) == (8, 0.0, 14.5)
    assert len(_belief(1.0, 0.0, num_frames=1).areas(np.zeros(1))) == 2


def test_a_posterior_that_knows_nothing_has_few_areas():
    everywhere = Part(LATTICE, np.full((1, len(LATTICE)), 1 / len(LATTICE), np.float32))
    areas = Belief((everywhere,), SPACING_KM).areas(np.zeros(1))
    assert 2 <= len(areas) <= 2 * MOST_HULLS


def test_a_single_point_has_no_cell_and_no_area():
    alone = Part(np.array([(1.0, 2.0)]), np.ones((1, 1), np.float32))
    assert Belief((alone,), 0.0).areas(np.zeros(1)) == ()


def test_a_name_is_told_where_it_holds_nine_tenths_and_none_else():
    levels = [each["level"] for each in _belief(1.0, 0.0).places()]
    assert levels[:1] == ["continent"]
    assert "city" not in levels
    assert _belief(0.6, 0.4).places() == ()
    (europe, *_) = _belief(1.0, 0.0).places()
    assert europe["name"] == "Europe"
    assert 0.9 <= europe["mass"] <= 1
    assert Belief().places() == ()
