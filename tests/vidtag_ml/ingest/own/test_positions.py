"""Claims about formats of positions: all of them are tried, and which is trusted most."""

import datetime as dt
import functools
import importlib
import operator
import pkgutil

import pytest

from tests.data import telemetry as written
from tests.data.recordings import NOON, film, recording, stamped, with_telemetry
from tests.vidtag_ml.ingest.own.conftest import HOW
from vidtag_ml.ingest import telemetry
from vidtag_ml.ingest.own import positions
from vidtag_ml.ingest.telemetry.readers import Recording
from vidtag_ml.media import video


def test_every_format_that_can_be_read_is_tried():
    names = (f"{telemetry.__name__}.{m.name}" for m in pkgutil.iter_modules(telemetry.__path__))
    modules = map(importlib.import_module, names)
    readers = {id(module.READER) for module in modules if hasattr(module, "READER")}
    assert readers == set(map(id, positions.READERS))


def test_no_two_formats_are_files_of_one_suffix():
    assert positions.SIDECARS == (".gpx", ".srt", ".nmea", ".csv", ".geojson")


def test_a_track_in_the_video_is_trusted_before_one_beside_it_and_its_tag_last(
    tmp_path, exiftool_says
):
    exiftool_says({})
    track = (video.Packet(0.0, 1.0, b"DEVC"),)
    beside = [tmp_path / "a.gpx", tmp_path / "a.CSV"]
    recording = Recording(video.Container({"location": "+47+008/"}, (track,)), beside, tmp_path)
    sources = [s for reader in positions.READERS for s in reader.sources(recording)]
    names = ["the video's telemetry", "a.gpx", "a.CSV", "exiftool", "the video's location"]
    assert [s.name for s in sources] == names
    assert [s.file for s in sources] == [None, *beside, None, None]
    assert sources[-1].read().points["lat"].item() == pytest.approx(47)


FOUND = {"Doc1:A:GPSLatitude": 47.0, "Doc1:A:GPSLongitude": 8.0, "Doc1:A:SampleTime": 0.0}
LIMITS = {"walk": 10.0, "ride": 60.0, "car": 200.0}


def test_a_video_without_a_track_is_told_which_program_may_find_one(tmp_path, exiftool_says):
    path = film(tmp_path / "a.mp4")
    exiftool_says(None)
    with pytest.raises(positions.NoPositionError, match=r"install exiftool \(Debian: libimage"):
        positions.place(path, 12.0, None, 0.0, 2.0, LIMITS)
    exiftool_says({})
    with pytest.raises(positions.NoPositionError, match="exiftool 9 finds no other track"):
        positions.place(path, 12.0, None, 0.0, 2.0, LIMITS)


def test_positions_that_are_not_believed_are_not_read_again_by_exiftool(tmp_path, exiftool_says):
    exiftool_says(FOUND)
    payload = written.gpmf_payload([(47.0, 8.0)] * 10, dop=99.0)
    path = with_telemetry(film(tmp_path / "a.mp4"), [payload])
    with pytest.raises(positions.NoPositionError, match="DOP above 10") as error:
        positions.place(path, 12.0, None, 0.0, 2.0, LIMITS)
    assert "exiftool" not in str(error.value)


def test_a_video_is_placed_by_exiftool_if_nothing_else_has_its_track(tmp_path, exiftool_says):
    path = recording(tmp_path, lat=48.0)
    exiftool_says(FOUND)
    assert positions.place(path, 12.0, None, 0.0, 2.0, LIMITS).fix_source == "gpx"
    path.with_suffix(".gpx").unlink()
    placed = positions.place(path, 12.0, None, 0.0, 2.0, LIMITS)
    assert (placed.fix_source, placed.fixes["lat"].tolist()) == ("exiftool", [47.0])


LOGGED = ["Time (s),Timestamp", "Time (s),UTC Time (s)", "time_s,datetime"]


