"""Claims about GeoJSON: which features are a track, and whose times count."""

import json

import pytest

from vidtag_ml.ingest.telemetry import geojson


@pytest.fixture
def reading_of(tmp_path):
    """What a document says as a GeoJSON file, and what is told."""

    def read(document, encoding="utf-8"):
        text = document if isinstance(document, str) else json.dumps(document, ensure_ascii=False)
        (tmp_path / "a.geojson").write_text(text, encoding=encoding)
        return geojson.read(tmp_path / "a.geojson")

    return read


@pytest.fixture
def geojson_of(reading_of):
    """Reads a document as a GeoJSON file."""
    return lambda document: reading_of(document).points


def feature(kind, where, **properties):
    geometry = {"type": kind, "coordinates": where}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def collection(*features, **more):
    return {"type": "FeatureCollection", "features": features, **more}


TWO_LINES = [[[8.5, 47.5], [8.6, 47.6]], [[8.7, 47.7]]]


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


@pytest.mark.parametrize(
    "properties",
    [
        {"timestampMs": 1557166500000},
        {"GPS time": "2019:05:06 18:15:00"},
        {"Date": "06.05.2019", "Time": "18:15:00"},
    ],
)
def test_times_of_points_go_by_the_names_of_columns(geojson_of, properties):
    found = geojson_of(feature("Point", [8.5, 47.5], **properties))
    assert found["utc_s"].tolist() == [1557166500]


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
    "properties",
    [
        {"coordTimes": [[0, 1], [2]]},
        {"times": [0, 1, 2]},
        {"coordinateProperties": {"times": [[0, 1], [2]]}},
    ],
)
def test_several_lines_follow_one_another(geojson_of, properties):
    found = geojson_of(feature("MultiLineString", TWO_LINES, **properties))
    assert found["lat"].tolist() == [47.5, 47.6, 47.7]
    assert found["time_s"].tolist() == [0, 1, 2]


def test_points_of_one_geometry_are_a_track(geojson_of):
    found = geojson_of(feature("MultiPoint", TWO_LINES[0], times=[0, 2]))
    assert found[["time_s", "lat"]].values.tolist() == [[0, 47.5], [2, 47.6]]


def test_geometries_of_a_collection_are_read(geojson_of):
    parts = [feature("LineString", line)["geometry"] for line in TWO_LINES]
    found = geojson_of({"type": "GeometryCollection", "geometries": parts})
    assert found["lat"].tolist() == [47.5, 47.6, 47.7]


def test_lines_with_marks_beside_them_are_the_track_and_the_marks_are_told(reading_of):
    line = feature("LineString", TWO_LINES[0], coordTimes=[0, 1])
    area = feature("Polygon", [[[8, 47], [9, 47], [9, 48], [8, 47]]])
    nothing = {"type": "Feature", "properties": None, "geometry": None}
    marks = (feature("Point", [8, 47], name="start"), nothing)
    found = reading_of(collection(*marks, line, area, area))
    assert found.points["lat"].tolist() == [47.5, 47.6]
    assert found.repairs[:3] == (
        "1 of type null left out: no track",
        "2 of type Polygon left out: no track",
        "1 positions of points left out: the lines are the track",
    )


def test_points_with_times_are_the_track_beside_a_line_without(reading_of):
    points = [feature("Point", [8.5, 47.5 + k], time=k) for k in range(2)]
    found = reading_of(collection(feature("LineString", TWO_LINES[0]), *points))
    assert found.points["lat"].tolist() == [47.5, 48.5]
    assert found.repairs[0] == "2 positions of lines left out: the points are the track"


def test_exchanged_positions_are_put_right_and_told(reading_of):
    found = reading_of(feature("LineString", [[-33.85, 151.2], [-33.86, 151.2]]))
    assert found.points[["lat", "lon"]].values.tolist() == [[-33.85, 151.2], [-33.86, 151.2]]
    assert "2 of 2 rows" in found.repairs[0]


@pytest.mark.parametrize(
    ("where", "beside", "wanted"),
    [
        ([47.5, 8.5], {"latitude": 47.5, "longitude": 8.5}, (47.5, 8.5)),
        ([43.2, 22.9], {"Lat": -22.9, "Lon": -43.2}, (-22.9, -43.2)),
        ([43.2, 22.9], {"lat": "22.9 S", "lng": "43.2 W"}, (-22.9, -43.2)),
        ([43.2, 22.9], {"lat_ref": "S", "lon_ref": "W"}, (-22.9, -43.2)),
    ],
)
def test_properties_put_coordinates_right_that_they_have_in_order(
    reading_of, where, beside, wanted
):
    found = reading_of(collection(*[feature("Point", where, **beside)] * 2))
    assert found.points[["lat", "lon"]].values.tolist() == [list(wanted)] * 2
    assert f"read as {', '.join(beside)} say" in found.repairs[0]


@pytest.mark.parametrize("beside", [{"lat": 1, "lon": 2}, {"lat": 22.9, "lon": 43.2}])
def test_properties_that_differ_otherwise_are_told_and_no_minus_is_taken_away(reading_of, beside):
    found = reading_of(feature("Point", [-43.2, -22.9], **beside))
    assert found.points["lat"].item() == -22.9
    assert found.repairs == ("lat, lon differ from coordinates, which are read",)


@pytest.mark.parametrize(
    "beside", [{"lat": 47.5001, "lon": 8.5}, {"ns": 1000}, {"lat": 1, "home_lat": 2, "lon": None}]
)
def test_properties_that_agree_or_tell_no_place_change_nothing(reading_of, beside):
    assert reading_of(feature("Point", [8.5, 47.5], **beside)).repairs == ()


@pytest.mark.parametrize("where", ["feature", "geometry"])
@pytest.mark.parametrize("name", ["EPSG:2154", "EPSG:24979"])
def test_a_coordinate_system_is_looked_for_wherever_it_may_stand(geojson_of, where, name):
    one = feature("Point", [8.5, 47.5])
    (one if where == "feature" else one["geometry"])["crs"] = {"properties": {"name": name}}
    with pytest.raises(ValueError, match=f"{name}.*: save it in WGS 84"):
        geojson_of(collection(one))


def test_numbers_in_texts_are_never_cut_off(geojson_of):
    line = [["8,5", "47,5", "400,5"], ["8.6 E", "47.6 N"]]
    found = geojson_of(feature("LineString", line, times=["0,5", "1,5"]))
    assert found[["lat", "lon"]].values.tolist() == [[47.5, 8.5], [47.6, 8.6]]
    assert (found["altitude_m"][0], found["time_s"].tolist()) == (400.5, [0.5, 1.5])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
def test_a_document_is_in_any_encoding(reading_of, encoding):
    found = reading_of(feature("Point", [8.5, 47.5], name="Zürich"), encoding)
    assert found.points["lat"].tolist() == [47.5]
    assert bool(found.repairs) == (encoding == "latin-1")


def test_a_document_of_another_coordinate_system_is_refused(geojson_of):
    line = feature("LineString", TWO_LINES[0])
    for name in ("urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326"):
        crs = {"type": "name", "properties": {"name": name}}
        assert len(geojson_of(collection(line, crs=crs))) == 2
    crs["properties"]["name"] = "urn:ogc:def:crs:EPSG::4301"
    with pytest.raises(ValueError, match="save it in WGS 84"):
        geojson_of(collection(line, crs=crs))


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
