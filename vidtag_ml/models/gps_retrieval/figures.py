"""The figures of reports on tracks, as people read them.

Belongs here: which are shown, in which order and form. Does not belong here: measuring them
(evaluate.py), printing (cli/output.py), pictures.
"""

from collections.abc import Mapping
from typing import Any

from vidtag_ml.models.system import Sheet

Summary = Mapping[str, Any]

SHOWN = ("median_km", "video_median_km", "dfd_km", "mrd_km", "oracle_median_km")
"""Errors that are shown one by one."""

_SURE = {
    "truths within their radius of 90 %": ("held_0.9", "{:.1%}"),
    "median radius": ("median_radius_km", "{:.0f} km"),
    "clips taken for something unknown": ("lost", "{:.1%}"),
    "truths within their area of 90 %": ("area_held_0.9", "{:.1%}"),
    "truths in the likeliest 10,000 km^2": ("found_10000km2", "{:.1%}"),
}
"""Label, where and how it stands, of figures that a report has if enough val clips told them."""


def side_by_side(summaries: Mapping[str, Summary]) -> Sheet:
    """Evaluations on the same clips: a column a model."""
    first = next(iter(summaries.values()))
    title = f"{first['num_clips']} {first['split']} clips, {first['num_frames']} frames"
    rows = [
        (label, *(form.format(s[key]) if key in s else "" for s in summaries.values()))
        for label, (key, form) in _rows(first).items()
    ]
    sizes = dict.fromkeys(str(summary["gallery_size"]) for summary in summaries.values())
    galleries = f"{'galleries' if len(sizes) > 1 else 'gallery'} of {' and '.join(sizes)} points"
    return Sheet(f"{title}, {galleries}", tuple(summaries), rows)


def _rows(summary: Summary) -> dict[str, tuple[str, str]]:
    """What figures are called, and where and how they stand."""
    from vidtag_ml.metrics.tracks import accuracies_of

    shares = [
        (f"{what} <= {name.removesuffix('km')} km", f"{prefix}acc_{name}")
        for prefix, what in (("", "frames"), ("video_", "videos"))
        for name in accuracies_of(summary)
    ]
    return {
        **{label: (key, "{:.1%}") for label, key in shares},
        "median error": ("median_km", "{:.0f} km"),
        "median error of videos": ("video_median_km", "{:.0f} km"),
        "DFD": ("dfd_km", "{:.0f} km"),
        "MRD": ("mrd_km", "{:.0f} km"),
        "gallery's own error (oracle)": ("oracle_median_km", "{:.0f} km"),
        **{label: row for label, row in _SURE.items() if row[0] in summary},
    }


def sheet(summary: Summary) -> Sheet:
    """One evaluation."""
    return side_by_side({summary["model"]: summary})


def headline(summary: Summary) -> dict[str, Any]:
    """The figures that are worth a column."""
    chosen = [name for name in summary if name.startswith("acc_") or name in SHOWN]
    return {n: summary[n] for n in chosen if not n.endswith(("_lo", "_hi"))}
