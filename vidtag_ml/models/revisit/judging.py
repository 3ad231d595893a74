"""How versions of revisit are judged: of how many frames they say what is right, clip by clip.

Belongs here: its rule, its floor, an old champion's report on the data of today. Does not belong
here: the verdict (models/gate.py).
"""

import numpy as np
import pandas as pd

from vidtag_ml import config
from vidtag_ml.models import comparison
from vidtag_ml.models.comparison import shares
from vidtag_ml.models.gate import Champion, Judging, Rule, Statement, against
from vidtag_ml.models.revisit import baselines, stages
from vidtag_ml.models.revisit.evaluate import RevisitReport, report_on
from vidtag_ml.workflow.layout import Layout

_TRUTH = ["clip", "time_s", "true_lat", "true_lon"]
_SCALE = shares("of the frames right")
_NAMED = {
    "middle": "always the middle of the references",
    "random": "a reference at random",
    "never": "never giving a position",
}


def _right(report: RevisitReport) -> "pd.Series[float]":
    return report.per_clip.set_index("clip_id")["right"].astype(float)


def _incomparable(a: RevisitReport, b: RevisitReport) -> str | None:
    """Why two reports cannot be compared clip by clip; None if they can.

    What is known differs with the references: a place that they lack is rightly unknown.
    """
    truth = [r.frames[_TRUTH].sort_values(["clip", "time_s"], ignore_index=True) for r in (a, b)]
    return None if truth[0].equals(truth[1]) else f"another {a.summary['split']} split"


def _floor(report: RevisitReport, _at: Layout, params: config.Params) -> list[Statement]:
    """Whether it beats each answer that looks at nothing."""
    ours = _right(report).sort_index()
    said = []
    right = baselines.right(report.frames, params.revisit.known_m)
    for name in _NAMED:
        theirs = right[name].astype(float).groupby(report.frames["clip"]).mean()[ours.index]
        pair = (np.asarray(ours, float), np.asarray(theirs, float))
        row = comparison.whole(_SCALE, *pair, params.evaluation.bootstrap_draws)
        said.append(against(_SCALE, row, _NAMED[name]))
    return said


def _anew(champion: Champion) -> RevisitReport | None:
    """With its own references, on the features of its own encoder."""
    from vidtag_ml.models.revisit.locator import RevisitLocator

    at, params = champion.at, champion.params
    if not champion.encodes_as(stages.bundle_folder(at)):
        return None
    locator = RevisitLocator.load(champion.bundle)
    seen = stages.measured(at, params)
    return report_on(locator.model, locator.settings, seen, "val", champion.name)


RULE = Rule("val clips", _right, _incomparable, _SCALE)
"""More frames right: placed where that is known, left alone where it is not."""
JUDGING = Judging(RULE, _floor, _anew)
