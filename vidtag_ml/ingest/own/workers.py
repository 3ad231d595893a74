"""Recordings are looked at in processes of their own, as many at once as there are CPUs.

A recording that crashes a decoder kills its process: it is found out alone, and stops no other.

Belongs here: doing many recordings at once. Does not belong here: what becomes of one
(inspection.py), the pieces of large folders (looks.py), the tables of all (tables.py).
"""

import contextlib
import errno
import functools
import itertools
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from vidtag_ml.ingest.own import inspection, journal, looks
from vidtag_ml.ingest.own.discovery import Candidate
from vidtag_ml.ingest.own.inspection import Intake

Report = Callable[[int, int], None]
Work = TypeVar("Work")


@dataclass(frozen=True)
class Job:
    """A recording to be looked at."""

    candidate: Candidate
    file: Path
    """The journal entry to write."""
    key: journal.Key
    """Of the entry."""
    began_ns: int
    """When the run began that does it."""

    @property
    def folder(self) -> Path:
        """Where pieces of a large folder are written."""
        return self.file.with_suffix("")

    def pieces(self) -> Iterator[looks.Piece]:
        """Those of a large folder, which are looked at before it."""
        return looks.pieces(self.candidate, self.key, self.folder)


def in_parallel(
    jobs: Sequence[Job],
    how: Intake,
    total: int,
    report: Report | None = None,
    pieces: Sequence[looks.Piece] = (),
) -> None:
    """Does the jobs in processes of their own; one that kills its process is left out, alone.

    Args:
        jobs: what is to be done.
        how: recordings are taken in.
        total: steps, of which those are done that are none of jobs' and pieces'.
        report: called with (steps done, total).
        pieces: what is looked at before; of one that kills its process, the folder's job tells.

    Raises:
        OSError: the disk is full.
        RuntimeError: no process can be started.
    """
    done = total - len(jobs) - sum(len(piece.photos) for piece in pieces)

    def tell(num: int) -> None:
        nonlocal done
        done += num
        if report:
            report(done, total)

    tell(0)
    for _ in _crashed(iter(pieces), _look, lambda piece: tell(len(piece.photos))):
        pass
    for job in _crashed(iter(jobs), functools.partial(_work, how=how), lambda _: tell(1)):
        advice, one = (
            "the decoder crashed on it; re-encode it, for example with ffmpeg",
            job.candidate,
        )
        found = [inspection.left_out(one.path, "error", advice, one.files)]
        journal.write(job.file, job.key, one.path, found, job.began_ns)


def _crashed(
    waiting: Iterator[Work], do: Callable[[Work], None], tell: Callable[[Work], None]
) -> Iterator[Work]:
    """Does all that is waiting; gives what kills its process even alone, and tells of all."""
    while suspects := _run(waiting, do, tell):
        for suspect in suspects:
            if _run(iter([suspect]), do, tell):
                yield suspect
                tell(suspect)


def _run(
    waiting: Iterator[Work], do: Callable[[Work], None], tell: Callable[[Work], None]
) -> list[Work]:
    """Does what is waiting until there is no more; returns what was under way when one died."""
    workers = os.cpu_count() or 1
    begun = list(itertools.islice(waiting, workers))
    if not begun:
        return []
    running: dict[Future[None], Work] = {}
    with ProcessPoolExecutor(min(workers, len(begun)), mp_context=_processes()) as pool:
        _check(pool)
        try:
            while begun or running:
                while begun:
                    running[pool.submit(do, begun[0])] = begun[0]
                    begun.pop(0)
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    future.result()
                    tell(running.pop(future))
                begun.extend(itertools.islice(waiting, 2 * workers - len(running)))
        except BrokenProcessPool:
            return [*running.values(), *begun]
    return []


def _check(pool: ProcessPoolExecutor) -> None:
    """Raises RuntimeError if no process lives at all, for which no recording is to blame."""
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool as error:
        told = "no process can be started; a script must be a file, and guard its main part"
        raise RuntimeError(told) from error


def _processes() -> Any:
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload([__name__])
    return server


def _look(piece: looks.Piece) -> None:
    """Looks at some photos; a mistake of ours is told by the folder's own job, which looks anew."""
    with contextlib.suppress(Exception):
        looks.look(piece)


def _work(job: Job, how: Intake) -> None:
    """Writes what became of one recording, or of the photos of one folder."""
    path, pieces = job.candidate.path, list(job.pieces())
    try:
        found = inspection.inspect(job.candidate, how, looks.known(pieces))
    except Exception as error:  # a mistake of ours must not stop the other recordings
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise
        advice = f"vidtag failed on it, please report this: {type(error).__name__}: {error}"
        found = [inspection.left_out(path, "error", advice, job.candidate.files)]
    journal.write(job.file, job.key, path, found, job.began_ns)
    looks.forget_others(pieces, job.folder)
