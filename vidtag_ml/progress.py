"""Progress: what stages log while they work, shown to a person.

Belongs here: how `vidtag_ml.progress` messages look, bars on a terminal and lines elsewhere. Does
not belong here: who logs them (stages.py).
"""

import contextlib
import logging
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress


@contextlib.contextmanager
def showing(stream: TextIO | None = None) -> Iterator[None]:
    """Shows what stages log to `vidtag_ml.progress`: bars on a terminal, else a line at times.

    Args:
        stream: where to; standard error if not given.
    """
    log = logging.getLogger("vidtag_ml.progress")
    stream = stream or sys.stderr
    handler = _Bars(stream) if stream.isatty() else _Lines(stream)
    level, propagate = log.level, log.propagate
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagate
        handler.close()


class _Lines(logging.Handler):
    """A line every ten seconds, and at the end; sentences as they come."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream, self.last = stream, 0.0

    def emit(self, record: logging.LogRecord) -> None:
        _, done, total = record.__dict__.get("progress", ("", 1, 1))
        if done >= total or time.monotonic() - self.last > 10:
            self.last = time.monotonic()
            self.stream.write(f"{record.getMessage()}\n")
            self.stream.flush()


class _Bars(logging.Handler):
    """A bar for each piece of work, one at a time; sentences between them."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self.stream = stream
        self.bars: Progress | None = None

    def emit(self, record: logging.LogRecord) -> None:
        from rich.console import Console
        from rich.progress import MofNCompleteColumn, Progress

        if "progress" not in record.__dict__:
            self._stop()
            self.stream.write(f"{record.getMessage()}\n")
            return
        what, done, total = record.__dict__["progress"]
        if self.bars is None:
            columns = (*Progress.get_default_columns(), MofNCompleteColumn())
            self.bars = Progress(*columns, console=Console(file=self.stream))
            self.bars.start()
            self.task = self.bars.add_task(what, total=total)
        self.bars.update(self.task, completed=done, total=total)
        if done >= total:
            self._stop()

    def close(self) -> None:
        self._stop()
        super().close()

    def _stop(self) -> None:
        if self.bars is not None:
            self.bars.stop()
            self.bars = None
