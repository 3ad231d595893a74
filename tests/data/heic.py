"""HEIC pictures with EXIF, as phones write them: no package of ours does.

Belongs here: the boxes around one picture of x265. Does not belong here: videos (cameras.py), EXIF
(telemetry.py).
"""

import io
import re
import struct

import av
import numpy as np
from PIL import ExifTags, Image

from tests.data.cameras import box, full_box
from tests.data.telemetry import jpeg_with_position

_WIDTH, _HEIGHT = 64, 48
_TURNED = 6
"""Which way is up, as EXIF numbers it, where a picture is turned clockwise."""
_PICTURE, _EXIF = 1, 2


def heic_with_position(path, lat, lon, time=None, turned=False, **more):
    """A small picture of noise with the EXIF of `telemetry.jpeg_with_position`

    A picture that is turned says so in a box of its own and in EXIF.
    """
    units = [unit for unit in re.split(rb"\0\0\0?\x01", _hevc(more.get("seed", 0))) if unit]
    slices = [struct.pack(">I", len(unit)) + unit for unit in units if unit[0] >> 1 < 32]
    parts = [b"".join(slices), struct.pack(">I", 6) + _exif(path, turned, lat, lon, time, **more)]
    head = box("ftyp", b"heic", bytes(4), b"mif1heic")
    start = len(head) + len(_meta(units, parts, 0, turned)) + 8
    path.write_bytes(head + _meta(units, parts, start, turned) + box("mdat", *parts))


def _exif(path, turned, *told, **more):
    """What a JPEG would have, made beside the path for a moment."""
    beside = path.with_suffix(".exif.jpg")
    jpeg_with_position(beside, *told, **more)
    with Image.open(beside) as jpeg:
        tags = jpeg.getexif()
        if turned:
            tags[ExifTags.Base.Orientation] = _TURNED
        content = tags.tobytes()
    beside.unlink()
    return content


def _hevc(seed):
    """One picture, with what is needed to decode it."""
    pixels = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), np.uint8)
    pixels = pixels.repeat(_HEIGHT // 6, 0).repeat(_WIDTH // 8, 1)
    with av.open(io.BytesIO(), "w", format="hevc") as out:
        stream = out.add_stream("libx265", rate=1)
        stream.width, stream.height = _WIDTH, _HEIGHT
        stream.pix_fmt = "yuv420p"
        stream.options = {"x265-params": "log-level=none"}
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        return b"".join(bytes(p) for f in (frame, None) for p in stream.encode(f))


def _meta(units, parts, start, turned):
    """What the parts are, and where, if the first is at byte `start`."""
    size = struct.pack(">2I", _WIDTH, _HEIGHT)
    return full_box(
        "meta",
        full_box("hdlr", bytes(4), b"pict", bytes(13)),
        full_box("pitm", struct.pack(">H", _PICTURE)),
        full_box("iloc", b"\x44\0", struct.pack(">H", 2), *_places(parts, start)),
        full_box("iinf", struct.pack(">H", 2), _item(_PICTURE, b"hvc1"), _item(_EXIF, b"Exif")),
        full_box("iref", box("cdsc", struct.pack(">3H", _EXIF, 1, _PICTURE))),
        box(
            "iprp",
            box("ipco", _hvcc(units), full_box("ispe", size), box("irot", b"\3")),
            full_box("ipma", struct.pack(">IH4B", 1, _PICTURE, 2 + turned, 0x81, 2, 0x83)),
        ),
    )


def _places(parts, start):
    at = start
    for item, part in zip((_PICTURE, _EXIF), parts, strict=True):
        yield struct.pack(">3H2I", item, 0, 1, at, len(part))
        at += len(part)


def _item(number, kind):
    return box("infe", b"\2\0\0\0", struct.pack(">2H", number, 0), kind, b"\0")


def _hvcc(units):
    """The parameter sets (units of type 32 to 34); what else it says, decoders read in them."""
    sets = [unit for unit in units if 32 <= unit[0] >> 1 <= 34]
    head = b"\1\1" + bytes(10) + b"\x1e\xf0\0\xfc\xfd\xf8\xf8\0\0\x0f"
    arrays = (struct.pack(">B2H", unit[0] >> 1, 1, len(unit)) + unit for unit in sets)
    return box("hvcC", head, bytes([len(sets)]), *arrays)
