"""Tests of vidtag_ml.earth.tracks."""

import csv
import datetime as dt
import errno
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from vidtag_ml.earth import sphere, track_files
from vidtag_ml.earth import tracks as earth_tracks
from vidtag_ml.ingest.telemetry import gpx

_SPACES = {"k": "http://www.opengis.net/kml/2.2", "gx": "http://www.google.com/kml/ext/2.2"}


START = dt.datetime(2024, 5, 6, 7, 8, tzinfo=dt.UTC)


def _track(latlon, clip="clip", start=None) -> earth_tracks.Track:
    latlon = np.array(latlon, float).reshape(-1, 2)
    time_s = np.arange(len(latlon)) * 0.5
    return earth_tracks.Track(
        clip, time_s, latlon, latlon + 1, np.linspace(0, 1, len(latlon)), start
    )


PARIS = [(48.85, 2.35), (48.86, 2.36), (48.87, 2.38)]
FIJI = [(-17.0, 179.0), (-17.5, 179.5), (-18.0, -179.5), (-18.0, -179.0), (-17.0, 179.9)]


@pytest.mark.parametrize("field", ["time_s", "latlon_T2", "initial_latlon_T2", "score_T"])
def test_a_track_checks_its_shapes(field):
    values = vars(_track(PARIS)) | {field: np.zeros((4, 3))}
    with pytest.raises(ValueError, match="track of clip"):
        earth_tracks.Track(**values)


def test_table_has_one_row_a_position():
    table = _track(PARIS).table()
    assert tuple(table.columns) == earth_tracks.COLUMNS
    assert table["clip"].tolist() == ["clip"] * 3
    assert table[["lat", "lon"]].to_numpy().tolist() == [list(p) for p in PARIS]
    assert table["initial_lon"].tolist() == [p[1] + 1 for p in PARIS]


def test_a_query_near_a_fix_takes_it():
    latlon, valid = earth_tracks.positions_at([0, 1, 2], PARIS, [-0.1, 0.1, 0.95, 2.1], 2.0)
    assert valid.all()
    assert latlon.tolist() == [list(PARIS[k]) for k in (0, 0, 1, 2)]


def test_between_fixes_lies_the_great_circle():
    latlon, valid = earth_tracks.positions_at([0, 2], [(60, -90), (60, 90)], [0.5, 1.0], 2.0)
    assert valid.all()
    assert latlon[0] == pytest.approx(sphere.interpolate((60, -90), (60, 90), 0.25))
    assert latlon[1, 0] == pytest.approx(90)


def test_the_date_line_is_crossed_the_short_way():
    latlon, _ = earth_tracks.positions_at([0, 2], [(0, 179), (0, -179)], [0.5, 1.5], 2.0)
    assert latlon[:, 1] == pytest.approx([179.5, -179.5])


def test_gaps_and_ends_are_not_bridged():
    query = [-0.2, 0.5, 1.5, 3.0, 4.0, 4.2]
    latlon, valid = earth_tracks.positions_at(
        [0, 1, 3.5, 4], [(0, k) for k in range(4)], query, 2.0
    )
    assert valid.tolist() == [False, True, False, False, True, False]
    assert np.isnan(latlon[~valid]).all()
    assert np.isfinite(latlon[valid]).all()


def test_positions_agree_with_a_loop():
    rng = np.random.default_rng(0)
    time = np.sort(rng.uniform(0, 30, 25))
    fixes = np.stack([rng.uniform(-80, 80, 25), rng.uniform(-180, 180, 25)], -1)
    query = rng.uniform(-1, 31, 300)
    latlon, valid = earth_tracks.positions_at(time, fixes, query, 2.0)
    for t, position, known in zip(query, latlon, valid, strict=True):
        nearest = int(np.abs(time - t).argmin())
        before = int((time <= t).sum()) - 1
        if abs(time[nearest] - t) <= 0.1:
            expected = fixes[nearest]
        elif 0 <= before < 24 and time[before + 1] - time[before] <= 2.0:
            share = (t - time[before]) / (time[before + 1] - time[before])
            expected = sphere.interpolate(fixes[before], fixes[before + 1], share)
        else:
            expected = None
        assert known == (expected is not None)
        assert expected is None or position == pytest.approx(expected)


def test_unknown_fixes_are_ignored():
    fixes = [(0, 0), (np.nan, np.nan), (0, 2)]
    latlon, valid = earth_tracks.positions_at([0, 1, 2], fixes, [1.0], 2.0)
    assert valid.all()
    assert latlon[0] == pytest.approx([0, 1])
    latlon, valid = earth_tracks.positions_at([], [], [1.0], 2.0)
    assert not valid.any()


