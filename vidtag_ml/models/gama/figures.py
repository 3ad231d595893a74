"""The figures of reports on aerial tiles, as people read them.

Belongs here: which are shown, in which order and form. Does not belong here: measuring them
(evaluate.py), printing (cli/output.py), pictures (plots.py).
"""

from collections.abc import Mapping
from typing import Any

from vidtag_ml.models.system import Sheet


def sheet(summary: Mapping[str, Any]) -> Sheet:
    """One evaluation: a column a search, each with its gallery's size."""
    searches = {
        "flat": "",
        f"hierarchical ({summary['kept']})": "hierarchical_",
        "screening (videos)": "screening_",
        "whole way": f"{summary['track']}_",
    }
    figures = [n for n in summary if n.startswith(("recall_at_", "top1_at_"))]
    shares = {n: "{:.1%}" for n in figures if not n.endswith(("_lo", "_hi"))}
    forms = {"num_queries": "{:.0f}", "gallery_size": "{:.0f}", **shares, "top1_mean_km": "{:.1f}"}
    rows = []
    for name, form in forms.items():
        keys = [f"{prefix}{name}" for prefix in searches.values()]
        cells = (form.format(summary[key]) if key in summary else "" for key in keys)
        rows.append((name.replace("_", " "), *cells))
    title = f"{summary['split']}, {summary['gallery']} tiles of {summary['tile_km']:.3g} km"
    return Sheet(title, tuple(searches), rows)


def headline(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that are worth a column."""
    names = ("gallery_size", "recall_at_1", "recall_at_5", "recall_at_10")
    kinds = ("", "hierarchical_", f"{summary['track']}_")
    found = {f"{p}{n}": summary[f"{p}{n}"] for n in names for p in kinds}
    return found | {f"screening_{n}": summary[f"screening_{n}"] for n in names[:2]}
