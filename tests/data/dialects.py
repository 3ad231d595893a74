"""A log of positions in the many ways in which people and devices write it.

Belongs here: writing as others do. Does not belong here: what is written (worlds.py), files of one
device in full (telemetry.py).
"""

import csv
import datetime as dt
import io
import json
import math
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image

from tests.data import telemetry

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def moment(utc_s):
    """A moment to the millisecond."""
    return EPOCH + dt.timedelta(milliseconds=round(utc_s * 1000))


def iso(utc_s, zone_h=None):
    """ISO 8601 to the millisecond, with Z or in a zone."""
    if zone_h is None:
        return iso(utc_s, 0.0).replace("+00:00", "Z")
    zone = dt.timezone(dt.timedelta(hours=zone_h))
    return moment(utc_s).astimezone(zone).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class Moment:
    """When a position was."""

    time_s: float
    """From the first frame of the video."""
    utc_s: float

    def __format__(self, spec):
        """The date and time in UTC as `strftime` writes them, with three digits for %f."""
        millis = f"{round(self.utc_s * 1000) % 1000:03d}"
        return moment(self.utc_s).strftime(spec.replace("%f", millis))


LEAPS = ((2006, 14.0), (2009, 15.0), (2012.5, 16.0), (2015.5, 17.0), (2017, 18.0))
"""From which year on GPS is how far ahead of UTC."""


def gps_s(utc_s):
    """Seconds since 1980, as GPS counts."""
    year = 1970 + utc_s / (365.2425 * 86400)
    return (
        utc_s - 315_964_800 + max((ahead for since, ahead in LEAPS if year >= since), default=13.0)
    )


CLOCKS = {
    "iso": (("time",), lambda at: (iso(at.utc_s),)),
    "zoned": (("timestamp",), lambda at: (iso(at.utc_s, 5.5),)),
    "bare": (("datetime",), lambda at: (f"{at:%Y-%m-%d %H:%M:%S.%f}",)),
    "slashes": (("Date/Time",), lambda at: (f"{at:%Y/%m/%d %H:%M:%S.%f}",)),
    "exif": (("DateTimeOriginal",), lambda at: (f"{at:%Y:%m:%d %H:%M:%S.%f}",)),
    "date_and_time": (("date", "time"), lambda at: (f"{at:%Y-%m-%d}", f"{at:%H:%M:%S.%f}")),
    "german": (("Date", "Time"), lambda at: (f"{at:%d.%m.%Y}", f"{at:%H:%M:%S.%f}")),
    "american": (("GPS Date", "GPS Time"), lambda at: (f"{at:%m/%d/%Y}", f"{at:%I:%M:%S.%f %p}")),
    "epoch_s": (("timestamp",), lambda at: (f"{at.utc_s:.3f}",)),
    "epoch_ms": (("timestamp",), lambda at: (f"{at.utc_s * 1e3:.0f}",)),
    "epoch_us": (("timestamp",), lambda at: (f"{at.utc_s * 1e3:.0f}000",)),
    "epoch_ns": (("timestamp",), lambda at: (f"{at.utc_s * 1e3:.0f}000000",)),
    "gps_s": (("gps_time",), lambda at: (f"{gps_s(at.utc_s):.3f}",)),
    "apple_s": (("timestamp",), lambda at: (f"{at.utc_s - 978_307_200:.3f}",)),
    "video_s": (("time_s",), lambda at: (f"{at.time_s:.3f}",)),
    "video_ms": (("time_ms",), lambda at: (f"{at.time_s * 1e3:.0f}",)),
    "video_us": (("elapsed_us",), lambda at: (f"{at.time_s * 1e6:.0f}",)),
    "video_words": (("Time (ms)",), lambda at: (f"{at.time_s * 1e3:.0f}",)),
}
"""Columns of times, and their cells."""
NAMES = (
    ("lat", "lon"), ("Latitude", "Longitude"), ("LAT", "LNG"), (" lat", " long"),
    ("gps_latitude", "gps_longitude"), ("Latitude (deg)", "Longitude (deg)"),
)  # fmt: skip
HEMISPHERES = (("N/S", "E/W"), ("lat_ref", "lon_ref"), ("NS", "EW"), ("Lat Dir", "Lon Dir"))
ANGLES = {
    "signed": "{0:.7f}",
    "suffix": "{1:.7f} {2}",
    "prefix": "{2}{1:.7f}",
    "sign and letter": "{0:.7f}{2}",
    "column": "{1:.7f}",
    "sign and column": "{0:.7f}",
    "minutes": "{3:d}\u00b0 {4:.5f}' {2}",
    "seconds": "{3:d}\u00b0{5:02d}'{6:06.3f}\"{2}",
}
"""How tables write an angle: the signed number, its size, its letter, its parts in minutes and in
seconds. Where that says column, the letter stands in a column of its own."""
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp1252")


