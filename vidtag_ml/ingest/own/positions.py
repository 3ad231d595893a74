"""Where a video's positions are: telemetry inside it, a file beside it, or one tag.

Belongs here: trying sources one by one, and what is known when all fail. Does not belong here:
reading a format and how far it is trusted (telemetry/), what is believed (plausibility.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from vidtag_ml.ingest.own import (
    clocks,
    corroboration,
    folders,
    plausibility,
    readings,
    receiver_clock,
    time_lapse,
)
from vidtag_ml.ingest.telemetry import exiftool, readers
from vidtag_ml.ingest.telemetry.readers import (
    Beside,
    InFile,
    InTrack,
    Reading,
    Recording,
    Source,
)
from vidtag_ml.media import video

READERS = readers.known()
"""All formats of positions, the most trusted first."""
UNKNOWN = "nothing tells where it was"
SIDECARS = tuple(s for reader in READERS if isinstance(reader, Beside) for s in reader.suffixes)
"""Suffixes of files of a video's name that hold its track, in that order."""

_UNMOVED = "--time-offset moves files beside videos, and no track inside one"
_AFTER, _CUT_S = "after the last picture", 5.0
"""Telemetry that goes on for longer may be that of a video whose front was cut off."""
BY_PROGRAMS = ("exiftool", "location_tag")
"""Sources of fixes that were read by a program, or could not be read better by one."""


def programs() -> dict[str, str]:
    """Versions of the programs that read positions from videos, empty where there is none."""
    return {r.program: r.version() for r in READERS if isinstance(r, InFile)}


class _DoubtedError(ValueError):
    """Positions that were read, and of which none can be believed: says why."""


class NoPositionError(ValueError):
    """A recording without a position that can be used."""

    def __init__(self, reason: str, advice: str, missed: Sequence[str] = ()) -> None:
        """`reason` is a word for programs, `advice` a sentence for people.

        `missed` says what was there, and why it cannot be used.
        """
        super().__init__(advice)
        self.reason, self.missed = reason, tuple(missed)


@dataclass(frozen=True)
class Placed:
    """The positions of one recording."""

    fixes: pd.DataFrame
    """`points.COLUMNS` and `status`: measured, interpolated or dropped."""
    fix_source: str
    mode: str
    began_utc_s: float
    """When the recording began; NaN = unknown."""
    repairs: list[str]
    num_found: int
    """Positions that are written where these come from: kept, dropped or left out."""
    dropped: dict[str, int]
    """How many of them are not used, by reason."""
    file: Path | None = None
    """The file beside the recording from which they are; None = they are inside."""


def sidecars(path: Path) -> list[Path]:
    """Files beside a video that bear its name and may hold its track."""
    beside = folders.listing(path.parent).by_stem
    names = {path.stem.lower(), path.name.lower()}
    mine = [file for name in sorted(names) for file in beside.get(name, ())]
    tracks = [file for file in mine if file.suffix.lower() in SIDECARS]
    return sorted(tracks, key=lambda p: (SIDECARS.index(p.suffix.lower()), p.name))


def place(
    path: Path,
    duration_s: float,
    mode: str | None,
    offset_s: float,
    max_gap_s: float,
    max_speed_kmh: Mapping[str, float],
    time_zone: str | None = None,
) -> Placed:
    """The positions of a video, from the first source that has one to believe.

    Args:
        path: the video.
        duration_s: of the video.
        mode: how it moved; None = as its source or its speeds say.
        offset_s: added to the times of sidecars.
        max_gap_s: see `plausibility.on_video_clock`.
        max_speed_kmh: limit by mode.
        time_zone: that of the camera's clock, if it is known; see `clocks.zone`.

    Raises:
        NoPositionError: no source has a position that can be used; says what each of them lacked.
    """
    held = video.container(path)
    clock = clocks.of(path, held.tags, time_zone)
    asked = _Asked(held, clock, duration_s, mode, offset_s, max_gap_s, max_speed_kmh)
    missed, reason, doubted = [], "no_position", False
    recording = Recording(held, sidecars(path), path)
    for reader, source in ((r, s) for r in READERS for s in r.sources(recording)):
        if isinstance(reader, InFile) and doubted:
            continue  # it would read the same positions, and knows less of them
        try:
            placed = _placed(source, asked)
        except plausibility.ClockError as error:
            reason = "clock"
            missed.append(f"{source.name}: {error}")
        except ValueError as error:
            doubted |= isinstance(reader, InTrack) and isinstance(error, _DoubtedError)
            missed.append(f"{source.name}: {str(error).removeprefix(f'{source.file}: ')}")
        else:
            if placed is not None:
                return replace(placed, repairs=[*missed, *placed.repairs])
    raise NoPositionError(
        reason,
        f"{'; '.join(missed) or UNKNOWN}; {_advice(reason, '' if doubted else _more())}",
        missed,
    )


