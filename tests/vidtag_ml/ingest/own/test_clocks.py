"""Claims about cameras' clocks: whose is UTC, whose is local time, and how zones are written."""

import math

import numpy as np
import pytest

from tests.data.recordings import NOON, film
from vidtag_ml.ingest.own import clocks
from vidtag_ml.media import encoding

WRITTEN = {"creation_time": "2024-06-01T12:00:00.000000Z"}


def clock(folder, name="a.mp4", time_zone=None, **tags):
    return clocks.of(folder / name, {**WRITTEN, **tags}, time_zone)


@pytest.mark.parametrize(
    ("time_zone", "hours"), [("Europe/Berlin", 2), ("+05:45", 5.75), ("-3", -3), ("UTC", 0)]
)
def test_a_zone_that_is_told_is_taken_off_the_cameras_clock(tmp_path, time_zone, hours):
    found = clock(tmp_path, time_zone=time_zone)
    assert found.utc_s == NOON.timestamp() - 3600 * hours
    assert found.zone_is_known


def test_summer_time_is_that_of_the_day(tmp_path):
    winter = {"creation_time": "2024-01-01T12:00:00Z"}
    assert clock(tmp_path, time_zone="Europe/Berlin", **winter).utc_s % 86400 == 11 * 3600


def test_a_tag_with_its_own_zone_keeps_it(tmp_path):
    apple = {"com.apple.quicktime.creationdate": "2024-06-01T14:00:00+0200"}
    found = clock(tmp_path, time_zone="Asia/Tokyo", **apple)
    assert (found.utc_s, found.zone_is_known) == (NOON.timestamp(), True)


@pytest.mark.parametrize(
    ("name", "tags", "known", "is_local"),
    [
        ("a.mp4", {}, False, False),
        ("GX010001.MP4", {}, False, True),
        ("GOPR0001.MP4", {}, False, True),
        ("a.mp4", {"firmware": "HD7.01.01.70.00"}, False, True),
        ("GX010001.MP4", {"firmware": "H22.01.01.20.00"}, False, False),
    ],
)
def test_who_writes_local_time_is_known_by_the_maker(tmp_path, name, tags, known, is_local):
    found = clock(tmp_path, name, **tags)
    assert (found.zone_is_known, bool(found.is_local)) == (known, is_local)


@pytest.mark.parametrize(
    ("name", "android", "ended"),
    [
        ("VID_20240601_115940.mp4", {}, True),
        ("20240601_135940.mp4", {}, True),
        ("PXL_20240601_115940123.mp4", {"com.android.version": "14"}, True),
        ("a.mp4", {"com.android.version": "14"}, True),
        ("2024_0601_120000_0001.mp4", {}, False),
        ("VID_20240601_140000.mp4", {"com.android.version": "14"}, False),
        ("20240601_110745.mp4", {}, False),
        ("20249999_999999.mp4", {}, False),
        ("a.mp4", {}, False),
    ],
)
def test_a_time_that_is_the_end_of_a_recording_is_known_and_told(tmp_path, name, android, ended):
    film(tmp_path / name, num=20)
    found = clock(tmp_path, name, **android)
    assert found.utc_s == NOON.timestamp() - (20 if ended else 0)
    assert found.zone_is_known == bool(android)
    assert len(found.told) == ended


def long_film(folder, name, lasts_s):
    """A video at a picture in ten seconds."""
    frames = np.zeros((lasts_s // 10, 32, 32, 3), np.uint8)
    encoding.write(folder / name, frames, 0.1, 30)


@pytest.mark.parametrize(
    ("name", "lasts_s", "android", "moved_s", "told"),
    [
        ("VID_20240601_134500.mp4", 900, True, -900, "ended, as its name"),
        ("VID_20240601_134459.mp4", 900, True, -900, "ended, as its name"),
        ("20240601_134500.mp4", 900, False, -900, "ended, as its name"),
        ("20240601_133000.mp4", 1800, False, -1800, "ended, as its name"),
        ("VID_20240601_130000.mp4", 3600, True, -3600, "ended, as Android's"),
        ("20240601_130000.mp4", 3600, False, 0, "may be when it ended: begun 3600.0 s before"),
        ("20240601_174500.mp4", 900, False, 0, "may be when it ended: begun 900.0 s before"),
    ],
)
def test_a_length_of_quarters_of_hours_is_no_zone(tmp_path, name, lasts_s, android, moved_s, told):
    long_film(tmp_path, name, lasts_s)
    found = clock(tmp_path, name, **({"com.android.version": "14"} if android else {}))
    assert found.utc_s == NOON.timestamp() + moved_s
    assert told in found.told[0]


def test_a_video_without_a_time_has_none_in_any_zone(tmp_path):
    found = clocks.of(tmp_path / "a.mp4", {}, "Europe/Berlin")
    assert math.isnan(found.utc_s)
    assert not found.zone_is_known


@pytest.mark.parametrize("name", ["", "Berlin", "+15", "+2:75", "2", "../etc", "Europe"])
def test_a_zone_that_there_is_not_is_refused_by_name(name):
    with pytest.raises(ValueError, match="there is no such zone; write it as Europe/Berlin"):
        clocks.zone(name)


@pytest.mark.parametrize(
    ("place", "name"),
    [((52.0, 4.0), "Europe/Amsterdam"), ((27.7, 85.3), "Asia/Kathmandu"), ((30, -30), "Etc/GMT+2")],
)
def test_places_on_land_and_at_sea_have_a_zone(place, name):
    assert clocks.zone_at(*place) == name