def test_fixes_that_go_back_in_time_are_refused():
    with pytest.raises(ValueError, match=r"go back from 2\.0 s to 1\.0 s"):
        earth_tracks.positions_at([0, 2, 1], PARIS, [0.5], 2.0)


def test_speeds_know_standing_jumping_and_unknown():
    latlon = [(0, 0), (0, 1), (0, 1), (0, 2), (np.nan, np.nan)]
    speeds = earth_tracks.speeds_kmh([0, 3600, 3600, 3600, 3700], latlon)
    assert speeds[0] == pytest.approx(111.195, abs=1e-3)
    assert speeds[1] == 0
    assert np.isinf(speeds[2])
    assert np.isnan(speeds[3])


def test_speeds_over_a_span_do_not_see_jitter():
    time = np.arange(0, 5, 0.25)
    north_m = time + np.resize([0.4, -0.4], len(time))
    latlon = np.stack([north_m / 1000 / sphere.KM_PER_DEGREE, 0 * time], -1)
    assert earth_tracks.speeds_kmh(time, latlon).max() > 15
    assert earth_tracks.speeds_kmh(time, latlon, 1.0)[:16] == pytest.approx(3.6)
    assert earth_tracks.speeds_kmh(time, latlon, 1.0)[16:].max() < 6


def test_longer_steps_are_spans_and_tracks_do_not_mix():
    latlon = [(0, 0), (0, 1), (0, 3), (5, 5), (5, 5), (5, 6)]
    time, tracks = [0, 10, 20, 7, 7.2, 7.4], [4, 4, 4, 2, 2, 2]
    speeds = earth_tracks.speeds_kmh(time, latlon, 1.0, tracks)
    assert speeds[:2].tolist() == earth_tracks.speeds_kmh(time[:3], latlon[:3]).tolist()
    assert np.isnan(speeds[2])
    assert speeds[3:] == pytest.approx(sphere.great_circle_km((5, 5), (5, 6)) * 3600)


def test_gpx_comes_back_as_it_went(tmp_path):
    path = tmp_path / "a.gpx"
    table = _track(PARIS).table().assign(altitude_m=[1.0, np.nan, 3.5])
    path.write_text(track_files.gpx(table, START))
    back = gpx.read(path).points
    assert (back["utc_s"] - START.timestamp()).tolist() == [0.0, 0.5, 1.0]
    assert back[["lat", "lon"]].to_numpy().tolist() == [list(p) for p in PARIS]
    assert back["altitude_m"].tolist()[::2] == [1.0, 3.5]
    assert np.isnan(back["altitude_m"][1])


def test_gpx_starts_when_the_track_does_and_breaks_at_unknown_positions(tmp_path):
    path = tmp_path / "a.gpx"
    track_files.write_gpx(_track([*PARIS, (np.nan, np.nan), *PARIS], start=START), path)
    text = path.read_text()
    assert text.count("<trkseg>") == 2
    assert text.count("<trkpt") == 6
    assert "2024-05-06T07:08:00Z" in text


@pytest.mark.parametrize(
    "write", [track_files.write_gpx, track_files.write_kml, track_files.write_geojson]
)
def test_without_a_start_no_date_is_made_up(tmp_path, write):
    write(_track(PARIS), tmp_path / "a")
    text = (tmp_path / "a").read_text()
    assert not any(word in text for word in ("<time>", "when", "coordTimes", "T00:00", "gx:Track"))
    assert "2.38" in text


def test_with_a_start_csv_and_geojson_tell_moments(tmp_path):
    moments = ["2024-05-06T07:08:00.000Z", "2024-05-06T07:08:00.500Z", "2024-05-06T07:08:01.000Z"]
    track_files.write_csv([_track(PARIS, start=START), _track(PARIS, "other")], tmp_path / "a.csv")
    table = pd.read_csv(tmp_path / "a.csv", keep_default_na=False)
    assert table["time"].tolist() == [*moments, "", "", ""]
    (feature,) = _features(tmp_path, _track(PARIS, start=START))
    assert feature["properties"]["coordTimes"] == moments
    assert feature["properties"]["time_s"] == [0.0, 0.5, 1.0]


def _features(tmp_path, tracks):
    """The lines: points follow them."""
    path = tmp_path / "a.geojson"
    track_files.write_geojson(tracks, path)
    features = json.loads(path.read_text())["features"]
    return [each for each in features if "initial_lat" not in each["properties"]]


def _geometry(tmp_path, tracks):
    return [f["geometry"] for f in _features(tmp_path, tracks)]


