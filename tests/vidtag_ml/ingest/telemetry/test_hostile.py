"""Claims about files made to harm: a reader returns a table or raises a ValueError, soon.

Examples are derived from the tests, so each run sees the same ones.
"""

import json
import struct
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vidtag_ml.ingest.telemetry import (
    camm,
    exif,
    geojson,
    gpmf,
    gpx,
    nmea,
    points,
    quicktime,
    srt,
    table,
)
from vidtag_ml.ingest.telemetry.readers import Reading
from vidtag_ml.media import video

PLACES = [(47.376, 8.541), (-33.85, -70.25), (0.0, 179.999999)]
LIMITS = settings(max_examples=40, deadline=2000, derandomize=True, database=None)
FILES = {
    "gpx": gpx.read,
    "srt": srt.read,
    "nmea": nmea.read,
    "csv": table.read,
    "geojson": geojson.read,
    "places": table.read_named,
    "jpg": exif.read,
}
WORDS = {
    "gpx": ["<gpx>", "</gpx>", "<trk>", "<trkseg>", "<trkpt lat='1' lon='2'>", "<time>", "&#0;"],
    "srt": ["GPS(", "-->", "00:00:01,000", "latitude:", "longtitude :", "[", "\n\n", "9" * 20],
    "nmea": ["$GPGGA", "$GPRMC", ",", "*6D", "4722.6", "N", "E", "235959", "310119", "\n", "99"],
    "csv": [
        "lat",
        "lon",
        "time",
        "file",
        ",",
        ";",
        '"',
        "\n",
        "nan",
        "inf",
        "-1e400",
        "2019-05-06",
    ],
    "geojson": ["{", "}", "[", "]", '"features"', ":", ",", "NaN", "1e999", '"type"', '"Point"'],
    "places": ["name", "latitude", "lng", ",", "\n", "a.jpg", "1", "\0", "\r"],
    "jpg": ["\xff\xd8", "Exif\0\0", "II*\0", "\xff\xe1"],
}
NUMBERS = st.floats() | st.integers() | st.text(max_size=8) | st.none() | st.booleans()
UINT32 = st.integers(0, 2**32 - 1) | st.sampled_from([1, 32, 64])
JSON = st.recursive(
    NUMBERS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["type", "coordinates", "properties", "time"]), inner)
    ),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def examples(made, tmp_path_factory):
    """A folder, and the bytes of a good file of each kind."""
    folder = tmp_path_factory.mktemp("hostile")
    made.jpeg_with_position(folder / "good.jpg", *PLACES[0], made.START, altitude_m=5.0)
    point = '<trkpt lat="1.5" lon="2.5"><time>2019-05-06T18:15:07Z</time><hdop>2</hdop></trkpt>'
    line = {"type": "LineString", "coordinates": [[8.5, 47.5], [8.6, 47.6]]}
    return folder, {
        "gpx": f"<gpx><trk><trkseg>{point * 3}</trkseg></trk></gpx>".encode(),
        "srt": "".join(made.dji_srt(PLACES, style) for style in ("modern", "mavic_2")).encode(),
        "nmea": made.nmea(PLACES, sentences=("GGA", "RMC", "GNS")).encode(),
        "csv": b"time,lat,lon,hdop\n2019-05-06T18:15:07Z,1.5,2.5,1\n1557166507,1,2,3\n",
        "geojson": json.dumps({"type": "Feature", "geometry": line}).encode(),
        "places": b"file,lat,lon\na.jpg,1.5,2.5\nb.jpg,91,0\n",
        "jpg": (folder / "good.jpg").read_bytes(),
    }


def mutated(good):
    """Bytes with some of them changed, or cut off, or doubled."""
    spots = st.integers(0, len(good) - 1)
    edits = st.lists(st.tuples(spots, st.binary(max_size=4)), max_size=6)

    def change(edits, start, end):
        data = bytearray(good)
        for spot, new in edits:
            data[spot : spot + len(new)] = new
        return bytes(data[:end] + data[start:])

    return st.builds(change, edits, spots | st.just(len(good)), spots | st.just(len(good)))


