"""Slippy tiles: numbers, bounds and squares of them; at edges and across the date line."""

import doctest

import numpy as np
import pytest

from vidtag_ml.earth import slippy, sphere

RNG = np.random.default_rng(0)
POINTS = np.column_stack([RNG.uniform(-85, 85, 500), RNG.uniform(-180, 180, 500)])


def test_examples_in_docstrings_are_true():
    result = doctest.testmod(slippy)
    assert (result.failed, result.attempted) == (0, 4)


@pytest.mark.parametrize(
    ("latlon", "number"),
    [((37.7749, -122.4194), [83857, 202648]), ((40.7128, -74.0060), [154364, 197122])],
)
def test_numbers_are_those_of_the_fact_sheet(latlon, number):
    assert slippy.numbers(latlon, 19).tolist() == number


@pytest.mark.parametrize("zoom", [0, 1, 8, 19, 7.3])
def test_bounds_contain_the_positions_that_have_the_number(zoom):
    south, west, north, east = slippy.bounds(slippy.numbers(POINTS, zoom), zoom).T
    lat, lon = POINTS.T
    assert (south - 1e-9 <= lat).all()
    assert (lat <= north + 1e-9).all()
    assert ((lon - west) % 360 <= east - west + 1e-9).all()
    assert (west >= -180).all()
    assert (west < 180).all()


def test_the_upper_left_corner_follows_the_published_inverse():
    x, y, num = 83857, 202648, 2**19
    _, west, north, _ = slippy.bounds((x, y), 19)
    assert west == pytest.approx(360 * x / num - 180, abs=1e-12)
    assert np.radians(north) == pytest.approx(np.arctan(np.sinh(np.pi * (1 - 2 * y / num))))


@pytest.mark.parametrize("zoom", [3, 19])
def test_centres_have_the_number_they_are_made_from(zoom):
    numbers = slippy.numbers(POINTS, zoom)
    assert np.array_equal(slippy.numbers(slippy.centres(numbers, zoom), zoom), numbers)


@pytest.mark.parametrize("lat", [85.06, -85.06, 90.0, np.nan])
def test_latitudes_beyond_the_plane_are_refused(lat):
    with pytest.raises(ValueError, match=r"slippy tiles end at 85\.05 degrees"):
        slippy.numbers([(0.0, 0.0), (lat, 0.0)], 8)


def test_the_corners_of_the_plane_have_tiles():
    edge = slippy.LIMIT_LAT
    corners = [(edge, -180.0), (edge, 180.0), (-edge, 179.99), (0.0, 180.0)]
    assert slippy.numbers(corners, 2).tolist() == [[0, 0], [0, 0], [3, 3], [0, 2]]


def test_a_tile_is_as_wide_as_the_ground_between_its_sides():
    lat, lon = 38.0, -122.0
    _, west, _, east = slippy.around((lat, lon), 19)
    ground_km = float(sphere.great_circle_km((lat, west), (lat, east)))
    assert slippy.width_km(lat, 19) == pytest.approx(ground_km, rel=1e-6)
    assert slippy.width_km(lat, 19) * 1000 / 256 == pytest.approx(0.236, abs=0.001)


@pytest.mark.parametrize("lat", [0.0, 60.0])
def test_a_zoom_can_be_had_for_any_ground_width(lat):
    assert slippy.width_km(lat, slippy.zoom_of(0.25, lat)) == pytest.approx(0.25)
    with pytest.raises(ValueError, match="must be positive"):
        slippy.zoom_of(0.0, lat)


def test_a_square_around_a_position_has_it_in_the_plane_s_middle():
    squares = slippy.squares(slippy.around(POINTS[:50] * 0.9, 8))
    middle = slippy.from_plane(squares[:, :2])
    assert sphere.great_circle_km(middle, POINTS[:50] * 0.9).max() < 1e-6
    assert squares[:, 2] == pytest.approx(1 / 256)


def test_the_middle_square_holds_positions_that_extend_over_seven_tiles():
    first = np.array([100, 90])
    ends = slippy.centres(first + np.array([(0, 0), (1, 1), (6, 6), (6, 2)]), 8)
    square = slippy.square(slippy.middle(ends, 8), 7, 8)
    assert square[0].tolist() == first.tolist()
    assert square[1].tolist() == [101, 90]
    assert square[-1].tolist() == [106, 96]


def test_squares_go_on_across_the_date_line():
    middle = slippy.middle([(10.0, 179.9), (10.0, -179.9)], 8)
    square = slippy.square(middle, 3, 8)
    assert sorted(set(square[:, 0])) in ([0, 254, 255], [0, 1, 255])
    assert slippy.bounds(square[0], 8, 3)[3] > 180.0


def test_squares_stay_on_the_plane():
    assert slippy.square((5, 0), 3, 3)[:, 1].tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert slippy.square((5, 7), 3, 3)[:, 1].max() == 7
    with pytest.raises(ValueError, match="zoom 1 has 2 tiles from pole to pole, not 7"):
        slippy.square((0, 0), 7, 1)