@dataclass(frozen=True)
class _Asked:
    """A video whose positions are asked for; see `place`."""

    held: video.Container
    clock: clocks.Clock
    duration_s: float
    mode: str | None
    offset_s: float
    max_gap_s: float
    max_speed_kmh: Mapping[str, float]


def _placed(source: Source, asked: _Asked) -> Placed | None:
    """The positions of one source; None if it has none.

    Raises:
        ValueError: it cannot be read, or none can be believed.
    """
    found = source.read()
    if found.since_start and np.isnan(asked.clock.utc_s):
        found = found.since_start
    points, repairs = _on_video_clock(found, source, asked)
    limits = asked.max_speed_kmh
    judged, moved = time_lapse.judge(points, asked.mode or found.mode, limits)
    if asked.mode is None:
        time_lapse.refuse_even_haste(judged, found.mode, limits)
    if not judged.kept_N.any():
        if judged.repairs:
            raise _DoubtedError("; ".join([*repairs, *judged.repairs]))
        return None
    num_found = len(found.points) + sum(found.left_out.values())
    left_out = {**found.left_out, **_outside(found.points, points, source)}
    untold = {w: n for w, n in left_out.items() if f"{n} {w}" not in repairs}
    told = () if judged.kept["utc_s"].notna().any() else asked.clock.told
    began_s, unsure = receiver_clock.began(
        judged.kept, asked.clock, found.fix_source, beside=source.file is not None
    )
    left = [f"{n} of {num_found} fixes left out: {why}" for why, n in untold.items()]
    return Placed(
        points.assign(status=np.where(judged.kept_N, "measured", "dropped")),
        found.fix_source,
        moved,
        began_s,
        [*repairs, *(t for t in told if t not in repairs), *left, *judged.repairs, *unsure],
        num_found,
        {**left_out, **judged.dropped},
        source.file,
    )


def _on_video_clock(
    found: Reading, source: Source, asked: _Asked
) -> tuple[pd.DataFrame, list[str]]:
    """Positions of a source with times from the first frame, and what was assumed of them."""
    if source.file is None:
        time_lapse.refuse_longer(found.points, asked.duration_s)
        shown, cut = _shown(found.points, asked.duration_s, asked.max_gap_s)
        unmoved = [_UNMOVED] if asked.offset_s and len(shown) > 1 else []
        against = corroboration.contradiction(shown, asked.held.tags)
        ended = _ended(shown, asked.duration_s)
        return shown, [*found.repairs, *cut, *ended, *unmoved, *against]
    ended = _ended(found.points, asked.duration_s)
    points, dated = readings.on_one_day(found.points, found.shifts_s, asked.clock, asked.duration_s)
    points, assumed = plausibility.on_video_clock(
        points, asked.clock, asked.duration_s, asked.offset_s, asked.max_gap_s
    )
    points, turned = corroboration.corroborated(points, asked.held.tags)
    return points, [*found.repairs, *ended, *dated, *assumed, *turned]


def _shown(
    points: pd.DataFrame, duration_s: float, max_gap_s: float
) -> tuple[pd.DataFrame, list[str]]:
    """Positions inside a video without those after its last picture, and what these may mean.

    Raises:
        ClockError: all are after it.
    """
    late = points["time_s"] > duration_s + max_gap_s
    if late.any() and late.all():
        raise plausibility.ClockError(f"all its positions are {_AFTER}")
    more_s = float(points["time_s"].max()) - duration_s
    told = f"its telemetry goes on {more_s:.0f} s {_AFTER}: all is early if the front was cut off"
    return points[~late].reset_index(drop=True), [told] if more_s > _CUT_S else []


def _ended(points: pd.DataFrame, duration_s: float) -> list[str]:
    """What it may mean that positions in the time of a video are of its first half alone."""
    less_s = duration_s - float(points["time_s"].max())
    if len(points) < 2 or not less_s > max(_CUT_S, duration_s / 2):
        return []
    slow = "all is early if the video is in slow motion"
    return [f"its track ends {less_s:.0f} s before the video: {slow}"]


def _advice(reason: str, more: str) -> str:
    """What to do about a recording without a position."""
    if reason == "clock":
        return "correct the clock with --time-zone ZONE or --time-offset SECONDS, or the camera's"
    kinds = ", ".join(suffix[1:].upper() for suffix in SIDECARS)
    return f"put its track beside it, with the same name ({kinds}){more}"


def _outside(found: pd.DataFrame, inside: pd.DataFrame, source: Source) -> dict[str, int]:
    """How many positions of a source are not on its video's clock, by reason."""
    num = len(found) - len(inside)
    timeless = min(num, int(found[["time_s", "utc_s"]].isna().all(axis=1).sum()))
    outside = _AFTER if source.file is None else "before or after the video"
    left = {"without a time": timeless, outside: num - timeless}
    return {reason: number for reason, number in left.items() if number}


def _more() -> str:
    """What else may find a position."""
    found = exiftool.version()
    return f"; exiftool {found} finds no other track" if found else f", or {exiftool.INSTALL}"