@pytest.mark.parametrize("header", [*LOGGED, "clip,time_s,time", "t_s,time"])
@pytest.mark.parametrize("tags", [{}, {"creation_time": "2024-06-01T12:00:00Z"}])
def test_moments_decide_before_the_seconds_of_a_logger(tmp_path, header, tags):
    path = stamped(film(tmp_path / "a.mp4"), **tags) if tags else film(tmp_path / "a.mp4")
    rows = [f"{'trip,' * ('clip' in header)}{k},{moment(k - 20, header)}" for k in range(40)]
    placed = [f"{row},{47 + k * 1e-5:.5f},8" for k, row in enumerate(rows)]
    path.with_suffix(".csv").write_text("\n".join([f"{header},lat,lon", *placed]))
    found = positions.place(path, 12.0, None, 0.0, 2.0, LIMITS)
    first = found.fixes.set_index("time_s").loc[0.0]
    late = bool(tags) and header in LOGGED
    assert first["lat"] == pytest.approx(47.0002 if late else 47.0, abs=1e-7)
    assert any("moments" in told for told in found.repairs) == (header in LOGGED)


def moment(since_s, header):
    """A moment so long after noon, as a column is called."""
    when = dt.datetime(2024, 6, 1, 12, tzinfo=dt.UTC) + dt.timedelta(seconds=since_s)
    return f"{when.timestamp():.1f}" if "UTC" in header else when.isoformat()


@pytest.mark.parametrize(
    ("suffix", "text", "assumed"),
    [
        (".nmea", written.nmea([(47.0, 8.0)] * 3, sentences=("GGA",)), "no sentence tells a date"),
        (".srt", written.dji_srt([(47.0, 8.0)] * 3, "mavic_2"), "the first date is taken"),
        (".nmea", written.nmea([(47.0, 8.0)] * 3), None),
        (".srt", written.dji_srt([(47.0, 8.0)] * 3, "modern"), None),
    ],
)
def test_times_from_the_first_row_are_told(tmp_path, suffix, text, assumed):
    path = film(tmp_path / "a.mp4")
    path.with_suffix(suffix).write_text(text, newline="")
    found = positions.place(path, 12.0, "walk", 0.0, 2.0, {"walk": 10.0, "drone": 120.0})
    said = [told for told in found.repairs if "taken for the" in told]
    assert len(said) == (assumed is not None)
    assert all(assumed in told for told in said)


def test_a_begin_that_only_the_videos_clock_tells_is_told_with_what_was_assumed(tmp_path):
    path = film(tmp_path / "VID_20240601_115948.mp4")
    stamped(path, creation_time="2024-06-01T12:00:00Z")
    path.with_suffix(".csv").write_text("time_s,lat,lon\n0,47,8\n1,47.00001,8\n")
    placed = positions.place(path, 12.0, None, 0.0, 2.0, HOW.max_speed_kmh)
    assert placed.began_utc_s == NOON.timestamp() - 12
    assert any("creation_time is when it ended" in repair for repair in placed.repairs)


def _sentence(fields):
    body = f"GPGGA,12000{fields},1,08,1.0,500,M,,M,,"
    return f"${body}*{functools.reduce(operator.xor, body.encode()):02X}"


_GPX = (
    '<gpx><wpt lat="1" lon="2"/><rte><rtept lat="1" lon="2"/></rte><trk><trkseg>'
    '<trkpt lat="47" lon="8"/><trkpt lat="47" lon=""/></trkseg></trk></gpx>'
)
_FEATURE = '{"type":"Feature","properties":{},"geometry":{"type":"%s","coordinates":%s}}'
_FEATURES = (
    _FEATURE % ("LineString", "[[8,47],[8,47.00001]]"),
    _FEATURE % ("Point", "[8,47]"),
    _FEATURE % ("Polygon", "[[[8,47],[8,48],[9,48],[8,47]]]"),
)
_NMEA = (_sentence("0,4700.00,N,00800.00,E"), _sentence("1,,,,"), "$GPGGA,120002,4700,N,00800,E*00")
NOWHERE = "without a position"


