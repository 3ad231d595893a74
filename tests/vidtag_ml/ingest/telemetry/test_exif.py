"""Claims about photos: place, time and size, and which files are no photos."""

import datetime as dt
import math
import struct

import numpy as np
import pytest
from PIL import ExifTags, Image, TiffImagePlugin

from tests.data.heic import heic_with_position
from vidtag_ml.ingest.telemetry import exif

GPS = ExifTags.GPS
PLACE = {GPS.GPSLatitudeRef: "S", GPS.GPSLatitude: (33.0, 51.0, 31.2)}
PLACE |= {GPS.GPSLongitudeRef: "E", GPS.GPSLongitude: (151.0, 12.0, 54.0)}
UTC = {GPS.GPSDateStamp: "2019:05:06", GPS.GPSTimeStamp: (18.0, 15.0, 7.5)}


def picture(path, gps=None, detail=None, main=None, **options):
    """Saves a picture with tags of the three blocks of EXIF."""
    tags = Image.Exif()
    tags.update(main or {ExifTags.Base.Make: "Maker"})  # Pillow writes none without one of these
    tags.get_ifd(ExifTags.IFD.GPSInfo).update(gps or {})
    tags.get_ifd(ExifTags.IFD.Exif).update(detail or {})
    Image.new("RGB", (20, 10)).save(path, exif=tags, **options)
    return path


def signed_picture(path, gps):
    """Saves a picture whose GPS tags are texts and signed fractions: Pillow writes neither."""
    entries, heap = [], b""
    after = 8 + 18 + 6 + 12 * len(gps)
    for tag, value in sorted(gps.items()):
        text = value.encode() + b"\0" if isinstance(value, str) else b""
        data = text or b"".join(struct.pack("<2i", round(x * 10**4), 10**4) for x in value)
        kind, num = (2, len(data)) if text else (10, len(value))
        where = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack("<I", after + len(heap))
        heap += data if len(data) > 4 else b""
        entries.append(struct.pack("<HHI", tag, kind, num) + where)
    pointer = struct.pack("<HHHIII", 1, ExifTags.IFD.GPSInfo, 4, 1, 26, 0)
    block = b"II*\0\x08\0\0\0" + pointer + struct.pack("<H", len(gps)) + b"".join(entries)
    Image.new("RGB", (20, 10)).save(path, exif=b"Exif\0\0" + block + bytes(4) + heap)
    return path


@pytest.mark.parametrize("place", [(47.3769, 8.5417), (-33.8587, -70.25), (0.0, 0.0), (90, -180)])
def test_a_position_comes_back(made, tmp_path, place):
    made.jpeg_with_position(tmp_path / "a.jpg", *place, altitude_m=-12.5)
    photo = exif.read(tmp_path / "a.jpg")
    np.testing.assert_allclose((photo.lat, photo.lon), place, atol=1e-8)
    assert photo.altitude_m == -12.5


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.avif"])
def test_each_kind_of_picture_holds_exif(tmp_path, name):
    photo = exif.read(picture(tmp_path / name, {**PLACE, GPS.GPSDOP: 2.5}))
    np.testing.assert_allclose((photo.lat, photo.lon), (-33.8586667, 151.215), atol=1e-7)
    assert (photo.dop, photo.width, photo.height) == (2.5, 20, 10)


def test_a_heic_tells_place_time_and_size_as_a_jpeg_does(tmp_path):
    moment = dt.datetime(2019, 5, 6, 18, 15, 7, tzinfo=dt.UTC)
    heic_with_position(tmp_path / "a.heic", -33.86, 151.2, moment, turned=True)
    photo = exif.read(tmp_path / "a.heic")
    np.testing.assert_allclose((photo.lat, photo.lon), (-33.86, 151.2), atol=1e-7)
    assert (photo.captured_s, photo.captured_is_utc) == (moment.timestamp(), True)
    assert (photo.width, photo.height, photo.camera) == (48, 64, "Maker Model")


@pytest.mark.parametrize(
    ("changed", "lat"),
    [
        ({GPS.GPSLatitudeRef: "n"}, 33.8586667),
        ({GPS.GPSLatitudeRef: "South"}, -33.8586667),
        ({GPS.GPSLatitude: (33.86,)}, -33.86),
        ({GPS.GPSLatitudeRef: ""}, math.nan),
        ({GPS.GPSLatitudeRef: "E"}, math.nan),
        ({GPS.GPSLatitude: (TiffImagePlugin.IFDRational(0, 0),) * 3}, math.nan),
        ({GPS.GPSLatitude: (1.0, 2.0, 3.0, 4.0)}, math.nan),
    ],
)
def test_odd_values_are_a_position_only_if_they_mean_one(tmp_path, changed, lat):
    photo = exif.read(picture(tmp_path / "a.jpg", {**PLACE, **changed}))
    np.testing.assert_allclose(photo.lat, lat, atol=1e-7)
    assert math.isnan(photo.lon) == math.isnan(lat)


