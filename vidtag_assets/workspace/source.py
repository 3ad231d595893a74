"""The code that runs: which commit it is, how it differs from that, and all of it in one file.

A commit can be lost, and an archive that was downloaded has none: what a model was made with is
stored with it, and the digest of that stands for the commit (decision 35).

Belongs here: reading, packing and unpacking code. Does not belong here: what else is stored
(lineage/stored.py), which code decides a stage (vidtag_ml.workflow.code_key).
"""

import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

from vidtag_ml.workflow import stage, sums

NO_GIT = "no-git"
"""Stands for the commit where the code is not in a Git repository, or that has no commit yet."""
PACKAGES = ("vidtag_ml", "vidtag_assets", "orchestration")
FOLDERS = (*PACKAGES, "params")
FILES = (
    ".dvcignore", ".gitignore", "LICENSE", "Makefile", "NOTICE", "README.md", "constraints.txt",
    "constraints-dvc.txt", "dagster.yaml", "data/.gitignore", "dvc.yaml", "pyproject.toml",
    "set-up",
)  # fmt: skip
"""Beside the folders, what an environment is set up from and stages are recorded with."""
WEIGHTS, MOST_BYTES = "data/encoders", 4_000_000
"""What trainings start from comes with the code: packed up to this size, no part of its digest."""
_RECORDS = (":!dvc.lock", ":!data/*.dvc", ":!params.yaml")
"""What tells of data and holds parameters, which have identities of their own."""


def files(code: Path) -> dict[str, Path]:
    """The files of the code in a folder, by their names there."""
    within = (path for folder in FOLDERS for path in (code / folder).rglob("*"))
    found = {path.relative_to(code).as_posix(): path for path in within}
    found |= {name: code / name for name in FILES}
    known = sorted(found.items())
    return {name: path for name, path in known if path.is_file() and "__pycache__" not in name}


def digest(code: Path) -> str:
    """md5 of the names and bytes of the code in a folder."""
    return sums.digest({name: stage.digest(path) for name, path in files(code).items()})


def pack(code: Path, path: Path) -> None:
    """Writes the code in a folder as one archive."""
    weights = (file for file in (code / WEIGHTS).glob("*") if file.stat().st_size <= MOST_BYTES)
    packed = files(code) | {f"{WEIGHTS}/{file.name}": file for file in weights}
    with tarfile.open(path, "w") as archive:
        for name, file in packed.items():
            archive.add(file.resolve(), name)


def unpack(path: Path, folder: Path) -> None:
    """Puts the code of an archive into a folder, made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path) as archive:
        archive.extractall(folder, filter="data")


def commit(code: Path) -> str:
    """The commit of the code in a folder, with `+changes` if it differs from that.

    Modules that Git does not know count; records of data do not, whose md5s are tags of their own.
    """
    if not _git(code, "ls-files", "--", *PACKAGES):
        return NO_GIT
    head = _git(code, "rev-parse", "--verify", "HEAD")
    if not head:
        return NO_GIT
    changed = _git(
        code, "status", "--porcelain", "--untracked-files=no", "--", ".", *_RECORDS
    ) or _unknown(code)
    return f"{head}+changes" if changed else head


def changes(code: Path) -> bytes:
    """How the code in a folder differs from its commit, as `git apply` reads it; new files too."""
    if commit(code) == NO_GIT:
        return b""
    with tempfile.TemporaryDirectory() as aside:
        index = {"GIT_INDEX_FILE": str(Path(aside) / "index")}
        _git(code, "read-tree", "HEAD", **index)
        if new := _unknown(code):
            _git(code, "add", "--intent-to-add", "--", *new.splitlines(), **index)
        said = _git(code, "diff", "--binary", "HEAD", "--", ".", *_RECORDS, **index)
    return f"{said}\n".encode(errors="surrogateescape") if said else b""


def _unknown(code: Path) -> str:
    """Files of the code that Git does not know and does not ignore, a line each."""
    return _git(code, "ls-files", "--others", "--exclude-standard", "--", *PACKAGES, "params")


def _git(folder: Path, *arguments: str, **variables: str) -> str:
    """What Git says; nothing where it fails or is not there."""
    command = ["git", "-c", "core.quotePath=false", *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, env={**os.environ, **variables}, capture_output=True, check=False,
            encoding="utf-8", errors="surrogateescape",
        )  # fmt: skip
    except FileNotFoundError:
        return ""
    return done.stdout.strip("\n") if done.returncode == 0 else ""
