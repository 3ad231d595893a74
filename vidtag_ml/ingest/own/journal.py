"""The journal of a dataset: what became of each recording, written as soon as it is known.

Belongs here: entries on disk, and whether one still holds. Does not belong here: what becomes of a
recording (inspection.py), the tables made of all entries (tables.py).
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vidtag_ml.ingest.own import photos, positions
from vidtag_ml.ingest.own.discovery import Candidate
from vidtag_ml.ingest.own.inspection import Intake
from vidtag_ml.workflow import stage

FOLDER = "journal"
"""In a dataset's folder. It marks datasets of own recordings."""
FINAL = ("no_position", "clock")
"""Reasons that stay until the recording changes; others may go away by themselves."""

Record = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """What became of a candidate."""

    file: Path
    """Where it is written."""
    key: Record
    """What it depends on: files by size and time, settings, code."""
    path: str
    """The candidate's path as it was asked for."""
    added_ns: int
    """When the run began by which the candidate was first taken in."""
    found: list[Record]
    """Records of its clips, and of what was left out."""

    @property
    def copied(self) -> bool:
        """Whether the dataset reads copies of these recordings."""
        return bool(self.key["how"]["copies"])

    def holds(self, key: Record) -> bool:
        """Whether it tells of the same files, settings and code, and needs no second look."""
        settled = (r["told"].get("reason", FINAL[0]) in FINAL and is_there(r) for r in self.found)
        return self.key == key and all(settled)


def is_there(record: Record) -> bool:
    """Whether the files of a record still exist; a link that leads nowhere is no clip's file."""
    paths = map(Path, record["files"])
    return all(path.exists() or ("clip" not in record and path.is_symlink()) for path in paths)


def file_of(folder: Path, candidate: Candidate) -> Path:
    """Where the entry of a candidate is written."""
    return folder / f"{candidate.name}.json"


def key_of(candidate: Candidate, how: Intake, code: Record) -> Record:
    """What an entry depends on; `code` is what decides what becomes of a recording."""
    if candidate.names:
        files = [candidate.path / name for name in candidate.names]
        files += photos.tables(candidate.path)
    else:
        files = [candidate.path, *positions.sidecars(candidate.path)]
    key = {"files": [_facts(file) for file in files], "how": asdict(how), "code": code}
    plain: Record = json.loads(json.dumps(key))
    return plain


def _facts(file: Path) -> tuple[str, int, int]:
    try:
        facts = file.stat()
    except OSError:  # a link that leads nowhere
        return file.name, -1, -1
    return file.name, facts.st_size, facts.st_mtime_ns


def read(file: Path) -> Entry | None:
    """An entry; None if there is none, or one that was cut off when it was written."""
    try:
        known = json.loads(file.read_text())
        return Entry(file, known["key"], known["path"], known["added_ns"], known["found"])
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        return None


def read_all(folder: Path) -> Iterator[Entry]:
    """All entries of a journal, in no order."""
    for name in _names(folder):
        if (entry := read(folder / name)) is not None:
            yield entry


def digest(folder: Path) -> str:
    """md5 of the names and bytes of all entries of a journal."""
    whole = hashlib.md5(usedforsecurity=False)
    for name in sorted(_names(folder)):
        whole.update(f"{stage.digest(folder / name)}  {name}\n".encode())
    return whole.hexdigest()


def _names(folder: Path) -> Iterator[str]:
    if folder.is_dir():
        with os.scandir(folder) as files:
            names = (file.name for file in files)
            yield from (n for n in names if n.endswith(".json") and not n.startswith("."))


def write(file: Path, key: Record, path: Path, found: Sequence[Record], added_ns: int) -> None:
    """Writes an entry in one step; a candidate that is looked at again keeps its place."""
    before = read(file)
    added_ns = before.added_ns if before else added_ns
    known = {"key": key, "path": str(path), "added_ns": added_ns, "found": list(found)}
    stage.write_text(file, json.dumps(known) + "\n")