@pytest.mark.parametrize(
    ("changed", "lat", "told"),
    [
        ({}, -33.8586667, ""),
        ({GPS.GPSLatitudeRef: "s"}, -33.8586667, ""),
        ({GPS.GPSLatitude: (-33.0, 51.0, 31.2)}, -33.8586667, "with a minus and the letter S"),
        ({GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (-33.86,)}, math.nan, "contradict each other"),
        ({GPS.GPSLatitudeRef: ""}, math.nan, "its latitude without N or S: left out"),
        ({GPS.GPSLatitudeRef: "", GPS.GPSLatitude: (-33.86,)}, -33.86, "negative by its sign"),
        ({GPS.GPSLatitudeRef: "E"}, math.nan, "its latitude with the letter E: left out"),
        ({GPS.GPSLatitudeRef: "up"}, math.nan, "a word that names no hemisphere: left out"),
        ({GPS.GPSLatitude: "33,86"}, -33.86, ""),
        ({GPS.GPSLatitude: (151.2,)}, math.nan, "its position -151.2, 151.215 is not on Earth"),
        ({GPS.GPSMapDatum: "WGS-84"}, -33.8586667, ""),
        ({GPS.GPSMapDatum: "TOKYO"}, -33.8586667, "in the datum TOKYO: taken for WGS 84"),
        ({GPS.GPSLatitude: "33 51.52 S"}, -33.8586667, ""),
    ],
)
def test_a_hemisphere_that_is_assumed_or_unknown_is_told(tmp_path, changed, lat, told):
    gps = {tag: value for tag, value in {**PLACE, **changed}.items() if value}
    photo = exif.read(signed_picture(tmp_path / "a.jpg", gps))
    np.testing.assert_allclose(photo.lat, lat, atol=1e-7)
    assert told in photo.told if told else not photo.told


@pytest.mark.parametrize("parts", [(33.86, 51.0, 0.0), (33.0, 51.5, 30.0), (33.0, 75.0, 0.0)])
def test_an_angle_of_fractions_beside_smaller_parts_is_none_and_told(tmp_path, parts):
    photo = exif.read(picture(tmp_path / "a.jpg", {**PLACE, GPS.GPSLatitude: parts}))
    assert math.isnan(photo.lat)
    assert "fractions beside smaller parts" in photo.told


@pytest.mark.parametrize("parts", [(33.86, 0.0, 0.0), (33.0, 51.6, 0.0), (0.0, 2031.6, 0.0)])
def test_an_angle_whose_last_part_has_the_fraction_is_one(tmp_path, parts):
    photo = exif.read(picture(tmp_path / "a.jpg", {**PLACE, GPS.GPSLatitude: parts}))
    assert (photo.lat, photo.told) == (pytest.approx(-33.86), "")


def test_a_receiver_without_a_fix_is_told(tmp_path):
    assert (
        "GPSStatus V" in exif.read(picture(tmp_path / "a.jpg", {**PLACE, GPS.GPSStatus: "V"})).told
    )
    assert exif.read(picture(tmp_path / "b.jpg", {**PLACE, GPS.GPSStatus: "A"})).told == ""


def test_a_record_of_a_photo_that_contradicts_another_is_told(tmp_path):
    xmp = b'<rdf:Description exif:GPSLatitude="48,51.5N" exif:GPSLongitude="2,20,24E"/>'
    photo = exif.read(picture(tmp_path / "a.jpg", PLACE, xmp=xmp))
    np.testing.assert_allclose((photo.lat, photo.lon), (-33.8586667, 151.215), atol=1e-7)
    assert "another record of the photo says 48.85833, 2.34000" in photo.told


@pytest.mark.parametrize("absent", [GPS.GPSLatitudeRef, GPS.GPSLongitudeRef, GPS.GPSLongitude])
def test_half_a_position_is_none(tmp_path, absent):
    gps = {tag: value for tag, value in PLACE.items() if tag != absent}
    assert math.isnan(exif.read(picture(tmp_path / "a.jpg", gps)).lat)


def test_xmp_fills_in_for_exif(tmp_path):
    xmp = b'<rdf:Description exif:GPSLatitude="48,51.5N" exif:GPSLongitude="2,20,24W"/>'
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg", xmp=xmp)
    photo = exif.read(tmp_path / "a.jpg")
    np.testing.assert_allclose((photo.lat, photo.lon), (48.858333, -2.34), atol=1e-6)


