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
    "within 5 m": ("recall_5m", "{:.1%}"),
    "within 15 m": ("recall_15m", "{:.1%}"),
    "within 25 m": ("recall_25m", "{:.1%}"),
    "answered, 1 % off": ("answered_at_1", "{:.1%}"),
    "answered, 5 % off": ("answered_at_5", "{:.1%}"),
    "median error": ("median_m", "{:.1f} m"),
    "in their radius": ("covered", "{:.1%}"),
    "heading error": ("heading_median_deg", "{:.0f}°"),
    "unknown frames": ("num_unknown", "{:.0f}"),
    "no position": ("silent", "{:.1%}"),
    "area under curve": ("area", "{:.3f}"),
    "right": ("right", "{:.1%}"),
}
"""What figures are called, in few letters so that all columns fit in 80, and where and how they
stand; None = nothing to measure. docs/own-recordings.md explains them."""
BESIDE = ("features", "thumbnail", "middle", "random", "never")
"""Baselines, whose figures stand beside."""


def sheet(summary: Summary) -> Sheet:
    """One evaluation, baselines beside it."""
    title = (
        f"{summary['num_clips']} {summary['split']} clips, {summary['num_frames']} frames, "
        f"{summary['num_references']} references"
    )
    rows = [
        (
            label,
            _cell(summary[key], form),
            *(_cell(summary.get(f"{key}_{name}", ""), form) for name in BESIDE),
        )
        for label, (key, form) in SHOWN.items()
    ]
    return Sheet(title, (str(summary["model"]), *BESIDE), rows)


def _cell(value: Any, form: str) -> str:
    """A figure; "" where a baseline has none of the kind."""
    if value == "":
        return ""
    return "none" if value is None else form.format(value)


def headline(summary: Summary) -> dict[str, Any]:
    """The figures that are worth a column."""
    keys = [key for key, _ in SHOWN.values()] + [f"right_{name}" for name in BESIDE]
    return {key: summary[key] for key in keys if summary[key] is not None}
