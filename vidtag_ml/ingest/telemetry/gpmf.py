"""GPMF, the telemetry track of GoPro cameras and drones (gopro/gpmf-parser).

A payload is a list of items: key (4 bytes), type, size, count, size x count bytes, padding to four
bytes; big-endian. A device (DEVC) holds streams (STRM), and a stream its samples and, beside them,
what they are divided by (SCAL) and made of (TYPE). Only these two levels are entered, so no depth
of nesting and no count that a file claims costs more than the bytes it has.

Belongs here: the streams with positions. Does not belong here: the packets (vidtag_ml.media.video).
"""

import datetime as dt
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.ingest.telemetry import points
from vidtag_ml.ingest.telemetry.readers import InTrack, Reading
from vidtag_ml.media.video import Packet

Floats = NDArray[np.float64]
Stream = dict[bytes, tuple[str, int, bytes]]
"""Items of a stream by key: type, size of one sample, and the bytes of all samples."""

_LAYOUTS = {b"GPS9": "lllllllSS", b"GPS5": "lllll", b"GLPI": "Llll"}
"""The streams with positions, the best first, and how their samples begin."""
_READ = {*_LAYOUTS, b"SCAL", b"TYPE", b"GPSF", b"GPSP", b"GPSU"}
_NUMBERS = {"b": "i1", "B": "u1", "s": ">i2", "S": ">u2", "l": ">i4", "L": ">u4"}
_NUMBERS |= {"j": ">i8", "J": ">u8", "f": ">f4", "d": ">f8"}
_FIX_TYPES: dict[float, str] = {0: "none", 2: "2d", 3: "3d"}
_DAY_S = 86400.0
_GPS9_START_S = dt.datetime(2000, 1, 1, tzinfo=dt.UTC).timestamp()


def is_gpmf(track: Sequence[Packet]) -> bool:
    """Whether a data track begins as GPMF does."""
    return bool(track) and track[0].data.startswith(b"DEVC")


def read(track: Sequence[Packet]) -> Reading:
    """Positions of a track by its best stream: GPS9, GPS5, or GLPI, which only drones write.

    Samples are spread evenly over their packet. GPS9 has a time, a DOP and a fix for each sample,
    GPS5 one for each packet (the time is that of the packet's first sample), GLPI has none.

    Raises:
        ValueError: the bytes are not GPMF, are cut off, or a stream is in no known layout.
    """
    payloads = [list(_streams(packet.data)) for packet in track]
    spans_s = _spans_s(track)
    for key in _LAYOUTS:
        found: list[dict[str, Any]] = []
        for packet, span_s, streams in zip(track, spans_s, payloads, strict=True):
            # A dump of several payloads in one packet shares the packet's time among them.
            having = [stream for stream in streams if key in stream]
            share_s = span_s / max(1, len(having))
            for k, stream in enumerate(having):
                found.append(_samples(key, stream, packet.time_s + k * share_s, share_s))
        if found:
            joined = {name: np.concatenate([rows[name] for rows in found]) for name in found[0]}
            mode = "drone" if key == b"GLPI" else None
            return Reading(points.table(**joined), f"gpmf_{key.decode().lower()}", mode)
    return Reading(points.table(lat=[], lon=[]), "gpmf_none")


def _spans_s(track: Sequence[Packet]) -> list[float]:
    """Durations of the packets; where absent until the next one, at the end as the one before."""
    starts = [packet.time_s for packet in track]
    spans, before = [], 1.0
    for packet, gap in zip(track, [*np.diff(starts), 0.0], strict=True):
        before = packet.duration_s or (float(gap) if gap > 0 else before)
        spans.append(before)
    return spans


def _streams(payload: bytes) -> Iterator[Stream]:
    """Streams of all devices of a payload that hold positions."""
    for key, _, _, device in _items(payload):
        if key != b"DEVC":
            raise ValueError(f"GPMF payload holds {key!r} where a device should be; not GPMF")
        for inner, _, _, stream in _items(device):
            if inner != b"STRM":
                continue
            items: Stream = {}
            for name, kind, size, samples in _items(stream):
                if name in _READ and samples:
                    items[name] = (kind, size, samples)
            if items.keys() & _LAYOUTS.keys():
                yield items


