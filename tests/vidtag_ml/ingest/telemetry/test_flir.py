"""Claims about the records of thermal cameras: where the receiver's is, and when there is none."""

import struct

import pytest

from vidtag_ml.ingest.telemetry import flir

FOUND = ("N\0", "W\0", 34.0754, 118.2543, 139.0)


def segments(order="<", kind=0x2B, valid=1, num_segments=1, cut=0):
    """A block with one record, after one of another kind, cut into segments."""
    gps = struct.pack("<I4x2s2s4xddf", valid, b"N", b"W", *FOUND[2:])
    head = b"FFF".ljust(20, b"\0") + struct.pack(f"{order}III", 101, 64, 2)
    entries = [struct.pack(f"{order}H10xII", k, 128, len(gps)).ljust(32, b"\0") for k in (1, kind)]
    block = (head.ljust(64, b"\0") + b"".join(entries) + gps)[: -cut or None]
    step = -(-len(block) // num_segments)
    parts = [block[k : k + step] for k in range(0, len(block), step)]
    return [b"FLIR\0\1" + bytes((k, len(parts) - 1)) + part for k, part in enumerate(parts)]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("num_segments", [1, 3])
def test_the_receiver_s_record_is_found(order, num_segments):
    assert flir.position(segments(order, num_segments=num_segments)) == FOUND


def test_other_segments_are_passed_over():
    assert flir.position([b"Exif\0\0II", *segments(), b"http://ns.adobe.com"]) == FOUND


@pytest.mark.parametrize("changed", [{"kind": 0x20}, {"valid": 0}, {"cut": 1}, {"cut": 150}])
def test_without_a_valid_record_there_is_no_position(changed):
    assert flir.position(segments(**changed)) is None
    assert flir.position([]) is None
