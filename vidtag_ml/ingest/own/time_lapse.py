"""Time-lapses: videos that show an hour in minutes, and whose tracks then move too fast.

The factor is known where a track has a second clock: the receiver's UTC beside the time in the
video, or the speed that the receiver itself measured. Positions stay at their time in the video, as
that is when they are seen; whether they can be believed is judged by true time. The clip then moves
as photos of a series do (mode photos), unless even so its mode's limit holds.

Belongs here: by how much a video is too fast, and what follows for its positions. Does not belong
here: which positions contradict each other (plausibility.py).
Shape legend: N points, K of them, 2 = (lat, lon) in degrees.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.earth import sphere, tracks
from vidtag_ml.ingest.own import plausibility
from vidtag_ml.ingest.own.plausibility import ClockError, Judged

Floats = NDArray[np.float64]

LEAST = 1.5
"""Clocks that differ by less are taken for one."""
MOST = 5000.0
"""More than an hour a second is no time-lapse but a broken clock."""
_SLOWEST = 0.02
"""Clocks that go by less in a second of the video stand still."""
LEAST_POINTS = 5
"""Fewer points tell no factor."""
_SPREAD = 1.6
"""Half of the factors of single points differ from the median by no more than this."""
_SLOW_MPS = 0.5
"""Slower speeds are noise."""
_FAR_M = 100.0
"""Over shorter ways a receiver's error is too large a part of them."""
_TICK_S = 2.0
"""Clocks that tell whole seconds are apart by so much though they go alike."""
_MOST_SET = 2
"""So often a clock may be set in one recording."""
_EVEN = 3.0
"""Of speeds of one journey, the ninth tenth is at most so many times the first."""
_STILL, _LEAST_S = 0.5, 4.0
"""A clock that goes by less than this share stands still; shorter tracks do not tell."""
LONGER, LONGER_S = 2.0, 10.0
"""Telemetry that lasts so many times as long as its video, and so much longer, is not of it alone.
"""
_ADVICE = "if it is a time-lapse, or from an aeroplane, take it in with --mode photos"


def judge(
    points: pd.DataFrame,
    mode: str | None,
    max_speed_kmh: Mapping[str, float],
) -> tuple[Judged, str]:
    """As `plausibility.judge`, by true time where a video is a time-lapse.

    Args:
        points: `points.COLUMNS`; times, where there are any, from the first frame.
        mode: how the recording moved; None = as its speeds say.
        max_speed_kmh: limit by mode.

    Raises:
        ClockError: in the video it is faster even than photos may be.
    """
    factor, because = factor_of(points)
    true = points.assign(time_s=points["time_s"] * factor)
    judged, moved = plausibility.judge(true, mode, max_speed_kmh)
    if factor == 1.0:
        return judged, moved
    told = f"{_named(factor)}, {factor:.3g} times as fast as it was: {because}"
    speeds_kmh = _speeds_kmh(points[judged.kept_N])
    if np.max(speeds_kmh, initial=0.0) > max_speed_kmh[moved]:
        moved = "photos"
    shown, _ = plausibility.judge(points[judged.kept_N], moved, max_speed_kmh)
    if shown.kept_N.sum() * 2 < judged.kept_N.sum():
        limit = f"above {max_speed_kmh[moved]:g} km/h; take its pictures in as photos"
        raise ClockError(f"{told}; at {np.median(speeds_kmh):.0f} km/h in the video it is {limit}")
    judged.repairs.insert(0, told)
    limit = f"in the video faster than {max_speed_kmh[moved]:g} km/h ({moved})"
    judged.drop(judged.on_kept(~shown.kept_N), limit)
    return judged, moved


def refuse_longer(points: pd.DataFrame, duration_s: float) -> None:
    """Refuses telemetry that goes on long after the video in which it is.

    Raises:
        ClockError: the video is a time-lapse, or was cut out of a longer one.
    """
    lasts_s = float(points["time_s"].max())
    if lasts_s > max(LONGER * duration_s, duration_s + LONGER_S):
        raise ClockError(
            f"it lasts {lasts_s:.0f} s, {lasts_s / duration_s:.2g} times as long as the video: a "
            "time-lapse, or cut out of a longer recording, and nothing tells which"
        )


def factor_of(points: pd.DataFrame) -> tuple[float, str]:
    """How many times as fast as it was a video shows its track, and what tells so; 1 = not at all.

    Args:
        points: `points.COLUMNS`, with times from the first frame. Where they have UTC, it alone
            decides: times in the video that were taken from it go as fast.
    """
    sure = points[points["fix_type"] != "none"].dropna(subset=["time_s"])
    sure = sure.sort_values("time_s").drop_duplicates("time_s")
    if sure["utc_s"].notna().any():
        factors = _by_clock(sure)
        slower = 1.0 / _even(1.0 / factors) if (factors > _SLOWEST).all() else 1.0
        order = "slower" if slower < 1 else "faster"
        told = f"its receiver's clock goes so much {order} than the video's"
        return _even(factors) * slower, told
    return _even(_by_speed(sure)), "its track moves so much faster than its receiver measured"


