"""A second opinion: exiftool and gpsbabel read the same files, and see the same places and times.

Each claim is skipped where the program or the files are not there.
"""

import csv
import io
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.data import telemetry
from tests.data.heic import heic_with_position
from vidtag_ml.earth import sphere
from vidtag_ml.ingest.telemetry import exif, exiftool, geojson, gpmf, gpx, nmea, quicktime, table
from vidtag_ml.ingest.telemetry.readers import Recording
from vidtag_ml.media import video

REAL = Path(__file__).resolve().parents[5] / "shared" / "data"
METRES, SECONDS = 3.0, 0.5
WALK = [(-33.85 - 1e-5 * k, 151.2 + 2e-5 * k) for k in range(40)]

needs_files = pytest.mark.skipif(not REAL.is_dir(), reason="the real recordings are not here")
needs_exiftool = pytest.mark.skipif(not exiftool.version(), reason="exiftool is not installed")
needs_gpsbabel = pytest.mark.skipif(
    shutil.which("gpsbabel") is None, reason="gpsbabel is not installed"
)


def apart_m(ours, theirs):
    """Metres between rows of two tables."""
    return 1000 * sphere.great_circle_km(ours[["lat", "lon"]], theirs[["lat", "lon"]])


def by_gpsbabel(path, form, kind="-t"):
    """Rows of lat, lon and utc_s."""
    asked = ["gpsbabel", kind, "-i", form, "-f", str(path), "-o", "unicsv,utc=0", "-F", "-"]
    said = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    rows = list(csv.DictReader(io.StringIO(said)))
    stamps = [f"{r.get('Date', '')} {r.get('Time', '')}" for r in rows]
    moments = pd.to_datetime(pd.Series(stamps, dtype=str), errors="coerce", format="mixed")
    known = {"lat": [r["Latitude"] for r in rows], "lon": [r["Longitude"] for r in rows]}
    seconds = (moments - pd.Timestamp(0)) / pd.Timedelta(seconds=1)
    return pd.DataFrame(known, dtype=float).assign(utc_s=seconds)


def agree(ours, theirs):
    """Whether rows are at one place and time, where both tell it."""
    assert len(ours) == len(theirs)
    assert (apart_m(ours, theirs) < METRES).all()
    assert not ((ours["utc_s"] - theirs["utc_s"]).abs() > SECONDS).any()


@needs_gpsbabel
@needs_files
def test_gpsbabel_reads_the_same_from_every_real_gpx():
    num = 0
    for path in sorted(REAL.rglob("*.gpx")):
        if len(theirs := by_gpsbabel(path, "gpx")) and theirs[["lat", "lon"]].any(axis=None):
            agree(gpx.read(path).points, theirs)
            num += len(theirs)
    assert num > 2000


@needs_gpsbabel
@pytest.mark.parametrize("sentences", [("GGA", "RMC"), ("RMC",), ("RMC", "GGA")])
def test_gpsbabel_reads_the_same_from_nmea(tmp_path, sentences):
    path = tmp_path / "a.nmea"
    path.write_text(telemetry.nmea(WALK, sentences=sentences))
    agree(nmea.read(path).points, by_gpsbabel(path, "nmea"))


@needs_gpsbabel
@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("time,lat,lon", "2019-05-06T18:15:{k:02d}Z,{lat},{lon}"),
        ("latitude;longitude;time", "{lat};{lon};2019-05-06 18:15:{k:02d}"),
        ("lat\tlon\talt", "{lat}\t{lon}\t3.5"),
    ],
)
def test_gpsbabel_reads_the_same_from_tables(tmp_path, head, row):
    lines = [row.format(k=k, lat=lat, lon=lon) for k, (lat, lon) in enumerate(WALK)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join([head, *lines]))
    agree(table.read(path).points, by_gpsbabel(path, "unicsv"))


@needs_gpsbabel
def test_gpsbabel_reads_the_same_places_from_geojson(tmp_path):
    line = {"type": "LineString", "coordinates": [(lon, lat) for lat, lon in WALK]}
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "Feature", "properties": {}, "geometry": line}))
    written = geojson.read(path).points
    points = [{"type": "Point", "coordinates": place} for place in line["coordinates"]]
    several = [{"type": "Feature", "properties": {}, "geometry": point} for point in points]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": several}))
    agree(written, by_gpsbabel(path, "geojson", kind="-w"))


