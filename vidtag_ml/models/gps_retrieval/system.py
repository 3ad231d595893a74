"""What all systems have in common that search coordinates.

Belongs here: their reports, and what is shown of these. Does not belong here: any of them (its
system.py).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from vidtag_ml import config
from vidtag_ml.models.system import Reports, Shown
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


def show_tracks(reports: Reports, _at: Layout, _params: config.Params) -> Shown:
    """Example tracks, errors, and the clips with the largest."""
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
    }
