"""Tracks: timestamped positions, and positions at other times.

Belongs here: Track, interpolation and smoothing in time, speeds. Does not belong here: distances
(sphere.py), files of tracks (track_files.py), where predictions come from (models/).
"""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from vidtag_ml.earth import sphere

Floats = NDArray[np.float64]

COLUMNS = ("clip", "time_s", "lat", "lon", "initial_lat", "initial_lon", "score")
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML 1.0 leaves out, among it what stands for bytes of a file's name that are no UTF-8."""
NEAREST_S = 0.1
SPAN_S = 1.0
"""Receivers jitter faster than they move: speeds over less than this are none."""


def legible(name: str) -> str:
    r"""The name with a mark in the place of each character that no text or XML file can hold.

    >>> legible("bell\x07.mp4") == "bell\ufffd.mp4"
    True
    """
    return _UNWRITABLE.sub("\ufffd", name)


@dataclass(frozen=True)
class Track:
    """The positions of one clip's frames, as located or as measured."""

    clip: str
    """Name of the clip or video."""
    time_s: Floats
    """Times (T,) from the first frame."""
    latlon_T2: Floats
    """Final positions."""
    initial_latlon_T2: Floats
    """Positions before refinement and decoding."""
    score_T: Floats
    """Confidence in each position, from 0 to 1."""
    start: dt.datetime | None = None
    """When time 0 was, with a zone; None = nobody knows."""
    radius_km_T: Floats | None = None
    """Distance (T,) that the truth is within, in 9 of 10 cases; None = nobody knows."""
    areas: Sequence[Mapping[str, Any]] = ()
    """Where else it may be: GeoJSON features with the probability that they hold as `mass`."""

    def __post_init__(self) -> None:
        """Checks that all fields tell of the same T points."""
        num = len(self.time_s)
        radius = () if self.radius_km_T is None else ("radius_km_T",)
        for name in ("time_s", "latlon_T2", "initial_latlon_T2", "score_T", *radius):
            shape = (num, 2) if name.endswith("2") else (num,)
            found = np.shape(getattr(self, name))
            if found != shape:
                raise ValueError(f"track of {self.clip}: {name} has shape {found}, not {shape}")

    def table(self) -> pd.DataFrame:
        """One row a position, with the columns `COLUMNS`, and radius_km where that is known."""
        columns = (*self.latlon_T2.T, *self.initial_latlon_T2.T, self.score_T)
        named = zip(COLUMNS, (self.clip, self.time_s, *columns), strict=True)
        table = pd.DataFrame(dict(named), columns=list(COLUMNS)).astype({"clip": object})
        return table if self.radius_km_T is None else table.assign(radius_km=self.radius_km_T)


def positions_at(
    fix_time_s: ArrayLike, fix_latlon_T2: ArrayLike, query_time_s: ArrayLike, max_gap_s: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Positions (Q, 2) at query times (Q,), and which of them are valid (Q,).

    A query within 0.1 s of a fix takes the nearest; any other lies on the great circle between its
    neighbours. Before the first fix, after the last, and between fixes more than `max_gap_s` apart
    nothing is known: the position is NaN. Fixes with a NaN position are ignored.

    Raises:
        ValueError: the fixes' times go back.
    """
    time, latlon = np.asarray(fix_time_s, float), np.asarray(fix_latlon_T2, float).reshape(-1, 2)
    known = np.isfinite(time) & np.isfinite(latlon).all(-1)
    time, latlon = time[known], latlon[known]
    query = np.asarray(query_time_s, float)
    positions = np.full((len(query), 2), np.nan)
    if len(time) == 0:
        return positions, np.zeros(len(query), bool)
    if np.any(np.diff(time) < 0):
        where = int(np.argmax(np.diff(time) < 0))
        raise ValueError(f"fix times go back from {time[where]} s to {time[where + 1]} s")
    after = np.searchsorted(time, query, "right").clip(max=len(time) - 1)
    before = (after - 1).clip(min=0)
    nearest = np.where(np.abs(query - time[before]) <= np.abs(query - time[after]), before, after)
    close = np.abs(query - time[nearest]) <= NEAREST_S + 1e-9
    gap = time[after] - time[before]
    inside = (query > time[before]) & (query < time[after]) & (gap <= max_gap_s + 1e-9)
    between = inside & ~close
    fraction = (query[between] - time[before[between]]) / gap[between]
    positions[between] = sphere.interpolate(
        latlon[before[between]], latlon[after[between]], fraction
    )
    positions[close] = latlon[nearest[close]]
    return positions, between | close


def speeds_kmh(
    time_s: ArrayLike,
    latlon_T2: ArrayLike,
    over_s: float = 0.0,
    track_T: ArrayLike | None = None,
) -> Floats:
    """Speeds (T - 1,) from each point to the next; infinite where place changes but time does not.

    Args:
        time_s: times (T,); they grow along a track if `over_s` is positive.
        latlon_T2: positions.
        over_s: the shortest span that tells a speed, as receivers jitter: a point is compared with
            the first at least so much later or, near the end, with the last, as if that took
            `over_s`. So a leap shows wherever it is.
        track_T: which track a point is of, all points of a track in a row; speeds from one track to
            the next are NaN. Without it, there is one track.

    >>> speeds_kmh([0, 3600], [(0, 0), (0, 1)]).round(1).tolist()
    [111.2]
    """
    time, latlon = np.asarray(time_s, float), np.asarray(latlon_T2, float)
    track = np.zeros(len(time)) if track_T is None else np.asarray(track_T)
    same = track[1:] == track[:-1]
    after = _first_after(time, over_s, same) if over_s > 0 else np.arange(1, len(time))
    distance_km = sphere.great_circle_km(latlon[:-1], latlon[after])
    hours = np.maximum(np.abs(time[after] - time[:-1]), over_s) / 3600.0
    with np.errstate(divide="ignore", invalid="ignore"):
        speeds = distance_km / hours
    return np.where(same, np.where((distance_km == 0) & (hours == 0), 0.0, speeds), np.nan)


def _first_after(time: Floats, over_s: float, same: NDArray[np.bool_]) -> NDArray[np.intp]:
    """For each point but the last, the first of its track `over_s` later, or its track's last."""
    point = np.arange(len(same))
    ends = np.append(np.flatnonzero(~same), len(same))
    last = ends[np.searchsorted(ends, point)]
    # Tracks laid end to end in time, over_s apart: one search serves all of them.
    laid = np.append(0.0, np.cumsum(np.where(same, np.diff(time), over_s)))
    found = np.searchsorted(laid, laid[:-1] + over_s - 1e-9)
    return np.asarray(np.minimum(np.maximum(found, point + 1), last), np.intp)


def iso_8601(moment: dt.datetime) -> str:
    """A moment in UTC, to the millisecond.

    >>> iso_8601(dt.datetime(2024, 5, 6, 7, 8, tzinfo=dt.UTC))
    '2024-05-06T07:08:00.000Z'
    """
    return moment.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
