"""Processes of this machine: which one it is, and whether it has ended.

Belongs here: what the system says of processes, those that are gone included. Does not belong here:
what is done about it (runs.py for Dagster's runs, store/leftovers.py for MLflow's).
"""

import contextlib
import dataclasses
import os
import platform
import time
from pathlib import Path

_PROC = Path("/proc")


@dataclasses.dataclass(frozen=True)
class Process:
    """A process, told from all others: from one on another machine, or with its id later on."""

    host: str
    boot: str
    """The start of the machine and the container on it, as Linux names them; else empty."""
    pid: int
    born: float
    """When it began, in seconds after the boot; 0 where the system does not say."""

    @classmethod
    def own(cls) -> "Process":
        """The process that asks."""
        pid = os.getpid()
        return cls(platform.node(), _boot(), pid, _born(pid) or 0.0)

    @classmethod
    def parse(cls, text: str) -> "Process":
        """The process that `str` wrote."""
        host, boot, pid, born = text.split("|")
        return cls(host, boot, int(pid), float(born))

    def __str__(self) -> str:
        """The process as a tag."""
        return f"{self.host}|{self.boot}|{self.pid}|{self.born}"

    def is_gone(self) -> bool:
        """Whether it has certainly ended: nothing is said of another machine or container."""
        if self.host != platform.node():
            return False
        if self.boot == _boot():
            return _born(self.pid) != self.born
        return self.boot.split()[:1] != _boot().split()[:1]


def why_gone(pid: int | str) -> str:
    """Why what a process did is ended by another, as the end of a sentence."""
    return f"its process {pid} is gone (killed, out of memory or switched off)"


def _boot() -> str:
    """The start of this machine and the container, as Linux names them; else empty."""
    boot = _PROC / "sys" / "kernel" / "random" / "boot_id"
    if not boot.exists():
        return ""
    return f"{boot.read_text().strip()} {(_PROC / 'self' / 'ns' / 'pid').readlink()}"


def _born(pid: int) -> float | None:
    """When a process began, in seconds after the boot (0 where unknown); None if it has ended."""
    if not (_PROC / "self" / "stat").exists():
        return 0.0 if _exists(pid) else None
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = stat.rpartition(")")[2].split()  # the name before may hold blanks
    return None if state in "ZX" else int(fields[18]) / os.sysconf("SC_CLK_TCK")


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def lives_since(pid: int, timestamp: float) -> bool:
    """Whether the process that had this id at a time (in seconds since 1970) is still there."""
    born = _born(pid)
    if not born:
        return born is not None
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - born
    return age_s > time.time() - timestamp - 1.0


def is_worker(pid: int) -> bool:
    """Whether it looks like a step process: a guard before a signal is sent to it."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return b"multiprocessing" in (_PROC / str(pid) / "cmdline").read_bytes()
    return False
