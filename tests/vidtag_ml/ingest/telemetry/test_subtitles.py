"""Claims about subtitles in videos: drones' positions are read as from files, others are none."""

import numpy as np
import pytest

from tests.data import cameras
from tests.data.recordings import film
from vidtag_ml.ingest.telemetry import subtitles
from vidtag_ml.media import video

ZURICH = [(47.37 + 1e-4 * k, 8.54 - 1e-4 * k) for k in range(12)]


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    return film(tmp_path_factory.mktemp("film") / "a.mp4")


def packets(*texts, start_s=0.0):
    return [video.Packet(start_s + k, 1.0, text.encode()) for k, text in enumerate(texts)]


@pytest.mark.parametrize("style", ["modern", "mavic_pro", "p4_rtk"])
def test_each_style_of_a_drone_is_read_from_a_track_of_its_video(tmp_path, filmed, style):
    path = cameras.dji_subtitles(filmed, tmp_path / "a.mp4", ZURICH, style)
    (track,) = video.container(path).tracks
    assert subtitles.tells(track)
    found = subtitles.read(track)
    np.testing.assert_allclose(found.points[["lat", "lon"]], ZURICH, atol=1e-6)
    assert found.points["time_s"].tolist() == list(range(12))
    assert (found.fix_source, found.mode) == ("dji_srt", "drone")


def test_a_line_of_text_of_a_phantom_needs_no_other_program(tmp_path, filmed):
    path = cameras.dji_text(filmed, tmp_path / "a.mp4", ZURICH)
    (track,) = video.container(path).tracks
    np.testing.assert_allclose(subtitles.read(track).points[["lat", "lon"]], ZURICH, atol=6e-5)


@pytest.mark.parametrize("text", ["Hello there", "", "GPS is fine", "DEVC", "\0\0\0\0"])
def test_other_subtitles_tell_no_position(text):
    assert not subtitles.tells(packets(text, "Good bye"))


def test_times_are_those_of_packets_whatever_a_text_says():
    said = "1\n00:00:09,000 --> 00:00:10,000\n[latitude: 47.5] [longitude: 8.5]"
    found = subtitles.read(packets(*["[latitude: 47.5] [longitude: 8.5]"] * 2, start_s=3600.25))
    assert found.points["time_s"].tolist() == [3600.25, 3601.25]
    assert subtitles.read(packets(said)).points["time_s"].tolist() == [0.0]


def test_positions_before_the_first_frame_are_left_out_and_told():
    found = subtitles.read(packets(*["[latitude: 47.5] [longitude: 8.5]"] * 3, start_s=-1.5))
    assert found.points["time_s"].tolist() == [0.5]
    assert found.left_out == {"positions are before the first frame: left out": 2}
    assert found.repairs == ("2 positions are before the first frame: left out",)


def test_blocks_without_a_position_are_counted_as_in_files():
    said = ["[latitude: 47.5] [longitude: 8.5]", "[latitude: n/a] [longitude: n/a]"]
    assert subtitles.read(packets(*said)).left_out == {"without a position": 1}
