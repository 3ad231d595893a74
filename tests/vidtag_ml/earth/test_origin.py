"""Where an answer comes from, as each of its files says, to programs and to us."""

import json

import gpxpy
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vidtag_ml.earth import origin
from vidtag_ml.models import located

FACTS = {
    "model": "vidtag",
    "model_version": 3,
    "bundle": "0123456789abcdef" * 2,
    "gallery": "fedcba9876543210" * 2 + ".dir",
    "vidtag_version": "0.1.0",
    "video_md5": "a" * 32,
}
BARE = {key: value for key, value in FACTS.items() if key not in ("model_version", "gallery")}


def write(folder, facts):
    latlon_T2 = np.array([(48.0, 2.0), (48.0, 2.1), (48.1, 2.2)])
    track = located.LocatedTrack(
        "a & b",
        np.arange(3.0),
        latlon_T2,
        latlon_T2,
        np.full(3, 0.5),
        mode="walk",
        max_speed_kmh={},
    )
    return {path.suffix: path for path in located.write_files(track, facts, folder)}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write(tmp_path_factory.mktemp("files"), FACTS)


@pytest.mark.parametrize("facts", [FACTS, BARE], ids=["registered", "of a folder"])
def test_every_file_gives_back_what_it_was_told(tmp_path, facts):
    found = write(tmp_path, facts)
    kinds = (".gpx", ".geojson", ".kml", ".csv", ".parquet", ".json", ".png", ".html")
    assert tuple(found) == kinds
    assert [origin.read(path) for path in found.values()] == [[facts]] * len(kinds)


def test_pandas_has_columns_of_them(files):
    table = pd.read_csv(files[".csv"])
    assert table[list(FACTS)].drop_duplicates().to_dict("records") == [FACTS]
    assert len(table) == 3


def test_every_feature_and_placemark_has_them(files):
    features = json.loads(files[".geojson"].read_text())["features"]
    assert all(feature["properties"].items() >= FACTS.items() for feature in features)
    text = files[".kml"].read_text()
    assert text.count("<Placemark>") == text.count('<Data name="video_md5">') == 1
    assert text.index("<styleUrl>") < text.index("<ExtendedData>") < text.index("<LineString>")


def test_gpx_says_it_to_those_who_know_nothing_of_us(files):
    document = gpxpy.parse(files[".gpx"].read_text())
    assert document.description.startswith("Located by vidtag/3, bundle 0123456789ab, gallery fed")
    assert document.tracks[0].source == origin.sentence(FACTS)
    text = files[".gpx"].read_text()
    assert text.index("</metadata>") < text.index("<trk>") < text.index("<src>")


def test_the_picture_says_it_in_its_text_and_is_the_same_each_time(files, tmp_path):
    with Image.open(files[".png"]) as image:
        assert image.text["Description"] == f"Located by {origin.sentence(FACTS)}"
    assert files[".png"].read_bytes() == write(tmp_path, FACTS)[".png"].read_bytes()


def test_several_answers_are_told_apart(tmp_path):
    rows = [{"origin": FACTS}, {"origin": FACTS}, {"error": "none"}, {"origin": BARE}]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    assert origin.read(tmp_path / "rows.json") == [FACTS, BARE]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"lat,lon\n1,2\n", "does not say which model"),
        ("a.json", b"[1, [], {}]", "does not say which model"),
        ("a.geojson", b'{"features": [{"properties": null}]}', "does not say which model"),
        ("a.gpx", b"<gpx", "this is no gpx file"),
        ("a.kml", b"<!DOCTYPE a [<!ENTITY b 'c'>]><kml/>", "it declares entities"),
        ("a.csv", b"\xff\xfe\x00", "this is no csv file"),
        ("a.png", b"PNG", "this is no png file"),
        ("a.parquet", b"PAR1", "this is no parquet file"),
        ("a.html", b"<html></html>", "does not say which model"),
        ("a.txt", b"", "answers are files of the kinds .gpx, .geojson"),
    ],
)
def test_files_that_say_nothing_are_refused_in_a_sentence(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=said):
        origin.read(tmp_path / name)
