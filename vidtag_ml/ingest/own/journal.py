"""The journal of a dataset: what became of each recording, written as soon as it is known.

Belongs here: entries on disk, and whether one still holds. Does not belong here: what becomes of a
recording (inspection.py), the tables made of all entries (tables.py).
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vidtag_ml.ingest.own import chapters, inspection, positions, records
from vidtag_ml.ingest.own.discovery import Candidate
from vidtag_ml.ingest.own.inspection import Intake
from vidtag_ml.ingest.own.records import Accepted, Record, Rejected
from vidtag_ml.workflow import stage

FOLDER = "journal"
"""In a dataset's folder. It marks datasets of own recordings."""
FINAL = ("no_position", "clock", "live_photo")
"""Reasons that stay until the recording changes; others may go away by themselves."""

Key = dict[str, Any]
"""What an entry depends on, as JSON: files by size and time, settings, code, programs."""


@dataclass(frozen=True)
class Entry:
    """What became of a candidate."""

    file: Path
    """Where it is written."""
    key: Key
    path: str
    """The candidate's path as it was asked for."""
    added_ns: int
    """When the run began by which the candidate was first taken in."""
    found: list[Record]
    """Its clips, and what was left out."""

    @property
    def copied(self) -> bool:
        """Whether the dataset reads copies of these recordings."""
        return bool(self.key["how"]["copies"])

    def holds(self, key: Key) -> bool:
        """Whether it tells of the same files, settings and code, and needs no second look.

        Programs that read positions count only where one was asked.
        """
        settled = (isinstance(r, Accepted) or r.reason in FINAL for r in self.found)
        if not any(map(_asked_programs, self.found)):
            key = {**key, "programs": self.key.get("programs")}
        return self.key == key and all(settled) and all(map(is_there, self.found))


def _asked_programs(record: Record) -> bool:
    """Whether no track was found before programs are asked, which may come to know more."""
    return isinstance(record, Rejected) or record.summary.fix_source in positions.BY_PROGRAMS


def is_there(record: Record) -> bool:
    """Whether the files of a record still exist; a link that leads nowhere is no clip's file."""
    left_out = isinstance(record, Rejected)
    paths = map(Path, record.files)
    return all(path.exists() or (left_out and path.is_symlink()) for path in paths)


def file_of(folder: Path, candidate: Candidate) -> Path:
    """Where the entry of a candidate is written."""
    return folder / f"{candidate.name}.json"


def key_of(candidate: Candidate, how: Intake, code: dict[str, Any]) -> Key:
    """The key of an entry; `code` is what decides what becomes of a recording."""
    files = [*candidate.files, *inspection.beside(candidate)]
    files += [] if candidate.names else _before(candidate.path)
    files += [candidate.path.with_name(candidate.photo)] if candidate.photo else []
    programs = {} if candidate.names else positions.programs()
    key = {"files": [_facts(file) for file in files], "how": _told(how), "code": code}
    key["programs"] = programs
    plain: Key = json.loads(json.dumps(key))
    return plain


def _before(video: Path) -> list[Path]:
    """Files that may come before a video, or tell of it."""
    return sorted({*chapters.files(video), *chapters.alike(video)})


def _told(how: Intake) -> dict[str, Any]:
    """How recordings are taken in; of weights what is in them, wherever they lie."""
    told = asdict(how)
    if how.copies is not None:
        told["copies"]["weights"] = how.copies.weights_md5
    return told


def _facts(file: Path) -> tuple[str, int, int]:
    try:
        facts = file.stat()
    except OSError:  # a link that leads nowhere
        return file.name, -1, -1
    return file.name, facts.st_size, facts.st_mtime_ns


def read(file: Path) -> Entry | None:
    """An entry; None if there is none, or one that was cut off, or is of another layout.

    So its recording is looked at again.
    """
    try:
        known = json.loads(file.read_text())
        found = [records.from_json(record) for record in known["found"]]
        return Entry(file, known["key"], known["path"], known["added_ns"], found)
    except (FileNotFoundError, json.JSONDecodeError, KeyError, TypeError):
        return None


def read_all(folder: Path) -> Iterator[Entry]:
    """All entries of a journal, in no order."""
    for name in _names(folder):
        if (entry := read(folder / name)) is not None:
            yield entry


def digest(folder: Path) -> str:
    """md5 of all entries of a journal, and of which of their clips still have their files."""
    whole = hashlib.md5(usedforsecurity=False)
    for name in sorted(_names(folder)):
        entry = read(folder / name)
        clips = [found for found in entry.found if isinstance(found, Accepted)] if entry else []
        there = [is_there(clip) for clip in clips]
        whole.update(f"{stage.digest(folder / name)} {there} {name}\n".encode())
    return whole.hexdigest()


def _names(folder: Path) -> Iterator[str]:
    if folder.is_dir():
        with os.scandir(folder) as files:
            names = (file.name for file in files)
            yield from (n for n in names if n.endswith(".json") and not n.startswith("."))


def write(file: Path, key: Key, path: Path, found: Iterable[Record], added_ns: int) -> None:
    """Writes an entry in one step; a candidate that is looked at again keeps its place."""
    before = read(file)
    added_ns = before.added_ns if before else added_ns
    told = [records.to_json(record) for record in found]
    known = {"key": key, "path": str(path), "added_ns": added_ns, "found": told}
    stage.write_text(file, json.dumps(known) + "\n")
