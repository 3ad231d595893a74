import numpy as np
import pytest
import torch

from vidtag_ml.earth import sphere
from vidtag_ml.models.revisit import decoding
from vidtag_ml.models.revisit.network import Revisit, Sizes
from vidtag_ml.models.revisit.search import Candidates

START = (48.0, 11.0)


@pytest.fixture(scope="module")
def model():
    """Twenty references, 10 m apart; 20 points must agree."""
    model = Revisit(Sizes(20, 1, ("drive",)), {"small": 2})
    model.latlon_R2.copy_(torch.from_numpy(east(np.arange(20) * 10.0)))
    model.heading_R.fill_(90.0)
    model.gap_m_R.fill_(10.0)
    model.least_inliers.fill_(20.0)
    model.radius_factor.fill_(1.0)
    return model


def east(metres):
    return sphere.destination(START, 90.0, np.asarray(metres) / 1000)


def place(model, rows, inliers, max_speed_kmh=50.0):
    found = Candidates(np.array(rows), np.array(inliers))
    return decoding.place(model, found, np.arange(len(rows), dtype=float), max_speed_kmh, 25.0)


def along_m(placed):
    return sphere.great_circle_km(np.array(START), placed.latlon_T2) * 1000


def test_a_frame_lies_between_the_references_that_agree_with_it(model):
    placed = place(model, [[3, 4]], [[100, 100]])
    assert along_m(placed) == pytest.approx([35.0], abs=0.1)
    assert placed.heading_T == [90.0]
    assert placed.witness_TW.tolist() == [[3, 4]]
    assert placed.radius_m_T == pytest.approx([np.hypot(5.0, 10.0)], abs=0.1)


def test_a_frame_in_which_too_few_points_agree_has_no_position(model):
    placed = place(model, [[3, 4]], [[15, 12]])
    assert not placed.known_T.any()
    assert np.isnan([*placed.latlon_T2[0], *placed.radius_m_T, *placed.heading_T]).all()
    assert placed.score_T < 0.5
    assert placed.witness_TW.tolist() == [[-1, -1]]


def test_a_weak_frame_among_sure_ones_is_placed_with_them(model):
    placed = place(model, [[3, 9], [4, 9], [5, 9]], [[90, 0], [12, 0], [90, 0]])
    assert placed.known_T.all()
    assert along_m(placed) == pytest.approx([30.0, 40.0, 50.0], abs=1.0)


def test_a_frame_does_not_leap_further_than_the_speed_allows(model):
    rows, inliers = [[1, 19], [1, 19], [2, 19]], [[90, 0], [60, 80], [90, 0]]
    assert along_m(place(model, rows, inliers, 50.0))[1] == pytest.approx(10.0, abs=1.0)
    assert along_m(place(model, rows, inliers, 5000.0))[1] == pytest.approx(190.0, abs=1.0)


def test_a_frame_is_on_the_road_that_those_around_it_are_on():
    parallel = sphere.destination(east(np.arange(20) * 10.0), 0.0, 0.04)
    model = Revisit(Sizes(40, 1, ("here", "there")), {"small": 2})
    model.latlon_R2.copy_(torch.from_numpy(np.concatenate([east(np.arange(20) * 10.0), parallel])))
    model.clip_R.copy_(torch.arange(40) // 20)
    for name, value in (("gap_m_R", 10.0), ("least_inliers", 20.0), ("radius_factor", 1.0)):
        getattr(model, name).fill_(value)
    placed = place(model, [[3, 23], [4, 24], [5, 25]], [[90, 0], [50, 60], [90, 0]], 200.0)
    assert along_m(placed) == pytest.approx([30.0, 40.0, 50.0], abs=1.0)
    assert sphere.great_circle_km(placed.latlon_T2[1], east(40.0)) * 1000 < 1.0


def test_a_video_that_leaves_what_was_recorded_is_placed_up_to_there(model):
    placed = place(model, [[1], [2], [3], [3], [3]], [[90], [90], [90], [4], [3]])
    assert placed.known_T.tolist() == [True, True, True, False, False]


def test_no_length_of_chance_matches_makes_a_place_known(model):
    placed = place(model, [[k % 20] for k in range(300)], [[11]] * 300)
    assert not placed.known_T.any()
