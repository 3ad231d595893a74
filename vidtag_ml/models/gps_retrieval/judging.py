"""How versions of what searches coordinates are judged: their typical errors, clip by clip.

Belongs here: the rule, and blind rivals. Does not belong here: the verdict (models/gate.py), what
blind rivals answer (models/blind.py).

The figure compared is the logarithm of the median frame error, so that the mean difference over
clips is a ratio of typical errors, in streets and on continents alike.
"""

import numpy as np
import pandas as pd

from vidtag_ml.models import comparison
from vidtag_ml.models.comparison import RATIOS, Floats
from vidtag_ml.models.gate import Rule, Statement, against
from vidtag_ml.models.report import Report

LEAST_KM = 0.001
"""Errors below this count as this: a metre is perfect."""
_TRUTH = ["clip", "time_s", "true_lat", "true_lon"]


def incomparable(a: Report, b: Report) -> str | None:
    """Why two reports cannot be compared clip by clip; None if they can."""
    if a.summary["gallery_md5"] != b.summary["gallery_md5"]:
        return "another gallery"
    truth = [r.frames[_TRUTH].sort_values(["clip", "time_s"], ignore_index=True) for r in (a, b)]
    if not truth[0].equals(truth[1]):
        return f"another {a.summary['split']} split"
    return None


def over_blind(report: Report, blind_km: pd.DataFrame, draws: int) -> list[Statement]:
    """Whether tracks beat each answer that looks at nothing, as `blind.medians_km` gives them."""
    ours = np.asarray(_log_errors(report), float)
    found = [(_logs(blind_km[name].sort_index()), str(name)) for name in blind_km]
    rows = [(comparison.whole(RATIOS, ours, theirs, draws), name) for theirs, name in found]
    return [against(RATIOS, row, name) for row, name in rows]


def _log_errors(report: Report) -> "pd.Series[float]":
    medians = report.per_clip.sort_values("clip_id").set_index("clip_id")["median_km"]
    return pd.Series(_logs(medians), medians.index)


def _logs(errors_km: "pd.Series[float]") -> Floats:
    return np.asarray(np.log(np.maximum(errors_km.to_numpy(float), LEAST_KM)))


RULE = Rule("val clips", _log_errors, incomparable, RATIOS)
"""Smaller errors."""
