"""How versions of CityGuessr are judged: at how many levels they are right, clip by clip.

Belongs here: its rule, its floor, an old champion's report on the data of today. Does not belong
here: the verdict (models/gate.py).
"""

import dataclasses

import pandas as pd

from vidtag_ml.dataset.hierarchy import LEVELS, Hierarchy
from vidtag_ml.models.cityguessr import stages
from vidtag_ml.models.cityguessr.evaluate import PlaceReport
from vidtag_ml.models.comparison import shares
from vidtag_ml.models.gate import Champion, Judging, Rule, Statement


def other_clips(a: PlaceReport, b: PlaceReport) -> str | None:
    """Why two reports on places cannot be compared clip by clip; None if they can."""
    same = set(a.per_clip["clip_id"]) == set(b.per_clip["clip_id"])
    return None if same else "another val split"


def over_prior(report: PlaceReport) -> Statement:
    """Whether each level is better than its most frequent class, which may be right everywhere."""
    figures = report.summary
    least = {k: figures[f"acc_{k}_lo"] for k in LEVELS}  # at most 1, as where one class is all
    levels = [k for k in LEVELS if least[k] <= figures[f"prior_acc_{k}"] and least[k] < 1]
    if levels:
        return False, f"{levels[0]} is no better than its most frequent class"
    said = ", ".join(f"{k} {figures[f'acc_{k}']:.1%}" for k in LEVELS)
    return True, f"better than the most frequent classes: {said}"


def _levels_right(report: PlaceReport) -> "pd.Series[float]":
    columns = [f"acc_{level}" for level in LEVELS]
    return report.per_clip.set_index("clip_id")[columns].mean(axis=1)


def _anew(champion: Champion) -> PlaceReport | None:
    """With its own classes, on the features of its own encoders."""
    from vidtag_ml.models.cityguessr import evaluate as cityguessr_evaluate
    from vidtag_ml.models.cityguessr import inference
    from vidtag_ml.models.cityguessr.locator import CityGuessrLocator

    at, params = champion.at, champion.params
    if not champion.encodes_as(at.guess_bundle):
        return None
    model = inference.load(champion.bundle / "model")
    own = Hierarchy.of_rows(model.sizes.places)
    sources = dataclasses.replace(stages.guess_sources(at, params), hierarchy=own)
    settings = CityGuessrLocator.load(champion.bundle).settings
    draws = params.evaluation.bootstrap_draws
    return cityguessr_evaluate.report_on(model, settings, sources, "val", draws)


RULE = Rule("val clips", _levels_right, other_clips, shares("of the levels right"))
"""Right at more levels."""
JUDGING = Judging(RULE, lambda report, _at, _params: [over_prior(report)], _anew)
