"""The figures of reports on aerial tiles, as people read them.

Belongs here: which are shown, in which order and form. Does not belong here: measuring them
(evaluate.py), printing (cli/output.py), pictures (plots.py).
"""

from collections.abc import Mapping
from typing import Any

from vidtag_ml.models.gama import searches
from vidtag_ml.models.system import Sheet


def sheet(summary: Mapping[str, Any]) -> Sheet:
    """One evaluation: a column a search, each with its gallery's size."""
    shown = {
        "flat": searches.FLAT,
        f"hierarchical ({summary['kept']})": searches.HIERARCHICAL,
        "screening (videos)": searches.SCREENING,
        "whole way": summary["track"],
    }
    columns = [searches.of(summary, search) for search in shown.values()]
    figures = [n for n in columns[0] if n.startswith(("recall_at_", "top1_at_"))]
    shares = {n: "{:.1%}" for n in figures if not n.endswith(("_lo", "_hi"))}
    forms = {"num_queries": "{:.0f}", "gallery_size": "{:.0f}", **shares, "top1_mean_km": "{:.1f}"}
    rows = []
    for name, form in forms.items():
        cells = (form.format(column[name]) if name in column else "" for column in columns)
        rows.append((name.replace("_", " "), *cells))
    title = f"{summary['split']}, {summary['gallery']} tiles of {summary['tile_km']:.3g} km"
    return Sheet(title, tuple(shown), rows)


def headline(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that are worth a column."""
    names = ("gallery_size", "recall_at_1", "recall_at_5", "recall_at_10")
    shown = (searches.FLAT, searches.HIERARCHICAL, summary["track"])
    keys = [searches.key(search, name) for name in names for search in shown]
    keys += [searches.key(searches.SCREENING, name) for name in names[:2]]
    return {key: summary[key] for key in keys}
