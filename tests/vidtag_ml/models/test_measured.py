"""What recordings say of where they were: which positions count, and what is told of the others."""

import datetime as dt
import shutil

import numpy as np
import pytest
from PIL import ExifTags, Image

from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.earth import sphere
from vidtag_ml.models import recording
from vidtag_ml.models.measured import HELD, measured

NOON = dt.datetime(2024, 6, 1, 12, tzinfo=dt.UTC)
LIMITS = {"walk": 10.0, "ride": 60.0, "car": 200.0, "flyover": 160000.0, "photos": 1000.0}
TIMES = np.arange(8.0)


@pytest.fixture
def clip(tiny_world):
    return min((tiny_world / "videos").glob("*.mp4"))


def test_the_mode_of_the_model_decides_what_is_too_fast(clip, tables):
    found = measured(recording.opened(clip), TIMES, "flyover", LIMITS)
    true, _ = clip_tables.clip_positions(tables, clip.stem, TIMES, 2.0)
    assert sphere.great_circle_km(found.latlon_T2, true).max() < 0.001
    assert (found.source, found.num_fixes, found.num_dropped) == ("gpx", 8, 0)


def test_a_clock_that_was_never_set_tells_no_date(clip):
    assert measured(recording.opened(clip), TIMES, "flyover", LIMITS).began is None
    unset = dt.datetime(2000, 1, 1, 0, 5, tzinfo=dt.UTC)
    assert recording.began(unset.timestamp(), "EXIF") is None
    assert recording.began(NOON.timestamp(), "EXIF") == recording.Began(NOON, "EXIF")


def test_a_camera_known_to_write_local_time_began_by_the_zone_of_its_tag(clip, tagged, tmp_path):
    tags = {"location": "+47.5000+008.2500/", "creation_time": "2024-06-01T14:00:00Z"}
    path = tagged(clip, tmp_path / "GX010001.MP4", **tags)
    found = measured(recording.opened(path), TIMES, "flyover", LIMITS)
    assert found.began == recording.Began(NOON, "creation_time")
    assert "creation_time is local time there (Europe/Zurich), as most GoPros" in found.told[0]


def test_what_a_recording_says_is_read_without_a_look_at_its_pixels(clip, tmp_path):
    blind, whole = tmp_path / clip.name, clip.read_bytes()
    start = whole.index(b"mdat") + 4
    end = start + int.from_bytes(whole[start - 8 : start - 4]) - 8
    blind.write_bytes(whole[:start] + bytes(end - start) + whole[end:])
    shutil.copy(clip.with_suffix(".gpx"), tmp_path)
    found = measured(recording.opened(blind), TIMES, "flyover", LIMITS)
    assert (found.source, found.num_fixes) == ("gpx", 8)


def test_a_lone_survivor_is_no_track_and_told(clip):
    found = measured(recording.opened(clip), TIMES, "walk", LIMITS)
    assert found.latlon_T2 is None
    assert (found.num_fixes, found.num_dropped) == (8, 7)
    assert any("of 8 fixes dropped" in sentence for sentence in found.told)


def test_a_tag_is_held_for_the_whole_video_and_told(clip, tagged, tmp_path):
    path = tagged(clip, tmp_path / "a.mov", location="+47.5000+008.2500/")
    found = measured(recording.opened(path), TIMES, "flyover", LIMITS)
    assert found.latlon_T2.tolist() == [[47.5, 8.25]] * 8
    assert found.held
    assert found.told == (HELD,)
    assert found.began is None


def test_a_track_that_cannot_be_used_is_told(clip, tmp_path):
    path = shutil.copy(clip, tmp_path / "a.mp4")
    assert measured(recording.opened(path), TIMES, "flyover", LIMITS) is None
    (tmp_path / "a.mp4.gpx").write_text("<gpx/>")
    found = measured(recording.opened(path), TIMES, "flyover", LIMITS)
    assert found.latlon_T2 is None
    assert found.told == ("a.mp4.gpx: has no track point with a position",)


def place(folder):
    """Writes positions into four photos; the third cannot be reached in time."""
    for name, lat in (("99", 47.0), ("97", 47.001), ("96", 60.0), ("95", 47.002)):
        with Image.open(folder / f"{name}.png") as image:
            exif = image.getexif()
            north, east = {1: "N", 2: (lat, 0.0, 0.0)}, {3: "E", 4: (8.0, 0.0, 0.0)}
            exif.get_ifd(ExifTags.IFD.GPSInfo).update(north | east)
            image.save(folder / f"{name}.png", exif=exif)
    return measured(recording.opened(folder), TIMES, "photos", LIMITS)


def test_photos_are_where_they_say_unless_that_is_out_of_reach(clip, photographed, tmp_path):
    found = place(photographed(clip, tmp_path / "trip", NOON))
    known = np.flatnonzero(np.isfinite(found.latlon_T2[:, 0])).tolist()
    assert (known, found.num_fixes, found.num_dropped) == ([0, 2, 4], 4, 1)
    assert "1 of 4 fixes dropped" in found.told[0]


def test_photos_without_times_tell_no_speed(clip, photographed, tmp_path):
    found = place(photographed(clip, tmp_path / "trip"))
    assert (found.num_fixes, found.num_dropped, found.told) == (4, 0, ())


def test_a_container_tells_when_a_video_began_unless_its_clock_was_never_set(
    clip, tagged, tmp_path
):
    set_right = tagged(clip, tmp_path / "a.mp4", creation_time="2024-06-01T14:00:00+02:00")
    unset = tagged(clip, tmp_path / "b.mp4", creation_time="1970-01-01T00:00:00Z")
    assert recording.opened(set_right).began == recording.Began(NOON, "creation_time")
    assert recording.opened(unset).began is None
