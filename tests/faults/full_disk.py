"""A workspace on a small disk of its own, full at first: the graph fails, and then ends whole.

Belongs here: what a process does that has mounts of its own, which end with it.
"""

import ctypes
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.faults import graph, whole

BALLAST = "ballast"
NEW_MOUNTS, NEW_USER = 0x00020000, 0x10000000
"""Linux's CLONE_NEWNS and CLONE_NEWUSER."""


def run_twice(template: Path, free_kb: int) -> None:
    """Runs the graph on a disk with so much room, and again when there is more.

    Into the template go both exit codes, what is wrong after the second run, and its results, as
    `told.json`, and what the runs said.
    """
    root = _on_a_disk(template)
    disk = root.parent
    free = shutil.disk_usage(disk).free - free_kb * 1024
    with (disk / BALLAST).open("wb") as ballast:
        for _ in range(free // 4096):
            ballast.write(bytes(4096))
    full = _run(root)
    (disk / BALLAST).unlink()
    told = [[full, _run(root)], whole.wrongs(root), whole.results(root)]
    (template / "told.json").write_text(json.dumps(told))
    shutil.copy(root / "said", template)


def may_mount() -> None:
    """Exits with 0 if a process may have a disk of its own here."""
    _unshare()
    sys.exit(subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False).returncode)


def _on_a_disk(root: Path) -> Path:
    """A copy of a workspace on a disk that only this process and its children see."""
    _unshare()
    disk = Path(tempfile.mkdtemp(dir=root.parent))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", disk], check=True)
    return Path(shutil.copytree(root, disk / "workspace", symlinks=True))


def _unshare() -> None:
    """Gives this process mounts of its own, as `unshare --mount --map-root-user` does."""
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(NEW_MOUNTS | NEW_USER):
        raise OSError(ctypes.get_errno(), "no mounts of its own")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def _run(root: Path) -> int | None:
    """Exit code of the graph in a process of its own."""
    process = multiprocessing.get_context("fork").Process(target=graph.demonstrate, args=(root,))
    process.start()
    process.join()
    return process.exitcode