@dataclass(frozen=True)
class Table:
    """How somebody writes tables."""

    clock: str
    """One of `CLOCKS`."""
    names: tuple[str, str]
    """Of the columns of latitudes and longitudes."""
    angle: str
    """One of `ANGLES`."""
    hemispheres: tuple[str, str]
    """Names of the columns of letters, if there are any."""
    separator: str
    comma: bool
    """Whether numbers have a decimal comma; quoted where that is the separator."""
    turned: bool
    """Whether the longitude comes first."""
    encoding: str
    """One of `ENCODINGS`."""
    exchanged: bool = False
    """Whether latitudes are called longitudes."""

    def __call__(self, log, began_utc_s):
        """The bytes of a log."""
        heads = [[name, ref] for name, ref in zip(self.names, self.hemispheres, strict=True)]
        names, cells = CLOCKS[self.clock]
        lines = [self._line(names, heads)]
        for row in log:
            angles = [self._angle(row.lat, "SN"), self._angle(row.lon, "WE")]
            times = cells(Moment(row.time_s, began_utc_s + row.time_s))
            lines.append(self._line(times, angles[:: -1 if self.exchanged else 1]))
        return "\r\n".join([*lines, ""]).encode(self.encoding)

    def _line(self, times, angles):
        """Cells of a line; the note at its end shows where a row is cut, and its encoding."""
        width = 2 if "column" in self.angle else 1
        first, second = (cells[:width] for cells in angles[:: -1 if self.turned else 1])
        cells = [*times, *first, *second, "Zürich"]
        file = io.StringIO()
        csv.writer(file, delimiter=self.separator, lineterminator="").writerow(cells)
        return file.getvalue()

    def _angle(self, degrees, letters):
        """An angle, and its letter."""
        if math.isnan(degrees):
            return ["", ""]
        size, letter = abs(degrees), letters[degrees >= 0]
        minutes, millis = divmod(round(size * 3600e3), 60_000)
        parts = (int(size), size % 1 * 60, minutes % 60, millis / 1000)
        # Seconds that are rounded up to 60 are a minute more.
        whole = (minutes // 60,) if "seconds" in self.angle else (parts[0],)
        written = ANGLES[self.angle].format(degrees, size, letter, *whole, *parts[1:])
        return [written.replace(".", ",") if self.comma else written, letter]


def _placed(log):
    return [row for row in log if not math.isnan(row.lat)]


def gpx(encoding):
    """A GPX track in an encoding that it declares."""

    def write(log, began_utc_s):
        points = (
            f'<trkpt lat="{r.lat:.7f}" lon="{r.lon:.7f}"><time>{iso(began_utc_s + r.time_s)}</time>'
            for r in _placed(log)
        )
        head = f'<?xml version="1.0" encoding="{encoding}"?>\n<gpx version="1.1" creator="Zürich" '
        space = 'xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>'
        parts = [
            f"{head}{space}",
            *(f"{point}</trkpt>" for point in points),
            "</trkseg></trk></gpx>",
        ]
        return "\n".join(parts).encode(encoding)

    return write


def _feature(kind, coordinates, **properties):
    geometry = {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def _places(log):
    return [[round(r.lon, 7), round(r.lat, 7), 400.0] for r in _placed(log)]


def _times(log, began_utc_s):
    return [iso(began_utc_s + r.time_s) for r in _placed(log)]


def geojson_points(log, began_utc_s):
    """A point with its time for each position."""
    both = zip(_places(log), _times(log, began_utc_s), strict=True)
    features = [_feature("Point", place, time=time) for place, time in both]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def geojson_line(log, began_utc_s):
    """A line with a list of times."""
    feature = _feature("LineString", _places(log), coordTimes=_times(log, began_utc_s))
    return json.dumps(feature).encode()


def geojson_lines(log, began_utc_s):
    """A line in two pieces, with times nested as they are."""
    halves = [log[: len(log) // 2], log[len(log) // 2 :]]
    times = [_times(half, began_utc_s) for half in halves]
    feature = _feature("MultiLineString", list(map(_places, halves)), coordTimes=times)
    return json.dumps(feature).encode()


GEOJSON = {"points": geojson_points, "line": geojson_line, "lines": geojson_lines}


def nmea(*sentences):
    """Sentences of a receiver; without RMC they have no date."""

    def write(log, began_utc_s):
        return "".join(
            telemetry.nmea([r.place], moment(began_utc_s + r.time_s), sentences=sentences)
            for r in _placed(log)
        ).encode()

    return write


SRT = {
    "modern": "[iso: 100] [latitude: {0:.6f}] [longitude: {1:.6f}] [rel_alt: 1.3 abs_alt: 455.1]",
    "mavic_2": "[iso : 100] [latitude : {0:.6f}] [longtitude : {1:.6f}] [altitude: 20.1]",
    "mavic_pro": "GPS({1:.4f},{0:.4f},16) BAROMETER:1.9",
    "p4_rtk": "F/5.6, SS 400, GPS ({1:.6f}, {0:.6f}, 15), HOME (11.0, -22.0, -5.98m), D 698.70m",
    "m300": "GPS({0:.4f},{1:.4f},0.0M) BAROMETER:91.2M",
    "comma": "[latitude: {2}] [longitude: {3}] [rel_alt: 1,3 abs_alt: 455,1]",
}
"""What subtitles of drones say of a position, some with the longitude first."""


def srt(style, *, arrows=True):
    """A drone's subtitles, with times of the video or only with dates in local time."""

    def write(log, began_utc_s):
        blocks = []
        for number, r in enumerate(_placed(log)):
            times = (r.time_s, r.time_s + 1.0)
            shown = " --> ".join(f"00:00:{t:06.3f}".replace(".", ",") for t in times)
            date = iso(began_utc_s + 7200 + r.time_s)[:-1].replace("T", " ")
            commas = (f"{degrees:.6f}".replace(".", ",") for degrees in r.place)
            said = SRT[style].format(*r.place, *commas)
            blocks.append("\r\n".join([str(number + 1), *[shown] * arrows, date, said, "", ""]))
        return "".join(blocks).encode()

    return write


def _minutes(degrees, width, seconds):
    """Degrees and minutes, and perhaps seconds, without a separator between them."""
    steps = 2 if seconds else 1
    ticks = round(degrees * 60**steps * 1e4)
    parts = []
    for _ in range(steps):
        ticks, part = divmod(ticks, 60 * 10**4 if not parts else 60)
        parts.insert(0, f"{part / 1e4:07.4f}" if not parts else f"{part:02d}")
    return f"{ticks:0{width}d}" + "".join(parts)


ISO_6709 = {
    "degrees": lambda degrees, width: f"{degrees:0{width + 6}.5f}",
    "minutes": lambda degrees, width: _minutes(degrees, width, seconds=False),
    "seconds": lambda degrees, width: _minutes(degrees, width, seconds=True),
}


def iso_6709(row, form, height="+12.5"):
    """A place as phones write it into a video's tags."""
    parts = zip(row.place, (2, 3), strict=True)
    said = ("+-"[degrees < 0] + ISO_6709[form](abs(degrees), width) for degrees, width in parts)
    return "".join(said) + height + "/"


def photo(path, row, began_utc_s, style, zone_h, frozen_s):
    """A photo with its place, and its time in one of `PHOTOS`; `frozen_s` is when a fix was."""
    utc_s = began_utc_s + row.time_s
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker"
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(telemetry._gps_tags(*row.place, None))
    detail = exif.get_ifd(ExifTags.IFD.Exif)
    local = moment(utc_s + 3600 * zone_h)
    detail[ExifTags.Base.DateTimeOriginal] = f"{local:%Y:%m:%d %H:%M:%S}"
    if style == "offset":
        detail[ExifTags.Base.OffsetTimeOriginal] = iso(utc_s, zone_h)[-6:]
    if style in ("receiver", "frozen"):
        at = moment(utc_s if style == "receiver" else frozen_s)
        clock = (float(at.hour), float(at.minute), float(at.second))
        stamps = {ExifTags.GPS.GPSDateStamp: f"{at:%Y:%m:%d}", ExifTags.GPS.GPSTimeStamp: clock}
        exif.get_ifd(ExifTags.IFD.GPSInfo).update(stamps)
    pixels = np.random.default_rng(round(utc_s)).integers(0, 255, (24, 32, 3), np.uint8)
    Image.fromarray(pixels).save(path, exif=exif)


PHOTOS = ("offset", "local", "receiver", "frozen")
"""Clocks of photos: with a zone, without, with the receiver's beside, with that of an old fix."""