@pytest.mark.parametrize("order", "<>")
def test_flir_s_record_fills_in_for_exif(tmp_path, order):
    gps = struct.pack("<I4x2s2s4xddf", 1, b"N", b"W", 34.0754, 118.2543, 139.0)
    head = b"FFF".ljust(20, b"\0") + struct.pack(f"{order}III", 101, 64, 1)
    entry = struct.pack(f"{order}H10xII", 0x2B, 96, len(gps)).ljust(32, b"\0")
    block = b"FLIR\0\1\0\0" + head.ljust(64, b"\0") + entry + gps
    segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    data = picture(tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[:2] + segment + data[2:])
    photo = exif.read(tmp_path / "a.jpg")
    assert (photo.lat, photo.lon, photo.altitude_m) == (34.0754, -118.2543, 139.0)


LOCAL = {ExifTags.Base.DateTimeOriginal: "2019:05:06 20:15:07"}
EAST = {ExifTags.Base.OffsetTimeOriginal: "+02:00"}
SUBSEC = {ExifTags.Base.SubsecTimeOriginal: "25"}


@pytest.mark.parametrize(
    ("gps", "detail", "wanted", "is_utc"),
    [
        ({}, LOCAL, "2019-05-06T20:15:07", False),
        ({}, {**LOCAL, **SUBSEC}, "2019-05-06T20:15:07.25", False),
        ({}, {**LOCAL, **EAST}, "2019-05-06T18:15:07", True),
        ({}, {**LOCAL, ExifTags.Base.OffsetTimeOriginal: "   :  "}, "2019-05-06T20:15:07", False),
        (UTC, LOCAL, "2019-05-06T18:15:07.5", True),
        (UTC, {**LOCAL, **EAST}, "2019-05-06T18:15:07", True),
        (UTC, {}, "2019-05-06T18:15:07.5", True),
    ],
)
def test_the_time_of_capture_is_utc_where_a_zone_is_known(tmp_path, gps, detail, wanted, is_utc):
    photo = exif.read(picture(tmp_path / "a.jpg", gps, detail))
    wanted_s = dt.datetime.fromisoformat(f"{wanted}+00:00").timestamp()
    assert (photo.captured_s, photo.captured_is_utc) == (wanted_s, is_utc)


@pytest.mark.parametrize("zone", ["+05:30", "+0530"])
@pytest.mark.parametrize("tag", ["OffsetTimeOriginal", "OffsetTimeDigitized", "OffsetTime"])
def test_a_zone_in_any_form_and_tag_is_read_and_told_unless_it_is_its_own(tmp_path, tag, zone):
    detail = {**LOCAL, getattr(ExifTags.Base, tag): zone}
    photo = exif.read(picture(tmp_path / "a.jpg", {}, detail))
    wanted_s = dt.datetime.fromisoformat("2019-05-06T14:45:07+00:00").timestamp()
    assert (photo.captured_s, photo.captured_is_utc) == (wanted_s, True)
    assert photo.told.endswith("" if tag == "OffsetTimeOriginal" else f"in the zone of {tag}")


@pytest.mark.parametrize(
    ("zone", "told"), [("+02:00", ""), ("+09:00", "GPSTimeStamp is 7 h ahead")]
)
def test_a_zone_that_its_receiver_contradicts_is_told(tmp_path, zone, told):
    detail = {**LOCAL, ExifTags.Base.OffsetTimeOriginal: zone}
    photo = exif.read(picture(tmp_path / "a.jpg", UTC, detail))
    assert photo.told[: len(told) or None] == told
    assert (photo.by_camera, photo.clock_is_utc) == (True, True)


def test_a_zone_that_is_z_is_utc(tmp_path):
    detail = {**LOCAL, ExifTags.Base.OffsetTimeOriginal: "Z"}
    assert exif.read(picture(tmp_path / "a.jpg", {}, detail)).captured_is_utc


