"""Claims about GPMF: which stream is read, what a sample's time is, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from vidtag_ml.ingest.telemetry import gpmf, points
from vidtag_ml.media import video

PLACES = [(47.37, 8.54), (47.3700012, 8.5400034), (-33.9, 151.2), (0.0, -179.9999999)]


def packets(*payloads, duration_s=1.0):
    return [video.Packet(k * 1.0, duration_s, data) for k, data in enumerate(payloads)]


@pytest.mark.parametrize("stream", ["GPS5", "GPS9", "GLPI"])
def test_positions_come_back_as_written(made, stream):
    track = packets(made.gpmf_payload(PLACES, stream), made.gpmf_payload(PLACES[:1], stream))
    found = gpmf.read(track)
    table = found.points
    assert found.fix_source == f"gpmf_{stream.lower()}"
    assert tuple(table.columns) == points.COLUMNS
    np.testing.assert_array_equal(table[["lat", "lon"]], [*PLACES, PLACES[0]])
    np.testing.assert_array_equal(table["altitude_m"], 20.0)


@pytest.mark.parametrize("stream", ["GPS5", "GPS9"])
def test_quality_and_time_come_back_as_written(made, stream):
    table = gpmf.read(packets(made.gpmf_payload(PLACES[:2], stream, dop=3.5, fix=2))).points
    assert table["dop"].tolist() == [3.5, 3.5]
    assert table["fix_type"].tolist() == ["2d", "2d"]
    assert table["utc_s"][0] == made.START.timestamp()
    assert table["utc_s"][1] > made.START.timestamp()


def test_the_best_stream_is_read(made):
    payloads = [made.gpmf_payload(PLACES, stream) for stream in ("GLPI", "GPS5", "GPS9")]
    assert gpmf.read(packets(b"".join(payloads))).fix_source == "gpmf_gps9"
    assert gpmf.read(packets(b"".join(payloads[:2]))).fix_source == "gpmf_gps5"


@pytest.mark.parametrize(
    ("starts", "durations", "wanted"),
    [
        ((0, 2), (2, 4), (0, 1, 2, 4)),
        ((0, 2), (0, 0), (0, 1, 2, 3)),
        ((5,), (0,), (5, 5.5)),
        ((3, 3), (0, 0), (3, 3.5, 3, 3.5)),
    ],
)
def test_samples_are_spread_evenly_over_their_packet(made, starts, durations, wanted):
    data = made.gpmf_payload(PLACES[:2])
    track = [video.Packet(*when, data) for when in zip(starts, durations, strict=True)]
    assert gpmf.read(track).points["time_s"].tolist() == list(wanted)


def test_payloads_in_one_packet_share_its_time(made):
    table = gpmf.read(packets(made.gpmf_payload(PLACES[:2]) * 2, duration_s=2.0)).points
    assert table["time_s"].tolist() == [0.0, 0.5, 1.0, 1.5]


def test_a_receiver_without_a_date_gives_no_utc(made):
    data = made.gpmf_payload(PLACES).replace(b"190506", b"000000")
    assert gpmf.read(packets(data)).points["utc_s"].isna().all()


def test_a_camera_without_a_receiver_gives_no_positions(made):
    data = made.nested("DEVC", made.nested("STRM", made.klv("ACCL", "s", 6, bytes(12))))
    found = gpmf.read(packets(data))
    assert (len(found.points), found.fix_source) == (0, "gpmf_none")


def test_a_payload_may_be_padded_with_zeros(made):
    assert len(gpmf.read(packets(made.gpmf_payload(PLACES) + bytes(10))).points) == len(PLACES)


@pytest.mark.parametrize(("data", "wanted"), [(b"DEVC\0\1\0\0", True), (b"\0\0\0\1", False)])
def test_gpmf_is_known_by_its_first_key(data, wanted):
    assert gpmf.is_gpmf(packets(data)) is wanted
    assert gpmf.is_gpmf([]) is False


@pytest.mark.parametrize("num_bytes", [7, 11, 40, -4])
def test_a_payload_cut_off_is_refused(made, num_bytes):
    with pytest.raises(ValueError, match="cut off"):
        gpmf.read(packets(made.gpmf_payload(PLACES)[:num_bytes]))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (b"DEVC", b"FREE", "not GPMF"),
        (b"GPS5l\x14", b"GPS5f\x14", "not laid out"),
        (b"GPS5l\x14", b"GPS5?\x14", "not laid out"),
        (b"SCALl\x04\0\x05", b"SCALl\x0a\0\x02", "no layout"),
        (b"SCALl\x04\0\x05", b"SCALs\x02\0\x0a", "divisors"),
        (b"\x00\x00\x00\x64", b"\x00\x00\x00\x00", "divisors"),
    ],
)
def test_an_unknown_layout_is_refused(made, before, after, message):
    data = made.gpmf_payload(PLACES)
    assert before in data
    with pytest.raises(ValueError, match=message):
        gpmf.read(packets(data.replace(before, after)))


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        ("gopro_trims/hero5-trimmed.mp4", "gps5"),
        ("gpmf_parser/hero7_carlsbad_2019-05.mp4", "gps5"),
        ("gpmf_parser/karma_carlsbad_2017-04.mp4", "glpi"),
    ],
)
def test_real_videos_agree_with_the_second_parser(real, name, stream):
    (track,) = filter(gpmf.is_gpmf, video.container(real / name).tracks)
    found = gpmf.read(track)
    table, used = found.points, found.fix_source.removeprefix("gpmf_")
    wanted = pd.read_csv((real / "tracks" / name.split("/")[1]).with_suffix(".csv"))
    assert (used, len(table)) == (stream, len(wanted))
    np.testing.assert_allclose(table[["lat", "lon"]], wanted[["lat", "lon"]], atol=1e-7, rtol=0)
    np.testing.assert_allclose(table["time_s"], wanted["t_s"], atol=0.1)


@pytest.mark.parametrize(
    ("name", "stream", "num"),
    [
        ("gpmf_parser/raw/hero5.raw", "gps5", 18),
        ("gpmf_parser/raw/hero6.raw", "gps5", 17),
        ("gpmf_parser/raw/Fusion.raw", "gps5", 19),
        ("gpmf_parser/raw/karma.raw", "glpi", 4),
        ("gopro_telemetry/hero7.raw", "gps5", 308),
        ("gopro_telemetry/hero11.raw", "gps9", 110),
    ],
)
def test_real_dumps_hold_the_samples_of_the_manifest(real, manifest, name, stream, num):
    found = gpmf.read(packets((real / name).read_bytes()))
    table, used = found.points, found.fix_source.removeprefix("gpmf_")
    usable = table["fix_type"] != "none"
    assert (used, len(table), usable.sum()) == (stream, num, int(manifest["n_fixes"][name]))
    if usable.any():
        box = [float(manifest[k][name]) for k in ("lat_min", "lat_max", "lon_min", "lon_max")]
        found = [table["lat"].min(), table["lat"].max(), table["lon"].min(), table["lon"].max()]
        np.testing.assert_allclose(found, box, atol=1e-7)
