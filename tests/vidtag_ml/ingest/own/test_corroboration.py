"""Claims about a video's location tag: it puts a turned track right, and doubts another aloud."""

import numpy as np
import pytest

from vidtag_ml.ingest.own import corroboration
from vidtag_ml.ingest.telemetry import points

ZURICH = np.array([(47.37 + 1e-4 * k, 8.54) for k in range(5)])
PAMPA = -ZURICH
"""South and west of 0, 0."""


def corroborated(latlon_N2, tag="+47.3700+008.5400/"):
    table = points.table(lat=latlon_N2[:, 0], lon=latlon_N2[:, 1])
    found, told = corroboration.corroborated(table, {"location": tag} if tag else {})
    return found[["lat", "lon"]].to_numpy(), told


@pytest.mark.parametrize("tag", ["", "+47.3700+008.5400/", "+47.5000+008.9000/", "+00+000/", "?"])
def test_a_track_near_the_tag_or_without_one_stays_and_nothing_is_told(tag):
    found, told = corroborated(ZURICH, tag)
    np.testing.assert_array_equal(found, ZURICH)
    assert told == []


@pytest.mark.parametrize(
    ("turned", "what"),
    [
        (PAMPA[:, ::-1], "latitude and longitude were exchanged"),
        (PAMPA * (-1, 1), "the latitude was negated"),
        (PAMPA * (1, -1), "the longitude was negated"),
        (ZURICH[:, ::-1], "exchanged and the latitude was negated and the longitude was negated"),
    ],
)
def test_a_track_that_only_turned_lies_at_the_tag_is_turned_and_told(turned, what):
    found, (told,) = corroborated(turned, "-47.3700-008.5400/")
    np.testing.assert_array_equal(found, PAMPA)
    assert f"{what}, as it says" in told


def test_no_sign_that_is_written_is_taken_away():
    found, (told,) = corroborated(PAMPA)
    np.testing.assert_array_equal(found, PAMPA)
    assert "which is believed" in told


def test_a_track_elsewhere_is_believed_and_told():
    found, (told,) = corroborated(ZURICH + 2.0)
    np.testing.assert_array_equal(found, ZURICH + 2.0)
    assert told == "the video's location tag is 267 km away from its track, which is believed"


def test_a_tag_that_fits_two_ways_turns_nothing():
    _, (told,) = corroborated(np.full((3, 2), 47.37), "-47.3700-047.3700/")
    assert "which is believed" in told


def test_a_track_that_is_nowhere_on_earth_is_left_to_others():
    assert corroborated(np.full((3, 2), 200.0))[1] == []


def test_a_track_inside_a_video_that_is_far_from_its_tag_is_told():
    table = points.table(lat=ZURICH[:, 0], lon=ZURICH[:, 1])
    (told,) = corroboration.contradiction(table, {"location": "+48.8500+002.3500/"})
    assert told == "the video's location tag is 488 km away from its track, which is believed"
    assert corroboration.contradiction(table, {"location": "+47.3700+008.5400/"}) == []