@needs_exiftool
@needs_files
@pytest.mark.parametrize(
    "name",
    [
        "gpmf_parser/hero7_carlsbad_2019-05.mp4",
        "gpmf_parser/karma_carlsbad_2017-04.mp4",
        "gopro_trims/hero5-trimmed.mp4",
    ],
)
def test_exiftool_reads_the_same_from_real_telemetry(name):
    held = video.container(REAL / name)
    (ours,) = (gpmf.read(packets).points for packets in held.tracks if gpmf.is_gpmf(packets))
    theirs = exiftool.read(Recording(held, [], REAL / name)).points
    assert len(theirs) >= 12 or "hero5" in name
    at = [int(np.argmin(apart_m(ours, theirs.iloc[[k]]))) for k in range(len(theirs))]
    agree(ours.iloc[at].reset_index(drop=True), theirs)
    assert (np.abs(ours["time_s"].to_numpy()[at] - theirs["time_s"]) <= SECONDS).all()


@needs_exiftool
@needs_files
def test_exiftool_reads_the_same_location_tags():
    for path in (REAL / "metadata_extractor" / "video").iterdir():
        held = video.container(path)
        ours = quicktime.read(held.tags).points
        theirs = exiftool.read(Recording(video.Container({}, ()), [], path)).points
        assert (apart_m(ours, theirs) < METRES).all()
        assert len(ours) == len(theirs) == 1


CLOCKS = ("DateTimeOriginal", "OffsetTimeOriginal", "GPSDateTime")
WITHOUT_LETTER = "flir_lon_sign_error.jpg"
"""FLIR's own record has letters of hemispheres, which exiftool leaves out and we do not."""


def photos_by_exiftool(*paths):
    """What is said of photos, by path."""
    asked = ["exiftool", "-json", "-n", "-r", "-ext", "jpg", "-ext", "heic"]
    asked += [f"-{name}" for name in ("GPSLatitude", "GPSLongitude", *CLOCKS)]
    said = subprocess.run([*asked, *map(str, paths)], capture_output=True, check=False).stdout
    return {Path(photo["SourceFile"]): photo for photo in json.loads(said)}


def moments(photo):
    """Seconds since 1970 at which a photo may have been taken, by its clocks, with zones or not."""
    for name in ("DateTimeOriginal", "GPSDateTime"):
        stamp = str(photo.get(name, ""))[:19].replace(":", "-", 2)
        if not pd.isna(pd.to_datetime(stamp, errors="coerce")):
            yield pd.Timestamp(stamp).timestamp()
            yield pd.Timestamp(f"{stamp}{photo.get('OffsetTimeOriginal', '')}").timestamp()


def see_the_same(path, photo):
    """Whether a photo is where and when exiftool reads that it was taken; of times the seconds."""
    ours = exif.read(path)
    theirs = (photo["GPSLatitude"], photo["GPSLongitude"])
    assert 1000 * sphere.great_circle_km((ours.lat, ours.lon), theirs) < METRES, path
    if "GPSDateStamp" in ours.told:  # a date that cannot be, which exiftool gives as it is written
        return
    known = np.array(list(moments(photo)))
    assert np.isnan(ours.captured_s) or (np.abs(known - ours.captured_s) <= 1.0).any(), path


@needs_exiftool
@needs_files
def test_exiftool_sees_every_real_photo_at_the_same_place_and_time():
    seen = photos_by_exiftool(REAL)
    placed = {path: photo for path, photo in seen.items() if photo.get("GPSLatitude")}
    for path, photo in placed.items():
        if path.name != WITHOUT_LETTER:
            see_the_same(path, photo)
    assert len(placed) > 130
    assert sum("GPSDateStamp" in exif.read(path).told for path in placed) < 15


@needs_exiftool
@pytest.mark.parametrize("place", [(47.3769, 8.5417), (-33.8587, -70.25), (0.001, 179.9999)])
def test_exiftool_sees_made_up_photos_at_the_same_place_and_time(tmp_path, place):
    telemetry.jpeg_with_position(tmp_path / "a.jpg", *place, telemetry.START)
    heic_with_position(tmp_path / "a.heic", *place, telemetry.START)
    seen = photos_by_exiftool(tmp_path)
    assert len(seen) == 2
    for path, photo in seen.items():
        see_the_same(path, photo)
