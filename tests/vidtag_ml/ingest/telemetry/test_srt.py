"""Claims about DJI's subtitles: all their styles, and whose position is read."""

import numpy as np
import pytest

from vidtag_ml.ingest.telemetry import srt

PLACES = [(47.376, 8.541), (-33.85, -70.25), (0.0, 179.999999)]
STYLES = ("modern", "mavic_pro", "p4_rtk", "mavic_2")


@pytest.fixture
def reading_of(tmp_path):
    """What a subtitle file of some text says, and what is told."""

    def read(content, encoding="utf-8"):
        path = tmp_path / "DJI_0001.SRT"
        path.write_text(content, newline="", encoding=encoding)
        return srt.read(path)

    return read


@pytest.fixture
def srt_of(reading_of):
    """Reads text as a subtitle file."""
    return lambda content: reading_of(content).points


def blocks(said, places=PLACES[:2]):
    """Subtitles that say a format string of lat and lon for each place."""
    return "\n\n".join(
        f"{k}\n00:00:0{k},000 --> 00:00:0{k + 1},000\n{said.format(lat=lat, lon=lon)}"
        for k, (lat, lon) in enumerate(places)
    )


@pytest.mark.parametrize("style", STYLES)
def test_each_style_gives_time_and_place_of_the_drone(made, srt_of, style):
    table = srt_of(made.dji_srt(PLACES, style, step_s=0.5))
    np.testing.assert_allclose(table[["lat", "lon"]], PLACES, atol=1e-9)
    np.testing.assert_allclose(table["time_s"], [0, 0.5, 1.0])


def test_local_dates_are_no_utc(made, srt_of):
    assert srt_of(made.dji_srt(PLACES))["utc_s"].isna().all()


@pytest.mark.parametrize(("style", "wanted"), [("modern", 455.1), ("mavic_pro", np.nan)])
def test_only_an_absolute_altitude_is_read(made, srt_of, style, wanted):
    np.testing.assert_array_equal(srt_of(made.dji_srt(PLACES, style))["altitude_m"], wanted)


def test_blocks_without_a_position_are_no_rows_but_count_for_time(made, srt_of):
    content = made.dji_srt(PLACES, "mavic_2").replace("47.376000", "n/a")
    table = srt_of(content)
    assert table["time_s"].tolist() == [1, 2]


def test_a_block_without_any_time_has_none(srt_of):
    assert np.isnan(srt_of("[latitude: 1.5] [longitude: 2.5]")["time_s"][0])


@pytest.mark.parametrize(
    "content",
    ["", "1\n00:00:01,000 --> 00:00:02,000\nHello\n", "1\nHOME(149.0251,-20.2532) 2017.08.05\n"],
)
def test_other_subtitles_are_refused(srt_of, content):
    with pytest.raises(ValueError, match=r"DJI_0001\.SRT: not the subtitles of a DJI drone"):
        srt_of(content)


@pytest.mark.parametrize(
    "said",
    [
        "GPS({lat:.4f},{lon:.4f},0.0M) BAROMETER:0.3M",
        "GPS({lat:.4f}, {lon:.4f}, -12.5M)",
        "GPS({lon:.4f},{lat:.4f},16) BAROMETER:1.9",
        "RTK ({lon:.6f}, {lat:.6f}, 50.1m), D 12.0m",
        "GPS({lon:.4f}; {lat:.4f}; 16)",
        "[latitude: {lat}] [longtitude: {lon}] [altitude: 27.3]",
        "latitude={lat}, longitude={lon}",
        "|LAT:{lat}|LON:{lon}|ALT:132.86|",
        "Lat: {lat} Lng: {lon} Alt: 12",
    ],
)
def test_forms_of_numbers_tell_their_order(srt_of, said):
    np.testing.assert_allclose(srt_of(blocks(said))[["lat", "lon"]], PLACES[:2])


@pytest.mark.parametrize(
    "said",
    [
        "HOME: lat: 10 lon: 20 GPS: lat: {lat} lon: {lon}",
        "Home point: lat: 10\nlon: 20\nlat: {lat}\nlon: {lon}",
        "HOME: N: 10.0 E: 20.0 GPS: lat: {lat} lon: {lon}",
        "[home latitude: 10] [home longitude: 20] [latitude: {lat}] [longitude: {lon}]",
        "[target.latitude: 10] [target.longitude: 20] [latitude: {lat}] [longitude: {lon}]",
        "[latitude: {lat}] [longitude: {lon}] [home latitude: 10] [home longitude: 20]",
        "Home distance: 12.0 lat: {lat} lon: {lon}",
    ],
)
def test_home_and_targets_are_not_taken_for_the_drone(srt_of, said):
    np.testing.assert_allclose(srt_of(blocks(said))[["lat", "lon"]], PLACES[:2])


def test_numbers_that_may_be_those_of_home_are_no_position(srt_of):
    with pytest.raises(ValueError, match="not the subtitles of a DJI drone"):
        srt_of(blocks("HOME LAT: 10 HOME LON: 20 LAT: {lat} LON: {lon}"))


