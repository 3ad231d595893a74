"""What all systems have in common that search coordinates.

Belongs here: their reports, what is shown of these, baselines that see one frame at a time. Does
not belong here: any of them (its system.py).
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_ml import config
from vidtag_ml.models.gps_retrieval import figures, stages
from vidtag_ml.models.system import Reports, Shown, Stage, System, Training
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from vidtag_ml.models.report import Report

NUM_TRACKS = 6
"""Example tracks: evenly spaced between the best and the worst."""
ABOUT_TRACKS = """Tracks and figures on val, which decides promotion, and on test, which is only
reported: `out/evaluation/`. Every figure carries its gallery.

**When it fails:** a model, gallery or feature store is missing or does not fit the others;
materialize what the message names, then this again.
"""


def read_report(folder: Path) -> "Report":
    """The report on tracks in a folder."""
    from vidtag_ml.models.report import Report

    return Report.read(folder)


def show_tracks(reports: Reports, at: Layout, _params: config.Params) -> Shown:
    """Example tracks, errors, the clips with the largest, and how often radii hold the truth."""
    from vidtag_ml.plots import charts, maps

    test = reports["test"]
    order = test.per_clip.sort_values("median_km")["clip_id"].tolist()
    step = max(1, len(order) // NUM_TRACKS)
    tracks = {track.clip: track for track in test.tracks}
    examples = [tracks[clip] for clip in order[::step][:NUM_TRACKS]]
    errors = {split: report.frames["error_km"].dropna() for split, report in reports.items()}
    return {
        "tracks": lambda path: maps.tracks_sheet(examples, test.truths, path),
        "errors": lambda path: charts.error_cdf(errors, path),
        "worst_clips": test.per_clip.sort_values("median_km", ascending=False).head(5),
        **_coverage(reports, at),
        **_areas(reports),
    }


def _areas(reports: Reports) -> Shown:
    """How often credible areas hold the truth, and how much is searched to find it."""
    from vidtag_ml.models.gps_retrieval import coverage
    from vidtag_ml.plots import charts

    summaries = {split: report.summary for split, report in reports.items()}
    held = {split: coverage.area_reliability(s) for split, s in summaries.items()}
    recall = {split: coverage.recall_by_area(s) for split, s in summaries.items()}
    if not all(held.values()):
        return {}
    title = "Truths within their credible area"
    return {
        "area_reliability": lambda path: charts.reliability(held, path, title),
        "recall_by_area": lambda path: charts.recall_by_area(recall, path),
    }


def _coverage(reports: Reports, at: Layout) -> Shown:
    """How often radii hold what they are said to hold, where reports have radii."""
    from vidtag_ml.models import slices
    from vidtag_ml.models.gps_retrieval import coverage
    from vidtag_ml.plots import charts

    named = {"val, where they were learnt": "val", "test": "test"}
    held = {name: coverage.reliability(reports[split].summary) for name, split in named.items()}
    if not all(held.values()):
        return {}
    kinds = slices.of(at, "test")
    return {
        "reliability": lambda path: charts.reliability(held, path),
        "coverage": coverage.by_slice(reports["test"].per_clip, kinds),
    }


def baseline(
    name: str, title: str, make: Stage, settings: Callable[[config.Params], Any], about: str
) -> System:
    """A system of one training that knows no tracks: each frame is placed by itself.

    Args:
        name: of the system, of its training and of its section of the params.
        title: how people call it.
        make: the stage that trains it.
        settings: its section of the params.
        about: what it is; read in the UI.
    """
    advice = (
        "**When it fails:** as in Phase I; materialize again and it goes on from its checkpoint."
    )
    return System(
        name=name,
        title=title,
        trainings={
            name: Training(make, ("features", "gallery"), settings, f"{about}\n\n{advice}\n")
        },
        evaluate=partial(stages.evaluate_model, name, f"vidtag train {name}", decoding="initial"),
        report=read_report,
        sheet=figures.sheet,
        headline=figures.headline,
        show=show_tracks,
        about=ABOUT_TRACKS,
        ranked=True,
    )
