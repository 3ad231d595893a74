"""In which time zone a video's clock was: a zone is a reading of it, under which its track lies.

A clock that says UTC may show local time, and a long track covers a video under several readings.
The most likely is taken, and the others are told, so that a person can decide:
- UTC or the local time of the track's own place, under which the track covers the video; if both,
  UTC, but local time of a camera that is known to write it;
- else, in that order, the one under which the track has a position in the video;
- else the only reading under which it covers the video;
- else, of a track shorter than the video, the only reading with most positions in it.

Belongs here: which readings there are and which is taken. Does not belong here: what is known of
the clock before (clocks.py), which positions are believed (plausibility.py).
Shape legend: N points.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.ingest.own import clocks
from vidtag_ml.ingest.telemetry import epochs

Floats = NDArray[np.float64]

_HALF_S, _HOUR_S = 1800, 3600
_QUARTERS = (20700, 31500, 45900, 49500)
"""Zones in use that are no whole or half hour ahead."""
ZONES = tuple(sorted({*range(-12 * _HOUR_S, 14 * _HOUR_S + 1, _HALF_S), *_QUARTERS}))
"""How far clocks may be ahead of UTC, in seconds."""
_ALL = range(-14 * _HOUR_S, 14 * _HOUR_S + 1, clocks.QUARTER_S)
"""As `ZONES`, where either clock may be wrong."""
_ROLLED_S = tuple(num * epochs.ROLLOVER_S for num in (1, 2, -1))
_LOOSE_S = 2.0
"""Tracks of whole seconds may be so much shorter or longer than their video."""
_SOON_S = 5.0
"""Who starts a logger and a camera together is no later."""
DECIDES = "--time-zone or --time-offset decides"


@dataclass(frozen=True)
class Track:
    """Times of positions in a video whose clock is read as UTC."""

    time_N: Floats
    """From the first frame."""
    duration_s: float
    """Of the video."""
    max_gap_s: float
    """Positions so long before and after a video still tell where it was."""

    @property
    def has_one_reading(self) -> bool:
        """Whether the track lies in the video under UTC, and too short a time for another zone."""
        lasts_s = float(np.nanmax(self.time_N) - np.nanmin(self.time_N))
        return bool(self.num_inside(0.0)) and lasts_s + self.duration_s < clocks.QUARTER_S

    def num_inside(self, zone_s: float) -> int:
        """How many positions lie in the video under a reading."""
        moved_N = self.time_N + zone_s
        return int(((moved_N >= 0) & (moved_N <= self.duration_s)).sum())

    def covers(self, zone_s: float) -> bool:
        """Whether the track begins before the video, ends after it, and has a position in it."""
        gap_s = self.max_gap_s
        first_s, last_s = np.nanmin(self.time_N) + zone_s, np.nanmax(self.time_N) + zone_s
        if first_s > gap_s or last_s < self.duration_s - gap_s:
            return False
        moved_N = self.time_N + zone_s
        return bool(((moved_N >= -gap_s) & (moved_N <= self.duration_s + gap_s)).any())

    def touches(self, zone_s: float) -> bool:
        """Whether the track tells where the video was under a reading, if not for all of it."""
        return self.num_inside(zone_s) > 0 or self.covers(zone_s)


@dataclass(frozen=True)
class Local:
    """The local time of a place as a reading."""

    name: str
    """Of the time zone."""
    ahead_s: tuple[float, ...]
    """Two where its clocks were changed."""


def on_one_day(
    points: pd.DataFrame, shifts_s: Sequence[float], clock: clocks.Clock, duration_s: float
) -> tuple[pd.DataFrame, list[str]]:
    """Positions by the dates that the video agrees with, whatever its zone.

    Those in doubt are tried, then those of receivers that count weeks up to 1024.

    Args:
        points: `points.COLUMNS`, by the likeliest dates.
        shifts_s: by how much they may be later; see `telemetry.readers.Reading`.
        clock: of the video.
        duration_s: of the video.
    """
    utc_N = points["utc_s"].to_numpy(float)
    if np.isnan(utc_N).all() or np.isnan(clock.utc_s):
        return points, []
    first_s, last_s = np.nanmin(utc_N) - clock.utc_s, np.nanmax(utc_N) - clock.utc_s
    far_s = _ALL[-1]
    near = [
        shift_s
        for shift_s in (0.0, *shifts_s, *_ROLLED_S)
        if first_s + shift_s < duration_s + far_s and last_s + shift_s > -far_s
    ]
    if not near or near[0] == 0:
        return points, []
    shifted = points.assign(utc_s=utc_N + near[0])
    was, became = (
        dt.datetime.fromtimestamp(np.nanmin(t), dt.UTC).date() for t in (utc_N, utc_N + near[0])
    )
    return shifted, [f"its dates, read as {was}, are {became}, when the video was made"]


def chosen(
    track: Track, clock: clocks.Clock, points: pd.DataFrame, *, decided: bool
) -> tuple[float, list[str]]:
    """How far a video's clock is ahead of UTC, and what was assumed.

    0 if no reading is likely: then no position lies in the video.

    Args:
        track: its positions in time, with the user's correction.
        clock: of the video; it tells a time.
        points: `points.COLUMNS` of the track.
        decided: whether the user said which reading is right.
    """
    known = clock.zone_is_known or decided
    if clock.later_s:
        return _after_change(track, clock.later_s)
    if track.has_one_reading or (known and track.num_inside(0.0)):
        return 0.0, []
    local = None if known else _local(clock, points)
    candidates = [0.0] if local is None else [0.0, *local.ahead_s]
    if clock.is_local:
        candidates = [*candidates[1:], 0.0]
    candidates.sort(key=lambda zone_s: not track.covers(zone_s))
    likely = [zone_s for zone_s in candidates if track.touches(zone_s)]
    fits = [float(z) for z in ZONES if track.covers(z)]
    zone_s = likely[0] if likely else _only(track, fits)
    if zone_s is None:
        return 0.0, []
    others = sorted({*fits, *likely} - {zone_s})
    if others:
        return zone_s, [_several(zone_s, others, local, clock.is_local)]
    if zone_s == 0:
        return zone_s, []
    hours = f"{abs(zone_s) / _HOUR_S:g} h {'behind' if zone_s > 0 else 'ahead of'}"
    return zone_s, [f"the receiver's clock is {hours} the camera's: corrected"]


def _after_change(track: Track, later_s: float) -> tuple[float, list[str]]:
    """As `chosen`, of a clock whose zone was changed then: before, unless it only fits after."""
    either = (0.0, -later_s)
    fits = [z for z in either if track.covers(z)] or [z for z in either if track.touches(z)]
    if not fits:
        return 0.0, []
    when = "after" if fits[0] else "before"
    other = " and after it as well" * (len(fits) > 1)
    told = f"its track fits the video {when} the change of clocks{other}: {when} it is taken"
    return fits[0], [told]


def of_one_length(track: Track, zone_s: float) -> tuple[float, list[str]]:
    """How much earlier a video began that its track of the same length tells, and what is told.

    Args:
        track: its positions in time.
        zone_s: how far the video's clock is taken to be ahead of UTC.
    """
    first_s = float(np.nanmin(track.time_N)) + zone_s
    lasts_s = float(np.nanmax(track.time_N)) + zone_s - first_s
    is_alike = abs(lasts_s - track.duration_s) <= _LOOSE_S < track.duration_s / 4
    if not is_alike or abs(first_s) <= _SOON_S:
        return 0.0, []
    if abs(first_s + track.duration_s) <= _LOOSE_S:
        ended = "its creation_time is when it ended, as its track shows, which lasts as long"
        return track.duration_s, [f"{ended}: begun {track.duration_s:.1f} s before"]
    begun = f"begins {abs(first_s):.0f} s {'before' if first_s < 0 else 'after'} it"
    advice = f"--time-offset {-first_s:.0f} if they began together"
    return 0.0, [f"its track lasts as long as the video and {begun} by their clocks: {advice}"]


def several(track: Track) -> str:
    """Readings under which a track covers a video, as the end of a sentence; empty if none does."""
    fits = [zone_s for zone_s in ZONES if track.covers(zone_s)]
    if not fits:
        return ""
    return f"; read as {' or '.join(_runs(fits))} the video's clock would fit: {DECIDES}"


def _only(track: Track, fits: list[float]) -> float | None:
    """The only reading that fits or, of those that do in part, that fits most; None if several do.

    Args:
        track: a track of which no reading is likely.
        fits: readings under which it covers the video.
    """
    if fits:
        return fits[0] if len(fits) == 1 else None
    num_inside = {zone_s: track.num_inside(zone_s) for zone_s in _ALL}
    most = max(num_inside.values())
    best = [float(zone_s) for zone_s, num in num_inside.items() if num == most > 0]
    return best[0] if len(best) == 1 else None


def _local(clock: clocks.Clock, points: pd.DataFrame) -> Local | None:
    """The local time of the middle of a track; None if it has no place on Earth."""
    name = clocks.zone_of(points)
    if name is None:
        return None
    return Local(name, clocks.ahead_s(name, clock.utc_s))


def _several(zone_s: float, others: list[float], local: Local | None, who: str) -> str:
    """What is told where several readings would do."""
    ahead_s = local.ahead_s if local else ()
    there = dict.fromkeys(ahead_s, f"local time there, {local.name}" if local else "")
    why = [there[zone_s]] if zone_s in there else []
    why += [f"as {who} write it"] if why and who else []
    taken = f"{clocks.told(zone_s)} (taken{': ' if why else ''}{', '.join(why)})"
    known = {0.0: "", **{ahead_s: f" ({name})" for ahead_s, name in there.items()}}
    named = [f"{clocks.told(z)}{told}" for z, told in known.items() if z in others]
    rest = _runs([z for z in others if z not in known])
    return (
        f"its track covers the video under several readings of its clock: "
        f"{', '.join([taken, *named, *rest])}; {DECIDES}"
    )


def _runs(zones: Sequence[float]) -> Iterator[str]:
    """Names of zones; of those that follow each other by the half hour, the first and the last."""
    told: list[list[float]] = []
    for zone_s in zones:
        if told and zone_s - told[-1][-1] <= _HALF_S:
            told[-1].append(zone_s)
        else:
            told.append([zone_s])
    for run in told:
        ends = [run[0], run[-1]] if len(run) > 2 else run
        yield (" to " if len(run) > 2 else ", ").join(map(clocks.told, ends))
