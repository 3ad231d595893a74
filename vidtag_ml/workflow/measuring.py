"""What work costs: memory, in a process of its own.

Belongs here: running apart and looking at the peak. Does not belong here: what is measured.
"""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

TIMED_CLIPS = 20
"""Clips on which seconds per frame are measured."""
_IMPORTED = (
    "scipy.spatial",
    "vidtag_ml.models.gps_retrieval.evaluate",
    "vidtag_ml.features.extraction",
    "vidtag_ml.models.gps_retrieval.locate",
    "vidtag_ml.models.classifier.network",
)
"""What every row imports; a server does so once for all of them."""


def slug(name: str) -> str:
    """A row's name as a folder's name.

    >>> slug("queue of 4,096")
    'queue-of-4-096'
    """
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())


def in_a_process(function: Callable[..., None], *arguments: Any) -> None:
    """Calls a function in a process of its own, whose peak memory is its own."""
    # Children of a server that has imported, not of this process, which has trained.
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(list(_IMPORTED))
    with ProcessPoolExecutor(1, mp_context=server) as pool:
        pool.submit(function, *arguments).result()


def peak_mb() -> float:
    """Largest resident memory of this process so far."""
    # ru_maxrss would start from the parent's: Linux hands it on.
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
