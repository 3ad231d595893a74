"""Claims about GPX: what a track point says, and which documents are refused."""

import numpy as np
import pytest

from vidtag_ml.ingest.telemetry import gpx, text

POINT = """<trkpt lat="47.5" lon="8.25"><ele>400</ele><time>2019-05-06T18:15:07.5Z</time>
<hdop>1.5</hdop><fix>2d</fix></trkpt>"""


@pytest.fixture
def gpx_of(tmp_path):
    """Reads text as the inside of a GPX document, or as the whole file."""

    def read(inside, whole=None, encoding="utf-8"):
        path = tmp_path / "a.gpx"
        document = f'<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1">{inside}</gpx>'
        path.write_text(whole or document, encoding=encoding)
        return gpx.read(path).points

    return read


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_point_comes_back_as_written(gpx_of, encoding):
    table = gpx_of(f"<trk><trkseg>{POINT}</trkseg></trk>", encoding=encoding)
    (row,) = table.to_dict("records")
    assert (row["lat"], row["lon"], row["altitude_m"], row["dop"]) == (47.5, 8.25, 400, 1.5)
    assert (row["utc_s"], row["fix_type"]) == (text.utc_s("2019-05-06T18:15:07.5Z"), "2d")
    assert np.isnan(row["time_s"])


def test_points_of_all_tracks_and_segments_follow_each_other(gpx_of):
    segments = [
        f'<trkseg><trkpt lat="{k}" lon="-1"/><trkpt lat="{k}.5" lon="1"/></trkseg>'
        for k in range(4)
    ]
    table = gpx_of(f"<trk>{''.join(segments[:3])}</trk><trk>{segments[3]}</trk>")
    assert table["lat"].tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]
    assert table[["utc_s", "altitude_m", "dop", "fix_type"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("time", "wanted"),
    [
        ("2019-05-06T20:15:07+02:00", "2019-05-06T18:15:07Z"),
        ("2019-05-06T18:15:07", "2019-05-06T18:15:07Z"),
        (" 2019-05-06T18:15:07.123456789Z ", "2019-05-06T18:15:07.123456Z"),
        ("yesterday", ""),
    ],
)
def test_times_are_utc_unless_they_have_a_zone(gpx_of, time, wanted):
    point = f'<trkpt lat="1" lon="2"><time>{time}</time></trkpt>'
    table = gpx_of(f"<trk><trkseg>{point}</trkseg></trk>")
    np.testing.assert_array_equal(table["utc_s"], text.utc_s(wanted))


def test_points_without_a_number_are_no_rows(gpx_of):
    table = gpx_of(f'<trk><trkseg><trkpt lat="undefined" lon="1"/>{POINT}<trkpt/></trkseg></trk>')
    assert table["lat"].tolist() == [47.5]


@pytest.mark.parametrize(
    "inside", ["", "<trk><trkseg/></trk>", '<wpt lat="1" lon="2"/>', "<trk><trkseg><trkpt/>"]
)
def test_a_document_without_track_points_is_refused(gpx_of, inside):
    with pytest.raises(ValueError, match=r"a\.gpx: "):
        gpx_of(inside)


LAUGHS = "".join(f'<!ENTITY l{k} "{f"&l{k - 1};" * 10 if k else "lol"}">' for k in range(10))


@pytest.mark.parametrize(
    "declared",
    [
        '<!DOCTYPE gpx [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        f"<!DOCTYPE gpx [{LAUGHS}]>",
        '<!DOCTYPE gpx SYSTEM "http://localhost/gpx.dtd">',
    ],
)
def test_documents_that_declare_entities_are_refused(gpx_of, declared):
    whole = f"<?xml version='1.0'?>{declared}<gpx><trk><name>&x;&l9;</name></trk></gpx>"
    with pytest.raises(ValueError, match=r"a\.gpx: not a GPX file: it declares"):
        gpx_of("", whole)


@pytest.mark.parametrize("whole", ["kml", "<kml/>", "<gpx>", "<gpx>&x;</gpx>"])
def test_other_documents_are_refused(gpx_of, whole):
    with pytest.raises(ValueError, match=r"a\.gpx: not a GPX file"):
        gpx_of("", whole)


def test_another_encoding_is_refused(gpx_of):
    with pytest.raises(ValueError, match=r"a\.gpx: not a GPX file"):
        gpx_of("<name>é</name>", encoding="utf-16")


def test_real_files_hold_the_points_of_the_manifest(real, manifest):
    rows = manifest[manifest["kind"] == "gps_track"]
    for path, row in rows[rows["n_fixes"] != ""].iterrows():
        table = gpx.read(real / path).points
        assert len(table) == int(row["n_fixes"])
        box = [float(row[k]) for k in ("lat_min", "lat_max", "lon_min", "lon_max")]
        found = [table[k].agg(f) for k in ("lat", "lon") for f in ("min", "max")]
        np.testing.assert_allclose(found, box, atol=1e-6)


@pytest.mark.parametrize("name", ["bad", "empty_trk", "unicode_with_bom"])
def test_real_files_without_a_track_are_refused(real, name):
    with pytest.raises(ValueError, match="no track point"):
        gpx.read(real / "gpx" / f"{name}.gpx")
