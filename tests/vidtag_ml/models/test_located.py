"""Located tracks: what they tell beside what their recording says itself."""

import csv
import dataclasses
import datetime as dt
import json
from xml.etree import ElementTree as ET

import gpxpy
import numpy as np
import pandas as pd
import pytest

from vidtag_ml.earth import sphere, track_files, tracks
from vidtag_ml.ingest.own import positions
from vidtag_ml.models import recording
from vidtag_ml.models.located import UNTIMED, LocatedTrack
from vidtag_ml.models.locator import rate
from vidtag_ml.models.recording import Began

LIMITS = {"walk": 10.0, "ride": 60.0, "car": 200.0, "photos": 1e4}
FACTS = {"model": "vidtag", "bundle": "b" * 32}
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


@pytest.mark.parametrize("name", ["bell\x07", "null\x00", "not utf-8 \udce9", "not xml \ufffe"])
def test_a_name_that_no_text_holds_is_written_with_marks_in_all_formats(track, tmp_path, name):
    named = dataclasses.replace(track, clip=name)
    files = named.write(tmp_path, "track", FACTS)
    shown = f"{name[:-1]}\ufffd"
    kept = {path.suffix: path for path in files}
    for suffix in (".gpx", ".kml"):
        assert shown in [each.text for each in ET.parse(kept[suffix]).iter()]  # noqa: S314 - ours
    answer = json.loads(kept[".json"].read_text(encoding="utf-8"))
    assert answer["track"][0]["clip"] == shown
    assert json.loads(kept[".geojson"].read_text())["features"][0]["properties"]["clip"] == shown
    with kept[".csv"].open(encoding="utf-8", newline="") as file:
        assert next(csv.DictReader(file))["clip"] == shown
    assert set(pd.read_parquet(kept[".parquet"])["clip"]) == {shown}
    assert len(files) == 8


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


APPLE = "com.apple.quicktime.creationdate"
UTC = {"creation_time": "2024-06-01T12:00:00Z"}
UNSET = ("1904-01-01", "1970-01-01", "1980-01-01", "1980-01-06", "2000-01-01")
"""Days on which clocks begin that were never set."""
MOMENTS = ["2024-06-01T12:00:00.000Z", "2024-06-01T12:00:01.500Z"]
LATER = ["2024-06-01T12:00:00.250Z", "2024-06-01T12:00:01.750Z"]


def by_gpx(path):
    document = gpxpy.parse(path.read_text())
    points = [p for line in document.tracks for part in line.segments for p in part.points]
    return [point.time and tracks.iso_8601(point.time) for point in points]


def by_kml(path):
    root = ET.fromstring(path.read_text())  # noqa: S314 - our own file
    return [moment.text for moment in root.iter("{http://www.opengis.net/kml/2.2}when")]


def by_geojson(path):
    feature, *_ = json.loads(path.read_text())["features"]
    assert feature["properties"]["time_s"] == [0.0, 1.5]
    return feature["properties"].get("coordTimes", [])


def by_csv(path):
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert [row["time_s"] for row in rows] == ["0.0", "1.5"]
    return [row["time"] for row in rows if "time" in row]


PARSERS = {".gpx": by_gpx, ".kml": by_kml, ".geojson": by_geojson, ".csv": by_csv}


def told_by_files(track, folder):
    """Moments of the points by the suffix of each file, as others read them."""
    written = {path.suffix: path for path in track.write(folder, "track", FACTS)}
    found = {suffix: parse(written[suffix]) for suffix, parse in PARSERS.items()}
    return {suffix: [moment for moment in moments if moment] for suffix, moments in found.items()}


@pytest.mark.parametrize(
    ("tags", "asked", "moments"),
    [
        (UTC, None, MOMENTS),
        ({**UTC, APPLE: "2024-06-01T14:00:00+0200"}, None, MOMENTS),
        ({**UTC, APPLE: "2024-06-01T17:30:00.250+0530"}, None, LATER),
        ({}, "2024-06-01T17:30:00.25+05:30", LATER),
        ({"creation_time": "2031-01-01T00:00:00Z"}, "2024-06-01T12:00:00Z", MOMENTS),
        *[({"creation_time": f"{day}T00:00:12Z"}, None, []) for day in UNSET],
        ({}, None, []),
    ],
)
def test_every_format_tells_the_recordings_own_time_or_no_date(
    track, tiny_world, tagged, tmp_path, tags, asked, moments
):
    video = tagged(min((tiny_world / "videos").glob("*.mp4")), tmp_path / "a.mp4", **tags)
    given = asked and Began(dt.datetime.fromisoformat(asked), "--start-time")
    found = track.beside(recording.Video(video), given)
    assert told_by_files(found, tmp_path) == dict.fromkeys(PARSERS, moments)
    assert (UNTIMED in found.told) == (not moments)


