"""Circles on the ground as polygons."""

import numpy as np
import pytest

from vidtag_ml.earth import circles, sphere

PLACES = [
    (0, 0, 111.195),
    (48, 2, 30),
    (60, 179.5, 500),
    (-17, -180, 100),
    (85, 30, 1000),
    (-89.9, 100, 50),
    (90, 0, 100),
    (10, -170, 9000),
]


def area(ring):
    lat, lon = ring.T
    return float(np.sum(lon[:-1] * lat[1:] - lon[1:] * lat[:-1]) / 2)


def inside(ring, lat, lon):
    """By counting the ring's crossings north of a point."""
    (y, x), (v, u) = ring[:-1].T, ring[1:].T
    spans = (x > lon) != (u > lon)
    with np.errstate(divide="ignore", invalid="ignore"):
        return bool((spans & (y + (lon - x) / (u - x) * (v - y) > lat)).sum() % 2)


@pytest.mark.parametrize("place", PLACES)
def test_rings_are_closed_counterclockwise_and_on_the_map(place):
    for ring in circles.circle(*place):
        assert len(ring) >= 4
        assert (ring[0] == ring[-1]).all()
        assert (np.abs(ring) <= (90, 180)).all()
        assert area(ring) > 0


@pytest.mark.parametrize("place", PLACES)
def test_what_is_nearer_than_the_radius_is_inside_and_nothing_else(place):
    rng = np.random.default_rng(7)
    lat, lon, radius_km = place
    near = [lat, lon] + rng.normal(0, radius_km / 111, (300, 2)) * [1, 1 / np.cos(np.radians(lat))]
    points = sphere.from_unit_vectors(sphere.unit_vectors(near))
    away = sphere.great_circle_km(points, (lat, lon)) / radius_km
    clear = np.abs(away - 1) > 0.02
    rings = circles.circle(*place)
    found = [any(inside(ring, *point) for ring in rings) for point in points[clear]]
    assert found == (away[clear] < 1).tolist()


def test_more_than_half_of_the_earth_is_all_of_it():
    (ring,) = circles.circle(10, 20, 11_000)
    assert area(ring) == 180 * 360
