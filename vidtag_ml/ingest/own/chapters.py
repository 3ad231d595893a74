"""Chapters: cameras cut long recordings into files, all with the time at which the first began.

GoPros number chapters before the recording: GH010123, GH020123, and older ones GOPR0123, GP010123.
Others number their files one after the other, DJI_0001, DJI_0002; those that bear the same time to
the second are chapters, as no camera begins two files at once.

Belongs here: which files come before a chapter, and how long they last. Does not belong here: when
the first of them began (clocks.py), which clips are a group (groups.py).
"""

import bisect
import functools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vidtag_ml.ingest.own import folders
from vidtag_ml.ingest.telemetry import quicktime
from vidtag_ml.media import video

_GOPRO = re.compile(
    r"((?:.*[ _.-])?)(G[A-Z])(\d\d)(\d{4})(\D.*)?", re.ASCII | re.IGNORECASE | re.DOTALL
)
_GOPRO_FIRST = re.compile(r"(?:.*[ _.-])?GOPR\d{4}(?:\D.*)?", re.ASCII | re.IGNORECASE | re.DOTALL)
_NUMBER = re.compile(r"\d+", re.ASCII)
_DIGITS = 3
"""Shorter numbers are not only a camera's: the second part, the camera on the left."""
_AT_ONCE_S, _SOON_S = 1.0, 2.0
"""Files that begin so near each other bear one time; those that begin a little later, too, if the
one before lasts longer than twice as long."""
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


def alike(path: Path) -> list[Path]:
    """Files that are named as this one but for a number, of each the nearest lower one."""
    numbered = _numbered(path.parent, path.parent.stat().st_mtime_ns)
    found = []
    for key, number in _keys(path.name):
        others = numbered.get(key, [])
        at = bisect.bisect_left(others, (number, ""))
        found += [path.with_name(others[at - 1][1])] if at else []
    return found


def earlier(path: Path, created_utc_s: float) -> Earlier:
    """The chapters before one, which says that it began at a time (NaN = it does not say)."""
    before = list(_before_it(path, created_utc_s))
    missing = _number(path) - len(before)
    if before:
        lasts_s, number = sum(length_s for length_s, _ in before), len(before) + 1
        told = f"chapter {number} of a recording: begins {lasts_s:.1f} s after the first"
        told += ", which bears the same time"
        lost = f"{missing} chapters before those are not beside it: it begins later by their length"
        return Earlier(lasts_s - before[-1][1], (told, lost) if missing > 0 else (told,))
    if missing > 0 and not files(path):
        told = f"chapter {missing + 1} of a recording, and the one before is not beside it"
        return Earlier(0.0, (f"{told}: taken as begun when its own clock says",))
    at_once = (f.name for f in alike(path) if _bears(f, created_utc_s))
    if (other := next(at_once, None)) and not missing:
        told = f"{other} bears the same time: if this goes on with it"
        return Earlier(0.0, (f"{told}, it begins later, and --time-offset decides",))
    return NONE


def _number(path: Path) -> int:
    """How many chapters come before one, by the names that GoPros give; 0 for other names."""
    found = _GOPRO.fullmatch(path.stem)
    return max(0, int(found[3]) - (found[2].upper() != "GP")) if found else 0


def _bears(file: Path, created_utc_s: float) -> bool:
    """Whether a file is a video that says that it began at a time."""
    try:
        told_s, _ = quicktime.created(video.head(file).tags)
    except video.VideoError:
        return False
    return abs(told_s - created_utc_s) < _AT_ONCE_S


def _before_it(path: Path, created_utc_s: float) -> Iterator[tuple[float, float]]:
    """Lengths of the files before one that bear the same time, and how much later it is by that.

    The nearest comes first.
    """
    for file in files(path):
        try:
            head = video.head(file)
        except video.VideoError:
            return
        told_s, _ = quicktime.created(head.tags)
        silent = math.isnan(told_s) and math.isnan(created_utc_s) and is_gopro(file)
        later_s = created_utc_s - told_s
        soon = 0 <= later_s <= min(_SOON_S, head.duration_s / 2)
        if not (silent or soon or abs(later_s) < _AT_ONCE_S):
            return
        yield head.duration_s, 0.0 if silent else later_s


@functools.lru_cache(maxsize=16)
def _numbered(folder: Path, changed_ns: int) -> dict[tuple[str, str], list[tuple[int, str]]]:  # noqa: ARG001 - a cache key
    """Numbers in names of a folder and these, by what stands before and after them."""
    found: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for path in folders.listing(folder).files:
        for key, number in _keys(path.name):
            found.setdefault(key, []).append((number, path.name))
    return {key: sorted(names) for key, names in found.items()}


def _keys(name: str) -> Iterator[tuple[tuple[str, str], int]]:
    """What stands around each number of a name, and the number."""
    stem, suffix = Path(name.lower()).stem, Path(name.lower()).suffix
    for digits in _NUMBER.finditer(stem):
        yield (stem[: digits.start()], stem[digits.end() :] + suffix), int(digits[0])


def _before(name: str, beside: Mapping[str, Path]) -> str | None:
    """The file of which this one may be the next chapter."""
    return next((beside[n.lower()].name for n in _names_before(name) if n.lower() in beside), None)


def _names_before(name: str) -> Iterator[str]:
    stem, suffix = Path(name).stem, Path(name).suffix
    if found := _GOPRO.fullmatch(stem):
        to, head, chapter, number, rest = (part or "" for part in found.groups())
        yield f"{to}{head}{max(0, int(chapter) - 1):02d}{number}{rest}{suffix}"
        if head.upper() == "GP" and int(chapter) == 1:
            yield f"{to}GOPR{number}{rest}{suffix}"
    if is_gopro(Path(name)):
        return
    for digits in reversed(list(_NUMBER.finditer(stem))):
        if len(digits[0]) < _DIGITS:
            continue
        before = f"{max(0, int(digits[0]) - 1):0{len(digits[0])}d}"
        yield f"{stem[: digits.start()]}{before}{stem[digits.end() :]}{suffix}"