@pytest.mark.parametrize(
    ("began", "moments"),
    [
        (NOON.moment, MOMENTS),
        (NOON.moment.replace(tzinfo=None), MOMENTS),
        (None, []),
        (dt.datetime(1980, 1, 1, 0, 3, tzinfo=dt.UTC), []),
    ],
)
def test_photos_tell_their_own_time_in_every_format_or_no_date(
    track, tiny_world, photographed, tmp_path, began, moments
):
    clip = min((tiny_world / "videos").glob("*.mp4"))
    seen = recording.opened(photographed(clip, tmp_path / "trip", began))
    found = track.beside(seen, None)
    assert told_by_files(found, tmp_path) == dict.fromkeys(PARSERS, moments)
    assert (UNTIMED in found.told) == (not moments)


WAYS = {
    "Paris": [(48.85, 2.35), (48.8503, 2.3504), (48.8506, 2.3504), (48.8506, 2.3504)],
    "180 degrees": [(-17.0, 179.9998), (-17.0, -179.9999), (-17.0001, -179.9995), (-17, 179.9999)],
    "broken": [(-33.85, 151.2), (-33.8501, 151.2), (np.nan, np.nan), (-33.8503, 151.2)],
    "pole": [(89.9999, 30.0), (89.9999, 120.0), (89.9999, -150.0), (89.9999, -149.0)],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("began", [NOON.moment, NOON.moment + dt.timedelta(seconds=1 / 3), None])
@pytest.mark.parametrize("kind", ["csv", "geojson", "gpx"])
def test_what_is_written_is_read_back_as_a_track_beside_its_video(
    tiny_world, tagged, tmp_path, kind, began, way
):
    clip = min((tiny_world / "videos").glob("*.mp4"))
    tags = {APPLE: began.isoformat()} if began else {}
    video = tagged(clip, tmp_path / "a.mp4", **tags)
    latlon_T2, time_T = np.array(WAYS[way]), np.array([0.0, 1.5, 3.0, 4.5])
    track = tracks.Track("a", time_T, latlon_T2, latlon_T2, time_T / 9, began)
    getattr(track_files, f"write_{kind}")(track, tmp_path / f"a.{kind}")
    if kind == "gpx" and began is None:
        with pytest.raises(positions.NoPositionError, match="no times"):
            back(video)
        return
    for fix, time_s in nearest(back(video), time_T[~np.isnan(latlon_T2[:, 0])]):
        assert abs(fix["time_s"] - time_s) <= 0.01
        where = latlon_T2[time_T == time_s][0]
        assert sphere.great_circle_km((fix["lat"], fix["lon"]), where) <= 0.001


def back(video):
    """What is believed of the track beside a video."""
    fixes = positions.place(video, 8.0, "photos", 0.0, 2.0, LIMITS).fixes
    return fixes[fixes["status"] == "measured"].to_dict("records")


def nearest(fixes, times):
    """For each time the fix that is nearest, and the time."""
    return [(min(fixes, key=lambda fix: abs(fix["time_s"] - t)), t) for t in times]


def test_areas_are_features_in_json_and_geojson(track, pictures, tmp_path):
    ring = [[2.0, 48.0], [2.1, 48.0], [2.1, 48.1], [2.0, 48.0]]
    geometry = {"type": "Polygon", "coordinates": [ring]}
    area = {"type": "Feature", "geometry": geometry, "properties": {"mass": 0.7, "of": 0.9}}
    found = dataclasses.replace(track, areas=(area,)).beside(pictures, NOON)
    assert found.as_json()["areas"] == [area]
    track_files.write_geojson(found, tmp_path / "a.geojson", FACTS)
    *_, last = json.loads((tmp_path / "a.geojson").read_text())["features"]
    assert last["geometry"] == geometry
    assert last["properties"] == {"clip": "trip", "mass": 0.7, "of": 0.9, **FACTS}
    assert "areas" not in track.beside(pictures, NOON).as_json()
