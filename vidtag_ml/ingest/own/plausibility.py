"""Which of a receiver's positions can be believed, and what was done about the others.

Nothing is deleted: a position that is not believed stays in the table as dropped, and every repair
is a sentence. Night, tunnels and rooms are no errors; positions that contradict each other are.

Belongs here: rules on the fixes of one recording, and on which clock they run. Does not belong
here: reading them (telemetry/), rules across clips (vidtag_ml.dataset.rules.problems).
Shape legend: N points, R runs of points, 2 = (lat, lon) in degrees.
"""

import bisect
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.earth import sphere, tracks
from vidtag_ml.ingest.own import clocks, readings

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

MAX_DOP = 10.0
"""Dilution of precision above which a fix is not believed."""
FROZEN_S = 5.0
"""A receiver that says the same for so long, and then jumps, was not measuring."""
FROM_REST_M, FROM_REST_MPS2 = 15.0, 10.0
"""Who stood has moved on by no more than a receiver's error and what this acceleration gives."""
_LEAST_SET = 3
"""Fewer positions at times that come again are no clock that was set."""
_COARSE = "a clock that stood shows their time, and not since when"
GUESSED = ("walk", "ride", "car")
"""Modes that can be guessed from speeds, slowest first."""
TWO_PLACES_KM, MOST_ELSEWHERE = 1.0, 0.1
"""Who is so far from himself, at more than this share of all positions, is two."""
_TOGETHER_S = 10.0
_LOOK_BACK = 200


class ClockError(ValueError):
    """Positions that cannot be brought onto the clock of their recording: says why."""


@dataclass
class Judged:
    """Points of one recording with a verdict on each."""

    points: pd.DataFrame
    """`points.COLUMNS`, in the order of the file."""
    kept_N: Mask
    """Which are believed."""
    repairs: list[str] = field(default_factory=list)
    """What was done, a sentence each."""
    dropped: dict[str, int] = field(default_factory=dict)
    """How many are not believed, by reason."""

    def drop(self, wrong_N: Mask, reason: str) -> None:
        """Drops points that were believed so far."""
        wrong_N = wrong_N & self.kept_N
        if wrong_N.any():
            self.kept_N = self.kept_N & ~wrong_N
            self.dropped[reason] = int(wrong_N.sum())
            self.repairs.append(f"{wrong_N.sum()} of {len(wrong_N)} fixes dropped: {reason}")

    def on_kept(self, verdict_K: Mask) -> Mask:
        """A verdict on the kept points only, as one on all (N,)."""
        whole_N = np.zeros(len(self.kept_N), bool)
        whole_N[self.kept_N] = verdict_K
        return whole_N

    @property
    def kept(self) -> pd.DataFrame:
        """The points that are believed."""
        return self.points[self.kept_N]


def judge(
    points: pd.DataFrame, mode: str | None, max_speed_kmh: Mapping[str, float], *, dop: bool = True
) -> tuple[Judged, str]:
    """The verdict on the positions of one recording, and how it moved.

    Args:
        points: `points.COLUMNS`; times, where there are any, from the first frame.
        mode: one of `tables.MODES`; None = the slowest of walk, ride, car that speeds agree with.
        max_speed_kmh: limit by mode.
        dop: whether `dop` is one; cameras write their accuracy in metres there.

    Raises:
        ValueError: many positions are elsewhere at the same time.
    """
    judged = Judged(points, np.ones(len(points), bool))
    latlon_N2 = points[["lat", "lon"]].to_numpy(float)
    on_earth_N = (np.abs(latlon_N2) <= (90.0, 180.0)).all(-1)
    judged.drop(~on_earth_N, "not on Earth")
    judged.drop((np.abs(latlon_N2) < 1e-6).all(-1), "at 0, 0, where receivers are without a fix")
    edge_N = (np.abs(latlon_N2) == (90.0, 180.0)).all(-1)
    judged.drop(edge_N, "at 90, 180, which is what is written for none")
    judged.drop(points["fix_type"].eq("none").to_numpy(bool), "the receiver had no fix")
    if dop:
        judged.drop((points["dop"] > MAX_DOP).to_numpy(bool), f"DOP above {MAX_DOP:g}")
    if judged.kept["time_s"].notna().any():
        judged.drop(judged.on_kept(_before_set(judged)), "before its clock was set back")
        _refuse_two_places(_times(judged), _places(judged), ~_growing(_times(judged)))
        judged.drop(judged.on_kept(_at_one_time(judged)), _COARSE)
        judged.drop(judged.on_kept(~_growing(_times(judged))), "time repeats or goes back")
    if len(judged.kept) < 2 or judged.kept["time_s"].isna().all():
        return judged, mode or "photos"
    limit_kmh = max_speed_kmh[mode or GUESSED[-1]]
    judged.drop(judged.on_kept(_frozen(judged, limit_kmh)), "the receiver was frozen")
    stray_K = ~_plausible(_times(judged), _places(judged), limit_kmh)
    judged.drop(judged.on_kept(stray_K), f"out of reach at {limit_kmh:g} km/h")
    mode = mode or _guess(judged, max_speed_kmh)
    hurried_K = _hurried(_times(judged), _places(judged), max_speed_kmh[mode])
    judged.drop(judged.on_kept(hurried_K), f"faster than {max_speed_kmh[mode]:g} km/h ({mode})")
    return judged, mode


