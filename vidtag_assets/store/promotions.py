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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ACTIONS = ("rejected", "promoted", "rolled back")
"""What is decided; of decisions taken at the same moment, a later one of these stands."""
Copies = Mapping[int, Sequence[str]]
"""The registry's copies of lines by their number: several where machines decided at once."""


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


def standing(entries: Sequence[Promotion]) -> Promotion:
    """Of decisions that machines took at the same moment, the one that stands, the same for all.

    It is one that changes the champion rather than one that does not, a person's rollback rather
    than a promotion, and else the last.
    """
    return max(entries, key=lambda entry: (ACTIONS.index(entry.action), entry.time, text(entry)))


def append(root: Path, entry: Promotion, recorded: Copies) -> Promotion:
    """Adds a decision, bound to what stands before it; it is on the disk when this returns.

    Lines that the registry has and the end of the log lacks, as in a new workspace, come first.

    Args:
        root: the workspace.
        entry: what was decided.
        recorded: the registry's copies of lines, as they were when it was decided.
    """
    lines = _lines(root)
    last = _last(lines)
    lost = [_standing_line(recorded[number]) for number in sorted(recorded) if number > last]
    bound = dataclasses.replace(
        entry,
        user=_user(),
        host=platform.node(),
        number=max([last, *recorded]) + 1,
        before=_digest(_unbound([*lines, *lost])),
    )
    _write(log_path(root), [*lost, text(bound).encode()])
    return bound


def faults(root: Path, recorded: Copies, *, shared: bool = False) -> list[str]:
    """What was done to the log after it was written: a sentence for each line or gap.

    Args:
        root: the workspace.
        recorded: the registry's copies of lines.
        shared: whether other workspaces decide about the same registry. Of their decisions the
            log knows those up to its own last one: what came later is nothing that it lost.
    """
    lines = _lines(root)
    bound = {k: entry for k, line in enumerate(lines) if (entry := parse(line)) and entry.number}
    found = []
    for k, entry in bound.items():
        if entry.before not in _digests_before(lines[:k], recorded):
            found.append(_gap(k + 1, entry.number - _number(k, lines[k - 1]) - 1 if k else 0))
    told = {entry.number: lines[k] for k, entry in bound.items()}
    for number, copies in sorted(recorded.items()):
        has_it = f"the registry has it: {' and '.join(copies)}"
        if number in told and told[number].decode(errors="replace") not in copies:
            found.append(f"decision {number} was altered; {has_it}")
        elif number not in told and not (shared and number > _last(lines)):
            found.append(f"decision {number} is missing; {has_it}")
    return found


def _digests_before(lines: list[bytes], recorded: Copies) -> list[str]:
    """What a line may be bound to that follows these.

    Where machines decided at once, each log has one of their lines, and the next decision may be
    bound to another.
    """
    since = _unbound(lines)
    bound = parse(since[0]) if since else None
    copies = [copy.encode() for copy in recorded.get(bound.number, ())] if bound else []
    others = [[copy, *since[1:]] for copy in copies if since[0] in copies]
    return [_digest(each) for each in (since, *others)]


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


def _last(lines: list[bytes]) -> int:
    return max((_number(*each) for each in enumerate(lines, 1)), default=0)


def _standing_line(copies: Sequence[str]) -> bytes:
    entries = {entry: copy for copy in copies if (entry := parse(copy))}
    return entries[standing(list(entries))].encode()


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
