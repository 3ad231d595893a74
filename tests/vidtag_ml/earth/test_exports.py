"""Files of tracks, as other programs read them: xmllint, gpsbabel, ogr2ogr, pyarrow."""

import datetime as dt
import json
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

from vidtag_ml.earth import geoparquet, track_files

FACTS = {"model": "vidtag", "model_version": 3, "bundle": "b" * 32, "video_md5": "a" * 32}
GAP = (np.nan, np.nan)
FIJI = [(-17.0, 179.0), (-17.5, 179.9), (-18.0, 180.0), (-18.2, -179.5), GAP, (-18, 2), (-18, 3)]
KNOWN = [place for place in FIJI if place != GAP]
WRITERS = {
    "gpx": track_files.write_gpx,
    "kml": track_files.write_kml,
    "geojson": track_files.write_geojson,
    "csv": track_files.write_csv,
    "parquet": geoparquet.write_geoparquet,
}


def having(command):
    missing = shutil.which(command) is None
    return pytest.mark.skipif(missing, reason=f"{command} is not installed; .ci/run installs it")


def table(num_radii=7):
    """A track over the antimeridian with a gap, a radius for some positions, and an odd name."""
    lat, lon = np.array(FIJI).T
    columns = {"time_s": np.arange(7) / 2, "lat": lat, "lon": lon, "score": 1 / np.arange(3, 10)}
    radius_km = np.where(np.arange(7) < num_radii, 20.0, np.nan)
    return pd.DataFrame({"clip": "über <a> & b", **columns, "radius_km": radius_km})


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for kind, write in WRITERS.items():
        write(table(), folder / f"track.{kind}", FACTS)
    return folder


def ran(*command):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


@having("xmllint")
def test_gpx_keeps_to_its_schema(files):
    schema = Path(__file__).with_name("gpx.xsd")
    done = subprocess.run(
        ["xmllint", "--noout", "--schema", schema, files / "track.gpx"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr.split()[-1]) == (0, "validates"), done.stderr


@having("gpsbabel")
@pytest.mark.parametrize("kind", ["gpx", "kml"])
def test_gpsbabel_reads_every_position(files, kind):
    rows = ran(
        "gpsbabel", "-t", "-i", kind, "-f", files / f"track.{kind}", "-o", "unicsv", "-F", "-"
    ).splitlines()
    found = [[abs(float(cell)) for cell in row.split(",")[1:3]] for row in rows[1:]]
    assert found == [[abs(lat), abs(lon)] for lat, lon in KNOWN]


@having("ogr2ogr")
@pytest.mark.parametrize(
    ("kind", "where", "num"),
    [("gpx", "track_points", 6), ("geojson", "track", 7), ("kml", "über <a> & b: radii", 6)],
)
def test_ogr_reads_features_with_their_model_and_radius(files, kind, where, num):
    text = ran("ogr2ogr", "-f", "GeoJSON", "/vsistdout/", files / f"track.{kind}", where)
    features = json.loads(text)["features"]
    assert len(features) == num
    assert "20" in text
    if kind != "gpx":
        assert all(each["properties"]["video_md5"] == "a" * 32 for each in features)


@having("ogr2ogr")
def test_ogr_finds_radii_of_the_size_they_are(files):
    query = 'SELECT ST_Area(geometry, 1) / 1e6 AS km2 FROM "über <a> & b: radii"'
    text = ran("ogr2ogr", "-f", "CSV", "/vsistdout/", files / "track.kml", "-dialect", "sqlite",
               "-sql", query)  # fmt: skip
    areas = [float(line) for line in text.splitlines()[1:]]
    assert areas == pytest.approx([np.pi * 20**2] * 6, rel=0.01)


def test_points_of_geojson_follow_the_line_with_all_that_is_known(files):
    line, *points = json.loads((files / "track.geojson").read_text())["features"]
    assert line["geometry"]["type"] == "MultiLineString"
    assert [p["geometry"]["coordinates"] for p in points] == [[lon, lat] for lat, lon in KNOWN]
    assert points[1]["properties"] == {
        "clip": "über <a> & b", "time_s": 0.5, "score": 0.25, "radius_km": 20.0, **FACTS
    }  # fmt: skip


def test_what_is_unknown_of_a_position_is_null_or_left_out(tmp_path):
    for kind, write in WRITERS.items():
        write(table(num_radii=1), tmp_path / f"track.{kind}")
    points = json.loads((tmp_path / "track.geojson").read_text())["features"][1:]
    assert [p["properties"]["radius_km"] for p in points] == [20.0, *[None] * 5]
    assert (tmp_path / "track.gpx").read_text().count("radius_km>20<") == 1
    assert (tmp_path / "track.kml").read_text().count("within 20 km") == 1


def test_kml_tells_how_many_radii_it_leaves_out(tmp_path):
    num = 3 * track_files.MOST_RADII
    many = pd.DataFrame({"clip": "a", "time_s": np.arange(num), "lat": 1.0, "lon": 2.0})
    track_files.write_kml(many.assign(radius_km=5.0), tmp_path / "a.kml")
    text = (tmp_path / "a.kml").read_text()
    assert text.count("<Polygon>") == track_files.MOST_RADII
    assert f"Of {num} radii one in 3 is drawn" in text


def test_geoparquet_says_what_its_specification_asks_for(files):
    file = parquet.ParquetFile(files / "track.parquet")
    geo = json.loads(file.schema_arrow.metadata[b"geo"])
    assert (geo["version"], geo["primary_column"]) == ("1.1.0", "geometry")
    assert geo["columns"]["geometry"] == {
        "encoding": "WKB", "geometry_types": ["Point"], "bbox": [-179.5, -18.2, 180.0, -17.0]
    }  # fmt: skip
    known = [geometry for geometry in file.read()["geometry"].to_pylist() if geometry]
    found = [struct.unpack("<BIdd", each) for each in known]
    assert found == [(1, 1, lon, lat) for lat, lon in KNOWN]


def test_geoparquet_is_a_table_with_facts_for_pandas(files):
    found = pd.read_parquet(files / "track.parquet")
    assert found[list(FACTS)].drop_duplicates().to_dict("records") == [FACTS]
    assert found["geometry"].isna().tolist() == [False] * 4 + [True] + [False] * 2


def test_moments_in_geoparquet_are_moments(tmp_path):
    from vidtag_ml.earth.tracks import Track

    begin = dt.datetime(2024, 5, 6, 7, 8, tzinfo=dt.UTC)
    latlon_T2, time_T = np.ones((2, 2)), np.array([0.0, 1.25])
    track = Track("a", time_T, latlon_T2, latlon_T2, time_T / 2, begin)
    geoparquet.write_geoparquet(track, tmp_path / "a.parquet")
    times = pd.read_parquet(tmp_path / "a.parquet")["time"]
    assert times.tolist() == [pd.Timestamp(begin), pd.Timestamp(begin) + pd.Timedelta("1250ms")]
