"""The figures of reports on places, as people read them.

Belongs here: which are shown, in which order and form. Does not belong here: measuring them
(evaluate.py), printing (cli/output.py), pictures (plots.py).
"""

from collections.abc import Mapping
from typing import Any

from vidtag_ml.models.system import Sheet

ROWS = {
    "top-1": "acc_{}",
    "top-5": "top5_{}",
    "most frequent class": "prior_acc_{}",
    "answered, when it is sure": "answered_{}",
}
"""What shares are called, and where they stand at each level."""
ERROR = "calibration error", "ece_{}"
"""Likewise; no share, of which more is better."""


def sheet(summary: Mapping[str, Any]) -> Sheet:
    """One evaluation: a column a level."""
    from vidtag_ml.dataset.hierarchy import LEVELS

    title = f"{summary['num_clips']} {summary['split']} clips, {summary['inference']} inference"
    rows = [
        (label, *(f"{summary[key.format(level)]:.1%}" for level in LEVELS))
        for label, key in ROWS.items()
    ]
    label, key = ERROR
    rows.append((label, *(f"{summary[key.format(level)]:.3f}" for level in LEVELS)))
    columns = tuple(f"{level} ({summary[f'num_{level}']})" for level in LEVELS)
    return Sheet(f"{title}, consistency {summary['consistency']:.1%}", columns, rows)


def headline(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The figures that are worth a column."""
    chosen = [name for name in summary if name.startswith(("acc_", "top5_", "ece"))]
    return {n: summary[n] for n in [*chosen, "consistency"] if not n.endswith(("_lo", "_hi"))}
