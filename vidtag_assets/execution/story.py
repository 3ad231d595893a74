"""A run told as it happens, a line an asset and a check.

Belongs here: Dagster's events as lines. Does not belong here: running (orchestration/demo.py), how
runs are stopped and cleared (runs.py), progress within an asset (vidtag_ml/workflow/progress.py).
"""

import logging
import signal
import time
from typing import Any, TextIO

import dagster as dg

from vidtag_assets.execution import runs


class Story(logging.Handler):
    """Dagster's events as lines: which asset is made, what came of it, what failed."""

    def __init__(self, terminal: TextIO, num_assets: int) -> None:
        """Starts before the first of so many assets."""
        super().__init__()
        self.terminal, self.num_assets, self.num_made = terminal, num_assets, 0
        self.listener = runs.Listener()
        self.failure: str | None = None
        self.stopped = False
        self.began: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Tells an event, if it is worth a line; notes what failed."""
        event: dg.DagsterEvent | None = getattr(record, "dagster_meta", {}).get("dagster_event")
        if event is None:
            return
        self.listener.notice(event)
        kind, step = event.event_type_value, event.step_key or ""
        # What Dagster begins after this event, to copy output, would answer Ctrl-C with tracebacks.
        how = signal.SIG_BLOCK if kind == "RESOURCE_INIT_SUCCESS" else signal.SIG_UNBLOCK
        signal.pthread_sigmask(how, {signal.SIGINT})
        if kind == "STEP_START":
            self.began[step] = time.monotonic()
        elif kind == "ASSET_MATERIALIZATION":
            self._materialized(event, time.monotonic() - self.began[step])
        elif kind == "ASSET_CHECK_EVALUATION":
            self._checked(event)
        elif kind == "STEP_FAILURE" and self.failure is None:
            self.failure = f"{step}: {cause(event)}"
        elif kind == "PIPELINE_FAILURE":
            reason = event.job_failure_data.failure_reason
            self.stopped = reason is not None and reason.name == "UNEXPECTED_TERMINATION"

    def _materialized(self, event: dg.DagsterEvent, seconds: float) -> None:
        self.num_made += 1
        metadata = event.step_materialization_data.materialization.metadata
        worked = metadata.get("worked")
        did = "done" if worked is None else "made"
        unchanged = worked is not None and not worked.value
        state = "unchanged" if unchanged else f"{did} in {seconds:.0f} s"
        name = event.asset_key.to_user_string() if event.asset_key else ""
        self.say(f"[{self.num_made:>2}/{self.num_assets}] {name:<20} {state}")

    def _checked(self, event: dg.DagsterEvent) -> None:
        check: Any = event.event_specific_data
        mark = "holds" if check.passed else f"does not hold ({check.severity.value.lower()})"
        why = f": {check.description}" if check.description and not check.passed else ""
        self.say(f"        check {check.check_name} {mark}{why}")
        if not check.passed and check.severity == dg.AssetCheckSeverity.ERROR:
            self.failure = self.failure or f"check {check.check_name} of {check.asset_key} failed"

    def say(self, text: str) -> None:
        """Writes a line."""
        self.terminal.write(f"{text}\n")
        self.terminal.flush()


def cause(event: dg.DagsterEvent) -> str:
    """The message of the error that a user's code raised, in one line."""
    data: Any = event.event_specific_data
    error = data.error.cause or data.error
    return " ".join(str(error.message).split())
