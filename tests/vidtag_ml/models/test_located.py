"""Located tracks: what they tell beside what their recording says itself."""

import datetime as dt

import numpy as np
import pytest

from vidtag_ml.models import recording
from vidtag_ml.models.located import UNTIMED, LocatedTrack
from vidtag_ml.models.locator import rate
from vidtag_ml.models.recording import Began

LIMITS = {"walk": 10.0}
NOON = Began(dt.datetime(2024, 6, 1, 12, tzinfo=dt.UTC), "--start-time")


@pytest.fixture
def track():
    latlon_T2 = np.array([(48.0, 2.0), (48.0, 2.1)])
    times, scores = np.array([0.0, 1.5]), np.array([0.5, 0.7])
    return LocatedTrack(
        "trip", times, latlon_T2, latlon_T2, scores, mode="walk", max_speed_kmh=LIMITS
    )


@pytest.fixture
def pictures(tmp_path):
    files = (tmp_path / "a.jpg", tmp_path / "b.jpg")
    return recording.Pictures(tmp_path, files, np.array([0.0, 1.5]), np.full((2, 2), np.nan))


def test_a_track_without_a_clock_says_so(track, pictures):
    found = track.beside(pictures, None)
    assert found.told == (UNTIMED,)
    assert found.as_json()["start_time"] is None
    assert "time" not in found.as_json()["track"][0]


def test_points_tell_moments_where_the_beginning_is_known(track, pictures):
    found = track.beside(pictures, NOON)
    told = found.as_json()
    assert (found.start, found.told) == (NOON.moment, ())
    assert (told["start_time_from"], "gps" in told) == ("--start-time", False)
    assert told["track"][1]["time"] == "2024-06-01T12:00:01.500Z"


def test_a_zone_is_assumed_aloud_only_of_the_clock_that_counts(
    track, tiny_world, photographed, tmp_path
):
    clip = min((tiny_world / "videos").glob("*.mp4"))
    local = photographed(clip, tmp_path / "trip", NOON.moment.replace(tzinfo=None))
    seen = recording.opened(local)
    assert [seen.told, track.beside(seen, NOON).told] == [(), ()]
    assert track.beside(seen, None).told == ("EXIF tells no time zone: taken as UTC",)


@pytest.mark.parametrize("asked", [0, -1.0, float("nan")])
def test_a_rate_that_is_not_positive_is_refused_and_no_default_taken(asked):
    with pytest.raises(ValueError, match="it must be positive"):
        rate(asked, 2.0)
    assert rate(None, 2.0) == 2.0
