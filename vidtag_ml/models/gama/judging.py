"""How versions of GAMa are judged: how many clips of a video get their tile, video by video.

Belongs here: its rule, its floor, an old champion's report on the data of today. Does not belong
here: the verdict (models/gate.py).
"""

import dataclasses
import tempfile
from pathlib import Path

import pandas as pd

from vidtag_ml.metrics import bootstrap
from vidtag_ml.models.comparison import SEED, shares
from vidtag_ml.models.gama import searches, stages
from vidtag_ml.models.gate import Champion, Judging, Rule, Statement
from vidtag_ml.models.gps_retrieval.judging import incomparable
from vidtag_ml.models.report import Report


def over_chance(report: Report, draws: int) -> Statement:
    """Whether the clips that get their very own tile are more than by chance, one of all tiles.

    Near tiles, that the report's rule accepts as well, are more than one.
    """
    frames = report.frames
    first = frames[searches.key(report.summary["track"], "top1")]
    own_V = (first == frames["tile"]).groupby(frames["clip"]).mean()
    low, _ = bootstrap.bootstrap(own_V, draws, SEED)
    chance = 1 / report.summary["gallery_size"]
    said = f"{own_V.mean():.1%} [{low:.1%}, ...] of clips get their own tile"
    return low > chance, f"{said}, {chance:.2%} by chance"


def _clips_right(report: Report) -> "pd.Series[float]":
    right = searches.key(report.summary["track"], "recall_at_1")
    return report.frames.groupby("clip")[right].mean()


def _anew(champion: Champion) -> Report | None:
    """Its networks embed the gallery of today, if they see frames of the size and rate of today."""
    from vidtag_ml.models.gama import embedding as gama_embedding
    from vidtag_ml.models.gama import evaluate as gama_evaluate
    from vidtag_ml.models.gama.locator import GamaLocator

    at, params = champion.at, champion.params
    locator = GamaLocator.load(champion.bundle)
    seen = [(s.frame_size, s.frames_per_second) for s in (locator.settings, params.gama)]
    if seen[0] != seen[1]:
        return None
    world, drives = stages.world(at, params), stages.drives(at, params, "val")
    with tempfile.TemporaryDirectory() as folder:
        gama, screening = gama_embedding.embed_anew(
            champion.bundle, locator.settings, world, Path(folder)
        )
        changed = dataclasses.replace(
            params,
            gama=locator.settings,
            screening=locator.screened,
            heading=locator.heading,
            fusion=locator.fusion,
        )
        context = stages.context(at, changed, locator.turner, locator.vidtag)
        networks = gama_evaluate.Networks(gama, screening, context, champion.name)
        split = gama_evaluate.Split("val", drives, world)
        return gama_evaluate.evaluate_gama(networks, split, changed)


RULE = Rule("val videos", _clips_right, incomparable, shares("of the clips right"))
"""More clips of a video whose tile is right by the report's rule."""
JUDGING = Judging(
    RULE,
    lambda report, _at, params: [over_chance(report, params.evaluation.bootstrap_draws)],
    _anew,
)
