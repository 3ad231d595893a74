"""The figures of reports on places that were recorded before, as people read them.

Belongs here: which are shown, in which order and form. Does not belong here: measuring them
(evaluate.py).
"""

from collections.abc import Mapping
from typing import Any

from vidtag_ml.models.system import Sheet

Summary = Mapping[str, Any]

SHOWN = {
    "known frames": ("num_known", "{:.0f}"),
    "of them within 5 m": ("recall_5m", "{:.1%}"),
    "of them within 15 m": ("recall_15m", "{:.1%}"),
    "of them within 25 m": ("recall_25m", "{:.1%}"),
    "median error where placed": ("median_m", "{:.1f} m"),
    "within their radius": ("covered", "{:.1%}"),
    "median error of heading": ("heading_median_deg", "{:.0f}°"),
    "unknown frames": ("num_unknown", "{:.0f}"),
    "of them without a position": ("silent", "{:.1%}"),
    "known against unknown (area)": ("area", "{:.3f}"),
    "right": ("right", "{:.1%}"),
    "always the middle": ("right_middle", "{:.1%}"),
    "a reference at random": ("right_random", "{:.1%}"),
    "never a position": ("right_never", "{:.1%}"),
}
"""What figures are called, and where and how they stand; None = nothing to measure."""


def sheet(summary: Summary) -> Sheet:
    """One evaluation."""
    title = (
        f"{summary['num_clips']} {summary['split']} clips, {summary['num_frames']} frames, "
        f"{summary['num_references']} references"
    )
    rows = [
        (label, form.format(summary[key]) if summary[key] is not None else "none")
        for label, (key, form) in SHOWN.items()
    ]
    return Sheet(title, (str(summary["model"]),), rows)


def headline(summary: Summary) -> dict[str, Any]:
    """The figures that are worth a column."""
    return {key: summary[key] for key, _ in SHOWN.values() if summary[key] is not None}
