"""Positions in videos of many cameras, as ExifTool reads them (exiftool.org): a program of its own.

It knows some seventy ways in which dash cams, drones and action cameras write positions; its
version decides which. Not all that it says holds: of cameras whose positions it cannot decipher it
gives them all the same, with a warning; and where a camera tells no time, it makes one up.

Belongs here: all that starts it, what its tags mean, on which clock they run. Does not belong here:
formats with a reader of their own, which come first (vidtag_ml.ingest.own.positions).
Shape legend: N positions.
"""

import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.earth import sphere
from vidtag_ml.ingest.telemetry import points, quicktime, text, zones
from vidtag_ml.ingest.telemetry.readers import InFile, Reading, Recording
from vidtag_ml.media import video

Floats = NDArray[np.float64]
Values = Mapping[str, Sequence[Any]]
"""What stands under the name of a tag, in the order of the file."""
Tags = Mapping[tuple[int, str], Values]
"""By document, that is sample (0 = of the whole file), and group, that is track."""

INSTALL = "install exiftool (Debian: libimage-exiftool-perl), which reads more cameras' tracks"
_PROGRAM = "exiftool"
_QUIET = ("-config", "")
"""No settings of a person's own."""
_PLACE = frozenset({"GPSLatitude", "GPSLongitude"})
_CLOCKS = ("GPSDateTime", "GPSDateStamp", "GPSTimeStamp")
_CELLS = (
    "GPSLatitude", "GPSLatitudeRef", "GPSLongitude", "GPSLongitudeRef", "GPSAltitude",
    "GPSAltitudeRef", *_CLOCKS, "GPSStatus", "GPSMeasureMode", "GPSDOP", "GPSHPositioningError",
    "SampleTime", "SampleDuration",
)  # fmt: skip
"""Tags of a position."""
_ASKED = (
    *("-json", "-n", "-a", "-G3:1:4", "-ee3", "-api", "LargeFileSupport=1"),
    *(f"-{tag}" for tag in (*_CELLS, "TrackDuration", "MediaDuration", "Warning")),
)
_LEAST_S, _BYTES_PER_S = 120.0, 10e6
"""It may take so long, and a second for so many bytes of the video."""
_MOST_BYTES = 200_000_000
_DOCUMENT, _COPY = re.compile(r"Doc(\d+)[\d-]*"), re.compile(r"Copy\d+")
_DATE = re.compile(r"(\d{4}):(\d\d):(\d\d) ")
_ZONE = re.compile(r"(Z|[+-]\d\d:\d\d)$")
_DOUBTFUL = re.compile("wrong|crypt|cipher|quadrant", re.IGNORECASE)
"""In warnings after which no position can be believed."""
_MADE_UP = re.compile("approximating|local time zone", re.IGNORECASE)
"""In warnings after which times of day are not the receiver's."""
_FIX_TYPES = {"0": "none", "2": "2d", "3": "3d"}
_LOOSE_S = 2.0
"""Tracks that tell whole seconds may be so much shorter or longer than their video."""
_EDITED_S = 0.5
_APART_S = sorted({*zones.IN_USE, *(-zone_s for zone_s in zones.IN_USE)})
"""By how much clocks differ of which one is UTC."""
_AWAY_KM = 100.0
"""A track so far from the location tag of its video is another one, or is read wrongly."""


def version() -> str:
    """Which version is installed; empty if there is none, or none that runs."""
    found = shutil.which(_PROGRAM)
    return _version(found, Path(found).stat().st_mtime_ns) if found else ""


@functools.cache
def _version(program: str, changed_ns: int) -> str:  # noqa: ARG001 - a cache key
    asked = [program, *_QUIET, "-ver"]
    try:
        done = subprocess.run(asked, capture_output=True, check=True, timeout=_LEAST_S)
    except (OSError, subprocess.SubprocessError):
        return ""
    found = re.match(rb"\d+(\.\d+)?", done.stdout.strip())
    return found[0].decode() if found else ""


