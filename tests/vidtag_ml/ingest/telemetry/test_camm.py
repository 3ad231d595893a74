"""Claims about CAMM: which packets are positions, and which tracks are CAMM."""

import struct

import numpy as np
import pytest

from vidtag_ml.ingest.telemetry import camm, points
from vidtag_ml.media import video

PLACES = [(47.3768881, 8.5416943), (-33.8567844, -70.25), (0.0, 179.9999999)]
GYRO = struct.pack("<HH3f", 0, 2, 0.1, 0.2, 0.3)


def track(*packets):
    return [video.Packet(k * 0.5, 0.0, data) for k, data in enumerate(packets)]


@pytest.mark.parametrize("kind", [5, 6])
def test_positions_come_back_as_written(made, kind):
    table = camm.read(track(*made.camm_packets(PLACES, kind))).points
    assert tuple(table.columns) == points.COLUMNS
    np.testing.assert_array_equal(table[["lat", "lon"]], PLACES)
    assert table["time_s"].tolist() == [0, 0.5, 1.0]
    assert table["altitude_m"].tolist() == [20.0] * 3


def test_the_receiver_s_packets_tell_quality_and_time(made):
    table = camm.read(track(*made.camm_packets(PLACES))).points
    np.testing.assert_allclose(table["utc_s"], made.START.timestamp() + np.arange(3), atol=1e-5)
    assert table["accuracy_m"].tolist() == [2.5] * 3
    assert table["fix_type"].tolist() == ["3d"] * 3


def test_the_receiver_s_packets_come_before_bare_ones(made):
    packets = [*made.camm_packets(PLACES, 5), GYRO, *made.camm_packets(PLACES[:1], 6), GYRO]
    table = camm.read(track(*packets)).points
    assert table["time_s"].tolist() == [2.0]


def test_a_clock_that_was_never_set_gives_no_utc(made):
    (data,) = made.camm_packets(PLACES[:1])
    table = camm.read(track(data[:4] + bytes(8) + data[12:])).points
    assert table["utc_s"].isna().all()


def test_a_camera_without_a_receiver_gives_no_positions():
    assert len(camm.read(track(GYRO, GYRO)).points) == 0


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (GYRO, True),
        (struct.pack("<HH2i", 0, 1, 0, 0), True),
        (GYRO[:-1], False),
        (GYRO + b"\0", False),
        (struct.pack("<HH3f", 0, 8, 0, 0, 0), False),
        (b"\0\0\0", False),
    ],
)
def test_camm_is_known_by_type_and_size_of_all_packets(made, data, wanted):
    assert camm.is_camm(track(*made.camm_packets(PLACES), data)) is wanted
    assert camm.is_camm([]) is False


def test_a_packet_cut_off_is_refused(made):
    packets = made.camm_packets(PLACES)
    with pytest.raises(ValueError, match="packet 2 of 3"):
        camm.read(track(*packets[:2], packets[2][:-1]))
