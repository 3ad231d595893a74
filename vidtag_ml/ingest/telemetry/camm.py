"""CAMM, the camera motion track of Street View cameras (developers.google.com/streetview).

A packet is one sample, little-endian: 2 reserved bytes, its type (uint16), and its data. Types 5
and 6 are positions; the others tell how the camera turned and moved.

Belongs here: the samples with positions. Does not belong here: the packets (vidtag_ml.media.video).
"""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from vidtag_ml.ingest.telemetry import epochs, points
from vidtag_ml.ingest.telemetry.readers import InTrack, Reading
from vidtag_ml.media.video import Packet

_HEAD = struct.Struct("<2xH")
_DATA = {0: "<3f", 1: "<2i", 2: "<3f", 3: "<3f", 4: "<3f", 5: "<3d", 6: "<di2d7f", 7: "<3f"}
_PLACE, _GPS_PLACE = 5, 6
_FIX_TYPES = {0: "none", 2: "2d", 3: "3d"}


def is_camm(track: Sequence[Packet]) -> bool:
    """Whether all packets of a data track have a type of CAMM and the size of that type."""
    return bool(track) and all(_kind(packet.data) is not None for packet in track)


def read(track: Sequence[Packet]) -> Reading:
    """Positions of a track: those of the receiver (type 6) or, without any, bare ones (type 5).

    Raises:
        ValueError: a packet is not of CAMM, or is cut off.
    """
    kinds = [_kind(packet.data) for packet in track]
    if None in kinds:
        where = kinds.index(None)
        raise ValueError(f"packet {where} of {len(track)} has no type and size of CAMM")
    chosen = _GPS_PLACE if _GPS_PLACE in kinds else _PLACE
    found = [packet for packet, kind in zip(track, kinds, strict=True) if kind == chosen]
    samples = [struct.unpack_from(_DATA[chosen], packet.data, _HEAD.size) for packet in found]
    columns: dict[str, Any] = {"time_s": [packet.time_s for packet in found]}
    if chosen == _PLACE:
        rows = np.array(samples, np.float64).reshape(-1, 3)
        columns["lat"], columns["lon"], columns["altitude_m"] = rows.T
        return Reading(points.table(**columns), "camm")
    gps_s, _, columns["lat"], columns["lon"], columns["altitude_m"], columns["accuracy_m"] = (
        np.array(samples, np.float64)[:, :6].T
    )
    # A clock that was never set is written as 0.
    columns["utc_s"] = np.where(gps_s > 0, epochs.utc_s(gps_s, "s", epochs.GPS), np.nan)
    columns["fix_type"] = [_FIX_TYPES.get(sample[1]) for sample in samples]
    return Reading(points.table(**columns), "camm")


def _kind(data: bytes) -> int | None:
    """Type of a packet; None if there is no such type or its size is another."""
    kind: int = _HEAD.unpack_from(data)[0] if len(data) >= _HEAD.size else -1
    layout = _DATA.get(kind)
    return kind if layout and len(data) == _HEAD.size + struct.calcsize(layout) else None


READER = InTrack(is_camm, read, trust=85)