@pytest.mark.parametrize(
    ("name", "content", "left_out"),
    [
        ("a.csv", "lat,lon\n47,8\nNA,8\n47,8\n", {NOWHERE: 1}),
        (
            "a.gpx",
            _GPX,
            {
                "waypoints left out: they are no track": 1,
                "points of a route: left out, as there is a track": 1,
                NOWHERE: 1,
            },
        ),
        (
            "a.geojson",
            f'{{"features":[{",".join(_FEATURES)}]}}',
            {
                "of type Polygon left out: no track": 1,
                "positions of points left out: the lines are the track": 1,
            },
        ),
        (
            "a.nmea",
            "\n".join(_NMEA),
            {NOWHERE: 1, "sentences with a wrong checksum: left out": 1},
        ),
    ],
)
def test_what_a_reader_leaves_out_is_counted(tmp_path, name, content, left_out):
    (tmp_path / name).write_text(content)
    reader = next(r for r in positions.READERS if getattr(r, "suffixes", ()) == (name[1:],))
    assert reader.read(tmp_path / name).left_out == left_out


@pytest.mark.parametrize(("num", "left_out"), [(12, 0), (15, 0), (20, 5)])
def test_telemetry_after_the_last_picture_is_left_out_and_told(tmp_path, num, left_out):
    payloads = [written.gpmf_payload([(47.0 + 1e-5 * k, 8.0)]) for k in range(num)]
    path = with_telemetry(film(tmp_path / "a.mp4"), payloads)
    placed = positions.place(path, 12.0, None, 0.0, 2.0, LIMITS)
    assert (len(placed.fixes), placed.num_found) == (num - left_out, num)
    assert placed.dropped == ({"after the last picture": left_out} if left_out else {})
    assert any("goes on 7 s after" in told for told in placed.repairs) == bool(left_out)


def test_telemetry_that_is_all_after_the_last_picture_is_no_position(tmp_path):
    payloads = [written.nested("DEVC")] * 5 + [written.gpmf_payload([(47.0, 8.0)])]
    path = with_telemetry(film(tmp_path / "a.mp4"), payloads)
    with pytest.raises(positions.NoPositionError, match="all its positions are after the last"):
        positions.place(path, 2.0, None, 0.0, 2.0, LIMITS)


@pytest.mark.parametrize(("step_s", "goes"), [(0, False), (1, True)])
def test_a_receivers_clock_that_stands_still_tells_no_beginning(tmp_path, step_s, goes):
    payloads = [
        written.gpmf_payload(
            [(47.0 + 1e-5 * k, 8.0)] * 2, utc=written.START + dt.timedelta(seconds=step_s * k)
        )
        for k in range(12)
    ]
    path = with_telemetry(film(tmp_path / "a.mp4"), payloads)
    placed = positions.place(path, 12.0, None, 0.0, 2.0, LIMITS)
    assert (placed.began_utc_s == written.START.timestamp()) == goes
    assert any("stands still" in told for told in placed.repairs) != goes


@pytest.mark.parametrize(("num", "told"), [(3, True), (7, False)])
def test_telemetry_that_ends_long_before_its_video_may_be_of_slow_motion(tmp_path, num, told):
    payloads = [written.gpmf_payload([(47.0 + 1e-5 * k, 8.0)]) for k in range(num)]
    path = with_telemetry(film(tmp_path / "a.mp4"), payloads)
    said = positions.place(path, 12.0, None, 0.0, 2.0, LIMITS).repairs
    assert any("ends 10 s before the video: all is early if" in one for one in said) == told


def test_a_correction_that_moves_no_track_inside_a_video_says_so(tmp_path):
    payloads = [written.gpmf_payload([(47.0 + 1e-5 * k, 8.0)]) for k in range(12)]
    path = with_telemetry(film(tmp_path / "a.mp4"), payloads)
    found = positions.place(path, 12.0, None, 3.0, 2.0, LIMITS)
    assert found.fixes["time_s"].min() == 0
    assert "--time-offset moves files beside videos, and no track inside one" in found.repairs