@pytest.mark.parametrize(
    "said",
    [
        "HOME(W: 71.0, S: 34.0) 2025-08-27 13:21:35\nGPS(W: 70.25, S: 33.85, 174.21m)",
        "GPS(S:33.85, W:70.25, 12.0m)",
        "GPS: (33.85\u00b0S, 70.25\u00b0W)",
        "[GPS: 33.85 S, 70.25 W, 12.0]",
        "HOME(W: 71.0, S: 34.0)\nS: 33.85 W: 70.25 NUM:3",
        "[latitude: 33.85 S] [longitude: 70.25 W]",
        "[latitude: -33,85] [longitude: -70,25]",
        "latitude: 33\u00b051'0\" S, longitude: 70\u00b015' W",
    ],
)
def test_letters_tell_the_order_and_the_sign(reading_of, said):
    found = reading_of(blocks(said))
    np.testing.assert_allclose(found.points[["lat", "lon"]], [PLACES[1]] * 2)
    assert ("negative by the letter S" in "".join(found.repairs)) == ("-" not in said[:14])


def test_numbers_of_no_known_form_are_in_the_order_that_is_on_earth_and_told(reading_of):
    found = reading_of(blocks("GPS({lat},{lon},69.8)", [(39.9, 116.4), (39.91, 116.41)]))
    assert found.points["lat"].tolist() == [39.9, 39.91]
    assert "only so all positions are on Earth" in found.repairs[0]


@pytest.mark.parametrize("said", ["{lat}, {lon}", "{lon}, {lat}"])
def test_the_distance_from_home_tells_the_order_and_is_told(reading_of, said):
    home = said.format(lat=-34.232707, lon=-58.847509)
    text = f"GPS ({said}, 60.2), HOME ({home}, -57.98m), D 698.70m, H 85.80m"
    found = reading_of(blocks(text, [(-34.237922, -58.851745)] * 2))
    np.testing.assert_allclose(found.points["lat"], -34.237922)
    assert "the distance from home says so" in found.repairs[0]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("GPS({lon}, {lat}, 455.1)", "does not tell which is the latitude"),
        ("GPS({lon}, {lat})", "does not tell which is the latitude"),
        ("GPS({lon}, {lat}, 455)", "does not tell which is the latitude"),
        ("GPS: {lat}, {lon}", "does not tell which is the latitude"),
        ("GPS(47,5, 8,5, 16)", "no angle, as '47,5, 8,5, 16'"),
        ("GPS(47,5,8,5)", "no angle, as '47,5,8,5'"),
        ("[latitude: 47,5,8] [longitude: 8,5]", "no angle, as '47,5,8'"),
        ("GPS(n/a, n/a, n/a)", "no block has a position"),
    ],
)
def test_what_does_not_tell_a_position_is_refused(srt_of, said, why):
    with pytest.raises(ValueError, match=rf"DJI_0001\.SRT: .*{why}"):
        srt_of(blocks(said))


def test_a_block_that_cannot_be_read_is_told(reading_of):
    content = blocks("GPS({lon:.4f}, {lat:.4f}, 16)").replace("47.3760", "47,3760")
    found = reading_of(content)
    assert len(found.points) == 1
    assert "1 left out: no angle" in found.repairs[0]


def test_radians_of_a_mavic_air_2_are_degrees_and_told(reading_of):
    places = [(0.722878, 0.037737), (0.722879, 0.037738)]
    found = reading_of(blocks("[latitude : {lat}] [longtitude : {lon}]", places))
    np.testing.assert_allclose(found.points[["lat", "lon"]], np.degrees(places))
    assert found.repairs == ("positions in radians: turned into degrees",)
    kept = reading_of(blocks("[latitude : {lat}] [longitude : {lon}]", places))
    np.testing.assert_allclose(kept.points[["lat", "lon"]], places)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
def test_subtitles_are_in_any_encoding(made, reading_of, encoding):
    content = made.dji_srt(PLACES, "p4_rtk").replace("85.80m", "85.80m, F.PRY (2.7°)")
    found = reading_of(content, encoding)
    np.testing.assert_allclose(found.points[["lat", "lon"]], PLACES)
    assert bool(found.repairs) == (encoding == "latin-1")


@pytest.mark.parametrize("name", ["mavic_2_style", "mavic_pro", "old_format", "p4_rtk"])
def test_real_files_hold_the_track_of_the_manifest(real, manifest, name):
    row = manifest.loc[f"dji_srt/{name}.SRT"]
    table = srt.read(real / "dji_srt" / f"{name}.SRT").points
    assert len(table) == int(row["n_fixes"])
    for name in ("lat", "lon"):
        box = [float(row[f"{name}_min"]), float(row[f"{name}_max"])]
        np.testing.assert_allclose([table[name].min(), table[name].max()], box, atol=1e-7)
    begun_s = table["time_s"][0]
    np.testing.assert_allclose(table["time_s"] - begun_s, np.arange(len(table)), atol=1.0)


@pytest.mark.parametrize("lon", ["1e-05", "-1.5E-05", "2.5e+01"])
def test_an_exponent_is_no_letter(srt_of, lon):
    table = srt_of(blocks("[latitude: {lat}] [longitude: " + lon + "]"))
    assert table["lon"].tolist() == [float(lon)] * 2
