"""Which recordings there are under files, folders and globs.

Belongs here: what is looked at and what is passed over. Does not belong here: what becomes of it
(inspection.py).
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidtag_ml.ingest.own import photos
from vidtag_ml.ingest.own.disk_list import Shelf

VIDEOS = (
    ".mp4", ".mov", ".m4v", ".360", ".insv", ".lrv", ".mkv", ".webm", ".avi", ".3gp", ".3g2",
    ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".flv", ".hevc",
)  # fmt: skip
SOUNDS = (".mp3", ".m4a", ".wav", ".aac", ".ogg", ".flac")
"""Looked at as well, so that a recording of sound alone is told and not passed over."""


@dataclass(frozen=True)
class Candidate:
    """What may be a recording."""

    path: Path
    """A video, or a folder of photos."""
    names: tuple[str, ...] = ()
    """The photos, in the order in which a person would read their names."""
    whole: bool = True
    """Whether these are all photos of the folder."""

    @property
    def name(self) -> str:
        """What tells it from others: where it is, and which photos it is where they were chosen."""
        chosen = () if self.whole else self.names
        told = os.fsencode("\0".join([str(self.path.resolve()), *chosen]))
        return hashlib.md5(told, usedforsecurity=False).hexdigest()


def find(asked: Sequence[str]) -> Shelf[Candidate]:
    """Videos and photos under files, folders and globs, by their names; each once.

    Hidden ones are found only where they are named.
    Other files are passed over, unless one is all that is asked for.

    Raises:
        ValueError: there is nothing by one of these names, or nothing that could be a recording.
    """
    found = Shelf[Candidate]()
    for one in _candidates(asked):
        if found.find(one.name) is None:
            found.append(one, one.name)
    if not found:
        kinds = ", ".join(suffix[1:] for suffix in (*VIDEOS[:3], *photos.SUFFIXES))
        raise ValueError(f"{', '.join(asked)}: no video and no photo in there ({kinds}, ...)")
    return found


def _candidates(asked: Sequence[str]) -> Iterator[Candidate]:
    """What there is, perhaps more than once; photos that were named one by one come last."""
    chosen: dict[Path, set[str]] = {}
    for text in asked:
        for path in named(text):
            if path.is_dir():
                yield from _under(path)
            elif path.suffix.lower() in photos.SUFFIXES:
                chosen.setdefault(path.parent, set()).add(path.name)
            elif path.suffix.lower() in (*VIDEOS, *SOUNDS) or len(asked) == 1:
                yield Candidate(path)
    for folder, names in chosen.items():
        yield Candidate(folder, tuple(sorted(names, key=photos.natural)), whole=False)


def named(text: str) -> list[Path]:
    """The path itself, or what a pattern stands for.

    Raises:
        ValueError: there is nothing by this name.
    """
    path = Path(text).expanduser()
    if path.exists():
        return [path]
    root = Path(path.anchor)
    paths = [p for p in sorted(root.glob(str(path.relative_to(root)))) if p.name[0] != "."]
    if not paths:
        raise ValueError(f"{text}: there is no such file or folder")
    return paths


def _under(folder: Path) -> Iterator[Candidate]:
    """The photos of a folder and its videos, then what is deeper."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        shown = [name for name in sorted(names, key=photos.natural) if not name.startswith(".")]
        if pictures := [n for n in shown if Path(n).suffix.lower() in photos.SUFFIXES]:
            yield Candidate(Path(parent), tuple(pictures))
        for name in shown:
            if Path(name).suffix.lower() in (*VIDEOS, *SOUNDS):
                yield Candidate(Path(parent) / name)
