"""Claims about formats of positions: all of them are tried, and which is trusted most."""

import importlib
import pkgutil

import pytest

from vidtag_ml.ingest import telemetry
from vidtag_ml.ingest.own import positions
from vidtag_ml.ingest.telemetry.readers import Recording
from vidtag_ml.media import video


def test_every_format_that_can_be_read_is_tried():
    names = (f"{telemetry.__name__}.{m.name}" for m in pkgutil.iter_modules(telemetry.__path__))
    modules = map(importlib.import_module, names)
    readers = {id(module.READER) for module in modules if hasattr(module, "READER")}
    assert readers == set(map(id, positions.READERS))


def test_no_two_formats_are_files_of_one_suffix():
    assert positions.SIDECARS == (".gpx", ".srt", ".nmea", ".csv", ".geojson")


def test_a_track_in_the_video_is_trusted_before_one_beside_it_and_its_tag_last(tmp_path):
    track = (video.Packet(0.0, 1.0, b"DEVC"),)
    beside = [tmp_path / "a.gpx", tmp_path / "a.CSV"]
    recording = Recording(video.Container({"location": "+47+008/"}, (track,)), beside)
    sources = [s for reader in positions.READERS for s in reader.sources(recording)]
    names = ["the video's telemetry", "a.gpx", "a.CSV", "the video's location"]
    assert [s.name for s in sources] == names
    assert [s.file for s in sources] == [None, *beside, None]
    assert sources[-1].read().points["lat"].item() == pytest.approx(47)
