"""The land mask, by places everyone knows."""

import numpy as np
import pytest

from vidtag_ml.earth import land, sphere

INLAND = [(48.86, 2.35), (39.9, 116.4), (-15.8, -47.9), (-1.0, 33.0), (-89.9, 0.0), (55.75, 37.6)]
AT_SEA = [(0.0, -30.0), (0.0, -140.0), (35.0, 18.0), (89.9, 0.0), (60.0, -179.99), (60.0, 179.99)]


def test_cities_and_lakes_are_land_and_oceans_are_not():
    assert land.is_land(INLAND).all()
    assert not land.is_land(AT_SEA).any()


def test_land_covers_29_percent_of_the_earth():
    assert land.is_land(sphere.equal_area_lattice(20_000)).mean() == pytest.approx(0.29, abs=0.02)


def test_nearness_is_measured_from_the_coast():
    honolulu = np.array([21.31, -157.86])
    away = sphere.destination(
        np.tile(honolulu, (2, 1)), np.array([180.0, 180.0]), np.array([80, 500])
    )
    assert land.within_km(away, 150.0).tolist() == [True, False]
    assert land.within_km(INLAND, 0.0).all()
