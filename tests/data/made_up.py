"""Worlds that Hypothesis makes up: films with a log in some dialect, photos of a way.

Belongs here: which worlds there are, and what of each leaves its clock open. Does not belong here:
their truth (worlds.py), how it is written (dialects.py), what is claimed of them (the tests).
Shape legend: N moments.
"""

import shutil
from dataclasses import dataclass, field

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from tests.data import dialects, worlds

SPEEDS = ((1.4, None), (5.0, None), (30.0, None), (250.0, "photos"))
"""Metres a second of a walk, a ride, a drive and a flight, and the mode that they are given."""
EXTENTS = {"same": (0.0, 0.0), "wider": (-20.0, 20.0), "part": (6.0, 20.0), "long": (-9e3, 9e3)}
"""Seconds from the begin and the end of a video at which its log begins and ends."""
BEGINS_S = st.integers(1_100_000_000, 1_700_000_000).map(float)
"""From 2004 to 2023."""
ZONES_H = st.integers(-24, 28).map(lambda half_hours: half_hours / 2)


@dataclass(frozen=True)
class World:
    """A video and a log of where it was."""

    journey: worlds.Journey
    mode: str | None
    duration_s: int
    began_utc_s: float
    clock: str
    """One of `CLOCKS`."""
    tags: dict[str, str]
    """What the video says of its beginning."""
    extent: str
    """One of `EXTENTS`."""
    glitch: str
    log: list[worlds.Row] = field(repr=False)
    """Of a receiver without faults."""
    said: list[worlds.Row]
    """The same with the glitch."""

    @property
    def open(self):
        """Whether nothing in it tells its clock for sure."""
        unzoned = self.clock in ("utc", "local") and self.extent == "long"
        return unzoned or self.clock in ("none", "1904", "1970")

    @property
    def beyond_latitudes(self):
        """Whether no longitude could be a latitude."""
        return min(abs(row.lon) for row in self.log) > 90

    @property
    def beyond_radians(self):
        """Whether no position could be in radians."""
        return max(max(abs(row.lat) - 1.6, abs(row.lon) - 3.2) for row in self.log) > 0


def tags(began_utc_s, zone_h):
    """What a video says of its beginning, by the kind of its clock."""
    now, local = dialects.iso(began_utc_s), dialects.iso(began_utc_s, zone_h)
    return {
        "utc": {"creation_time": now},
        "local": {"creation_time": f"{local[:23]}Z"},
        "zoned": {"creation_time": now, "com.apple.quicktime.creationdate": local},
        "none": {},
        "1904": {"creation_time": "1904-01-01T00:00:00Z"},
        "1970": {"creation_time": "1970-01-01T00:00:00Z"},
    }


CLOCKS = tuple(tags(0.0, 0.0))


def moments(extent, duration_s, step_s, phase_s):
    """When a log has rows (N,): a long one has most where clocks of other zones would look."""
    before_s, after_s = EXTENTS[extent]
    time_N = np.arange(before_s + phase_s, duration_s + after_s + 1e-6, step_s)
    near_N = (time_N + 60) % 1800 < 120 + duration_s
    return time_N[near_N | (np.arange(len(time_N)) % 50 == 0)]


@st.composite
def journeys(draw):
    """A way anywhere on Earth but 0, 0, where receivers are without a fix; and its mode."""
    speed_mps, mode = draw(st.sampled_from(SPEEDS))
    anywhere = st.tuples(st.floats(-89.9, 89.9), st.floats(-180, 180))
    place = draw(st.sampled_from(worlds.EDGES) | anywhere.filter(lambda p: max(map(abs, p)) > 1e-3))
    radius_m = max(5000.0, 8000.0 * speed_mps)
    return worlds.Journey(*place, draw(st.floats(0, 360)), speed_mps, radius_m), mode


@st.composite
def films(draw, clocks=CLOCKS, extents=tuple(EXTENTS), glitches=worlds.GLITCHES):
    """A world of a video and a log; half of those that may have a glitch have none."""
    (journey, mode), began_utc_s = draw(journeys()), draw(BEGINS_S)
    clock, extent = draw(st.sampled_from(clocks)), draw(st.sampled_from(extents))
    glitch = draw(st.just("") | st.sampled_from(glitches))
    duration_s, step_s = draw(st.sampled_from([12, 40])), draw(st.sampled_from([1.0, 0.5, 2.0]))
    time_N = moments(extent, duration_s, step_s, draw(st.sampled_from([0.0, 0.4])))
    log = worlds.rows(journey, time_N)
    spot = draw(st.sampled_from(spots(log, duration_s, glitch)))
    return World(
        journey=journey,
        mode=mode,
        duration_s=duration_s,
        # The container of a video counts whole seconds.
        began_utc_s=began_utc_s + draw(st.sampled_from([0.0, 0.25])),
        clock=clock,
        tags=tags(began_utc_s, draw(ZONES_H))[clock],
        extent=extent,
        glitch=glitch,
        log=log,
        said=worlds.glitched(log, spot, glitch),
    )


