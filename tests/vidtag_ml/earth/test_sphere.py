"""Tests of vidtag_ml.earth.sphere."""

import doctest
import math

import numpy as np
import pytest

from vidtag_ml.earth import sphere, tracks

RNG = np.random.default_rng(0)
POINTS = np.stack([RNG.uniform(-89, 89, 200), RNG.uniform(-180, 180, 200)], -1)
OTHERS = np.stack([RNG.uniform(-89, 89, 200), RNG.uniform(-180, 180, 200)], -1)


@pytest.mark.parametrize("module", [sphere, tracks])
def test_examples_in_docstrings_are_true(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize(
    ("a", "b", "km"),
    [
        ((0, 0), (0, 0), 0.0),
        ((90, 10), (90, -120), 0.0),
        ((0, 179.5), (0, -179.5), 111.195),
        ((0, 0), (0, 180), math.pi * sphere.EARTH_RADIUS_KM),
        ((48.8566, 2.3522), (51.5074, -0.1278), 343.557),
        ((0, 50), (90, 0), math.pi / 2 * sphere.EARTH_RADIUS_KM),
    ],
)
def test_known_distances(a, b, km):
    assert float(sphere.great_circle_km(a, b)) == pytest.approx(km, abs=0.01)


def test_chords_are_as_far_apart_as_their_points():
    chords = np.linalg.norm(sphere.unit_vectors(POINTS) - sphere.unit_vectors(OTHERS), axis=-1)
    wanted = sphere.great_circle_km(POINTS, OTHERS)
    np.testing.assert_allclose(sphere.chord_km(chords), wanted, rtol=1e-9)
    assert sphere.chord_km([0.0, 2.0 + 1e-12]).tolist() == [0.0, math.pi * sphere.EARTH_RADIUS_KM]


def test_distances_agree_with_the_law_of_cosines_in_python():
    for a, b, km in zip(POINTS, OTHERS, sphere.great_circle_km(POINTS, OTHERS), strict=True):
        (lat1, lon1), (lat2, lon2) = np.radians(a), np.radians(b)
        cosine = math.sin(lat1) * math.sin(lat2)
        cosine += math.cos(lat1) * math.cos(lat2) * math.cos(lon1 - lon2)
        assert km == pytest.approx(sphere.EARTH_RADIUS_KM * math.acos(cosine), rel=1e-6)


def test_distance_takes_another_radius():
    ratio = sphere.great_circle_km(POINTS, OTHERS, 6372.8) / sphere.great_circle_km(POINTS, OTHERS)
    assert np.allclose(ratio, 6372.8 / sphere.EARTH_RADIUS_KM)


def test_unit_vectors_go_there_and_back():
    vectors = sphere.unit_vectors(POINTS)
    assert np.allclose(np.linalg.norm(vectors, axis=-1), 1)
    assert np.allclose(sphere.from_unit_vectors(3 * vectors), POINTS)
    assert np.allclose(sphere.unit_vectors([(0, 0), (90, 5)]), [[1, 0, 0], [0, 0, 1]])


@pytest.mark.parametrize(
    ("lon", "wrapped"), [(180, -180), (-180, -180), (179.9, 179.9), (541, -179), (-360, 0)]
)
def test_longitudes_are_wrapped(lon, wrapped):
    assert float(sphere.wrap_lon(lon)) == pytest.approx(wrapped)


def test_destination_lies_at_the_distance_and_bearing():
    bearing = RNG.uniform(0, 360, 200)
    distance = RNG.uniform(1, 15000, 200)
    ends = sphere.destination(POINTS, bearing, distance)
    assert np.allclose(sphere.great_circle_km(POINTS, ends), distance)
    turn = (sphere.bearing_deg(POINTS, ends) - bearing + 180) % 360 - 180
    assert np.abs(turn).max() < 1e-6


@pytest.mark.parametrize(
    ("b", "bearing"), [((1, 0), 0), ((0, 1), 90), ((-1, 0), 180), ((0, -1), 270), ((0, 0), 0)]
)
def test_bearings_count_clockwise_from_north(b, bearing):
    assert float(sphere.bearing_deg((0, 0), b)) == pytest.approx(bearing)


def test_forward_and_right_are_level_and_square():
    forward, right = sphere.heading_frame(POINTS, RNG.uniform(0, 360, 200))
    up = sphere.unit_vectors(POINTS)
    assert np.allclose(np.cross(forward, up), right)
    assert np.allclose((forward * up).sum(-1), 0)


def test_interpolation_divides_the_distance():
    fraction = RNG.uniform(0, 1, 200)
    between = sphere.interpolate(POINTS, OTHERS, fraction)
    whole = sphere.great_circle_km(POINTS, OTHERS)
    assert np.allclose(sphere.great_circle_km(POINTS, between), fraction * whole)
    assert np.allclose(sphere.great_circle_km(between, OTHERS), (1 - fraction) * whole)
    assert np.allclose(sphere.interpolate(POINTS, POINTS, fraction), POINTS)


def test_antipodes_cannot_be_interpolated():
    with pytest.raises(ValueError, match="antipodal"):
        sphere.interpolate([(10, 20)], [(-10, -160)], [0.5])


def test_the_centroid_is_safe_at_the_date_line():
    assert sphere.centroid([(0, 179), (0, -179)])[1] == pytest.approx(-180)
    assert sphere.centroid([(80, 0), (80, 120), (80, -120)])[0] == pytest.approx(90)
    with pytest.raises(ValueError, match="no points"):
        sphere.centroid(np.empty((0, 2)))
    with pytest.raises(ValueError, match="evenly"):
        sphere.centroid([(0, 0), (0, 180)])


def test_earth_centred_metres_are_places_on_the_ellipsoid():
    known = (-2712087.51680896, -4261670.05595519, 3881014.4539217)
    place = sphere.from_earth_centred([known, (0, 0, 6356752.314245), (0, -6378138, 0)])
    assert place[0] == pytest.approx((37.721000009, -122.472299089, 31.639247), abs=1e-6)
    assert place[1] == pytest.approx((90, 0, 0), abs=1e-6)
    assert place[2] == pytest.approx((0, -90, 1))


def test_places_on_the_ellipsoid_come_back_from_earth_centred_metres():
    altitude_m, squeezed = RNG.uniform(-400, 12_000, 200), 0.00669437999014
    lat, lon = np.radians(POINTS).T
    normal = 6_378_137 / np.sqrt(1 - squeezed * np.sin(lat) ** 2)
    away, up = (normal + altitude_m) * np.cos(lat), (normal * (1 - squeezed) + altitude_m)
    metres = np.stack([away * np.cos(lon), away * np.sin(lon), up * np.sin(lat)], -1)
    expected = np.column_stack([POINTS, altitude_m])
    assert sphere.from_earth_centred(metres) == pytest.approx(expected, abs=1e-5)


def test_the_lattice_is_even():
    points = sphere.equal_area_lattice(2000)
    spacing = math.sqrt(4 * math.pi * sphere.EARTH_RADIUS_KM**2 / 2000)
    distance = sphere.great_circle_km(points[:, None], points[None])
    np.fill_diagonal(distance, np.inf)
    nearest = distance.min(1)
    assert 0.6 * spacing < nearest.min() <= nearest.max() < 1.1 * spacing
    assert (points[:, 0] > 30).mean() == pytest.approx(0.25, abs=0.001)
