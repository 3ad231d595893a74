"""Locks among processes of a workspace: whoever waits says so, and a killed holder holds nothing.

Belongs here: taking a lock. Does not belong here: what is done under it (stage.py, and the registry
in vidtag_assets).
"""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import filelock

TELL_S = 2.0
"""After which a wait is told."""

_LOG = logging.getLogger(__name__)


@contextlib.contextmanager
def alone(path: Path, what: str) -> Iterator[None]:
    """Keeps other processes out meanwhile, but not the one that is in already.

    Args:
        path: of the lock's file, which stays.
        what: they do, for whoever waits.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path, is_singleton=True)
    try:
        held = lock.acquire(timeout=TELL_S)
    except filelock.Timeout:
        _LOG.warning("waiting for another process, which %s (it holds %s)", what, path)
        held = lock.acquire()
    with held:
        yield
