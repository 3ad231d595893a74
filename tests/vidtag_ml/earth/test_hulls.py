"""Outlines of what lies around points, anywhere on the Earth."""

import numpy as np
import pytest

from vidtag_ml.earth import hulls, sphere

MIDDLES = [(20.0, 70.0), (0.0, 180.0), (89.5, 10.0), (-89.9, -170.0)]


def _patch(middle, num=40):
    """The points of a lattice, 40 km apart, that are nearest to a middle."""
    lattice = sphere.equal_area_lattice(round(4 * np.pi * (sphere.EARTH_RADIUS_KM / 40) ** 2))
    return lattice[sphere.great_circle_km(middle, lattice).argsort()[:num]]


def _holds(rings, lat, lon):
    """Whether one of the rings (lat, lon) goes around a point, by the crossings of its parallel."""
    found = False
    for ring in rings:
        (y, x), (y2, x2) = ring[:-1].T, ring[1:].T
        over = (y > lat) != (y2 > lat)
        at = x + (lat - y) / np.where(over, y2 - y, 1) * (x2 - x)
        found |= bool((over & (at > lon)).sum() % 2)
    return found


@pytest.mark.parametrize("middle", MIDDLES)
def test_a_hull_holds_its_points_and_not_what_is_far_from_all(middle):
    points = _patch(middle)
    (hull,) = hulls.hulls(points, 30.0, 3)
    assert sorted(hull.members_M) == list(range(40))
    assert all(_holds(hull.rings, *point) for point in points)
    far = sphere.destination(middle, np.arange(0.0, 360.0, 45.0), 400.0)
    assert not any(_holds(hull.rings, *point) for point in far)
    assert np.abs(np.concatenate(hull.rings)).max(0)[1] <= 180.0


def test_places_apart_have_hulls_of_their_own():
    near, far = _patch((48.0, 2.0), 9), _patch((40.0, -75.0), 4)
    found = hulls.hulls(np.concatenate([near, far]), 30.0, 3)
    assert sorted(len(hull.members_M) for hull in found) == [4, 9]


def test_hulls_are_few_however_many_places_there_are():
    points = sphere.equal_area_lattice(50)
    found = hulls.hulls(points, 10.0, 6)
    assert len(found) <= 6
    assert sum(len(hull.members_M) for hull in found) == 50


def test_an_outline_follows_a_bent_track():
    bent = np.array([(0.0, x / 4) for x in range(20)] + [(y / 4, 4.75) for y in range(20)])
    (hull,) = hulls.hulls(bent, 25.0, 3)
    assert not _holds(hull.rings, 3.5, 1.0)
    assert _holds(hull.rings, 4.0, 4.75)
