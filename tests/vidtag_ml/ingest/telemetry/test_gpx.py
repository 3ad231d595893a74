"""Claims about GPX: what a track point says, and which documents are refused."""

import numpy as np
import pytest

from vidtag_ml.ingest.telemetry import gpx, text

POINT = """<trkpt lat="47.5" lon="8.25"><ele>400</ele><time>2019-05-06T18:15:07.5Z</time>
<hdop>1.5</hdop><fix>2d</fix></trkpt>"""


@pytest.fixture
def reading_of(tmp_path):
    """What text says as the inside of a GPX document, or as the whole file, and what is told."""

    def read(inside, whole=None, encoding="utf-8"):
        path = tmp_path / "a.gpx"
        document = f'<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1">{inside}</gpx>'
        path.write_text(whole or document, encoding=encoding)
        return gpx.read(path)

    return read


@pytest.fixture
def gpx_of(reading_of):
    """Reads text as the inside of a GPX document, or as the whole file."""
    return lambda *args, **options: reading_of(*args, **options).points


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


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
@pytest.mark.parametrize("declared", ["UTF-8", "UTF-16", "ISO-8859-1"])
def test_entities_are_refused_in_any_encoding(gpx_of, encoding, declared):
    whole = f"<?xml version='1.0' encoding='{declared}'?><!DOCTYPE gpx [{LAUGHS}]><gpx>&l9;</gpx>"
    with pytest.raises(ValueError, match=r"a\.gpx: not a GPX file: it declares"):
        gpx_of("", whole, encoding)


def test_a_document_type_in_utf_7_is_refused(gpx_of):
    with pytest.raises(ValueError, match=r"a\.gpx: not a GPX file: its encoding is 'utf-7'"):
        gpx_of("", "<?xml version='1.0' encoding='utf-7'?>+ADwAIQ-DOCTYPE gpx><gpx/>")


@pytest.mark.parametrize("whole", ["kml", "<kml/>", "<gpx>", "<gpx>&x;</gpx>"])
def test_other_documents_are_refused(gpx_of, whole):
    with pytest.raises(ValueError, match=r"a\.gpx: not a GPX file"):
        gpx_of("", whole)


def zurich(declared):
    track = f"<trk><name>Zürich</name><trkseg>{POINT}</trkseg></trk>"
    return f"<?xml version='1.0' encoding='{declared}'?><gpx>{track}</gpx>"


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("ISO-8859-1", "latin-1"),
        ("iso-8859-15", "iso8859-15"),
        ("Windows-1252", "cp1252"),
        ("UTF-16", "utf-16"),
        ("UTF-16", "utf-16-le"),
        ("UTF-16", "utf-16-be"),
        ("UTF-16", "utf-8"),
        ("UTF-32", "utf-32"),
        ("GB18030", "gb18030"),
    ],
)
def test_a_document_is_in_the_encoding_that_it_declares(reading_of, declared, encoding):
    found = reading_of("", zurich(declared), encoding)
    assert (found.points["lat"].tolist(), found.repairs) == ([47.5], ())


def test_a_document_in_another_encoding_than_it_declares_is_told(reading_of):
    found = reading_of("", zurich("UTF-8"), "latin-1")
    assert found.points["lat"].tolist() == [47.5]
    assert "Windows-1252" in found.repairs[0]


@pytest.mark.parametrize("encoding", ["utf-7", "rot13", "punycode", "unicode_escape", "cp99999"])
def test_an_encoding_that_is_none_of_documents_is_refused(gpx_of, encoding):
    with pytest.raises(ValueError, match=r"a\.gpx: not a GPX file: its encoding is .*UTF-8"):
        gpx_of("", zurich(encoding).replace("ü", "ue"))


@pytest.mark.parametrize(
    ("lat", "lon"),
    [("47,5", "-8,25"), ("47.5 N", "8.25 W"), ("47°30'", "-8°15'"), ("47.5", "-8.25")],
)
def test_coordinates_with_commas_and_letters_are_never_cut_off(gpx_of, lat, lon):
    table = gpx_of(f'<trk><trkseg><trkpt lat="{lat}" lon="{lon}"/></trkseg></trk>')
    assert table[["lat", "lon"]].values.tolist() == [[47.5, -8.25]]


