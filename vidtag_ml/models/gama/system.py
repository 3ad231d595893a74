"""GAMa as one of the systems.

Belongs here: what it is made of. Does not belong here: any of that (stages.py, locator.py).
"""

from typing import TYPE_CHECKING

from vidtag_ml.models.gama import figures, stages
from vidtag_ml.models.gps_retrieval.system import read_report
from vidtag_ml.models.system import Bundling, System

if TYPE_CHECKING:
    from vidtag_ml.models.gama.locator import GamaLocator


def _locator() -> "type[GamaLocator]":
    from vidtag_ml.models.gama.locator import GamaLocator

    return GamaLocator


SYSTEM = System(
    name="gama",
    trainings={"gama": stages.gama, "screening": stages.screening, "heading": stages.heading},
    evaluate=stages.evaluate_gama,
    report=read_report,
    sheet=figures.sheet,
    headline=figures.headline,
    bundling=Bundling(stages.bundle, lambda at: at.aerial_bundle, "aerial", _locator),
)
