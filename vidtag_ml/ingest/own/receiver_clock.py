"""When a recording began by its receiver's clock, and what is put right of that.

Receivers know UTC, but not all write it: dash cams write local time, as their display shows it;
old receivers count weeks up to 1024 and begin anew; and a clock is wrong until the sky is seen. The
video's own clock, and the time zone of the place, tell these apart.

Belongs here: the begin by either clock. Does not belong here: what the video's clock says
(clocks.py), on which clock positions are seen (readings.py), how fast clocks go (time_lapse.py).
Shape legend: K positions that are believed, and have a time by both clocks.
"""

import math

import numpy as np
import pandas as pd

from vidtag_ml.ingest.own import clocks, time_lapse
from vidtag_ml.ingest.telemetry import dates, epochs

_MAY_BE_LOCAL = ("exiftool",)
"""Formats of dash cams, which write what their display shows; loggers and GoPros write UTC."""
_FARTHEST_S = 14 * 3600.0
_UNEVEN_S = 60.0
"""Clocks that go alike are never so far from each other at one time and at another."""
_STANDS = "its receiver's clock stands still: it tells no beginning"
_UNLIKELY = "its receiver's clock is before 2000 or in the future: it tells no beginning"
_UNEVEN = "its receiver's clock does not go as the video does: its first position tells the begin"


def began(
    kept: pd.DataFrame, clock: clocks.Clock, source: str, *, beside: bool
) -> tuple[float, list[str]]:
    """When a recording began in seconds since 1970 (NaN = unknown), and what was assumed.

    Args:
        kept: `points.COLUMNS` of the positions that are believed, with times from the first frame.
        clock: of the video.
        source: the format that they are from, as tables of fixes name it.
        beside: whether that is a file of its own, which was brought onto the video's clock.
    """
    timed = kept.dropna(subset=["time_s", "utc_s"]).sort_values("time_s", kind="stable")
    if timed.empty:
        return _by_video(kept, clock)
    received_s, told = _by_receiver(timed)
    if math.isnan(received_s):
        return clock.utc_s, told
    moved_s, said = _apart(received_s, kept, clock, source, beside=beside)
    if not dates.is_likely(received_s - moved_s):
        return clock.utc_s, [*told, _UNLIKELY]
    return received_s - moved_s, [*told, *said]


def _by_video(kept: pd.DataFrame, clock: clocks.Clock) -> tuple[float, list[str]]:
    """By the video's clock; if it is known to show local time, by that of the place."""
    zone = clocks.zone_of(kept)
    if not clock.is_local or zone is None or math.isnan(clock.utc_s):
        return clock.utc_s, []
    ahead_s = clocks.ahead_s(zone, clock.utc_s)
    local = f"creation_time is local time there ({zone}), as {clock.is_local} write it"
    return clock.utc_s - ahead_s[0], [local, *clocks.doubt(zone, ahead_s)]


def _by_receiver(timed: pd.DataFrame) -> tuple[float, list[str]]:
    """By the receiver's clock, after it was set; NaN if it does not go."""
    factor, _ = time_lapse.factor_of(timed)
    zero_K = (timed["utc_s"] - factor * timed["time_s"]).to_numpy(float)
    set_s = time_lapse.jumps_s(timed)
    at = np.flatnonzero(set_s)
    after = timed[at[-1] + 1 :] if len(at) else timed
    if factor == 1 and time_lapse.stands_still(after):
        return math.nan, [_STANDS]
    if factor != 1 or np.ptp(zero_K[len(timed) - len(after) :]) > _UNEVEN_S:
        return float(zero_K[0]), [_UNEVEN] if factor == 1 else []
    by = ", ".join(f"{jump_s:+.0f} s" for jump_s in set_s[at])
    told = [f"its receiver's clock was set by {by} meanwhile: believed after that"]
    return float(np.median(zero_K[len(timed) - len(after) :])), told if len(at) else []


def _apart(
    received_s: float, kept: pd.DataFrame, clock: clocks.Clock, source: str, *, beside: bool
) -> tuple[float, list[str]]:
    """By how much a receiver's clock is ahead of UTC, as the video's tells, and what is assumed."""
    apart_s = received_s - clock.utc_s
    if math.isnan(apart_s) or abs(apart_s) < clocks.QUARTER_S:
        return 0.0, []
    rolled_s = round(apart_s / epochs.ROLLOVER_S) * epochs.ROLLOVER_S
    if rolled_s and abs(apart_s - rolled_s) <= _FARTHEST_S:
        num = round(abs(rolled_s) / epochs.ROLLOVER_S)
        told = f"its receiver's clock is off by {num} x 1024 weeks"
        moved_s, said = _apart(received_s - rolled_s, kept, clock, source, beside=beside)
        return rolled_s + moved_s, [f"{told}: put right by the video's", *said]
    zone = clocks.zone_of(kept)
    there_s = clocks.ahead_s(zone, received_s) if zone else (0.0,)
    ahead_s = [s for s in there_s if s and abs(apart_s - s) < clocks.QUARTER_S]
    if ahead_s and not clock.is_local:
        local = f"local time there ({zone}, {clocks.told(ahead_s[0])})"
        if source in _MAY_BE_LOCAL:
            return ahead_s[0], [f"its receiver's clock is {local}: put right"]
        told = f"its receiver's clock is as far ahead of the video's as {local}: it may be that"
        return 0.0, [told]
    usual = any(abs(apart_s + s) < clocks.QUARTER_S for s in there_s) and not clock.zone_is_known
    return 0.0, [] if usual or beside else [_contradiction(apart_s)]


def _contradiction(apart_s: float) -> str:
    hours = abs(apart_s) / 3600
    span = f"{hours:.3g} h" if hours < 48 else f"{hours / 24:.0f} days"
    order = "ahead of" if apart_s > 0 else "behind"
    return f"its receiver's clock is {span} {order} the video's: the receiver's is believed"
