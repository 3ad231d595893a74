"""How versions of VidTAG are judged: as all tracks, against the centre and a fix at random too.

Belongs here: its floor, and an old champion's report on the data of today. Does not belong here:
the rule (gps_retrieval/judging.py), the verdict (models/gate.py).
"""

from typing import TYPE_CHECKING

from vidtag_ml import config
from vidtag_ml.models.gate import Champion, Judging, Statement
from vidtag_ml.models.gps_retrieval import judging
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from vidtag_ml.models.report import Report


def _floor(ours: "Report", at: Layout, params: config.Params) -> list[Statement]:
    """The centre of the train fixes, and a train fix at random."""
    from vidtag_ml.dataset import tables
    from vidtag_ml.models import blind

    train = tables.read(at.dataset).fixes_in("train")[["lat", "lon"]].dropna().to_numpy(float)
    draws = params.evaluation.bootstrap_draws
    return judging.over_blind(ours, blind.medians_km(ours, train), draws)


def _anew(champion: Champion) -> "Report | None":
    """On the features of its own encoders."""
    from vidtag_ml.dataset import tables
    from vidtag_ml.features.store import FeatureStore
    from vidtag_ml.models import networks
    from vidtag_ml.models.gps_retrieval import evaluate
    from vidtag_ml.models.vidtag.locator import VidtagLocator
    from vidtag_ml.retrieval import gallery

    at = champion.at
    if not champion.encodes_as(at.bundle):
        return None
    return evaluate.evaluate(
        networks.load(champion.bundle / "model"),
        gallery.read(at.gallery),
        FeatureStore.open(at.features),
        tables.read(at.dataset),
        "val",
        VidtagLocator.load(champion.bundle).evaluation,
        champion.name,
        max_gap_s=champion.params.clips.max_gap_s,
    )


JUDGING = Judging(judging.RULE, _floor, _anew)
