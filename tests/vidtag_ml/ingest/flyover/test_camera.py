"""Flyover Earth's camera: what it sees stays what it was, and is the Blue Marble's."""

import hashlib

import numpy as np
import pytest

from vidtag_ml.earth import blue_marble, sphere
from vidtag_ml.ingest.flyover import camera


def test_frames_have_the_bytes_that_released_datasets_have():
    rng = np.random.default_rng(7)
    latlon, heading = camera.fly(rng, 1, 2)
    frames = camera.render(latlon[0], heading[0], camera.weather(rng, 2), rng, size=24)
    found = hashlib.md5(frames.tobytes(), usedforsecurity=False).hexdigest()
    assert found == "e0b5172a5473a43465bc223081b6ec71"


def texture(row, column):
    rows, columns = blue_marble.blue_marble().shape
    packed = blue_marble.blue_marble()[min(max(row, 0), rows - 1), column % columns]
    return np.array([packed & 255, packed >> 8 & 255, packed >> 16 & 255], float)


@pytest.mark.parametrize("row", [0, 1000, 2699])
@pytest.mark.parametrize("column", [0, 2700, 5399])
def test_colours_are_the_blue_marble_s_at_the_middles_of_its_pixels(row, column):
    latlon = (90 - (row + 0.5) / 15, (column + 0.5) / 15 - 180)
    (found,) = blue_marble.colours(sphere.unit_vectors([latlon]))
    assert found == pytest.approx(texture(row, column), abs=1e-6)


def test_colours_between_pixels_are_means_across_the_date_line_too():
    between = blue_marble.colours(sphere.unit_vectors([(0.0, 180.0), (0.0, 10.0)]))
    corners = [texture(r, c) for r in (1349, 1350) for c in (-1, 0)]
    assert between[0] == pytest.approx(np.mean(corners, 0), abs=1e-6)
    corners = [texture(r, c) for r in (1349, 1350) for c in (2849, 2850)]
    assert between[1] == pytest.approx(np.mean(corners, 0), abs=1e-6)