def _items(data: bytes) -> Iterator[tuple[bytes, str, int, bytes]]:
    """Key, type, size of one sample and samples of each item; a zero key is padding and the end."""
    at = 0
    while at < len(data) and any(data[at : at + 4]):
        key, kind, size, count = struct.unpack(">4sBBH", data[at : at + 8].ljust(8, b"\0"))
        end = at + 8 + size * count
        if end > len(data):
            raise ValueError(f"GPMF item at byte {at} ends at {end} of {len(data)}; it is cut off")
        yield key, chr(kind), size, data[at + 8 : end]
        at = end + -end % 4


def _samples(key: bytes, stream: Stream, start_s: float, span_s: float) -> dict[str, Any]:
    """Columns of the samples of one stream, which begin at `start_s`."""
    if not _letters(key, stream).startswith(_LAYOUTS[key]):
        raise ValueError(f"GPMF {key.decode()} is not laid out as {_LAYOUTS[key]}; cannot be read")
    rows = _scaled(key, stream)
    offset_s = np.arange(len(rows)) / len(rows) * span_s
    first = _LAYOUTS[key].index("l")
    columns: dict[str, Any] = {"time_s": start_s + offset_s}
    columns["lat"], columns["lon"], columns["altitude_m"] = rows[:, first : first + 3].T
    if key != b"GLPI":
        columns["speed_mps"] = rows[:, first + 3]
    if key == b"GPS9":
        days, seconds, columns["dop"], fix = rows[:, 5:9].T
        columns["utc_s"] = _GPS9_START_S + days * _DAY_S + seconds
        columns["fix_type"] = np.array([_FIX_TYPES.get(value) for value in fix], object)
    elif key == b"GPS5":
        fix_type = _FIX_TYPES.get(_first(b"GPSF", stream))
        columns["utc_s"] = _utc_s(stream) + offset_s
        columns["dop"] = np.full(len(rows), _first(b"GPSP", stream) / 100)
        columns["fix_type"] = np.full(len(rows), fix_type, object)
    return columns


def _scaled(key: bytes, stream: Stream) -> Floats:
    """Samples of an item, a row each, divided by SCAL."""
    rows = _numbers(key, stream)
    scale = _numbers(b"SCAL", stream).ravel() if b"SCAL" in stream else np.ones(1)
    if len(scale) not in (1, rows.shape[1]) or not scale.all():
        raise ValueError(f"GPMF {key.decode()}: {rows.shape[1]} fields, divisors {scale[:16]}")
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(rows / scale)


def _first(key: bytes, stream: Stream) -> float:
    return float(_numbers(key, stream)[0, 0]) if key in stream else np.nan


def _numbers(key: bytes, stream: Stream) -> Floats:
    """Samples of an item, a row each."""
    _, size, data = stream[key]
    letters = _letters(key, stream)
    known = 0 < len(letters) <= size and set(letters) <= _NUMBERS.keys()
    layout = np.dtype([(str(k), _NUMBERS[c]) for k, c in enumerate(letters)] if known else [])
    if layout.itemsize != size:
        raise ValueError(f"GPMF {key!r}: {letters[:16]!r} is no layout of samples of {size} bytes")
    rows = np.frombuffer(data, layout)
    return np.stack([rows[name].astype(np.float64) for name in layout.names or ()], axis=1)


def _letters(key: bytes, stream: Stream) -> str:
    """Types of the fields of an item's samples, a letter each."""
    kind, size, _ = stream[key]
    if kind == "?":
        return stream[b"TYPE"][2].decode("latin-1").rstrip("\0") if b"TYPE" in stream else ""
    return kind * (size // np.dtype(_NUMBERS[kind]).itemsize) if kind in _NUMBERS else ""


def _utc_s(stream: Stream) -> float:
    """The UTC of a stream; NaN without one, or where a receiver has not yet a valid date."""
    text = stream[b"GPSU"][2].decode("latin-1") if b"GPSU" in stream else ""
    try:
        moment = dt.datetime.strptime(f"20{text}+0000", "%Y%m%d%H%M%S.%f%z")
    except ValueError:
        return np.nan
    return moment.timestamp()


READER = InTrack(is_gpmf, read, trust=90)
