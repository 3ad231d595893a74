"""Claims about GeoJSON: which features are a track, and whose times count."""

import json

import pytest

from vidtag_ml.ingest.telemetry import geojson


@pytest.fixture
def geojson_of(tmp_path):
    """Reads a document as a GeoJSON file."""

    def read(document):
        path = tmp_path / "a.geojson"
        path.write_text(document if isinstance(document, str) else json.dumps(document))
        return geojson.read(path).points

    return read


def test_points_with_times_are_a_track(geojson_of):
    features = [
        {
            "type": "Feature",
            "properties": {"time": f"2019-05-06T18:15:0{k}Z", "hdop": 2, "name": None},
            "geometry": {"type": "Point", "coordinates": [8.5, 47.5 + k, 400]},
        }
        for k in range(2)
    ]
    found = geojson_of({"type": "FeatureCollection", "features": features})
    assert found["lat"].tolist() == [47.5, 48.5]
    assert found["utc_s"].tolist() == [1557166500, 1557166501]
    assert found[["altitude_m", "dop"]].values.tolist() == [[400, 2]] * 2


@pytest.mark.parametrize("key", ["time_s", "coordTimes", "times"])
def test_a_line_with_times_is_a_track(geojson_of, key):
    line = {"type": "LineString", "coordinates": [[8.5, 47.5], [8.75, 47.25]]}
    found = geojson_of({"type": "Feature", "properties": {key: [0, 1.5]}, "geometry": line})
    assert found[["time_s", "lat", "lon"]].values.tolist() == [[0, 47.5, 8.5], [1.5, 47.25, 8.75]]


def test_a_geometry_alone_has_no_times(geojson_of):
    found = geojson_of({"type": "Point", "coordinates": [8.5, 47.5]})
    assert found[["lat", "lon"]].values.tolist() == [[47.5, 8.5]]
    assert found[["time_s", "utc_s"]].isna().all(axis=None)


@pytest.mark.parametrize(
    "document",
    [
        "",
        "[" * 100_000,
        "[]",
        {"type": "FeatureCollection", "features": []},
        {"type": "FeatureCollection", "features": [None]},
        {"type": "Point", "coordinates": [1]},
        {"type": "Point", "coordinates": "8.5,47.5"},
        {"type": "Polygon", "coordinates": [[[8, 47]]]},
        {
            "type": "Feature",
            "properties": {"times": [1]},
            "geometry": {"type": "LineString", "coordinates": [[8, 47], [9, 48]]},
        },
    ],
)
def test_a_document_without_positions_is_refused(geojson_of, document):
    with pytest.raises(ValueError, match=r"a\.geojson: "):
        geojson_of(document)
