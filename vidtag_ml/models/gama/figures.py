"""The figures of reports on aerial tiles, as people read them.

Belongs here: which are shown, in which order and form. Does not belong here: measuring them
(evaluate.py), printing (cli/output.py), pictures (plots.py).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vidtag_ml.models.gama import searches
from vidtag_ml.models.gama.searches import FLAT, HIERARCHICAL, SCREENING
from vidtag_ml.models.system import Sheet

if TYPE_CHECKING:
    import pandas as pd

SEARCHES = (FLAT, HIERARCHICAL, SCREENING, "path", "turned", "fused", "fused_turned")
"""Those whose figures are shown side by side, where there are any."""


def sheet(summary: Mapping[str, Any]) -> Sheet:
    """One evaluation: a column a search, each with its gallery's size."""
    shown = {
        "flat": FLAT,
        f"hierarchical ({summary['kept']})": HIERARCHICAL,
        "screening (videos)": SCREENING,
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
    shown = (FLAT, HIERARCHICAL, summary["track"])
    keys = [searches.key(search, name) for name in names for search in shown]
    keys += [searches.key(SCREENING, name) for name in names[:2]]
    return {key: summary[key] for key in keys}


def table(summary: Mapping[str, Any]) -> "pd.DataFrame":
    """The figures of a report on tiles: a row a figure, a column a search."""
    import pandas as pd

    found = {search: searches.of(summary, search) for search in SEARCHES}
    shares = [n for n in found[FLAT] if n.startswith(("recall_at_", "top1_at_", "gallery_size"))]
    names = [n for n in shares if not n.endswith(("_lo", "_hi"))]
    columns = {s: [own.get(n, "") for n in names] for s, own in found.items() if own}
    return pd.DataFrame({"figure": names, **columns})