@pytest.mark.parametrize(
    ("date", "clock", "local", "wanted", "told"),
    [
        ("2024:06:01", (0.0, 0.0, 40.0), "2024:06:01 17:00:40", "2024-06-02T00:00:40", "+1 days"),
        ("2024:06:02", (22.0, 0.0, 0.0), "2024:06:02 08:00:00", "2024-06-01T22:00:00", "-1 days"),
        ("2004:10:16", (12.0, 0.0, 0.0), "2024:06:01 14:00:00", "2024-06-01T12:00:00", "+7168"),
        ("1970:01:01", (0.0, 0.0, 0.0), "2024:06:01 14:00:00", "2024-06-01T14:00:00", "before"),
        ("2022:02:02", (0.0, 0.0, 0.0), "2024:06:01 14:00:00", "2024-06-01T14:00:00", "latter"),
        ("2024:06:01", (12.0, 0.0, 0.0), "2000:01:01 00:10:00", "2024-06-01T12:00:00", "former"),
        ("2024:06:01", (0.0, 0.0, 0.0), "2024:06:01 13:45:00", "2024-06-01T00:00:00", ""),
    ],
)
def test_a_receivers_date_must_be_possible(tmp_path, date, clock, local, wanted, told):
    gps = {GPS.GPSDateStamp: date, GPS.GPSTimeStamp: clock}
    detail = {ExifTags.Base.DateTimeOriginal: local}
    photo = exif.read(picture(tmp_path / "a.jpg", gps, detail))
    assert photo.captured_s == dt.datetime.fromisoformat(f"{wanted}+00:00").timestamp()
    assert photo.captured_is_utc == (told not in ("before", "latter"))
    assert told in photo.told
    assert bool(told) == bool(photo.told)


@pytest.mark.parametrize("text", ["0000:00:00 00:00:00", "    :  :     :  :  ", "2019", "soon"])
def test_an_unset_clock_tells_no_time(tmp_path, text):
    photo = exif.read(picture(tmp_path / "a.jpg", {}, {ExifTags.Base.DateTimeOriginal: text}))
    assert math.isnan(photo.captured_s)
    assert not photo.captured_is_utc


def test_camera_and_size_are_those_of_the_upright_picture(tmp_path):
    main = {ExifTags.Base.Make: "Maker\0 ", ExifTags.Base.Model: "M  1"}
    photo = exif.read(picture(tmp_path / "a.jpg", main={**main, ExifTags.Base.Orientation: 6}))
    assert (photo.camera, photo.width, photo.height) == ("Maker M 1", 10, 20)


def test_a_photo_that_says_nothing_has_only_a_size(tmp_path):
    Image.new("RGB", (20, 10)).save(tmp_path / "a.jpg")
    photo = exif.read(tmp_path / "a.jpg")
    assert repr(photo) == repr(exif.NOTHING).replace("width=0, height=0", "width=20, height=10")


@pytest.mark.parametrize("num_bytes", [0, 2, 100, -50])
def test_a_picture_cut_off_is_refused(made, tmp_path, num_bytes):
    made.jpeg_with_position(tmp_path / "a.jpg", 47.0, 8.0)
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:num_bytes])
    with pytest.raises(ValueError, match=r"b\.jpg: not a picture that can be decoded"):
        exif.read(tmp_path / "b.jpg")


def test_a_jpeg_of_very_many_pixels_is_read_at_half_its_size_and_told(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 150)
    photo = exif.read(picture(tmp_path / "a.jpg", PLACE))
    assert (photo.width, photo.height) == (20, 10)
    assert photo.lat == pytest.approx(-33.8586667)
    assert photo.told == "20 x 10 pixels: read at half its size"


@pytest.mark.parametrize(
    ("name", "most", "advice"),
    [("a.png", 150, "save it smaller, or as JPEG"), ("a.jpg", 90, "save it at half its size")],
)
def test_a_picture_of_too_many_pixels_is_refused(tmp_path, monkeypatch, name, most, advice):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
    with pytest.raises(ValueError, match=advice):
        exif.read(picture(tmp_path / name))


def test_a_file_that_is_absent_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"a\.jpg: not a picture"):
        exif.read(tmp_path / "a.jpg")


@pytest.mark.parametrize(
    "folder", ["exif_samples_arezzo", "geovisio_single", "mapillary_tools", "metadata_extractor"]
)
def test_real_photos_are_where_the_manifest_says(real, manifest, folder):
    rows = manifest[manifest.index.str.startswith(folder) & (manifest["codec"] == "JPEG")]
    assert len(rows) > 0
    for path, row in rows.iterrows():
        photo = exif.read(real / path)
        place = float(row["lat_min"]), float(row["lon_min"])
        np.testing.assert_allclose((photo.lat, photo.lon), place, atol=1e-7)
        assert {photo.width, photo.height} == {int(row["width"]), int(row["height"])}
        assert photo.camera


@pytest.mark.parametrize(
    "name", ["corrupt_exif_large_thumbnail", "empty_exif", "geovisio_invalid_exif"]
)
def test_real_photos_with_broken_tags_have_no_position(real, name):
    photo = exif.read(real / "bad" / f"{name}.jpg")
    assert math.isnan(photo.lat)
    assert math.isnan(photo.lon)


def test_the_real_thermal_photo_is_in_los_angeles(real):
    photo = exif.read(real / "bad" / "flir_lon_sign_error.jpg")
    np.testing.assert_allclose((photo.lat, photo.lon), (34.0754262, -118.2542682), atol=1e-7)
