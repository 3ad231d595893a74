"""`make demo`: the main job in one process, told as it happens, and a video located by its model.

Belongs here: running the whole asset graph on the instance that `dagster dev` shows, and the
summary of that. Does not belong here: the graph (definitions.py), locating
(vidtag_ml.models.vidtag.locator).
"""

import contextlib
import json
import logging
import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import dagster as dg
from dotenv import load_dotenv

from orchestration import jobs
from orchestration.definitions import ROOT, defs
from vidtag_assets import home, registry, runs
from vidtag_assets.resources import Tracking
from vidtag_ml import config
from vidtag_ml.cli.output import print_line, print_sheet
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.models import recording
from vidtag_ml.models.gps_retrieval import figures as gps_figures
from vidtag_ml.models.gps_retrieval import stages as gps_stages
from vidtag_ml.workflow import layout, progress, stage

FIGURES = (
    "median_km",
    "acc_25km",
    "acc_100km",
    "acc_200km",
    "acc_750km",
    "video_median_km",
    "dfd_km",
    "mrd_km",
)
"""Of each model in summary.json."""
STOPPED = "vidtag: stopped. What is finished is kept, and a rerun goes on from there."


def main(root: Path = ROOT, defs: dg.Definitions = defs) -> None:
    """Runs the main job in the workspace `root`; exits with 1 and one line if it fails.

    If it is stopped (Ctrl-C, SIGTERM, a closed terminal) it exits with 130.
    """
    load_dotenv(root / ".env")
    try:
        home.check_dagster(root)
    except ValueError as error:
        sys.exit(f"vidtag: {error}")
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
        files = locate(root)
    except ValueError as error:
        sys.exit(f"vidtag: {error}")
    _tell(root, summarise(root, time.monotonic() - began), files)


def materialize(defs: dg.Definitions, terminal: TextIO) -> str | None:
    """Materializes all assets on the configured instance; what failed, in one line, or None.

    Raises:
        KeyboardInterrupt: it was stopped.
    """
    main_job = defs.resolve_job_def(jobs.everything.name)
    story = _Story(terminal, len(main_job.asset_layer.selected_asset_keys))

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
            tags=runs.Process.own().tags(run_id),
        )
    if story.stopped:
        raise KeyboardInterrupt
    return None if result.success else story.failure or f"run {result.run_id} failed"


def locate(root: Path) -> list[Path]:
    """Locates the first test clip with the model that answers; returns the files in `out/demo/`."""
    from vidtag_ml.models import located
    from vidtag_ml.models.vidtag.locator import VidtagLocator

    params = config.load(root / "params.yaml")
    at = layout.of(root, params)
    tables = clip_tables.read(at.dataset)
    clip = tables.clips[tables.clips["split"] == "test"].iloc[0]
    tracking = Tracking(root=str(root))
    model = answering(tracking, registry.name_of(registry.NAME, params))
    bundle = registry.bundle_path(tracking, model)
    seen = recording.of_clip(tables, clip["clip_id"], at.dataset)
    track = VidtagLocator.load(bundle).locate(seen)
    truth, _ = clip_tables.clip_positions(
        tables, clip["clip_id"], track.time_s, params.clips.max_gap_s
    )
    return located.write_files(track, root / "out" / "demo", truth_T2=truth)


def answering(tracking: Tracking, name: str) -> str:
    """The model that locates: the champion, or the challenger while the gate wants none."""
    promoted = registry.CHAMPION in registry.aliases(tracking, name)
    return f"{name}@{registry.CHAMPION if promoted else registry.CHALLENGER}"


def summarise(root: Path, seconds: float) -> dict[str, Any]:
    """The figures of both models on the test clips, also written to `out/demo/summary.json`."""
    reports = _summaries(root)
    first = reports["vidtag"]
    name = registry.name_of(registry.NAME, config.load(root / "params.yaml"))
    summary = {
        "models": {name: {f: report[f] for f in FIGURES} for name, report in reports.items()},
        "oracle_median_km": first["oracle_median_km"],
        "gallery_size": first["gallery_size"],
        "num_test_clips": first["num_clips"],
        "num_test_frames": first["num_frames"],
        "seconds": round(seconds, 1),
        "registered_model": name,
        "champion_version": registry.aliases(Tracking(root=str(root)), name).get(registry.CHAMPION),
    }
    text = json.dumps(summary, indent=2, allow_nan=False)
    stage.write_text(root / "out" / "demo" / "summary.json", text + "\n")
    return summary


def _summaries(root: Path) -> dict[str, Mapping[str, Any]]:
    from vidtag_ml.models.report import Report

    at = layout.of(root, config.load(root / "params.yaml"))
    return {name: Report.read(at.evaluation(name)).summary for name in gps_stages.MODELS}


def _tell(root: Path, summary: Mapping[str, Any], files: list[Path]) -> None:
    print_line("")
    print_sheet(gps_figures.side_by_side(_summaries(root)))
    if config.load(root / "params.yaml").clips.source.startswith("flyover"):
        print_line("Test flights are new, but cross an Earth whose pixels training has seen.")
    print_line(f"\n{verdict(root, summary)} It located a test clip that it had never seen:")
    for path in [*files, root / "out" / "demo" / "summary.json"]:
        print_line(f"  {path.relative_to(root)}")
    print_line(
        f"\nDone in {summary['seconds']:.0f} s. Where to look next:\n"
        "  make dev       the asset graph, with this run in it, on http://127.0.0.1:3000\n"
        "  make mlflow    runs, metrics and the registry (mlflow ui) on http://127.0.0.1:5000\n"
        f"  .venv/bin/vidtag locate VIDEO{asked(summary)}    any video of your own"
    )


def verdict(root: Path, summary: Mapping[str, Any]) -> str:
    """Which version answers, and why if it is no champion."""
    name, champion = summary["registered_model"], summary["champion_version"]
    if champion:
        return f"Champion: {name}, version {champion}."
    last = [entry for entry in registry.history(root) if entry.model == name][-1]
    return (
        f"There is no champion: the gate rejected {name}, version {last.version}: {last.reason}.\n"
        f"It stays @{registry.CHALLENGER}."
    )


def asked(summary: Mapping[str, Any]) -> str:
    """How `vidtag locate` is told which model, where it is not the one that it would take."""
    name = summary["registered_model"]
    if summary["champion_version"]:
        return "" if name == registry.NAME else f" --model {name}"
    return f" --model {name}@{registry.CHALLENGER}"


class _Story(logging.Handler):
    """Dagster's events as lines: which asset is made, what came of it, what failed."""

    def __init__(self, terminal: TextIO, num_assets: int) -> None:
        super().__init__()
        self.terminal, self.num_assets, self.num_made = terminal, num_assets, 0
        self.listener = runs.Listener()
        self.failure: str | None = None
        self.stopped = False
        self.began: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
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
            self.failure = f"{step}: {_cause(event)}"
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


def _cause(event: dg.DagsterEvent) -> str:
    """The message of the error that a user's code raised, in one line."""
    data: Any = event.event_specific_data
    error = data.error.cause or data.error
    return " ".join(str(error.message).split())


@contextlib.contextmanager
def _terminal() -> Iterator[TextIO]:
    """Standard output as it is now: during a step Dagster sends it to a file."""
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as stream:
        yield stream


if __name__ == "__main__":
    main()
