"""Sums: the md5 of each file of a folder, kept beside them, and what they add up to.

Belongs here: taking them, the file that keeps them, what differs, the two digests of a folder that
follow from them. Does not belong here: what is made of a difference (models/bundle.py), digests
that decide whether a stage works (stage.py).
"""

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vidtag_ml.workflow import stage

FILE = "MD5SUMS"
"""In a folder, the sums of all its other files, as `md5sum -c` reads them."""
_NAMED = 3
"""Files that a sentence names."""

Sums = Mapping[str, str]
"""Name in the folder, with /, -> md5; in the order of names."""


def take(folder: Path) -> dict[str, str]:
    """The sums of all files in a folder as they lie there, about 0.5 GB a second and core."""
    files = {f.relative_to(folder).as_posix(): f for f in folder.rglob("*") if f.is_file()}
    names = sorted(files)
    with ThreadPoolExecutor() as threads:
        return dict(zip(names, threads.map(lambda n: stage.digest(files[n]), names), strict=True))


def write(folder: Path) -> None:
    """Keeps the sums of a folder in it, once all other files are written."""
    (folder / FILE).unlink(missing_ok=True)
    stage.write_text(folder / FILE, _text(take(folder)))


def kept(folder: Path) -> dict[str, str] | None:
    """The sums that a folder keeps; None if it keeps none.

    Raises:
        ValueError: the file is none of sums.
    """
    if not (folder / FILE).is_file():
        return None
    lines = (folder / FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    parts = [line.partition("  ") for line in lines]
    if any(len(md5) != 32 or not name for md5, _, name in parts):
        raise ValueError(f"{folder / FILE}: not a list of md5 sums")
    return {name: md5 for md5, _, name in parts}


def difference(found: Sums, recorded: Sums) -> str | None:
    """What differs from sums that were kept, in words; None if nothing does.

    >>> difference({"a": "1", "c": "3"}, {"a": "2", "b": "3"})
    'a changed; b missing; c added'
    """
    changed = [n for n in found if n in recorded and found[n] != recorded[n]]
    missing = [n for n in recorded if n not in found]
    added = [n for n in found if n not in recorded and n != FILE]
    parts = {"changed": changed, "missing": missing, "added": added}
    return "; ".join(f"{_few(names)} {what}" for what, names in parts.items() if names) or None


def digest(sums: Sums) -> str:
    """What `stage.digest` says of a folder with these sums."""
    return _md5(_text(sums))


def within(sums: Sums, folder: str) -> dict[str, str]:
    """The sums of a folder in a folder.

    >>> within({"a/b": "1", "c": "2"}, "a")
    {'b': '1'}
    """
    start = f"{folder}/"
    return {name.removeprefix(start): md5 for name, md5 in sums.items() if name.startswith(start)}


def dvc_md5(sums: Sums) -> str:
    """What DVC calls a folder with these sums: 32 digits and `.dir`."""
    files = [{"md5": sums[name], "relpath": name} for name in sorted(sums)]
    return f"{_md5(json.dumps(files, sort_keys=True))}.dir"


def _text(sums: Sums) -> str:
    return "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))


def _few(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