def survives(read, source):
    """Asserts that a reader makes a table or raises a ValueError."""
    try:
        found = read(source)
    except ValueError:
        return
    if isinstance(found, Reading):
        assert tuple(found.points.columns) == points.COLUMNS
        assert found.points.drop(columns="fix_type").dtypes.eq(np.float64).all()
    else:
        assert isinstance(found, exif.Photo | list)


def reads(folder, kind, data):
    path = folder / f"hostile.{kind}"
    path.write_bytes(data)
    survives(FILES[kind], path)


@pytest.mark.parametrize("kind", FILES)
@LIMITS
@given(data=st.binary(max_size=400))
def test_any_bytes_are_a_table_or_refused(examples, kind, data):
    reads(examples[0], kind, data)


@pytest.mark.parametrize("kind", FILES)
@LIMITS
@given(data=st.data())
def test_damaged_files_are_a_table_or_refused(examples, kind, data):
    folder, good = examples
    reads(folder, kind, data.draw(mutated(good[kind])))


@pytest.mark.parametrize("kind", FILES)
@LIMITS
@given(data=st.data())
def test_words_in_any_order_are_a_table_or_refused(examples, kind, data):
    words = st.lists(st.sampled_from(WORDS[kind]) | st.text(max_size=6), max_size=40)
    reads(examples[0], kind, "".join(data.draw(words)).encode("utf-8", "replace"))


@LIMITS
@given(document=JSON)
def test_any_json_is_a_table_or_refused(examples, document):
    reads(examples[0], "geojson", json.dumps(document).encode())


@LIMITS
@example(fields=["181507"])
@given(fields=st.lists(st.sampled_from(WORDS["nmea"]) | st.text(max_size=8), max_size=16))
def test_any_fields_with_a_right_checksum_are_a_table_or_refused(made, examples, fields):
    for kind in ("GPGGA", "GNGNS", "GPRMC"):
        said = ",".join([kind, *fields]).replace("*", "").replace("\n", "")
        reads(examples[0], "nmea", made.sentence(said).encode("utf-8", "replace"))


@LIMITS
@given(block=st.binary(max_size=300), data=st.data())
def test_any_exif_is_read_or_refused(examples, block, data):
    folder, good = examples
    start = good["jpg"].index(b"Exif\0\0") + 6
    size = struct.unpack(">H", good["jpg"][start - 8 : start - 6])[0] - 8
    original = good["jpg"][start : start + size]
    block = data.draw(mutated(original)) if data.draw(st.booleans()) else block
    head = good["jpg"][: start - 8] + struct.pack(">H", len(block) + 8) + b"Exif\0\0"
    reads(folder, "jpg", head + block + good["jpg"][start + size :])


@LIMITS
@given(
    block=st.binary(max_size=200),
    order=st.sampled_from("<>"),
    numbers=st.tuples(*[st.integers(0, 2**32 - 1)] * 2),
)
def test_any_block_of_flir_is_read_or_refused(examples, block, order, numbers):
    folder, good = examples
    block = b"FLIR\0\1\0\0FFF\0" + bytes(16) + struct.pack(f"{order}3I", 100, *numbers) + block
    segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    picture = good["jpg"].replace(b"Exif", b"Gone")
    reads(folder, "jpg", picture[:2] + segment + picture[2:])


@LIMITS
@given(value=st.text(alphabet="+-0123456789./CRSWGS_84 ", max_size=40), when=st.text(max_size=30))
def test_any_tags_are_a_table_or_refused(value, when):
    accuracy = "com.apple.quicktime.location.accuracy.horizontal"
    survives(quicktime.read, {"location": value})
    survives(quicktime.read, {"location": "+01+002/", accuracy: value})
    assert isinstance(quicktime.created({"creation_time": when})[0], float)


@LIMITS
@given(chunks=st.lists(st.binary(max_size=80), max_size=5), head=st.sampled_from([b"", b"DEVC"]))
def test_any_packets_are_a_table_or_refused(chunks, head):
    track = [video.Packet(float(k), 0.0, head + data) for k, data in enumerate(chunks)]
    survives(gpmf.read, track)
    survives(camm.read, track)
    assert gpmf.is_gpmf(track) in (True, False)
    assert camm.is_camm(track) in (True, False)


