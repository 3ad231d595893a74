"""Models whose answers are tracks, side by side.

Belongs here: the table of their reports, and how much better one is than another. Does not belong
here: the reports (evaluate.py), rows of the benchmark (models/vidtag/benchmark.py).
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from vidtag_ml.models.report import Report


def table(reports: Mapping[str, Report]) -> pd.DataFrame:
    """The summaries, a row a model, best median first."""
    rows = pd.DataFrame([report.summary for report in reports.values()])
    return rows.sort_values("median_km", ignore_index=True)


def ratios(board: pd.DataFrame, model: str, rival: str, figures: Sequence[str]) -> dict[str, float]:
    """Figures of a model in those of its rival."""
    rows = {row["model"]: row for row in board.to_dict("records")}
    return {name: rows[model][name] / rows[rival][name] for name in figures}
