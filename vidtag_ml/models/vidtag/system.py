"""VidTAG as one of the systems.

Belongs here: what it is made of. Does not belong here: any of that (stages.py, locator.py).
"""

from functools import partial
from typing import TYPE_CHECKING

from vidtag_ml.models.gps_retrieval import figures
from vidtag_ml.models.gps_retrieval import stages as gps_stages
from vidtag_ml.models.gps_retrieval.system import read_report
from vidtag_ml.models.system import Bundling, System
from vidtag_ml.models.vidtag import stages

if TYPE_CHECKING:
    from vidtag_ml.models.vidtag.locator import VidtagLocator


def _locator() -> "type[VidtagLocator]":
    from vidtag_ml.models.vidtag.locator import VidtagLocator

    return VidtagLocator


SYSTEM = System(
    name="vidtag",
    trainings={"phase_one": stages.phase_one, "phase_two": stages.phase_two},
    evaluate=partial(gps_stages.evaluate_system, "vidtag"),
    report=read_report,
    sheet=figures.sheet,
    headline=figures.headline,
    bundling=Bundling(stages.bundle, lambda at: at.bundle, "tracks", _locator),
)