def test_geojson_is_a_line_in_lon_lat_order(tmp_path):
    (line,) = _geometry(tmp_path, _track(PARIS))
    assert line == {"type": "LineString", "coordinates": [[lon, lat] for lat, lon in PARIS]}


def test_geojson_is_cut_at_the_antimeridian(tmp_path):
    (lines,) = _geometry(tmp_path, _track(FIJI))
    assert lines["type"] == "MultiLineString"
    parts = lines["coordinates"]
    ends = [(part[0][0], part[-1][0]) for part in parts]
    assert ends == [(179.0, 180.0), (-180.0, -180.0), (180.0, 179.9)]
    assert parts[0][-1][1] == parts[1][0][1] == pytest.approx(-17.75, abs=0.01)
    for part in parts:
        assert np.abs(np.diff([lon for lon, _ in part])).max() < 180


def test_geojson_tells_a_time_and_score_for_each_of_its_points(tmp_path):
    (feature,) = _features(tmp_path, _track(FIJI, start=START))
    sizes = [len(part) for part in feature["geometry"]["coordinates"]]
    for name in ("time_s", "score", "coordTimes"):
        assert [len(part) for part in feature["properties"][name]] == sizes
    (_, _, cut), (again, *_), _ = feature["properties"]["time_s"]
    assert cut == again == pytest.approx(0.75, abs=0.01)
    (alone,) = _features(tmp_path, _track([(1, 2)]))
    assert (alone["geometry"]["coordinates"], alone["properties"]["score"]) == ([2.0, 1.0], 0.0)


@pytest.mark.parametrize(
    ("latlon", "kind"),
    [([(1, 2)], "Point"), ([], None), ([(1, 2), (np.nan, 2), (3, 4), (5, 6)], "MultiLineString")],
)
def test_geojson_of_short_and_broken_tracks_is_valid(tmp_path, latlon, kind):
    tracks = [_track(latlon, "odd"), _track(PARIS)]
    geometries = _geometry(tmp_path, tracks)
    assert geometries[-1]["type"] == "LineString"
    assert (geometries[0]["type"] if len(geometries) == 2 else None) == kind
    if kind == "MultiLineString":
        assert all(len(part) >= 2 for part in geometries[0]["coordinates"])


def _kml(tmp_path, tracks):
    path = tmp_path / "a.kml"
    track_files.write_kml(tracks, path)
    return ET.fromstring(path.read_text())  # noqa: S314 - our own file


def test_kml_has_a_timed_line_for_each_clip(tmp_path):
    root = _kml(tmp_path, [_track(PARIS, "one & two", START), _track(FIJI, "fiji", START)])
    names = [e.text for e in root.findall(".//k:Placemark/k:name", _SPACES)]
    assert names == ["one & two", "fiji"]
    lines = root.findall(".//gx:Track", _SPACES)
    assert [len(e.findall("k:when", _SPACES)) for e in lines] == [3, 5]
    assert lines[0].findtext("k:when", None, _SPACES) == "2024-05-06T07:08:00.000Z"
    coordinates = [e.text for e in lines[0].findall("gx:coord", _SPACES)]
    assert coordinates[0] == "2.3500000 48.8500000 0"


def test_kml_without_times_is_a_plain_line_or_point(tmp_path):
    root = _kml(tmp_path, [_track(PARIS), _track(PARIS[:1], "alone")])
    line, point = (root.find(f".//k:{kind}", _SPACES) for kind in ("LineString", "Point"))
    assert len(line.findtext("k:coordinates", None, _SPACES).split()) == 3
    assert point.findtext("k:coordinates", None, _SPACES) == "2.3500000,48.8500000,0"


def test_csv_has_all_columns_to_the_centimetre(tmp_path):
    path = tmp_path / "a.csv"
    track_files.write_csv([_track([(1 / 3, 2 / 3)]), _track(PARIS, "other")], path)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert tuple(rows[0]) == earth_tracks.COLUMNS
    assert (rows[0]["lat"], rows[0]["lon"], rows[3]["clip"]) == ("0.3333333", "0.6666667", "other")


@pytest.mark.parametrize(
    "write",
    [
        track_files.write_csv,
        track_files.write_gpx,
        track_files.write_geojson,
        track_files.write_kml,
    ],
)
def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path, monkeypatch, write):
    path = tmp_path / "track.out"
    path.write_text("old")

    def full(self, text, **_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match=r"track\.out"):
        write(_track(PARIS), path)
    assert path.read_text() == "old"


def test_no_tracks_make_empty_files(tmp_path):
    track_files.write_csv([], tmp_path / "a.csv")
    assert pd.read_csv(tmp_path / "a.csv").empty
    assert _geometry(tmp_path, []) == []
