import numpy as np
import pytest

from vidtag_ml.earth import sphere
from vidtag_ml.models.revisit.roads import DETOUR, Roads

START = (48.0, 11.0)


def street(north_m, num=10):
    """Ten places, 10 m apart, along a street that leads east."""
    start = sphere.destination(START, 0.0, north_m / 1000)
    return sphere.destination(start, 90.0, np.arange(num) * 0.01)


def between(roads, here, there, reach_km=1.0):
    return float(roads.apart_km(np.array([here]), np.array([there]), reach_km)[0, 0])


def test_a_way_leads_along_a_recording_in_either_direction():
    bend = np.concatenate([street(0.0), street(60.0)[::-1]])
    roads = Roads(bend, np.zeros(20, int))
    assert between(roads, 0, 9) == pytest.approx(0.09, abs=1e-4)
    assert between(roads, 8, 11) == pytest.approx(0.08, abs=1e-4)
    assert between(roads, 11, 8) == pytest.approx(0.08, abs=1e-4)


def test_recordings_are_joined_where_they_meet_and_nowhere_else():
    both = np.concatenate([street(0.0), street(15.0), street(60.0)])
    roads = Roads(both, np.repeat([0, 1, 2], 10))
    assert between(roads, 0, 10) == pytest.approx(0.015, abs=1e-4)
    assert between(roads, 0, 20) == pytest.approx(DETOUR * 0.06, abs=1e-4)


def test_what_is_far_beyond_the_reach_is_as_the_crow_flies_at_most():
    roads = Roads(street(0.0, 100), np.zeros(100, int))
    assert between(roads, 0, 99, reach_km=0.1) == pytest.approx(DETOUR * 0.99, abs=1e-3)


def test_references_at_one_place_are_no_way_apart():
    roads = Roads(np.repeat(street(0.0), 2, axis=0), np.zeros(20, int))
    assert between(roads, 0, 1) == pytest.approx(0.0, abs=1e-9)
    assert between(roads, 0, 19) == pytest.approx(0.09, abs=1e-4)
