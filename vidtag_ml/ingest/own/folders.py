"""The files of a folder, listed once for all recordings in it.

Belongs here: which files a folder holds, by name. Does not belong here: folders within it
(discovery.py), which of the files belong to a recording (chapters.py, positions.py, photos.py).
"""

import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Listing:
    """Files of a folder."""

    files: Sequence[Path]
    """By name; nothing hidden, and nothing that is no file of bytes."""

    @functools.cached_property
    def by_name(self) -> Mapping[str, Path]:
        """Files by their names in lower case."""
        return {path.name.lower(): path for path in self.files}

    @functools.cached_property
    def by_stem(self) -> Mapping[str, Sequence[Path]]:
        """Files by their names without suffix, in lower case."""
        found: dict[str, list[Path]] = {}
        for path in self.files:
            found.setdefault(path.stem.lower(), []).append(path)
        return found


def listing(folder: Path) -> Listing:
    """The files of a folder as it is now."""
    return _listing(folder, folder.stat().st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _listing(folder: Path, changed_ns: int) -> Listing:  # noqa: ARG001 - a cache key
    try:
        with os.scandir(folder) as entries:
            names = sorted(e.name for e in entries if e.name[0] != "." and e.is_file())
    except PermissionError:  # it may be entered, and shows nothing
        names = []
    return Listing([folder / name for name in names])
