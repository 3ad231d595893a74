"""Progress: what stages log while they work, and how far work on files is, shown to a person.

Belongs here: how `vidtag_ml.progress` messages look, bars on a terminal and lines elsewhere; bars
of files. Does not belong here: who logs them (each room's module `stages`), who works on files
(models/answers.py).
"""

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress


REPORT_EVERY_S = 1.0

_LOG = logging.getLogger("vidtag_ml.progress")


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


class Batch:
    """Bars of work on files: the frames of the one at hand and, of several, all by their size.

    On a terminal only; elsewhere nothing is written. Bars are gone between two files, so that
    results can be printed then.
    """

    def __init__(self, sizes: Sequence[int], stream: TextIO | None = None) -> None:
        """Has shown nothing yet.

        Args:
            sizes: of the files that there will be.
            stream: where to; standard error if not given.
        """
        self._stream, self._sizes = stream or sys.stderr, sizes
        self._bars: Progress | None = None
        self._num, self._bytes = 0, 0

    @contextlib.contextmanager
    def file(self, name: str, size: int) -> Iterator[Callable[[int, int], None] | None]:
        """Shows work on the next file while it lasts; gives what to call with (done, total)."""
        if not self._stream.isatty():
            yield None
            return
        bars = self._bars = self._bars or self._begun()
        one = bars.add_task(name, total=None, count="")

        def report(done: int, total: int) -> None:
            bars.update(one, completed=done, total=total, count=f"{done}/{total} frames")
            self._all(bars, self._bytes + size * done / total)

        bars.start()
        try:
            yield report
        finally:
            self._num, self._bytes = self._num + 1, self._bytes + size
            bars.remove_task(one)
            self._all(bars, self._bytes)
            bars.stop()

    def _begun(self) -> "Progress":
        from rich.console import Console
        from rich.progress import Progress, TextColumn

        columns = (*Progress.get_default_columns(), TextColumn("{task.fields[count]}"))
        console = Console(file=self._stream)
        bars = Progress(*columns, console=console, transient=True, redirect_stdout=False)
        if len(self._sizes) > 1:
            bars.add_task("all", total=sum(self._sizes), count="")
            self._all(bars, 0)
        return bars

    def _all(self, bars: "Progress", done: float) -> None:
        if len(self._sizes) > 1:
            count = f"{self._num}/{len(self._sizes)} files"
            bars.update(bars.task_ids[0], completed=done, count=count)


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


def reporter(what: str) -> Callable[[int, int], None]:
    """A function of (done, total) that logs once a second, and when all is done."""
    last = 0.0

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done >= total or now - last >= REPORT_EVERY_S:
            last = now
            _LOG.info("%s: %d of %d", what, done, total, extra={"progress": (what, done, total)})

    return report


def tell(sentence: str) -> None:
    """Says a sentence where progress is shown."""
    _LOG.warning(sentence)
