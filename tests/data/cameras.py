"""Telemetry as other makers' cameras write it into an MP4: boxes, tracks and trailers, as bytes.

Belongs here: the layouts that ExifTool knows (its QuickTimeStream.pl says them). Does not belong
here: GoPro, Street View and files beside videos (telemetry.py), the videos themselves
(recordings.py).
"""

import datetime as dt
import struct

import av

from tests.data import telemetry

START = telemetry.START
_APPLE_S_TAGS = {"movflags": "use_metadata_tags"}
_INSTA360_END = b"8db42d694ccc418790edff439fe026bf"


def box(kind, *parts):
    """A box of an MP4."""
    data = b"".join(parts)
    return struct.pack(">I4s", 8 + len(data), kind.encode("latin-1")) + data


def full_box(kind, *parts):
    """A box that begins with a version and flags of zero."""
    return box(kind, bytes(4), *parts)


def nothing(_offset):
    """No box."""
    return b""


def add(video, path, boxes=nothing, data=b"", at_end=b"", tracks=nothing):
    """Copies a video whose index comes last, with `data` before it; `boxes` begin it, `tracks` end.

    Both are told at which byte the data begin.
    """
    whole = video.read_bytes()
    at = whole.rindex(b"moov") - 4
    index = whole[at + 8 : at + int.from_bytes(whole[at : at + 4], "big")]
    assert at + 8 + len(index) == len(whole), "the index must come last"
    offset = at + 8
    index = box("moov", boxes(offset), index, tracks(offset))
    path.write_bytes(whole[:at] + box("mdat", data) + index + at_end)
    return path


def add_track(video, path, handler, kind, samples, step_s=1.0, detail=b""):
    """Copies a video with a track of data: its handler, the kind of its samples, each `step_s`."""

    def track(offset):
        entry = box(kind, bytes(6), struct.pack(">H", 1), detail)
        sizes = struct.pack(f">2I{len(samples)}I", 0, len(samples), *map(len, samples))
        index = box(
            "stbl",
            full_box("stsd", struct.pack(">I", 1), entry),
            full_box("stts", struct.pack(">3I", 1, len(samples), round(1000 * step_s))),
            full_box("stsc", struct.pack(">4I", 1, 1, len(samples), 1)),
            full_box("stsz", sizes),
            full_box("stco", struct.pack(">2I", 1, offset)),
        )
        duration = round(1000 * step_s * len(samples))
        head = struct.pack(">5I", 0, 0, 9, 0, duration) + bytes(60)
        named = full_box("hdlr", bytes(4), handler.encode(), bytes(13))
        clock = full_box("mdhd", struct.pack(">4I", 0, 0, 1000, duration), bytes(4))
        data = box("minf", full_box("nmhd"), index)
        return box("trak", full_box("tkhd", head), box("mdia", clock, named, data))

    return add(video, path, data=b"".join(samples), tracks=track)


def live_part(video, path, location="+47.0000+008.0000/"):
    """The video of a Live Photo, as an iPhone tags it."""
    with av.open(str(video)) as source, av.open(str(path), "w", options=_APPLE_S_TAGS) as target:
        known = {"content.identifier": "B7A1", "location.ISO6709": location}
        target.metadata.update({f"com.apple.quicktime.{k}": v for k, v in known.items()})
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in (packet for packet in source.demux(video=0) if packet.size):
            packet.stream = stream
            target.mux(packet)
    return path


def novatek(video, path, latlon_rows, start=START, step_s=1.0):
    """Blocks "freeGPS " among the pictures, and a box `gps ` that tells where they are."""
    blocks = [
        _free_gps(*place, start + dt.timedelta(seconds=k * step_s))
        for k, place in enumerate(latlon_rows)
    ]

    def places(offset):
        entries = (struct.pack(">2I", offset + k * len(b), len(b)) for k, b in enumerate(blocks))
        return full_box("gps ", struct.pack(">I", len(blocks)), *entries)

    return add(video, path, places, b"".join(blocks))