def read(recording: Recording) -> Reading:
    """The longest track in a video or, where neither it nor its tags have one, a single position.

    Raises:
        ValueError: ExifTool cannot read it or doubts what it reads, signs and letters of
            hemispheres contradict each other, or nothing tells when the positions were taken.
    """
    tags = _grouped(_answer(recording.path))
    warnings = [str(w) for values in tags.values() for w in values.get("Warning", ())]
    if doubts := [warning for warning in warnings if _DOUBTFUL.search(warning)]:
        raise ValueError(f"ExifTool {version()} warns: {doubts[0][:200]}")
    rows, others = _longest(tags)
    if not len(rows):
        return _single(tags, recording)
    _refuse_far(rows, _position(tags))
    made_up = any(map(_MADE_UP.search, warnings))
    timed, assumed = _on_video_clock(rows, recording, made_up=made_up)
    cut = _edits(tags) if rows["time_s"].notna().any() else []
    left_out = {f"positions in {group} are left unread": num for group, num in others.items()}
    left_out |= {"samples have half a position: left out": odd} if (odd := _num_odd(tags)) else {}
    told = [f"{num} {what}" for what, num in left_out.items()]
    told += [f"ExifTool warns: {w[:200]}" for w in warnings if not w.startswith("[minor]")]
    repairs = (*assumed, *cut, *told)
    return Reading(timed.drop(columns="zoned"), "exiftool", repairs=repairs, left_out=left_out)


