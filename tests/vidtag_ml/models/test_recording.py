"""Recordings: which frames are looked at, when they were taken, what was assumed."""

import datetime as dt

import numpy as np
import pytest
from PIL import Image

from tests.data.recordings import film, stamped
from vidtag_ml.media import video
from vidtag_ml.models import recording

NOON = dt.datetime(2024, 6, 1, 12, tzinfo=dt.UTC)


@pytest.fixture
def clip(tiny_world):
    return min((tiny_world / "videos").glob("*.mp4"))


def test_photos_follow_each_other_in_the_order_of_their_times(clip, photographed, tmp_path):
    seen = recording.opened(photographed(clip, tmp_path / "trip", NOON))
    assert (seen.name, seen.told) == ("trip", ())
    assert seen.began == recording.Began(NOON, "EXIF")
    assert [path.name for path in seen.files[:2]] == ["99.png", "98.png"]
    assert seen.times(5.0).tolist() == list(range(8))
    (frames,) = seen.batches_at(seen.times(5.0), 64)
    assert np.array_equal(frames, video.frames_at(clip, np.arange(8.0))[0])


def test_photos_of_a_camera_without_zone_are_taken_for_utc_and_told(clip, photographed, tmp_path):
    local = NOON.replace(tzinfo=None)
    seen = recording.opened(photographed(clip, tmp_path / "trip", local))
    assert seen.began == recording.Began(NOON, "EXIF", is_utc=False)
    assert seen.began.told == ("EXIF tells no time zone: taken as UTC",)


@pytest.mark.parametrize("day", [(1970, 1, 1), (1980, 1, 1), (1980, 1, 6), (2000, 1, 1)])
def test_photos_of_a_clock_that_was_never_set_have_no_date(clip, photographed, tmp_path, day):
    seen = recording.opened(photographed(clip, tmp_path / "trip", dt.datetime(*day, tzinfo=dt.UTC)))
    assert seen.began is None
    assert seen.times(5.0).tolist() == list(range(8))


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ("2000-01-01T00:05:00+02:00", False),
        ("2000-01-01T23:55:00-08:00", False),
        ("1904-01-01T00:00:00+14:00", False),
        ("1999-12-31T09:00:00+00:00", True),
        ("2000-01-02T13:00:00+00:00", True),
    ],
)
def test_a_clock_that_was_never_set_tells_no_date_in_any_zone(written, known):
    found = recording.began(dt.datetime.fromisoformat(written).timestamp(), "EXIF")
    assert (found is not None) == known


def test_what_is_assumed_of_a_video_s_time_is_told_with_it(tmp_path):
    path = film(tmp_path / "VID_20240601_115950.mp4", num=10)
    found = recording.Video(stamped(path, creation_time=NOON.isoformat())).began
    assert found.moment == NOON - dt.timedelta(seconds=10)
    assert "creation_time is when it ended" in found.told[0]


def test_photos_without_times_go_by_name_and_tell_that(clip, photographed, tmp_path):
    seen = recording.opened(photographed(clip, tmp_path / "trip"))
    assert seen.files[0].name == "92.png"
    assert seen.began is None
    assert seen.times(1.0).tolist() == list(range(8))
    assert "one a second" in seen.told[0]


def test_unreadable_photos_are_left_out_and_told(clip, photographed, tmp_path):
    folder = photographed(clip, tmp_path / "trip", NOON)
    (folder / "98.png").write_bytes(b"no picture")
    (folder / "1.heic").touch()
    seen = recording.opened(folder)
    assert seen.times(1.0).tolist() == [0, 2, 3, 4, 5, 6, 7]
    assert [told.split()[0] for told in seen.told] == ["1.heic", "98.png"]


def test_pictures_of_several_sizes_come_in_batches_of_one(clip, photographed, tmp_path):
    folder = photographed(clip, tmp_path / "trip", NOON)
    Image.new("RGB", (10, 20)).save(folder / "1.png")
    seen = recording.of_pictures(folder, ["99.png", "98.png", "1.png", "97.png"])
    shapes = [frames.shape[:2] for frames in seen.batches_at(seen.time_s, 64)]
    assert shapes == [(1, 20), (3, 96)]


def test_a_single_photo_is_a_recording_of_its_name(clip, photographed, tmp_path):
    seen = recording.opened(photographed(clip, tmp_path / "trip", NOON) / "97.png")
    assert (seen.name, len(seen.files)) == ("97", 1)
    assert seen.began.moment == NOON + dt.timedelta(seconds=2)


@pytest.mark.parametrize(
    ("name", "why"), [("a.mp4", "holds videos"), ("a.txt", "no photos"), ("a.jpg", "can be read")]
)
def test_folders_that_are_no_sequence_are_refused(tmp_path, name, why):
    (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(ValueError, match=why):
        recording.opened(tmp_path)


def test_a_clip_of_a_dataset_is_a_recording(tables, tiny_world):
    clip = tables.clips.iloc[0]
    seen = recording.of_clip(tables, clip["clip_id"], tiny_world)
    assert seen == recording.Video(tiny_world / clip["video_path"])


def test_a_second_chapter_begins_when_the_first_ends(tmp_path):
    for seed, name in enumerate(("DJI_0001.MP4", "DJI_0002.MP4")):
        stamped(film(tmp_path / name, seed, num=4), creation_time="2024-06-01T12:00:00Z")
    found = recording.Video(tmp_path / "DJI_0002.MP4").began
    assert (found.moment, found.is_utc) == (NOON + dt.timedelta(seconds=4), True)


def test_a_clock_known_to_be_local_is_told(tmp_path):
    path = stamped(film(tmp_path / "GX010001.MP4", num=2), creation_time="2024-06-01T12:00:00Z")
    assert recording.Video(path).began.told == ("creation_time tells no time zone: taken as UTC",)


@pytest.mark.parametrize(("clock", "timed"), [("2000:01:01 00:05:0{}", True), ("", False)])
def test_photos_of_a_clock_that_was_never_set_still_tell_times_from_each_other(
    tmp_path, clock, timed
):
    for k in range(2):
        exif = Image.Exif()
        if clock:
            exif.get_ifd(0x8769)[0x9003] = clock.format(k)
        Image.new("RGB", (8, 8)).save(tmp_path / f"{k}.jpg", exif=exif)
    seen = recording.of_pictures(tmp_path, ["0.jpg", "1.jpg"])
    assert (seen.began, seen.timed) == (None, timed)
