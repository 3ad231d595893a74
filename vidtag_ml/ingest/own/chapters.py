"""Chapters: cameras cut long recordings into files, all with the time at which the first began.

GoPros number chapters before the recording: GH010123, GH020123, and older ones GOPR0123, GP010123.
Others number their files one after the other, DJI_0001, DJI_0002; those that bear the same time to
the second are chapters, as no camera begins two files at once.

Belongs here: which files come before a chapter, and how long they last. Does not belong here: when
the first of them began (clocks.py), which clips are a group (groups.py).
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vidtag_ml.ingest.own import folders
from vidtag_ml.ingest.telemetry import quicktime
from vidtag_ml.media import video

_GOPRO = re.compile(r"(G[A-Z])(\d\d)(\d{4})(\D.*)?", re.ASCII | re.IGNORECASE)
_GOPRO_FIRST = re.compile(r"GOPR(\d{4})(\D.*)?", re.ASCII | re.IGNORECASE)
_NUMBER = re.compile(r"\d{3,}", re.ASCII)
_MOST = 99
"""Chapters of one recording."""


@dataclass(frozen=True)
class Earlier:
    """What came before a chapter."""

    lasts_s: float = 0.0
    """All of it together."""
    repairs: tuple[str, ...] = ()
    """What was assumed, a sentence each."""


NONE = Earlier()
"""Nothing came before."""


def is_gopro(path: Path) -> bool:
    """Whether a file is named as GoPros name videos."""
    return bool(_GOPRO.fullmatch(path.stem) or _GOPRO_FIRST.fullmatch(path.stem))


def files(path: Path) -> list[Path]:
    """Files that may be chapters before this one, the nearest first; by their names."""
    beside = folders.listing(path.parent).by_name
    found, here = list[Path](), path.name
    while len(found) < _MOST and (before := _before(here, beside)) not in (None, here):
        found.append(path.with_name(before))
        here = before
    return found


def earlier(path: Path, created_utc_s: float) -> Earlier:
    """The chapters before one, which says that it began at a time (NaN = it does not say)."""
    lengths_s = list(_lengths_s(path, created_utc_s))
    if lengths_s:
        number = len(lengths_s) + 1
        told = f"chapter {number} of a recording: begins {sum(lengths_s):.1f} s after the first"
        return Earlier(sum(lengths_s), (f"{told}, which bears the same time",))
    found = _GOPRO.fullmatch(path.stem)
    if found and int(found[2]) > (found[1].upper() != "GP") and not files(path):
        told = f"chapter {int(found[2])} of a recording, and the one before is not beside it"
        return Earlier(0.0, (f"{told}: taken as begun when its own clock says",))
    return NONE


def _lengths_s(path: Path, created_utc_s: float) -> Iterator[float]:
    """Lengths of the files before one that bear the same time, the nearest first."""
    for file in files(path):
        try:
            head = video.head(file)
        except video.VideoError:
            return
        told_s, _ = quicktime.created(head.tags)
        silent = math.isnan(told_s) and math.isnan(created_utc_s) and is_gopro(file)
        if not (silent or abs(told_s - created_utc_s) < 1.0):
            return
        yield head.duration_s


def _before(name: str, beside: Mapping[str, Path]) -> str | None:
    """The file of which this one may be the next chapter."""
    return next((beside[n.lower()].name for n in _names_before(name) if n.lower() in beside), None)


def _names_before(name: str) -> Iterator[str]:
    stem, suffix = Path(name).stem, Path(name).suffix
    if found := _GOPRO.fullmatch(stem):
        head, chapter, number, rest = found[1], int(found[2]), found[3], found[4] or ""
        yield f"{head}{max(0, chapter - 1):02d}{number}{rest}{suffix}"
        if head.upper() == "GP" and chapter == 1:
            yield f"GOPR{number}{rest}{suffix}"
    if is_gopro(Path(name)):
        return
    for digits in reversed(list(_NUMBER.finditer(stem))):
        before = f"{max(0, int(digits[0]) - 1):0{len(digits[0])}d}"
        yield f"{stem[: digits.start()]}{before}{stem[digits.end() :]}{suffix}"
