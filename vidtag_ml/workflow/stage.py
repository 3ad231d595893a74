"""Stages: outputs written aside, renamed when complete, with a record of what they were made from.

Belongs here: digests of data, the record beside an output that lets a stage skip itself (decision
11), and atomic writes. Does not belong here: what any stage makes, or of what its key consists
(inputs.py, code_key.py).
"""

import contextlib
import contextvars
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from vidtag_ml.workflow import locks

RECORD = ".record.json"
"""Behind the name of an output: the file beside it that tells what it was made from."""
POLL_S = 0.1
"""Between two looks of a process that waits for the first of its group."""
_LEFT = re.compile(r"[0-9a-f]{12}|old|call-\d+")
"""Ends of names of what tries of other keys and killed processes left beside an output."""
_IS_LOOKING = contextvars.ContextVar("_IS_LOOKING", default=False)


def digest(path: Path) -> str:
    """md5 of a file's bytes, or of the names and bytes of all files in a folder.

    Raises:
        FileNotFoundError: there is nothing at `path`.
    """
    if not path.is_dir():
        with path.open("rb") as file:
            return hashlib.file_digest(file, _md5).hexdigest()
    whole = _md5()
    files = {f.relative_to(path).as_posix(): f for f in path.rglob("*") if f.is_file()}
    for name in sorted(files):
        whole.update(f"{digest(files[name])}  {name}\n".encode())
    return whole.hexdigest()


def make(out: Path, key: Mapping[str, Any], build: Callable[[Path], None]) -> bool:
    """True if `out` had to be built; False if it is there, unharmed, and was made from `key`.

    The record is `NAME.record.json` beside `out`. A build that fails or is killed leaves `out` as
    it was; what it wrote stays aside, where the next build of the same key finds it and may resume.
    Another process that makes `out` just now is waited for. Within `looking` nothing is built.

    Args:
        out: the file or folder to make.
        key: all that determines the output: parameters, digests of inputs and of code. JSON-safe.
        build: creates the path that it is given, a file or a folder as `out` should be.
    """
    key = json.loads(json.dumps(key, sort_keys=True))
    if is_made(out, key) and not _old(out).exists():
        return False
    if _IS_LOOKING.get():
        return True
    if os.environ.get("RANK", "0") != "0":
        return _take_part(out, key, build)
    with locks.alone(out.with_name(f".{out.name}.lock"), f"makes {out}"):
        return _make(out, key, build)


def _make(out: Path, key: Mapping[str, Any], build: Callable[[Path], None]) -> bool:
    record_path = out.with_name(f"{out.name}{RECORD}")
    old = _old(out)
    if old.exists() and not out.exists():
        old.rename(out)
    if is_made(out, key):
        _remove(old)
        return False
    aside = _aside(out, key)
    out.parent.mkdir(parents=True, exist_ok=True)
    for other in out.parent.glob(f".{out.name}.*"):
        if other != aside and _LEFT.fullmatch(other.name[len(out.name) + 2 :]):
            _remove(other)
    with _calling(out):
        build(aside)
    made = digest(aside)
    if out.exists():
        out.rename(old)
    aside.rename(out)
    write_text(record_path, json.dumps({"key": key, "digest": made}, indent=1) + "\n")
    _remove(old)
    return True


def _take_part(out: Path, key: Mapping[str, Any], build: Callable[[Path], None]) -> bool:
    """What torchrun's other processes do: they build with the first one, which decides and writes.

    They go on once the output is in its place. True if they had to build; False if the first one
    finds that `out` is made.
    """
    while not _is_called(out):
        if is_made(out, key):
            return False
        time.sleep(POLL_S)
    build(_aside(out, key))
    _call(out, os.environ["RANK"]).touch()
    while not is_made(out, key):
        time.sleep(POLL_S)
    return True


@contextlib.contextmanager
def _calling(out: Path) -> Iterator[None]:
    """Has torchrun's other processes, if there are any, build as well, and waits for them."""
    others = [_call(out, str(k)) for k in range(1, int(os.environ.get("WORLD_SIZE", "1")))]
    if others:
        write_text(_call(out, "0"), _group())
    try:
        yield
        while not all(other.exists() for other in others):
            time.sleep(POLL_S)
    finally:
        for call in [_call(out, "0"), *others]:
            call.unlink(missing_ok=True)


def _is_called(out: Path) -> bool:
    """Whether the first process of this group builds."""
    with contextlib.suppress(FileNotFoundError):
        return _call(out, "0").read_text() == _group()
    return False


def _call(out: Path, rank: str) -> Path:
    """A process's word: the first one's that it builds, another's that it has done its part."""
    return out.with_name(f".{out.name}.call-{rank}")


def _group() -> str:
    """The processes that torchrun began together."""
    names = "TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT"
    return " ".join(os.environ.get(name, "") for name in names)


def _aside(out: Path, key: Mapping[str, Any]) -> Path:
    """Where an output is built."""
    return out.with_name(f".{out.name}.{_md5(json.dumps(key).encode()).hexdigest()[:12]}")


def _old(out: Path) -> Path:
    """Where an output is while another takes its place."""
    return out.with_name(f".{out.name}.old")


def is_made(out: Path, key: Mapping[str, Any]) -> bool:
    """Whether `out` was made from `key` and still has the bytes that its record tells of."""
    made_of, made = recorded(out)
    return made_of == json.loads(json.dumps(key)) and out.exists() and made == digest(out)


def made_from(out: Path) -> Any:
    """The key that `out` was made from; None if it has not the bytes that its record tells of."""
    key, made = recorded(out)
    return key if out.exists() and made == digest(out) else None


def recorded(out: Path) -> tuple[Any, Any]:
    """The key that an output was made from, and its digest; None of both if nothing tells."""
    try:
        record = json.loads(out.with_name(f"{out.name}{RECORD}").read_text())
        return record["key"], record["digest"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):  # no JSON, or no UTF-8
        return None, None


@contextlib.contextmanager
def looking() -> Iterator[None]:
    """Within the block `make` builds nothing, and still says whether it would have to."""
    token = _IS_LOOKING.set(True)
    try:
        yield
    finally:
        _IS_LOOKING.reset(token)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path beside `path`, with the same suffix, which replaces it when the block ends well.

    If the block fails, `path` stays as it was and nothing is left aside. An `OSError` that names no
    file (a full disk) is made to name this one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        yield aside
        aside.replace(path)
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise
    finally:
        aside.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Writes a text file (UTF-8, as given) in one step: readers see the old text or the new one."""
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="")


def _md5(data: bytes = b"") -> "hashlib._Hash":
    return hashlib.md5(data, usedforsecurity=False)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