def test_heights_have_the_commas_of_their_coordinates(gpx_of):
    point = '<trkpt lat="47,5" lon="8,25"><ele>1,234</ele><hdop>1,5</hdop></trkpt>'
    table = gpx_of(f"<trk><trkseg>{point}</trkseg></trk>")
    assert table[["altitude_m", "dop"]].values.tolist() == [[1.234, 1.5]]


def test_exchanged_attributes_are_put_right_and_told(reading_of):
    found = reading_of('<trk><trkseg><trkpt lat="151.2" lon="-33.8"/></trkseg></trk>')
    assert found.points[["lat", "lon"]].values.tolist() == [[-33.8, 151.2]]
    assert "exchanged" in found.repairs[0]


ROUTE = '<rte><rtept lat="1" lon="2"/><rtept lat="3" lon="4"/></rte><wpt lat="5" lon="6"/>'


def test_a_route_is_read_only_without_a_track_and_told(reading_of):
    alone = reading_of(ROUTE)
    assert alone.points["lat"].tolist() == [1, 3]
    assert alone.repairs[0] == "2 points of a route: there is no track: taken for it"
    beside = reading_of(f"{ROUTE}<trk><trkseg>{POINT}</trkseg></trk>")
    assert beside.points["lat"].tolist() == [47.5]
    assert beside.repairs[0] == "2 points of a route: left out, as there is a track"


BOUNDS = '<metadata><bounds minlat="{}" minlon="{}" maxlat="{}" maxlon="{}"/></metadata>'


@pytest.mark.parametrize(
    ("bounds", "lat", "told"),
    [
        ((47, 8, 48, 9), 47.5, ()),
        ((47.5, 8.25, 47.5, 8.25), 47.5, ()),
        ((8, 47, 9, 48), 8.25, ("exchanged: only so they lie within the file's bounds",)),
        ((1, 1, 2, 2), 47.5, ("no position lies within the bounds",)),
        ((0, 0, 0, 0), 47.5, ()),
        (("", 0, "x", 0), 47.5, ()),
    ],
)
def test_the_bounds_that_a_file_states_tell_the_order(reading_of, bounds, lat, told):
    found = reading_of(f"{BOUNDS.format(*bounds)}<trk><trkseg>{POINT * 2}</trkseg></trk>")
    assert found.points["lat"].tolist() == [lat] * 2
    assert len(found.repairs) == len(told)
    assert all(said in found.repairs[0] for said in told)


@pytest.mark.parametrize("bounds", [(-34, 151, -33, 152), (151, -34, 152, -33)])
def test_an_exchanged_track_is_exchanged_once_whatever_its_bounds_say(reading_of, bounds):
    track = '<trk><trkseg><trkpt lat="151.2" lon="-33.85"/></trkseg></trk>'
    found = reading_of(f"{BOUNDS.format(*bounds)}{track}")
    assert found.points[["lat", "lon"]].values.tolist() == [[-33.85, 151.2]]
    assert len(found.repairs) == 1


def test_track_points_outside_of_segments_are_told(reading_of):
    found = reading_of(f"<trk>{POINT}<trkseg>{POINT}</trkseg></trk>")
    what = "track points outside of segments: left out"
    assert (len(found.points), found.repairs, found.left_out) == (1, (f"1 {what}",), {what: 1})
    with pytest.raises(ValueError, match=f"1 {what}"):
        reading_of(f"<trk>{POINT}</trk>")


def test_waypoints_are_no_track_and_told(reading_of):
    assert reading_of(ROUTE).repairs[1] == "1 waypoints left out: they are no track"
    with pytest.raises(ValueError, match="1 waypoints left out"):
        reading_of('<wpt lat="5" lon="6"/>')


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
