"""How the figures of several searches stand in one summary: by search here, by key in a report.

Belongs here: what searches are called, the keys of their figures, and the figures behind these
keys. Does not belong here: the figures (metrics.py), which searches a report has (evaluate.py).
"""

from collections.abc import Mapping
from typing import Any

FLAT = "flat"
"""The search of the whole gallery, whose figures are called as they are."""
STRICT, HIERARCHICAL, NEAR, VIDTAG = "strict", "hierarchical", "near", "vidtag"
SCREENING, BEFORE = "screening", "screening_before"
FIGURES = ("recall_at_", "top1_", "num_queries", "gallery_size")
"""How the names of figures begin."""
ERROR = "median_km"
"""The figure that each search but the flat one has beside these: there the key is the track's."""


def key(search: str, figure: str) -> str:
    """What a figure of a search is called in summaries, and a column of it in tables.

    >>> key(FLAT, "recall_at_1"), key(HIERARCHICAL, "recall_at_1")
    ('recall_at_1', 'hierarchical_recall_at_1')
    """
    return figure if search == FLAT else f"{search}_{figure}"


def flattened(figures: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Figures by search and name as one summary has them."""
    return {key(s, name): value for s, own in figures.items() for name, value in own.items()}


def of(summary: Mapping[str, Any], search: str) -> dict[str, Any]:
    """The figures of a search by their names; none if the summary does not have it.

    >>> of({"near_km": 9.0, "near_top1_mean_km": 3.0, "recall_at_1": 0.5}, NEAR)
    {'top1_mean_km': 3.0}
    """
    wanted, start = FIGURES if search == FLAT else (*FIGURES, ERROR), key(search, "")
    own = {k.removeprefix(start): v for k, v in summary.items() if k.startswith(start)}
    return {name: value for name, value in own.items() if name.startswith(wanted)}