def _free_gps(lat, lon, moment, size=0x200):
    clock = (moment.hour, moment.minute, moment.second, moment.year - 2000)
    date = struct.pack("<6I", *clock, moment.month, moment.day)
    signs = b"A" + b"NS"[lat < 0 :][:1] + b"EW"[lon < 0 :][:1] + b"\0"
    place = struct.pack("<4f", _minutes(lat), _minutes(lon), 20.0, 90.0)
    head = struct.pack(">I8sI", size, b"freeGPS ", 0x4C) + bytes(32)
    return (head + date + signs + place).ljust(size, b"\0")


def _minutes(degrees):
    """DDDMM.MMMM, as receivers write angles."""
    whole, part = divmod(abs(degrees), 1)
    return whole * 100 + part * 60


def enciphered(video, path, num):
    """Blocks "freeGPS " of a dash cam whose positions ExifTool cannot decipher (Akaso V1)."""
    blocks = [_akaso(k) for k in range(num)]

    def places(offset):
        entries = (struct.pack(">2I", offset + k * len(b), len(b)) for k, b in enumerate(blocks))
        return full_box("gps ", struct.pack(">I", len(blocks)), *entries)

    return add(video, path, places, b"".join(blocks))


def _akaso(k, size=0x200):
    date = struct.pack("<6I", 14, 39, k, 2019, 5, 29)
    place = b"ANE\0\0\0\0\0" + struct.pack("<2d2f", 47.0 + k * 1e-5, 8.0, 20.0, 90.0)
    head = struct.pack(">I8sI", size, b"freeGPS ", 0x78) + b"YndAkasoCar".ljust(32, b"\0")
    return (head + date + place).ljust(size, b"\0")


def blackvue(video, path, latlon_rows, start=START, step_s=1.0):
    """A box `free` with sentences of NMEA, each behind the milliseconds of its moment."""
    began_ms = round(start.timestamp() * 1000)
    lines = telemetry.nmea(latlon_rows, start, step_s, ("RMC",)).splitlines()
    log = "".join(f"[{began_ms + round(1000 * k * step_s)}]{s}\r\n" for k, s in enumerate(lines))
    inner = box("sttm", struct.pack(">Q", began_ms)) + box("gps ", log.encode())
    return add(video, path, at_end=box("free", inner))


def insta360(video, path, latlon_rows, start=START, step_s=1.0):
    """A trailer with a record of 53 bytes a position; times are whole seconds."""
    rows = [
        struct.pack(
            "<IIHc8sc8sc3d",
            int(start.timestamp() + k * step_s), 0, 0, b"A",
            struct.pack("<d", abs(lat)), b"NS"[lat < 0 :][:1],
            struct.pack("<d", abs(lon)), b"EW"[lon < 0 :][:1],
            1.5, 90.0, 20.0,
        )
        for k, (lat, lon) in enumerate(latlon_rows)
    ]  # fmt: skip
    record = b"".join(rows)
    size = len(record) + 78
    end = struct.pack("<HI", 0x700, len(record)) + bytes(32)
    trailer = record + end + struct.pack("<II", size, 3) + _INSTA360_END
    return add(video, path, at_end=trailer)


def vsys(video, path, latlon_rows, start=START, step_s=1.0):
    """A box `gps0` of records of 32 bytes, with signed angles and whole seconds."""
    rows = []
    for k, place in enumerate(latlon_rows):
        moment = start + dt.timedelta(seconds=k * step_s)
        angles = (_minutes(angle) * (1 if angle >= 0 else -1) for angle in place)
        clock = moment.timetuple()[1:6]
        rows.append(struct.pack("<2diH7B3x", *angles, 20, 30, moment.year - 2000, *clock, 45))
    return add(video, path, at_end=box("gps0", *rows))


