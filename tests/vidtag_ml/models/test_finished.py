"""Answers that are finished: found again only if nothing that they say would be another."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from vidtag_ml.earth.regions import Polygons
from vidtag_ml.models import recording
from vidtag_ml.models.answers import Wanted
from vidtag_ml.models.given import Given

FACTS = {"model": "vidtag", "video_md5": "0" * 32}
ROW = {"files": [], "told": []}
CORNERS = np.linspace(0, 2 * np.pi, 700)


def around(radius_deg):
    """A polygon of many corners, of which the first and the last are always the same."""
    ring = np.stack([np.sin(CORNERS), np.cos(CORNERS)], -1) * radius_deg
    ring[:3], ring[-3:] = 0.5, 0.5
    return Given(within=Polygons("area.geojson", [[ring]]))


@pytest.fixture
def trip(tmp_path):
    (tmp_path / "trip").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "trip" / "a.jpg")
    return recording.of_pictures(tmp_path / "trip", ["a.jpg"])


def test_what_is_given_counts_to_its_last_corner(trip, tmp_path):
    small, large = (Wanted(tmp_path, given=around(r)).of(tmp_path / "a") for r in (1.0, 5.0))
    small.keep(FACTS, trip, ROW)
    assert small.find(FACTS, trip) is not None
    assert large.find(FACTS, trip) is None


def test_a_recording_that_lies_elsewhere_is_located_anew(trip, tmp_path):
    finished = Wanted(tmp_path / "out").of(tmp_path / "out" / "a")
    finished.keep(FACTS, trip, ROW)
    moved = dataclasses.replace(trip, path=tmp_path / "archive" / "a.jpg")
    assert finished.find(FACTS, trip) is not None
    assert finished.find(FACTS, moved) is None
