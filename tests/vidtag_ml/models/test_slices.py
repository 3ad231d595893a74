"""Slices: of which kind clips are, and that nothing is said of what is unknown."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from PIL import ExifTags, Image

from tests.data import recordings
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.earth import sun
from vidtag_ml.ingest import stages as ingest_stages
from vidtag_ml.ingest.own import cameras
from vidtag_ml.models import slices
from vidtag_ml.workflow import layout


def at(hour):
    return dt.datetime(2024, 6, 1, hour, tzinfo=dt.UTC).timestamp()


@pytest.mark.parametrize(
    ("lat", "band"),
    [(70.0, "arctic"), (47.0, "northern temperate"), (-10.0, "tropics"), (-90.0, "antarctic")],
)
def test_a_latitude_is_in_its_band(lat, band):
    assert slices.latitudes(pd.Series([lat, np.nan])).tolist()[0] == band
    assert slices.latitudes(pd.Series([lat, np.nan])).isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("hour", "lon", "light"),
    [(12, 0.0, "day"), (12, 180.0, "night"), (0, 0.0, "night"), (5, 0.0, "dim light")],
)
def test_it_is_day_where_the_sun_stands_whatever_clocks_say(hour, lon, light):
    where = pd.DataFrame({"lat": [40.0, 40.0], "lon": [lon, lon]})
    lit = slices.times_of_day(pd.Series([at(hour), np.nan]), where)
    assert lit[0] == light
    assert pd.isna(lit[1])


def test_the_sun_is_as_high_as_the_almanac_says():
    """At Greenwich: 62 degrees at noon of midsummer, 15 at noon of midwinter."""
    noons = [dt.datetime(2024, *day, 12, tzinfo=dt.UTC).timestamp() for day in ((6, 20), (12, 21))]
    height = sun.height_deg(noons, [(51.48, 0.0)] * 2)
    np.testing.assert_allclose(height, [90 - 51.48 + 23.44, 90 - 51.48 - 23.44], atol=0.1)


def test_countries_of_few_clips_are_judged_with_those_of_their_continent():
    clips = pd.DataFrame({"country": ["France"] * 10 + ["Malta", "Latvia", None]})
    clips["continent"] = ["Europe"] * 12 + [None]
    told = slices.countries(clips)
    assert told[9:12].tolist() == ["France"] + ["other countries of Europe"] * 2
    assert pd.isna(told[12])


def test_generated_clips_tell_neither_time_nor_camera(tables, params, tmp_path):
    clip_tables.write(tmp_path / "data" / "flyover", tables)
    labels = slices.of(layout.of(tmp_path, params), "val")
    assert len(labels) == params.clips.num_val
    assert labels[["time of day", "camera"]].isna().all(axis=None)
    assert labels[["continent", "countries", "latitude", "mode"]].notna().all(axis=None)


@pytest.fixture
def own(params, tmp_path):
    """A dataset of a video of an iPhone, begun at noon, and a photo of a Canon."""
    folder = tmp_path / "trip"
    folder.mkdir()
    path = recordings.recording(folder, lat=47.0)
    recordings.stamped(path, **{"com.apple.quicktime.make": "Apple",
                                "com.apple.quicktime.model": "iPhone 15"})  # fmt: skip
    ingest_stages.recordings(tmp_path, params, [str(folder)], "trip")
    return tmp_path


def test_own_recordings_tell_time_and_camera(own, params):
    labels = slices.of(layout.Layout(own, "trip"), "train")
    assert labels["camera"].tolist() == ["Apple iPhone 15"]
    assert labels["time of day"].tolist() == ["day"]


def test_a_photo_tells_its_camera_with_the_make_once(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Model] = "Canon\0", "Canon EOS R5"
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", exif=exif)
    assert cameras.of(tmp_path / "a.jpg") == "Canon EOS R5"


@pytest.mark.parametrize("name", ["a.mp4", "a.jpg"])
def test_files_that_are_gone_or_broken_tell_no_camera(tmp_path, name):
    assert cameras.of(tmp_path / name) == ""
    (tmp_path / name).write_bytes(b"broken")
    assert cameras.of(tmp_path / name) == ""
