"""Which recordings there are under files, folders and globs, and what else was there.

Each file that is found is a recording (or a photo of one), a track or table that may belong to one,
or passed over with a reason. Folders behind links are looked at once, after all others, so that no
circle of links is walked twice.

Belongs here: what is looked at and what is passed over. Does not belong here: what becomes of it
(inspection.py), which tracks were used (tables.py).
"""

import hashlib
import os
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vidtag_ml.ingest.own import photos, positions
from vidtag_ml.ingest.own.disk_list import Shelf
from vidtag_ml.ingest.own.records import PassedOver, printable

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
    photo: str = ""
    """The photo of a video's name in its folder, if that is looked at, too."""

    @property
    def name(self) -> str:
        """What tells it from others: where it is, and which photos it is where they were chosen."""
        chosen = () if self.whole else self.names
        told = os.fsencode("\0".join([str(self.path.resolve()), *chosen]))
        return hashlib.md5(told, usedforsecurity=False).hexdigest()

    @property
    def files(self) -> list[Path]:
        """The video, or the photos."""
        return [self.path / name for name in self.names] or [self.path]


@dataclass
class Found:
    """What there is."""

    candidates: Shelf[Candidate] = field(default_factory=Shelf)
    """By their names."""
    tracks: Shelf[Path] = field(default_factory=Shelf)
    """Files that may tell where a recording was taken, by where they really are."""
    passed_over: Shelf[PassedOver] = field(default_factory=Shelf)
    num_files: int = 0
    """Files, and folders that were not entered: those of candidates, tracks, and passed over."""

    def pass_over(self, path: Path, reason: str, told: str) -> None:
        """Adds what was found, and why nothing comes of it."""
        self.passed_over.append(PassedOver(printable(path), reason, told))


def find(asked: Sequence[str]) -> Found:
    """Videos and photos under files, folders and globs, each once, and what is beside them.

    Hidden ones are looked at only where they are named. Other files are passed over, unless one is
    all that is asked for.

    Raises:
        ValueError: there is nothing by one of these names, or nothing that could be a recording.
    """
    alone = len(asked) == 1 and Path(asked[0]).expanduser().exists()
    found = _Walk(alone=alone).through(asked)
    if not found.candidates:
        kinds = ", ".join(suffix[1:] for suffix in (*VIDEOS[:3], *photos.SUFFIXES))
        raise ValueError(f"{', '.join(asked)}: no video and no photo in there ({kinds}, ...)")
    return found


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


class _Walk:
    """A way through all that is asked for."""

    def __init__(self, *, alone: bool) -> None:
        """`alone`: a single file is a candidate, whatever it is."""
        self._alone, self._found = alone, Found()
        self._entered: dict[tuple[int, int], Path] = {}
        self._links: deque[Path] = deque()
        self._chosen: dict[Path, set[str]] = {}

    def through(self, asked: Sequence[str]) -> Found:
        """What there is; behind links last but for photos that were named one by one."""
        for path in (path for text in asked for path in named(text)):
            if path.is_dir():
                self._enter(path)
            elif self._is_photo(path):
                self._choose(path)
            else:
                self._take(path, alone=self._alone)
        while self._links:
            self._enter(self._links.popleft())
        for folder, names in self._chosen.items():
            self._take_chosen(folder, tuple(sorted(names, key=photos.natural)))
        return self._found

    def _enter(self, folder: Path) -> None:
        """The photos of a folder and its videos, then what is deeper; links are put off."""
        if not self._is_new(folder):
            return
        for parent, folders, names in os.walk(folder, onerror=self._closed):
            here = Path(parent)
            folders[:] = [name for name in sorted(folders) if self._goes_on(here / name)]
            shown = [n for n in sorted(names, key=photos.natural) if not self._is_hidden(here / n)]
            if pictures := [n for n in shown if self._is_photo(here / n)]:
                self._add(Candidate(here, tuple(pictures)))
            photo_of = {Path(name).stem: name for name in pictures}
            taken = set(pictures)
            for name in (n for n in shown if n not in taken):
                self._take(here / name, photo=photo_of.get(Path(name).stem, ""))

    def _goes_on(self, folder: Path) -> bool:
        """Whether a folder within another is entered now."""
        if self._is_hidden(folder):
            return False
        if folder.is_symlink():
            self._links.append(folder)
            return False
        return self._is_new(folder)

    def _is_new(self, folder: Path) -> bool:
        facts = folder.stat()
        before = self._entered.setdefault((facts.st_dev, facts.st_ino), folder)
        if before is not folder:
            self._pass_over(folder, "again", f"it is {printable(before)}, which is looked at once")
        return before is folder

    def _is_hidden(self, path: Path) -> bool:
        hidden = path.name.startswith(".")
        if hidden:
            self._pass_over(path, "hidden", "its name begins with a dot")
        return hidden

    def _is_photo(self, path: Path) -> bool:
        """Whether a file is called a photo; what is no file, as a pipe, would never end."""
        named = path.suffix.lower() in photos.SUFFIXES
        return named and (path.is_file() or path.is_symlink())

    def _closed(self, error: OSError) -> None:
        self._pass_over(Path(error.filename), "closed", f"cannot be entered: {error.strerror}")

    def _take(self, path: Path, *, alone: bool = False, photo: str = "") -> None:
        """A file that is no photo."""
        suffix = path.suffix.lower()
        if not path.is_file() and not (path.is_symlink() and suffix in (*VIDEOS, *SOUNDS)):
            self._pass_over(path, "no_file", "a link that leads nowhere, or no file of bytes")
        elif suffix in (*VIDEOS, *SOUNDS) or alone:
            self._add(Candidate(path, photo=photo))
        elif suffix in positions.SIDECARS:
            self._add_track(path)
        else:
            kind = f"files that end in {printable(suffix)}" if suffix else "files without a suffix"
            self._pass_over(path, "unknown_type", f"{kind} are no video, photo or track")

    def _add(self, candidate: Candidate) -> None:
        if (before := self._found.candidates.find(candidate.name)) is not None:
            told = f"it is {printable(before.path)}, which is taken once"
            for file in candidate.files:
                self._pass_over(file, "again", told)
            return
        self._found.num_files += len(candidate.files)
        self._found.candidates.append(candidate, candidate.name)

    def _add_track(self, path: Path) -> None:
        real = os.path.realpath(path)
        if (before := self._found.tracks.find(real)) is not None:
            self._pass_over(path, "again", f"it is {printable(before)}, which is taken once")
            return
        self._found.num_files += 1
        self._found.tracks.append(path, real)

    def _choose(self, photo: Path) -> None:
        names = self._chosen.setdefault(photo.parent, set())
        if photo.name in names:
            self._pass_over(photo, "again", "it is named twice, and taken once")
        names.add(photo.name)

    def _take_chosen(self, folder: Path, names: tuple[str, ...]) -> None:
        facts = folder.stat()
        if (facts.st_dev, facts.st_ino) not in self._entered:
            self._add(Candidate(folder, names, whole=False))
            return
        for name in names:
            self._pass_over(folder / name, "again", "its folder is taken as a whole")

    def _pass_over(self, path: Path, reason: str, told: str) -> None:
        self._found.num_files += 1
        self._found.pass_over(path, reason, told)