def garmin(video, path, latlon_rows, step_s=1.0):
    """A track of text whose samples begin with PNDM, as Garmin's dash cams write it."""
    scale = 2**31 / 180
    samples = [
        b"PNDM" + bytes(4) + struct.pack(">Hxx2i", 30, round(lat * scale), round(lon * scale))
        for lat, lon in latlon_rows
    ]
    return add_track(video, path, "text", "text", samples, step_s)


def dji_text(video, path, latlon_rows, step_s=1.0):
    """A track of text with DJI's line of settings and position."""
    samples = [
        f"F/2.8, SS 100, ISO 100, EV 0, GPS ({lon:.4f}, {lat:.4f}, 15), D 24.26m, H 6.00m".encode()
        for lat, lon in latlon_rows
    ]
    return add_track(video, path, "text", "text", samples, step_s)


def dji_subtitles(video, path, latlon_rows, style, step_s=1.0):
    """A track of subtitles with what a drone writes into a file of them."""
    blocks = telemetry.dji_srt(latlon_rows, style, step_s).strip().split("\r\n\r\n")
    texts = ["\n".join(block.split("\r\n")[2:]).encode() for block in blocks]
    samples = [struct.pack(">H", len(text)) + text for text in texts]
    looks = bytes(30) + box("ftab", struct.pack(">2HB", 1, 1, 0))
    return add_track(video, path, "sbtl", "tx3g", samples, step_s, looks)


def djmd(video, path, latlon_rows, step_s=1.0):
    """A track `djmd` of an Osmo Action 4: protocol buffers, which ExifTool reads from 13 on."""
    head = _field((1, 1, 1), b"dvtm_ac203.proto")
    samples = [
        head + _field((3, 4, 2, 1), b"\x08\1" + _double(2, lat) + _double(3, lon))
        for lat, lon in latlon_rows
    ]
    return add_track(video, path, "meta", "djmd", samples, step_s)


def _field(numbers, data):
    """A field in fields; the first number is that of the outermost."""
    for number in reversed(numbers):
        data = bytes([number << 3 | 2, len(data)]) + data
    return data


def _double(number, value):
    return bytes([number << 3 | 1]) + struct.pack("<d", value)


def sentences(video, path, latlon_rows, start=START, step_s=1.0):
    """A track of text with sentences of NMEA, as Viofo's and Thinkware's dash cams write it."""
    lines = telemetry.nmea(latlon_rows, start, step_s, ("RMC",)).splitlines()
    samples = [struct.pack(">H", len(line)) + line.encode() for line in lines]
    return add_track(video, path, "text", "text", samples, step_s)


def sony(video, path, latlon_rows, start=START, step_s=1.0):
    """A track `rtmd`: sizes of angles and, apart from them, letters of the hemisphere."""
    samples = []
    for k, (lat, lon) in enumerate(latlon_rows):
        moment = start + dt.timedelta(seconds=k * step_s)
        clock = (moment.hour, 1, moment.minute, 1, moment.second, 1)
        tags = [
            (0x8501, b"NS"[lat < 0 :][:1] + b"\0"),
            (0x8502, _rationals(lat)),
            (0x8503, b"EW"[lon < 0 :][:1] + b"\0"),
            (0x8504, _rationals(lon)),
            (0x8507, struct.pack(">6I", *clock)),
            (0x8509, b"A\0"),
            (0x850A, b"3\0"),
            (0x851D, moment.strftime("%Y:%m:%d\0").encode()),
        ]
        told = b"".join(struct.pack(">2H", tag, len(data)) + data for tag, data in tags)
        samples.append(struct.pack(">H", 0x1C).ljust(0x1C, b"\0") + told)
    return add_track(video, path, "meta", "rtmd", samples, step_s)


def _rationals(degrees):
    whole, minutes, seconds = telemetry.sexagesimal(abs(degrees))
    return struct.pack(">6I", int(whole), 1, int(minutes), 1, round(seconds * 1e6), 10**6)