def _answer(path: Path) -> Mapping[str, Any]:
    """What ExifTool says of a video, by document, group, copy and tag.

    It is given a plain name for the file: those of recordings may look like options or commands.
    """
    suffix = path.suffix if re.fullmatch(r"\.\w{1,8}", path.suffix, re.ASCII) else ""
    limit_s = _LEAST_S + path.stat().st_size / _BYTES_PER_S
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as out:
        link = Path(folder) / f"video{suffix}"
        link.symlink_to(path.resolve())
        try:
            subprocess.run(
                [_PROGRAM, *_QUIET, *_ASKED, str(link)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "TZ": "UTC"},
                timeout=limit_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ValueError(f"ExifTool did not end within {limit_s:.0f} s") from None
        if (size := out.tell()) > _MOST_BYTES:
            raise ValueError(f"ExifTool says {size / 1e6:.0f} MB of it, more than can be read")
        out.seek(0)
        return _parsed(out.read())


def _parsed(answer: bytes) -> Mapping[str, Any]:
    try:
        (said,) = json.loads(answer.decode("utf-8", "replace"))
    except (ValueError, TypeError, RecursionError):
        raise ValueError(f"ExifTool {version()} cannot read it") from None
    if not isinstance(said, dict):
        raise ValueError(f"ExifTool {version()} says {str(said)[:80]!r} of it")
    return said


def _grouped(answer: Mapping[str, Any]) -> Tags:
    """Tags by sample and track; what newer versions put into parts of a sample is of the sample."""
    grouped: dict[tuple[int, str], dict[str, list[Any]]] = {}
    for key, value in answer.items():
        *groups, tag = key.split(":")
        groups = [group for group in groups if not _COPY.fullmatch(group)]
        found = _DOCUMENT.fullmatch(groups[0]) if groups else None
        document = int(found[1]) if found else 0
        groups = groups[1:] if found else groups
        place = grouped.setdefault((document, "".join(groups)), {})
        place.setdefault(tag, []).append(value)
    return grouped


def _longest(tags: Tags) -> tuple[pd.DataFrame, dict[str, int]]:
    """Rows of the group that has most positions in samples, and how many others have."""
    num = Counter[str]()
    for (document, group), values in tags.items():
        # What is composed of the tags of a sample stands under "Composite" once more.
        if document and group != "Composite":
            num[group] += _num(values)
    (longest, _), *others = num.most_common() or [("", 0)]
    chosen = sorted(document for document, group in tags if document and group == longest)
    table = _table([tags[document, longest] for document in chosen])
    return table, {group: count for group, count in others if count}


def _num(values: Values) -> int:
    """How many positions a sample has; none if it has not as many latitudes as longitudes."""
    num, others = (len(values.get(name, ())) for name in _PLACE)
    return num if num == others else 0


def _num_odd(tags: Tags) -> int:
    """How many samples have a latitude or a longitude, but no position."""
    placed = (values for values in tags.values() if not _PLACE.isdisjoint(values))
    return sum(not _num(values) for values in placed)


def _table(samples: Sequence[Values]) -> pd.DataFrame:
    """Positions of samples, spread over each, with `zoned`: whether their times tell a zone."""
    cells: dict[str, list[Any]] = {name: [] for name in _CELLS}
    within, alone = list[float](), list[bool]()
    for values in samples:
        num = _num(values)
        within += [k / num for k in range(num)]
        alone += [len(values.get("GPSDateTime", ())) == num] * num
        for name, column in cells.items():
            given = values.get(name, ())
            column += given if len(given) == num else [*given[:1], None][:1] * num

    def numbers(name: str) -> Floats:
        return np.array([text.number(str(cell)) for cell in cells[name]], np.float64)

    clocks = zip(*(cells[name] for name in _CLOCKS), strict=True)
    moments = [str(whole or f"{day} {time}Z") for whole, day, time in clocks]
    fixes = zip(cells["GPSStatus"], cells["GPSMeasureMode"], strict=True)
    later_N = within * np.nan_to_num(numbers("SampleDuration"))
    altitude_N = numbers("GPSAltitude")
    below_N = numbers("GPSAltitudeRef") == 1
    table = points.table(
        time_s=numbers("SampleTime") + later_N,
        utc_s=np.array([text.utc_s(_DATE.sub(r"\1-\2-\3T", moment)) for moment in moments], float)
        + np.where(alone, 0.0, later_N),
        lat=_signed(numbers("GPSLatitude"), cells["GPSLatitudeRef"], "NS"),
        lon=_signed(numbers("GPSLongitude"), cells["GPSLongitudeRef"], "EW"),
        altitude_m=np.where(below_N, -np.abs(altitude_N), altitude_N),
        accuracy_m=numbers("GPSHPositioningError"),
        dop=numbers("GPSDOP"),
        fix_type=["none" if s == "V" else _FIX_TYPES.get(str(mode)) for s, mode in fixes],
    )
    return table.assign(zoned=[bool(_ZONE.search(moment)) for moment in moments])


def _signed(size_N: Floats, letters: Iterable[Any], both: str) -> Floats:
    """Degrees whose hemisphere is told by a sign or by a letter.

    Raises:
        ValueError: the two contradict each other.
    """
    letter_N = np.array([str(letter or "")[:1].upper() for letter in letters], "U1")
    if (wrong_N := (size_N < 0) & (letter_N == both[0])).any():
        which = int(wrong_N.argmax())
        raise ValueError(f"a position is at {size_N[which]:g} and marked {letter_N[which]}")
    return np.where(letter_N == both[1], -np.abs(size_N), size_N)


def _position(tags: Tags) -> pd.DataFrame:
    """The position of the whole file; no row if it has none."""
    found = {group: values for (document, group), values in tags.items() if not document}
    ordered = (found.pop("Composite", {}), *found.values())
    return _table([values for values in ordered if _num(values)][:1])[:1]


def _single(tags: Tags, recording: Recording) -> Reading:
    """The one position of a file whose tags, as other readers know them, have none."""
    table = _position(tags).drop(columns="zoned")
    if any(recording.inside.tags.get(name) for name in quicktime.LOCATIONS):
        table = table[:0]
    told = ("ExifTool reads one position, of the whole file",) if len(table) else ()
    return Reading(table.assign(time_s=0.0, utc_s=np.nan), "location_tag", repairs=told)


def _refuse_far(rows: pd.DataFrame, tag: pd.DataFrame) -> None:
    """Raises ValueError if a track is nowhere near the location tag, as one read wrongly is."""
    latlon_N2, at_12 = (table[["lat", "lon"]].to_numpy(float) for table in (rows, tag))
    latlon_N2, at_12 = (found[_is_place(found)] for found in (latlon_N2, at_12))
    if len(at_12) and len(latlon_N2):
        away_km = float(np.min(sphere.great_circle_km(latlon_N2, at_12[0])))
        if away_km > _AWAY_KM:
            raise ValueError(
                f"its track is {away_km:.0f} km from its location tag, and nothing tells which "
                "of them is right"
            )


def _is_place(latlon_N2: Floats) -> NDArray[np.bool_]:
    """Which are on Earth, and not at 0, 0, where receivers are without a fix."""
    on_earth_N = (np.abs(latlon_N2) <= (90.0, 180.0)).all(-1)
    return np.asarray(on_earth_N & latlon_N2.any(-1))


def _on_video_clock(
    rows: pd.DataFrame, recording: Recording, *, made_up: bool
) -> tuple[pd.DataFrame, list[str]]:
    """Rows with times from the first frame, and what was assumed.

    Args:
        rows: in the order of the file.
        recording: their video.
        made_up: whether ExifTool made their times of day up.
    """
    utc_N = rows["utc_s"].to_numpy(float)
    told: list[str] = []
    if rows["time_s"].notna().any():
        time_N = _filled(rows["time_s"].to_numpy(float), utc_N)
    elif np.isnan(utc_N).all():
        raise ValueError("its positions have no times")
    else:
        time_N, told = _by_utc(utc_N, recording, made_up=made_up)
    if made_up or not rows["zoned"].all():
        rows = rows.assign(utc_s=np.nan)
    return rows.assign(time_s=time_N), told


def _filled(time_N: Floats, utc_N: Floats) -> Floats:
    """Times of samples, and for positions without one that of the receiver's clock between them."""
    ahead_N = time_N - utc_N
    if np.isnan(ahead_N).all():
        return time_N
    return np.where(np.isnan(time_N), utc_N + np.nanmedian(ahead_N), time_N)


def _by_utc(utc_N: Floats, recording: Recording, *, made_up: bool) -> tuple[Floats, list[str]]:
    """Times of positions that tell nothing but the time of day."""
    created_s, _ = quicktime.created(recording.inside.tags)
    if made_up and not np.isnan(created_s):
        return utc_N - created_s, []
    duration_s = video.length_s(recording.path)
    first_s, last_s = float(np.nanmin(utc_N)), float(np.nanmax(utc_N))
    time_N, told = _spread(utc_N)
    if abs(last_s - first_s - duration_s) <= _LOOSE_S:
        return time_N - first_s, [*told, "its track tells no video time: it begins with the video"]
    shared_s = min(last_s - first_s, duration_s) - _LOOSE_S
    begins = [created_s + apart_s for apart_s in _APART_S]
    fit = [b for b in begins if min(last_s, b + duration_s) - max(first_s, b) >= shared_s]
    if len(fit) != 1:
        raise ValueError(
            f"its positions span {last_s - first_s:.0f} s, the video {duration_s:.0f} s, and "
            "nothing tells where in it they begin"
        )
    hours = f"{(fit[0] - created_s) / 3600:+g} h"
    said = f"its track tells no video time: matched by the video's recording time, {hours}"
    return time_N - fit[0], [*told, said]


def _spread(utc_N: Floats) -> tuple[Floats, list[str]]:
    """Times of which those in one whole second follow each other within it."""
    second = pd.Series(utc_N)
    if (second % 1 > 0).any():
        return utc_N, []
    alike = second.groupby(second)
    count = alike.transform("size")
    num = int((count > 1).sum())
    shared = [f"{num} positions share their second with another: spread over it"] if num else []
    spread_N = (second + alike.cumcount() / count).to_numpy(float)
    return spread_N, ["its track tells whole seconds, taken as UTC", *shared]


def _edits(tags: Tags) -> list[str]:
    """What is told of a video whose tracks are cut by lists, which ExifTool does not apply."""
    cut_s = max((_cut_s(values) for values in tags.values()), default=0.0)
    if cut_s <= _EDITED_S:
        return []
    return [f"an edit list cuts {cut_s:.1f} s from a track: its positions may be off by as much"]


def _cut_s(values: Values) -> float:
    spans_s = [text.number(str(s)) for s in _first(values, "TrackDuration", "MediaDuration")]
    return abs(spans_s[0] - spans_s[1]) if min(spans_s) > 0 else 0.0


def _first(values: Values, *names: str) -> list[Any]:
    return [next(iter(values.get(name, ())), None) for name in names]


READER = InFile(_PROGRAM, version, read, trust=30)