def on_video_clock(
    points: pd.DataFrame,
    clock: clocks.Clock,
    duration_s: float,
    offset_s: float,
    max_gap_s: float,
) -> tuple[pd.DataFrame, list[str]]:
    """Points of a sidecar with `time_s` from the first frame, and what was assumed.

    Points that belong to other recordings, before or after this one, are left out.

    Args:
        points: `points.COLUMNS`, in the order of the file.
        clock: when the video says that it began.
        duration_s: of the video.
        offset_s: added to all times: the user's correction.
        max_gap_s: points up to so long before and after the video are kept, to interpolate.

    Raises:
        ClockError: no point has a time, or none falls into the video.
    """
    points, repairs = _turned(points)
    unfit = ""
    if points["time_s"].isna().all():
        points["time_s"], said, unfit = _from_utc(points, clock, duration_s, offset_s, max_gap_s)
        repairs += said
    time_N = points["time_s"].to_numpy(float) + offset_s
    points["time_s"] = time_N
    inside_N = (time_N >= -max_gap_s) & (time_N <= duration_s + max_gap_s)
    if not inside_N.any():
        raise ClockError(
            f"its positions are from {np.nanmin(time_N):.0f} to {np.nanmax(time_N):.0f} s, the "
            f"video from 0 to {duration_s:.0f} s{unfit}"
        )
    return points[inside_N].reset_index(drop=True), repairs