def spots(log, duration_s, glitch):
    """Rows at which a glitch may begin; one frozen to the end looks like one who stands still."""
    last_s = duration_s - (worlds.HELD_S + 4.0 if glitch == "frozen" else 0.0)
    return [k for k, row in enumerate(log) if 0 <= row.time_s <= last_s] or [len(log) - 1]


def tables(angle, clocks, *, exchanged=False):
    """Tables of somebody who writes angles in one way."""
    return st.builds(
        dialects.Table,
        clock=st.sampled_from(clocks),
        names=st.sampled_from(dialects.NAMES),
        angle=st.just(angle),
        hemispheres=st.sampled_from(dialects.HEMISPHERES),
        separator=st.sampled_from(",;\t"),
        comma=st.booleans(),
        turned=st.booleans(),
        encoding=st.sampled_from(dialects.ENCODINGS),
        exchanged=st.just(exchanged),
    )


@dataclass(frozen=True)
class Dialect:
    """Files of one kind beside videos."""

    suffix: str
    write: st.SearchStrategy
    clock: str = "utc"
    """Of its times: utc, video, or first where they count from the first row."""
    exchanged: bool = False
    """Whether latitudes are called longitudes, which only those beyond 90 degrees show."""

    def tells(self, world):
        """Whether a world's places can be known from what is written.

        Subtitles may be in radians, as those of some drones are, which near 0, 0 nothing tells.
        """
        if self.suffix == ".srt":
            return world.beyond_radians
        return not self.exchanged or world.beyond_latitudes


WITHIN = [name for name in dialects.CLOCKS if name.startswith("video")]
DATED = [name for name in dialects.CLOCKS if name not in WITHIN]
DIALECTS = {
    "gpx": Dialect(".gpx", st.just(dialects.gpx("utf-8"))),
    "gpx, Latin-1": Dialect(".gpx", st.just(dialects.gpx("iso-8859-1"))),
    "gpx, UTF-16": Dialect(".gpx", st.just(dialects.gpx("utf-16"))),
    "nmea": Dialect(".nmea", st.just(dialects.nmea("RMC"))),
    "nmea of two kinds": Dialect(".nmea", st.just(dialects.nmea("GGA", "RMC"))),
    "nmea without date": Dialect(".nmea", st.just(dialects.nmea("GGA")), "first"),
    "table in video time": Dialect(".csv", tables("signed", WITHIN), "video"),
    "table, exchanged": Dialect(".csv", tables("signed", DATED, exchanged=True), exchanged=True),
    **{f"table, {angle}": Dialect(".csv", tables(angle, DATED)) for angle in dialects.ANGLES},
    **{
        f"geojson {kind}": Dialect(".geojson", st.just(write))
        for kind, write in dialects.GEOJSON.items()
    },
    **{
        f"srt {style}": Dialect(".srt", st.just(dialects.srt(style)), "video")
        for style in dialects.SRT
    },
    "srt without arrows": Dialect(".srt", st.just(dialects.srt("mavic_2", arrows=False)), "first"),
}


@dataclass(frozen=True)
class Album:
    """Photos of a journey, one each five seconds, named in their order or against it."""

    began_utc_s: float
    zone_h: float
    falling: bool
    """Whether names go back as time goes on."""
    glitch: str
    log: list[worlds.Row]
    """Where they were taken."""
    said: list[worlds.Row]
    """Where they say that they were taken."""


@st.composite
def albums(draw, num=6, step_s=5.0):
    """Photos of a way; one of them may be said to be elsewhere."""
    glitch = draw(st.just("") | st.sampled_from(PLACED))
    log = worlds.rows(draw(journeys())[0], np.arange(num) * step_s)
    said = worlds.glitched(log, draw(st.integers(0, num - 1)), glitch)
    away_m = worlds.apart_m([row.place for row in said], [row.place for row in log]).max()
    assume(not 1.0 < away_m < 2 * FLIGHT_MPS * step_s)  # a photo from an aeroplane may be there
    return Album(draw(BEGINS_S), draw(ZONES_H), draw(st.booleans()), glitch, log, said)


FLIGHT_MPS = 1000.0 / 3.6
PLACED = ("beyond", "swapped", "zeros", "south", "west", "spike")
"""Glitches of places."""


def pictured(folder, album, clock):
    """Writes the photos of an album by some clock: their true rows by their names."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    num = len(album.log)
    names = [f"{num - k if album.falling else k + 1}.jpg" for k in range(num)]
    for name, row in zip(names, album.said, strict=True):
        stale_s = album.began_utc_s - 3.0
        dialects.photo(folder / name, row, album.began_utc_s, clock, album.zone_h, stale_s)
    return dict(zip(names, album.log, strict=True))
