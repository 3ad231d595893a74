"""Where a video's positions are: telemetry inside it, a file beside it, or one tag.

Belongs here: the order in which sources are tried, and what is known when all fail. Does not belong
here: reading a format (telemetry/), which positions are believed (plausibility.py).
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from vidtag_ml.ingest.own import plausibility
from vidtag_ml.ingest.telemetry import camm, gpmf, gpx, nmea, quicktime, srt, table
from vidtag_ml.media import video

SIDECARS: Mapping[str, tuple[str, Callable[[Path], pd.DataFrame]]] = {
    ".gpx": ("gpx", gpx.read),
    ".srt": ("dji_srt", srt.read),
    ".nmea": ("nmea", nmea.read),
    ".csv": ("csv", table.read_csv),
    ".geojson": ("geojson", table.read_geojson),
}
"""Files of a video's name that hold its track, in the order in which they are tried."""
MODES = {"dji_srt": "drone", "gpmf_glpi": "drone"}
"""How those move whose positions come from these."""


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


def sidecars(path: Path) -> list[Path]:
    """Files beside a video that bear its name and may hold its track."""
    folder = path.parent
    beside = _beside(folder, folder.stat().st_mtime_ns)
    names = {path.stem.lower(), path.name.lower()}
    mine = [file for name in sorted(names) for file in beside.get(name, ())]
    order = list(SIDECARS)
    return sorted(mine, key=lambda p: (order.index(p.suffix.lower()), p.name))


@functools.lru_cache(maxsize=16)
def _beside(folder: Path, changed_ns: int) -> dict[str, list[Path]]:  # noqa: ARG001 - a cache key
    """Files of a folder that may hold tracks, by the name that they share with a video."""
    found: dict[str, list[Path]] = {}
    for path in folder.iterdir():
        if path.suffix.lower() in SIDECARS and path.name[0] != "." and path.is_file():
            found.setdefault(path.stem.lower(), []).append(path)
    return found


def place(
    path: Path,
    duration_s: float,
    mode: str | None,
    offset_s: float,
    max_gap_s: float,
    max_speed_kmh: Mapping[str, float],
) -> Placed:
    """The positions of a video, from the first source that has one to believe.

    Args:
        path: the video.
        duration_s: of the video.
        mode: how it moved; None = as its source or its speeds say.
        offset_s: added to the times of sidecars.
        max_gap_s: see `plausibility.on_video_clock`.
        max_speed_kmh: limit by mode.

    Raises:
        NoPositionError: no source has a position that can be used; says what each of them lacked.
    """
    held = video.container(path)
    created_utc_s = quicktime.created_utc_s(held.tags)
    missed, reason = [], "no_position"
    for name, read in _sources(path, held):
        try:
            points, fix_source = read()
            repairs: list[str] = []
            if name in SIDECARS:
                points, repairs = plausibility.on_video_clock(
                    points, created_utc_s, duration_s, offset_s, max_gap_s
                )
        except plausibility.ClockError as error:
            reason = "clock"
            missed.append(f"{_called(path, name)}: {error}")
            continue
        except ValueError as error:
            missed.append(f"{_called(path, name)}: {error}")
            continue
        judged, moved = plausibility.judge(points, mode or MODES.get(fix_source), max_speed_kmh)
        if judged.kept_N.any():
            repairs = [*missed, *repairs, *judged.repairs]
            fixes = points.assign(status=np.where(judged.kept_N, "measured", "dropped"))
            began_s = _began(judged.kept, created_utc_s)
            return Placed(fixes, fix_source, moved, began_s, repairs)
        if judged.repairs:
            missed.append(f"{_called(path, name)}: {'; '.join(judged.repairs)}")
    kinds = ", ".join(suffix[1:].upper() for suffix in SIDECARS)
    advice = (
        "correct the clock with --time-offset SECONDS, or the camera's"
        if reason == "clock"
        else f"put its track beside it, with the same name ({kinds})"
    )
    lacking = "; ".join(missed) or "nothing tells where it was"
    raise NoPositionError(reason, f"{lacking}; {advice}", missed)


def _sources(
    path: Path, held: video.Container
) -> Iterator[tuple[str, Callable[[], tuple[pd.DataFrame, str]]]]:
    """What may hold positions, best first: a track in the video, one beside it, a single tag."""
    for packets in held.tracks:
        if gpmf.is_gpmf(packets):
            yield "telemetry", lambda packets=packets: _gpmf(packets)  # type: ignore[misc]
        elif camm.is_camm(packets):
            yield "telemetry", lambda packets=packets: (camm.read(packets), "camm")  # type: ignore[misc]
    for file in sidecars(path):
        name, read = SIDECARS[file.suffix.lower()]
        yield file.suffix.lower(), lambda file=file, name=name, read=read: (read(file), name)  # type: ignore[misc]
    yield "location", lambda: (quicktime.read(held.tags), "location_tag")


def _gpmf(packets: tuple[video.Packet, ...]) -> tuple[pd.DataFrame, str]:
    points, stream = gpmf.read(packets)
    return points, f"gpmf_{stream}"


def _called(path: Path, name: str) -> str:
    """A source's name in a sentence."""
    return f"{path.stem}{name}" if name in SIDECARS else f"the video's {name}"


def _began(kept: pd.DataFrame, created_utc_s: float) -> float:
    """When a recording began, by its receiver's clock if it has one."""
    zeros_s = (kept["utc_s"] - kept["time_s"]).dropna()
    return float(zeros_s.median()) if len(zeros_s) else created_utc_s
