"""Positions in the formats of cameras, receivers and drones, as bytes and text."""

import datetime as dt
import functools
import operator
import struct

import numpy as np
from PIL import ExifTags, Image

START = dt.datetime(2019, 5, 6, 18, 15, 7, tzinfo=dt.UTC)


def klv(key, kind, size, data):
    """One GPMF item: samples of `size` bytes and of one type, "" for nested items."""
    head = key.encode() + (kind.encode() or b"\0") + struct.pack(">BH", size, len(data) // size)
    return head + data + bytes(-len(data) % 4)


def nested(key, *items):
    """A GPMF item of items; long ones count in larger steps, filled up with zeros."""
    data = b"".join(items)
    size = 1 if len(data) < 65536 else 4 + len(data) // 262_000 * 4
    return klv(key, "", size, data + bytes(-len(data) % size))


def gpmf_payload(latlon_rows, stream="GPS5", utc=START, dop=2.05, fix=3, altitude_m=20.0):
    """What a GoPro writes in one packet: `stream` is GPS5, GPS9 or GLPI (10 Hz where it tells)."""
    places = [(round(a * 1e7), round(o * 1e7), round(altitude_m * 1000)) for a, o in latlon_rows]
    return nested("DEVC", klv("DVNM", "c", 1, b"Camera"), _STREAMS[stream](places, utc, dop, fix))


def _gps5(places, utc, dop, fix):
    stamp = utc.strftime("%y%m%d%H%M%S.%f")[:16].encode()
    return nested(
        "STRM",
        klv("GPSF", "L", 4, struct.pack(">L", fix)),
        klv("GPSU", "U", 16, stamp),
        klv("GPSP", "S", 2, struct.pack(">H", round(dop * 100))),
        klv("SCAL", "l", 4, struct.pack(">5l", 10**7, 10**7, 1000, 1000, 100)),
        klv("GPS5", "l", 20, b"".join(struct.pack(">5l", *place, 1500, 150) for place in places)),
    )


def _gps9(places, utc, dop, fix):
    rows = []
    for k, place in enumerate(places):
        since = utc + dt.timedelta(seconds=k / 10) - dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
        millis = since.seconds * 1000 + since.microseconds // 1000
        clock = (since.days, millis, round(dop * 100), fix)
        rows.append(struct.pack(">7l2H", *place, 1500, 150, *clock))
    scale = (10**7, 10**7, 1000, 1000, 100, 1, 1000, 100, 1)
    return nested(
        "STRM",
        klv("TYPE", "c", 1, b"lllllllSS"),
        klv("SCAL", "l", 4, struct.pack(">9l", *scale)),
        klv("GPS9", "?", 32, b"".join(rows)),
    )


def _glpi(places, *_):
    scale = (1000, 10**7, 10**7, 1000, 1000, 100, 100, 100, 100)
    return nested(
        "STRM",
        klv("TYPE", "c", 1, b"LllllsssS"),
        klv("SCAL", "l", 4, struct.pack(">9l", *scale)),
        klv(
            "GLPI", "?", 28, b"".join(struct.pack(">L4l3hH", 0, *p, 0, 0, 0, 0, 0) for p in places)
        ),
    )


_STREAMS = {"GPS5": _gps5, "GPS9": _gps9, "GLPI": _glpi}


def jpeg_with_position(path, lat, lon, time=None, camera="Maker Model", altitude_m=None, seed=0):
    """A small picture of noise; lat=None writes no position, a `time` without a zone is local."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make], _, exif[ExifTags.Base.Model] = camera.partition(" ")
    if lat is not None:
        exif.get_ifd(ExifTags.IFD.GPSInfo).update(_gps_tags(lat, lon, altitude_m))
    if time is not None:
        detail = exif.get_ifd(ExifTags.IFD.Exif)
        detail[ExifTags.Base.DateTimeOriginal] = time.strftime("%Y:%m:%d %H:%M:%S")
        detail[ExifTags.Base.SubsecTimeOriginal] = f"{time.microsecond:06d}"
        if time.tzinfo is not None:
            zone = time.isoformat()[-6:]
            detail[ExifTags.Base.OffsetTimeOriginal] = zone
    pixels = np.random.default_rng(seed).integers(0, 255, (24, 32, 3), np.uint8)
    Image.fromarray(pixels).save(path, exif=exif)


def _gps_tags(lat, lon, altitude_m):
    tags = {
        ExifTags.GPS.GPSLatitudeRef: "N" if lat >= 0 else "S",
        ExifTags.GPS.GPSLatitude: sexagesimal(abs(lat)),
        ExifTags.GPS.GPSLongitudeRef: "E" if lon >= 0 else "W",
        ExifTags.GPS.GPSLongitude: sexagesimal(abs(lon)),
    }
    if altitude_m is not None:
        tags[ExifTags.GPS.GPSAltitudeRef] = b"\1" if altitude_m < 0 else b"\0"
        tags[ExifTags.GPS.GPSAltitude] = abs(altitude_m)
    return tags


def sexagesimal(degrees):
    """Degrees, minutes and seconds."""
    minutes = degrees * 60
    return float(minutes // 60), float(minutes % 60 // 1), round(minutes % 1 * 60, 6)


def dji_srt(latlon_rows, style="modern", step_s=1.0, altitude_m=455.1):
    """A drone's subtitles, a block a position: modern, mavic_pro, p4_rtk or mavic_2 (no arrows)."""
    return "".join(
        f"{k + 1}\r\n{_SRT[style](k, k * step_s, *place, altitude_m)}\r\n\r\n"
        for k, place in enumerate(latlon_rows)
    )


def _srt_modern(k, time_s, lat, lon, altitude_m):
    moment = START + dt.timedelta(seconds=time_s)
    return (
        f"{_arrow(time_s)}\r\n"
        f'<font size="28">FrameCnt: {k}, DiffTime: 33ms\r\n{moment:%Y-%m-%d %H:%M:%S.000}\r\n'
        f"[iso: 100] [latitude: {lat:.6f}] [longitude: {lon:.6f}] "
        f"[rel_alt: 1.300 abs_alt: {altitude_m:.3f}] [ct: 5310] </font>"
    )


def _srt_mavic_pro(k, time_s, lat, lon, _):
    moment = START + dt.timedelta(seconds=time_s)
    return (
        f"{_arrow(time_s)}\r\nHOME(11.0,-22.0) {moment:%Y.%m.%d %H:%M:%S}\r\n"
        f"GPS({lon:.6f},{lat:.6f},16) BAROMETER:1.9\r\nISO:100 Shutter:60 EV: Fnum:2.2"
    )


def _srt_p4_rtk(k, time_s, lat, lon, _):
    fix = f"GPS ({lon:.6f}, {lat:.6f}, 15), HOME (11.0, -22.0, -57.98m)"
    return f"{_arrow(time_s)}\r\nF/5.6, SS 400, {fix}, D 698.70m, H 85.80m"


def _srt_mavic_2(k, time_s, lat, lon, _):
    moment = START + dt.timedelta(seconds=time_s)
    return (
        f"{moment:%Y.%m.%d %H:%M:%S},{moment.microsecond // 1000:03d},525\r\n"
        f"[latitude : {lat:.6f}] [longtitude : {lon:.6f}] [iso : 100]"
    )


def _arrow(time_s):
    stamps = []
    for moment_s in (time_s, time_s + 1):
        minutes, millis = divmod(round(moment_s * 1000), 60_000)
        stamps.append(
            f"{minutes // 60:02d}:{minutes % 60:02d}:{millis // 1000:02d},{millis % 1000:03d}"
        )
    return " --> ".join(stamps)


_SRT = {
    "modern": _srt_modern,
    "mavic_pro": _srt_mavic_pro,
    "p4_rtk": _srt_p4_rtk,
    "mavic_2": _srt_mavic_2,
}


def nmea(latlon_rows, start=START, step_s=1.0, sentences=("GGA", "RMC")):
    """A receiver's sentences, an epoch a position."""
    lines = []
    for k, (lat, lon) in enumerate(latlon_rows):
        moment = start + dt.timedelta(seconds=k * step_s)
        place = f"{_angle(lat, 2, 'NS')},{_angle(lon, 3, 'EW')}"
        clock = f"{moment:%H%M%S}.{moment.microsecond // 1000:03d}"
        said = {
            "GGA": f"GPGGA,{clock},{place},1,08,0.9,545.4,M,46.9,M,,",
            "GNS": f"GNGNS,{clock},{place},AN,08,0.9,545.4,46.9,,",
            "RMC": f"GPRMC,{clock},A,{place},022.4,084.4,{moment:%d%m%y},003.1,W",
        }
        lines += [sentence(said[kind]) for kind in sentences]
    return "".join(f"{line}\r\n" for line in lines)


def sentence(said):
    """A sentence of NMEA with its checksum."""
    return f"${said}*{functools.reduce(operator.xor, said.encode()):02X}"


def _angle(degrees, width, signs):
    whole, minutes = divmod(round(abs(degrees) * 60 * 1e6), 60 * 10**6)
    return f"{whole:0{width}d}{minutes / 1e6:09.6f},{signs[degrees < 0]}"


def camm_packets(latlon_rows, kind=6, start=START, step_s=1.0, altitude_m=20.0):
    """Bytes of a Street View camera's packets, one a position: of type 6, or 5 without time."""
    packets = []
    for k, place in enumerate(latlon_rows):
        gps = start + dt.timedelta(seconds=k * step_s + 18) - dt.datetime(1980, 1, 6, tzinfo=dt.UTC)
        head = struct.pack("<HH", 0, kind)
        bare = struct.pack("<3d", *place, altitude_m)
        full = struct.pack("<di2d7f", gps.total_seconds(), 3, *place, altitude_m, 2.5, *[0] * 5)
        packets.append(head + {5: bare, 6: full}[kind])
    return packets
