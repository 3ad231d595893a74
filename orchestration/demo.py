"""`make demo`: the main job in one process, told as it happens, and a video located by its model.

Belongs here: running the whole asset graph on the instance that `dagster dev` shows. Does not
belong here: the graph (definitions.py), what is told meanwhile (vidtag_assets/execution/story.py)
and in the end (vidtag_assets/demonstration.py).
"""

import contextlib
import logging
import os
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import dagster as dg
from dotenv import load_dotenv

from orchestration import jobs
from vidtag_assets import demonstration
from vidtag_assets.execution import runs
from vidtag_assets.execution.story import Story
from vidtag_assets.workspace import home
from vidtag_ml.workflow import progress

STOPPED = "vidtag: stopped. What is finished is kept, and a rerun goes on from there."


def here() -> None:
    """Runs the main job in the repository; settings or params that are wrong are one line."""
    load_dotenv(home.CODE / ".env")
    try:
        from orchestration.definitions import ROOT, defs
    except ValueError as error:
        sys.exit(f"vidtag: {error}")
    main(ROOT, defs)


def main(root: Path, defs: dg.Definitions) -> None:
    """Runs the main job in the workspace `root`; exits with 1 and one line if it fails.

    If it is stopped (Ctrl-C, SIGTERM, a closed terminal) it exits with 130.
    """
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    try:
        _demonstrate(root, defs)
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):  # the terminal may be closed
            sys.stderr.write(f"{STOPPED}\n")
        sys.exit(130)


def _demonstrate(root: Path, defs: dg.Definitions) -> None:
    began = time.monotonic()
    with _terminal() as terminal, progress.showing(terminal):
        failure = materialize(defs, terminal)
    if failure:
        sys.exit(f"vidtag: {failure}")
    try:
        files = demonstration.locate(root)
    except ValueError as error:
        sys.exit(f"vidtag: {error}")
    summary = demonstration.summarise(root, time.monotonic() - began)
    demonstration.tell(root, summary, files)


def materialize(defs: dg.Definitions, terminal: TextIO) -> str | None:
    """Materializes all assets on the configured instance; what failed, in one line, or None.

    Raises:
        KeyboardInterrupt: it was stopped.
    """
    main_job = defs.resolve_job_def(jobs.everything.name)
    story = Story(terminal, len(main_job.asset_layer.selected_asset_keys))

    @dg.logger
    def story_logger(_context: dg.InitLoggerContext) -> logging.Logger:
        log = logging.Logger("demo", logging.DEBUG)
        log.addHandler(story)
        return log

    told = dg.Definitions.merge(defs, dg.Definitions(loggers={"story": story_logger}))
    job = told.resolve_job_def(jobs.everything.name)
    run_id = str(uuid.uuid4())
    with (
        dg.DagsterInstance.get() as instance,
        runs.attended(instance, run_id, story.say),
    ):
        result = job.execute_in_process(
            run_config={"loggers": {"story": {}}},
            instance=instance,
            raise_on_error=False,
            run_id=run_id,
            tags=runs.tags(run_id),
        )
    if story.stopped:
        raise KeyboardInterrupt
    return None if result.success else story.failure or f"run {result.run_id} failed"


@contextlib.contextmanager
def _terminal() -> Iterator[TextIO]:
    """Standard output as it is now: during a step Dagster sends it to a file."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as stream:
        yield stream


if __name__ == "__main__":
    here()
