"""The position that FLIR's thermal cameras write beside EXIF, in a block of records of their own.

The block (FFF) is cut into APP1 segments of a JPEG. Its head gives where a directory of records is,
big- or little-endian; the record of the receiver is little-endian (as ExifTool documents it).

Belongs here: that record. Does not belong here: EXIF (exif.py), temperatures.
"""

import struct
from collections.abc import Iterable

_SEGMENT = b"FLIR\0"
_SEGMENT_HEAD = 8
_GPS_RECORD = 0x2B
_GPS = struct.Struct("<I4x2s2s4xddf")
"""Valid, references of latitude and longitude, both in degrees, altitude in metres."""


def position(segments: Iterable[bytes]) -> tuple[str, str, float, float, float] | None:
    """References (N or S, E or W), latitude, longitude and altitude; None if there is no record.

    Args:
        segments: contents of a JPEG's APP1 segments, in order.
    """
    block = b"".join(data[_SEGMENT_HEAD:] for data in segments if data.startswith(_SEGMENT))
    for order in "><":
        head = struct.Struct(f"{order}III")
        record = struct.Struct(f"{order}H10xII")
        if len(block) < 64 or not 100 <= head.unpack_from(block, 20)[0] < 200:
            continue
        _, first, num = head.unpack_from(block, 20)
        for at in range(first, min(first + 32 * num, len(block) - 31), 32):
            kind, start, size = record.unpack_from(block, at)
            if kind == _GPS_RECORD and _GPS.size <= size <= len(block) - start:
                valid, *refs, lat, lon, altitude_m = _GPS.unpack_from(block, start)
                if valid:
                    lat_ref, lon_ref = (ref.decode("latin-1") for ref in refs)
                    return lat_ref, lon_ref, lat, lon, altitude_m
    return None