@pytest.mark.parametrize("stream", ["GPS5", "GPS9", "GLPI"])
@LIMITS
@given(data=st.data())
def test_damaged_gpmf_is_a_table_or_refused(made, stream, data):
    payload = data.draw(mutated(made.gpmf_payload(PLACES, stream)))
    survives(gpmf.read, [video.Packet(0.0, 1.0, payload)])


ITEMS = st.tuples(
    st.sampled_from(
        [b"GPS5", b"GPS9", b"GLPI", b"SCAL", b"TYPE", b"GPSU", b"GPSP", b"GPSF", b"STRM"]
    ),
    st.sampled_from(b"\0lLsSfdcU?bBjJx"),
    st.integers(0, 255) | st.sampled_from([4, 16, 20, 28, 32]),
    st.integers(0, 65535) | st.integers(0, 9),
    st.binary(max_size=40) | st.sampled_from([b"lllllllSS", b"Llll" * 4, bytes(20), bytes(36)]),
)


@LIMITS
@given(items=st.lists(ITEMS, max_size=8), honest=st.booleans())
def test_any_items_of_gpmf_are_a_table_or_refused(made, items, honest):
    written = b""
    for key, kind, size, count, data in items:
        count = len(data) // max(1, size) if honest else count
        data = data[: count * size] if honest else data
        written += key + struct.pack(">BBH", kind, size, count) + data + bytes(-len(data) % 4)
    for payload in (made.nested("DEVC", made.nested("STRM", written)), b"DEVC" + written):
        survives(gpmf.read, [video.Packet(0.0, 1.0, payload)])


def test_nesting_costs_nothing(made):
    payload = made.nested("STRM", made.klv("GPS5", "l", 20, bytes(20)))
    for _ in range(5000):
        payload = made.nested("STRM", payload)
    survives(gpmf.read, [video.Packet(0.0, 1.0, made.nested("DEVC", payload))])


@pytest.mark.parametrize("key", [b"GPS5", b"SCAL", b"TYPE", b"STRM", b"DEVC"])
def test_a_count_without_its_bytes_is_refused_before_any_memory_is_taken(made, key):
    good = made.gpmf_payload(PLACES, "GPS9" if key == b"TYPE" else "GPS5")
    at = good.index(key) + 5
    track = [video.Packet(0.0, 1.0, good[:at] + b"\xff\xff\xff" + good[at + 3 :])]
    tracemalloc.start()
    with pytest.raises(ValueError, match="cut off"):
        gpmf.read(track)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000


@pytest.mark.parametrize("stream", ["GPS5", "GPS9", "GLPI"])
def test_memory_grows_with_the_bytes_of_a_payload(made, stream):
    payload = made.gpmf_payload(PLACES * 1000, stream)
    track = [video.Packet(0.0, 1.0, payload)] * 10
    tracemalloc.start()
    gpmf.read(track)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20 * len(payload) * len(track)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("srt", "GPS(" * 100_000),
        ("srt", "GPS" + " " * 400_000),
        ("srt", "1" * 400_000),
        ("srt", "latitude" + ":" * 400_000),
        ("srt", "GPS(1.5, 2.5, 16)\n\n" * 4_000),
        ("srt", "HOME(1,2) D 5m N:1.5 " * 20_000),
        ("nmea", "$" * 400_000),
        ("nmea", "$GPGGA," + " " * 400_000),
        ("csv", "," * 400_000 + "\n" * 400_000),
        ("csv", "lat,lon," + "," * 100_000 + "\n" + "1,2\n" * 20_000),
        ("geojson", '{"features":' * 50_000),
        ("gpx", "<gpx>" * 80_000),
        ("gpx", "<gpx" + " xmlns:a" * 50_000),
        ("gpx", "<?xml encoding='" * 50_000),
        ("csv", "lat,lon\n" + "1 " * 100_000 + "," + "'" * 100_000),
        ("csv", "lat,lon\n" + "1 1 1                              x,1\n" * 4_000),
        ("geojson", '{"geometries":[' * 50_000),
    ],
)
def test_long_runs_end_soon(examples, kind, content):
    began_s = time.process_time()
    reads(examples[0], kind, content.encode())
    assert time.process_time() - began_s < 2.0
