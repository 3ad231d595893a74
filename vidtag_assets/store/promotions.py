"""The log of decisions about champions: one JSON object a line, each bound to those before it.

Belongs here: writing, reading and checking `out/promotions.jsonl`. Does not belong here: what
decides, and what a decision does to the registry, which keeps a copy of each line (registry.py).
"""

import dataclasses
import datetime as dt
import getpass
import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Promotion:
    """One line of the log: a decision about the champion."""

    time: str
    """UTC, ISO 8601."""
    action: str
    """promoted, rejected or rolled back."""
    model: str
    version: int
    """The version that the decision is about."""
    champion: int | None
    """The champion after the decision."""
    previous: int | None
    """The champion before it."""
    reason: str
    bundle: str = ""
    """Digest of the version's bundle."""
    user: str = ""
    host: str = ""
    number: int = 0
    """Its place in the log, from 1; 0 in lines that were written before lines were bound."""
    before: str = ""
    """SHA-256 of what stands before it, from the last line that is bound itself on."""


def now() -> str:
    """The time in UTC, to the second."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def log_path(root: Path) -> Path:
    """The append-only log of promotions, rejections and rollbacks."""
    return root / "out" / "promotions.jsonl"


def history(root: Path) -> list[Promotion]:
    """The log's entries, oldest first; a line that a killed process left unfinished is none."""
    return [entry for line in _lines(root) if (entry := parse(line))]


def parse(line: bytes | str) -> Promotion | None:
    """The entry in a line; None if it is torn."""
    try:
        values = json.loads(line)
        known = {field.name for field in dataclasses.fields(Promotion)}
        return Promotion(**{key: value for key, value in values.items() if key in known})
    except (ValueError, TypeError, AttributeError):
        return None


def text(entry: Promotion) -> str:
    """The entry as it stands in the log."""
    return json.dumps(dataclasses.asdict(entry))


def append(root: Path, entry: Promotion, recorded: Mapping[int, str]) -> Promotion:
    """Adds a decision, bound to what stands before it; it is on the disk when this returns.

    Lines that the registry has and the end of the log lacks, as in a new workspace, come first.

    Args:
        root: the workspace.
        entry: what was decided.
        recorded: the registry's copy of lines, by their number.
    """
    lines = _lines(root)
    last = max((_number(*each) for each in enumerate(lines, 1)), default=0)
    lost = [recorded[number].encode() for number in sorted(recorded) if number > last]
    bound = dataclasses.replace(
        entry,
        user=_user(),
        host=platform.node(),
        number=max([last, *recorded]) + 1,
        before=_digest(_unbound([*lines, *lost])),
    )
    _write(log_path(root), [*lost, text(bound).encode()])
    return bound


def faults(root: Path, recorded: Mapping[int, str]) -> list[str]:
    """What was done to the log after it was written: a sentence for each line or gap.

    Args:
        root: the workspace.
        recorded: the registry's copy of lines, by their number.
    """
    lines = _lines(root)
    bound = {k: entry for k, line in enumerate(lines) if (entry := parse(line)) and entry.number}
    found = []
    for k, entry in bound.items():
        since = _unbound(lines[:k])
        if entry.before != _digest(since):
            found.append(_gap(k + 1, entry.number - _number(k, lines[k - 1]) - 1 if k else 0))
    told = {entry.number: lines[k] for k, entry in bound.items()}
    for number, copy in sorted(recorded.items()):
        if number not in told:
            found.append(f"decision {number} is missing; the registry has it: {copy}")
        elif told[number] != copy.encode():
            found.append(f"decision {number} was altered; the registry has it: {copy}")
    return found


def advice(root: Path, found: list[str]) -> str:
    """Faults as one sentence that says what to do about them."""
    return (
        f"{log_path(root)}: {'; '.join(found)}. Champions go by the registry's copy. Restore the "
        "file from a backup; or move it away, and the next decision writes it anew from the copy"
    )


def _gap(position: int, num_missing: int) -> str:
    if num_missing > 0:
        return f"{num_missing} of the decisions before line {position} were deleted"
    return f"what stands before line {position} was altered"


def _number(position: int, line: bytes) -> int:
    """The number of a line: its own, or, of one without, its position."""
    entry = parse(line)
    return entry.number or position if entry else position


def _unbound(lines: list[bytes]) -> list[bytes]:
    """The last line that is bound to those before it, and all after it."""
    for index in range(len(lines) - 1, -1, -1):
        entry = parse(lines[index])
        if entry and entry.number:
            return lines[index:]
    return lines


def _digest(lines: list[bytes]) -> str:
    return hashlib.sha256(b"\n".join(lines)).hexdigest()


def _lines(root: Path) -> list[bytes]:
    path = log_path(root)
    return path.read_bytes().splitlines() if path.exists() else []


def _write(path: Path, lines: list[bytes]) -> None:
    """Adds lines in one write; what a killed process left unfinished becomes a line of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - 1))
        torn = log.read() not in (b"", b"\n")
        log.write(b"\n" * torn + b"".join(line + b"\n" for line in lines))
        log.flush()
        os.fsync(log.fileno())


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under an id without a name
        return str(os.getuid())
