"""The figures of reports on tracks, as people read them.

Belongs here: which are shown, in which order and form. Does not belong here: measuring them
(evaluate.py), printing (cli/output.py), pictures.
"""

from collections.abc import Mapping
from typing import Any

from vidtag_ml.models.system import Sheet

Summary = Mapping[str, Any]

ROWS = {
    "frames <= 25 km": ("acc_25km", "{:.1%}"),
    "<= 100 km": ("acc_100km", "{:.1%}"),
    "<= 200 km": ("acc_200km", "{:.1%}"),
    "<= 750 km": ("acc_750km", "{:.1%}"),
    "videos <= 25 km": ("video_acc_25km", "{:.1%}"),
    "videos <= 100 km": ("video_acc_100km", "{:.1%}"),
    "videos <= 200 km": ("video_acc_200km", "{:.1%}"),
    "videos <= 750 km": ("video_acc_750km", "{:.1%}"),
    "median error": ("median_km", "{:.0f} km"),
    "median error of videos": ("video_median_km", "{:.0f} km"),
    "DFD": ("dfd_km", "{:.0f} km"),
    "MRD": ("mrd_km", "{:.0f} km"),
    "gallery's own error (oracle)": ("oracle_median_km", "{:.0f} km"),
}
"""What figures are called, and where and how they stand."""
SHOWN = ("median_km", "video_median_km", "dfd_km", "mrd_km", "oracle_median_km")
"""Errors that are shown one by one."""


def side_by_side(summaries: Mapping[str, Summary]) -> Sheet:
    """Evaluations on the same clips: a column a model."""
    first = next(iter(summaries.values()))
    title = f"{first['num_clips']} {first['split']} clips, {first['num_frames']} frames"
    rows = [
        (label, *(form.format(s[key]) if key in s else "" for s in summaries.values()))
        for label, (key, form) in ROWS.items()
    ]
    return Sheet(f"{title}, gallery of {first['gallery_size']} points", tuple(summaries), rows)


def sheet(summary: Summary) -> Sheet:
    """One evaluation."""
    return side_by_side({summary["model"]: summary})


def headline(summary: Summary) -> dict[str, Any]:
    """The figures that are worth a column."""
    chosen = [name for name in summary if name.startswith("acc_") or name in SHOWN]
    return {n: summary[n] for n in chosen if not n.endswith(("_lo", "_hi"))}