def jumps_s(points: pd.DataFrame) -> Floats:
    """By how much a receiver's clock was set before each point but the first; 0 where it was not.

    Set often, it is none that was set but one that goes otherwise.

    Args:
        points: with both times, in the order of that in the video.
    """
    jump_N = np.diff(points["utc_s"] - points["time_s"])
    jump_N = np.where(np.abs(jump_N) > _TICK_S, jump_N, 0.0)
    return jump_N * (np.count_nonzero(jump_N) <= _MOST_SET)


def stands_still(points: pd.DataFrame) -> bool:
    """Whether a receiver's UTC hardly goes while the video does, for most of a track."""
    timed = points[["time_s", "utc_s"]].dropna()
    factors = _by_clock(timed)
    lasts_s = np.ptp(timed["time_s"]) if len(timed) else 0.0
    return bool(lasts_s > _LEAST_S and np.median(factors) < _STILL)


def _named(factor: float) -> str:
    return "a time-lapse" if factor > 1 else "slow motion"


def _even(factors: Floats) -> float:
    """The factor of most points if it is one for all; 1 if it is not, or is no time-lapse."""
    if len(factors) < LEAST_POINTS:
        return 1.0
    low, factor, high = np.quantile(factors, (0.25, 0.5, 0.75))
    even = low * _SPREAD >= factor >= high / _SPREAD
    return float(factor) if even and LEAST <= factor <= MOST else 1.0


def _by_clock(points: pd.DataFrame) -> Floats:
    """Seconds of UTC in a second of the video, over half of the track each (K,)."""
    both = points[["time_s", "utc_s"]].dropna()
    timed = both.to_numpy(float)
    timed[1:, 1] -= np.cumsum(jumps_s(both))
    half = len(timed) // 2
    video_s, utc_s = (timed[half:] - timed[: len(timed) - half]).T
    video_s, utc_s = video_s[video_s > 0], utc_s[video_s > 0]
    return np.where(np.abs(utc_s - video_s) > _TICK_S, utc_s / video_s, 1.0)


def _by_speed(points: pd.DataFrame) -> Floats:
    """Ways in those that the receiver measured, over times in which most are long (K,)."""
    points = points.dropna(subset=["speed_mps"])
    time_N, measured_N = points[["time_s", "speed_mps"]].to_numpy(float).T
    latlon_N2 = points[["lat", "lon"]].to_numpy(float)
    measured_m_N = np.cumsum(np.r_[0.0, np.diff(time_N) * measured_N[:-1]])
    for step in (2**power for power in range(len(points).bit_length() - 1)):
        measured_m = measured_m_N[step:] - measured_m_N[:-step]
        moves = measured_m > _SLOW_MPS * (time_N[step:] - time_N[:-step])
        way_m = 1000.0 * sphere.great_circle_km(latlon_N2[:-step], latlon_N2[step:])
        if moves.any() and np.median(way_m[moves]) >= _FAR_M:
            return np.asarray(way_m[moves] / measured_m[moves])
    return np.empty(0)


def _speeds_kmh(points: pd.DataFrame) -> Floats:
    """Speeds between points whose times grow."""
    latlon_N2 = points[["lat", "lon"]].to_numpy(float)
    return tracks.speeds_kmh(points["time_s"].to_numpy(float), latlon_N2, tracks.SPAN_S)


def refuse_even_haste(judged: Judged, mode: str | None, max_speed_kmh: Mapping[str, float]) -> None:
    """Refuses a track of which most is dropped as too fast, at one speed throughout.

    Raises:
        ClockError: nothing tells by how much it is too fast.
    """
    limit_kmh = max_speed_kmh[mode or plausibility.GUESSED[-1]]
    timed = judged.points.dropna(subset=["time_s"])
    growing = bool((timed["time_s"].diff().dropna() > 0).all())
    if judged.kept_N.sum() * 2 > len(timed) or len(timed) < LEAST_POINTS or not growing:
        return
    low, middle, high = np.quantile(_speeds_kmh(timed), (0.1, 0.5, 0.9))
    if low > limit_kmh and high < _EVEN * low:
        raise ClockError(
            f"its whole track moves at {middle:.0f} km/h, {middle / limit_kmh:.2g} times the "
            f"{limit_kmh:g} km/h that are possible, and nothing tells how fast it was; {_ADVICE}"
        )