def _turned(points: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """A copy of points, by growing times where all times of the file fall, and what is told."""
    timed = points["utc_s" if points["time_s"].isna().all() else "time_s"].dropna()
    if len(timed) < 2 or timed.iloc[0] <= timed.iloc[-1] or not timed.is_monotonic_decreasing:
        return points.copy(), []
    turned = points[::-1].reset_index(drop=True)
    return turned, ["its positions begin with the latest: put in the order of their times"]


def _from_utc(
    points: pd.DataFrame,
    clock: clocks.Clock,
    duration_s: float,
    offset_s: float,
    max_gap_s: float,
) -> tuple[Floats, list[str], str]:
    """Times from the first frame, what was assumed, and what would fit if none is in the video."""
    utc_N = points["utc_s"].to_numpy(float)
    if np.isnan(utc_N).all():
        if len(points) == 1:
            return np.zeros(1), ["the only position has no time: taken for the first frame"], ""
        raise ClockError("its positions have no times that can be read: write 2024-05-06T07:08:09Z")
    if np.isnan(clock.utc_s):
        return *_from_its_begin(utc_N, clock, duration_s), ""
    time_N, repairs = utc_N - clock.utc_s, list(clock.told)
    track = readings.Track(time_N + offset_s, duration_s, max_gap_s)
    as_written = bool(clock.moved_s) and not clock.later_s and not track.num_inside(0.0)
    if as_written and track.num_inside(clock.moved_s):
        return time_N + clock.moved_s, [], ""
    decided = abs(offset_s) >= clocks.QUARTER_S
    zone_s, assumed = readings.chosen(track, clock, points, decided=decided)
    moved_s, alike = (0.0, []) if offset_s else readings.of_one_length(track, zone_s)
    more = [*alike, *(clock.told if clock.later_s else ())]
    unfit = readings.several(track) + "".join(f"; {told}" for told in more)
    return time_N + zone_s + moved_s, [*repairs, *assumed, *alike], unfit


def _from_its_begin(
    utc_N: Floats, clock: clocks.Clock, duration_s: float
) -> tuple[Floats, list[str]]:
    """Times of a track that began with its video, or with the first chapter of it.

    With which, the time that it lasts tells, as it ends with its video.
    """
    first_s = np.nanmin(utc_N)
    lasts_s, told = float(np.nanmax(utc_N) - first_s), "the video has no recording time"
    before_s = clock.after.lasts_s
    if before_s and abs(lasts_s - before_s - duration_s) < abs(lasts_s - duration_s):
        begun = f"{told}: its track begins with the first of its chapters"
        return utc_N - first_s - before_s, [*clock.after.repairs, begun]
    if lasts_s > 1.1 * duration_s + 10.0:
        raise ClockError(
            f"the video does not say when it began, and its track of {lasts_s:.0f} s "
            f"is longer than its {duration_s:.0f} s"
        )
    alone = ", and not with the first of its chapters: it lasts no longer" if before_s else ""
    return utc_N - first_s, [f"{told}: its track begins with it{alone}"]


def _times(judged: Judged) -> Floats:
    return judged.kept["time_s"].to_numpy(float)


def _places(judged: Judged) -> Floats:
    return judged.kept[["lat", "lon"]].to_numpy(float)


def _before_set(judged: Judged) -> Mask:
    """Those before a time goes back, if what follows tells of the same times other places.

    Receivers set their clocks when they see the sky; from then on these are right. Who goes on from
    another place is another.
    """
    time_K, latlon_K2 = _times(judged), _places(judged)
    wrong_K = np.zeros(len(time_K), bool)
    starts = [0, *np.flatnonzero(np.diff(time_K) < 0) + 1, len(time_K)]
    for first, at, end in zip(starts, starts[1:], starts[2:], strict=False):
        again_K = time_K[first:at] >= time_K[at]
        twice = time_K[at:end] <= np.nanmax(time_K[first:at])
        jump_km = sphere.great_circle_km(latlon_K2[at - 1], latlon_K2[at])
        if min(again_K.sum(), twice.sum()) < _LEAST_SET or jump_km > TWO_PLACES_KM:
            continue
        then_2, known = tracks.positions_at(
            time_K[at:end], latlon_K2[at:end], time_K[first:at][again_K], np.inf
        )
        apart_m = 1000.0 * sphere.great_circle_km(latlon_K2[first:at][again_K], then_2)[known]
        wrong_K[first:at] = known.sum() >= _LEAST_SET and np.median(apart_m) > FROM_REST_M
    return wrong_K


def _at_one_time(judged: Judged) -> Mask:
    """Those at the begin that share a time though they lie apart.

    A clock of whole seconds or minutes tells the time of the first position that it gives a time,
    but had perhaps shown it for long where the track begins.
    """
    time_K, latlon_K2 = _times(judged), _places(judged)
    first_K = np.logical_and.accumulate(time_K == time_K[0])
    way_m = 1000.0 * sphere.great_circle_km(latlon_K2[first_K], latlon_K2[:1])
    return first_K & (np.max(way_m, initial=0.0) > FROM_REST_M)


def _growing(time_N: Floats) -> Mask:
    """The most points whose times grow (longest increasing subsequence); unknown times are not.

    Of those that share a time it is the first, as clocks show a time from its begin on.
    """
    ends: list[float] = []
    rows: list[int] = []
    before = np.full(len(time_N), -1)
    for k in np.flatnonzero(np.isfinite(time_N)):
        place = bisect.bisect_left(ends, time_N[k])
        if ends[place : place + 1] == [time_N[k]]:
            continue
        before[k] = rows[place - 1] if place else -1
        ends[place : place + 1] = [float(time_N[k])]
        rows[place : place + 1] = [int(k)]
    chosen = np.zeros(len(time_N), bool)
    at = rows[-1] if rows else -1
    while at >= 0:
        chosen[at] = True
        at = before[at]
    return chosen


def _refuse_two_places(time_K: Floats, latlon_K2: Floats, back_K: Mask) -> None:
    """Raises ValueError if points whose times repeat or go back are far from the others then."""
    there_K2, _ = tracks.positions_at(time_K[~back_K], latlon_K2[~back_K], time_K, _TOGETHER_S)
    apart_K = np.asarray(sphere.great_circle_km(latlon_K2, there_K2))
    num = int((back_K & (apart_K > TWO_PLACES_KM)).sum())
    if num > max(1.0, MOST_ELSEWHERE * len(time_K)):
        raise ValueError(
            f"at {num} of {len(time_K)} positions it is somewhere else at the same time, up to "
            f"{np.nanmax(apart_K[back_K]):.0f} km away: keep one track of those in it"
        )


def _guess(judged: Judged, max_speed_kmh: Mapping[str, float]) -> str:
    """The slowest mode whose limit holds for all speeds."""
    speeds_kmh = tracks.speeds_kmh(_times(judged), _places(judged), tracks.SPAN_S)
    holds = (m for m in GUESSED if np.max(speeds_kmh, initial=0.0) <= max_speed_kmh[m])
    return next(holds, GUESSED[-1])


def _hurried(time_K: Floats, latlon_K2: Floats, limit_kmh: float) -> Mask:
    """Points without which no speed over `tracks.SPAN_S` is above the limit."""
    kept = np.arange(len(time_K))
    while len(fast := _fast(time_K[kept], latlon_K2[kept], limit_kmh)):
        kept = np.delete(kept, fast + 1)
    hurried = np.ones(len(time_K), bool)
    hurried[kept] = False
    return hurried


def _fast(time_K: Floats, latlon_K2: Floats, limit_kmh: float) -> NDArray[np.intp]:
    speeds_kmh = tracks.speeds_kmh(time_K, latlon_K2, tracks.SPAN_S)
    return np.flatnonzero(speeds_kmh > limit_kmh)


def _frozen(judged: Judged, limit_kmh: float) -> Mask:
    """All but the first of points that repeat a place for long, if the next is out of reach."""
    time_K, latlon_K2 = _times(judged), _places(judged)
    frozen = np.zeros(len(time_K), bool)
    if len(time_K) < 3:
        return frozen
    moves = np.flatnonzero((np.diff(latlon_K2, axis=0) != 0).any(-1)) + 1
    starts, ends = np.r_[0, moves], np.r_[moves, len(time_K)]
    for first, end in zip(starts, ends, strict=True):
        if end == len(time_K) or time_K[end - 1] - time_K[first] < FROZEN_S:
            continue
        leapt = not _reachable(time_K, latlon_K2, np.array([end - 1]), np.array([end]), limit_kmh)
        frozen[first + 1 : end] = leapt or _too_fast_from_rest(time_K, latlon_K2, end)
    return frozen


def _too_fast_from_rest(time_K: Floats, latlon_K2: Floats, at: int) -> bool:
    """Whether a point is too far from the one before for who stood there."""
    moved_m = 1000.0 * float(sphere.great_circle_km(latlon_K2[at - 1], latlon_K2[at]))
    after_s = float(time_K[at] - time_K[at - 1])
    return moved_m > FROM_REST_M + FROM_REST_MPS2 / 2 * after_s**2


def _plausible(time_K: Floats, latlon_K2: Floats, limit_kmh: float) -> Mask:
    """The most points that can be reached from each other below a speed.

    Points are cut into runs of steps below the limit; the chain of runs with most points, each
    reachable from the one before, is kept.
    """
    num = len(time_K)
    if num < 2:
        return np.ones(num, bool)
    leaps = _reachable(time_K, latlon_K2, np.arange(num - 1), np.arange(1, num), limit_kmh)
    cuts = np.flatnonzero(~leaps) + 1
    starts, ends = np.r_[0, cuts], np.r_[cuts, num]
    if len(starts) == 1:
        return np.ones(num, bool)
    size = (ends - starts).astype(float)
    best, before = size.copy(), np.full(len(starts), -1)
    for run in range(1, len(starts)):
        earlier = np.arange(max(0, run - _LOOK_BACK), run)
        here = np.full(len(earlier), starts[run])
        reached = _reachable(time_K, latlon_K2, ends[earlier] - 1, here, limit_kmh)
        value = np.where(reached, best[earlier], 0.0)
        if value.max() > 0:
            before[run] = earlier[value.argmax()]
            best[run] += value.max()
    kept = np.zeros(num, bool)
    run = int(best.argmax())
    while run >= 0:
        kept[starts[run] : ends[run]] = True
        run = int(before[run])
    return kept


def _reachable(
    time_K: Floats,
    latlon_K2: Floats,
    here: NDArray[np.intp],
    there: NDArray[np.intp],
    limit_kmh: float,
) -> Mask:
    return np.asarray(_speed_kmh(time_K, latlon_K2, here, there) <= limit_kmh)


def _speed_kmh(
    time_K: Floats, latlon_K2: Floats, here: NDArray[np.intp], there: NDArray[np.intp]
) -> Floats:
    """Speeds between pairs of points, as if nothing took less than a span."""
    hours = np.maximum(time_K[there] - time_K[here], tracks.SPAN_S) / 3600.0
    return np.asarray(sphere.great_circle_km(latlon_K2[here], latlon_K2[there]) / hours)
