"""How versions of what searches coordinates are judged: their typical errors, clip by clip.

Belongs here: the rule, and blind rivals. Does not belong here: the verdict (models/gate.py), what
blind rivals answer (models/blind.py).

The figure compared is the logarithm of the median frame error, so that the mean difference over
clips is a ratio of typical errors, in streets and on continents alike.
"""

import numpy as np
import pandas as pd

from vidtag_ml.metrics import bootstrap
from vidtag_ml.models.gate import SEED, Compared, Floats, Rule, Statement
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
    return [_ratio(ours, theirs, name, draws)[1] for theirs, name in found]


def _ratio(ours: Floats, theirs: Floats, name: str, draws: int) -> Compared:
    mean, low, high = np.exp(bootstrap.paired_difference(ours, theirs, draws, SEED)).tolist()
    said = f"typical error is {mean:.2f} [{low:.2f}, {high:.2f}] times that of {name}"
    return (mean, low, high), (high < 1, said if high < 1 else f"{said}: no significant gain")


def _log_errors(report: Report) -> "pd.Series[float]":
    medians = report.per_clip.sort_values("clip_id").set_index("clip_id")["median_km"]
    return pd.Series(_logs(medians), medians.index)


def _logs(errors_km: "pd.Series[float]") -> Floats:
    return np.asarray(np.log(np.maximum(errors_km.to_numpy(float), LEAST_KM)))


def _larger_errors(difference_K: Floats, draws: int) -> str | None:
    low, _ = bootstrap.bootstrap(difference_K, draws, SEED)
    ratio = np.exp(difference_K.mean())
    return f"got worse: {ratio:.2f} times on {len(difference_K)} clips" if low > 0 else None


RULE = Rule("val clips", _log_errors, incomparable, _ratio, _larger_errors)
"""Smaller errors."""
