"""What the photos of large folders say of themselves, written a piece of a folder at a time.

So all processes look at one folder, it shows how far it is, and it goes on where it was stopped. A
piece is known by its photos' names, sizes and times and by the code, so that a folder that grows is
not looked at anew from its beginning.

Belongs here: pieces of folders, and what was seen of each on disk. Does not belong here: what
photos are together (photos.py), what became of a folder (journal.py).
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vidtag_ml.ingest.own import journal
from vidtag_ml.ingest.own.discovery import Candidate
from vidtag_ml.ingest.telemetry import exif
from vidtag_ml.workflow import stage

SIZE = 64
"""Photos of a piece; folders of no more are looked at in one go."""


@dataclass(frozen=True)
class Piece:
    """Some photos of a folder."""

    photos: Sequence[Path]
    file: Path
    """Where it is written what they say."""


def pieces(candidate: Candidate, key: journal.Key, folder: Path) -> Iterator[Piece]:
    """The pieces of a candidate; none of a video or of few photos.

    Args:
        candidate: what may be a recording.
        key: of its journal entry.
        folder: where pieces are written.
    """
    files = candidate.files
    for start in range(0, len(files) if len(files) > SIZE else 0, SIZE):
        some = slice(start, start + SIZE)
        told = json.dumps([key["files"][some], key["code"]]).encode()
        name = hashlib.md5(told, usedforsecurity=False).hexdigest()
        yield Piece(files[some], folder / f"{name}.json")


def num_steps(candidate: Candidate) -> int:
    """How many steps it takes to look at a candidate: its photos one by one, then all together."""
    return 1 + (len(candidate.names) if len(candidate.names) > SIZE else 0)


def look(piece: Piece) -> None:
    """Writes what those photos say that can be read; the others are left to be told of."""
    seen: dict[str, Any] = {}
    for photo in piece.photos:
        with contextlib.suppress(ValueError):
            seen[photo.name] = asdict(exif.read(photo))
    stage.write_text(piece.file, json.dumps(seen) + "\n")


def known(pieces: Sequence[Piece]) -> dict[str, exif.Photo]:
    """What photos say by their names, of the pieces that were looked at."""
    found: dict[str, exif.Photo] = {}
    for piece in pieces:
        with contextlib.suppress(FileNotFoundError, json.JSONDecodeError, TypeError):
            seen = json.loads(piece.file.read_text())
            found |= {name: _photo(told) for name, told in seen.items()}
    return found


def _photo(told: Mapping[str, Any]) -> exif.Photo:
    plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in told.items()}
    return exif.Photo(**plain)


def forget_others(pieces: Sequence[Piece], folder: Path) -> None:
    """Removes pieces of photos as they were before."""
    kept = {piece.file for piece in pieces}
    for file in folder.glob("*.json"):
        if file not in kept:
            file.unlink()
