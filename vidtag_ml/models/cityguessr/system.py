"""CityGuessr as one of the systems.

Belongs here: what it is made of. Does not belong here: any of that (stages.py, locator.py).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from vidtag_ml.models.cityguessr import figures, stages
from vidtag_ml.models.system import Bundling, System

if TYPE_CHECKING:
    from vidtag_ml.models.cityguessr.evaluate import PlaceReport
    from vidtag_ml.models.cityguessr.locator import CityGuessrLocator


def _report(folder: Path) -> "PlaceReport":
    from vidtag_ml.models.cityguessr.evaluate import PlaceReport

    return PlaceReport.read(folder)


def _locator() -> "type[CityGuessrLocator]":
    from vidtag_ml.models.cityguessr.locator import CityGuessrLocator

    return CityGuessrLocator


SYSTEM = System(
    name="cityguessr",
    trainings={"cityguessr": stages.cityguessr},
    evaluate=stages.evaluate_cityguessr,
    report=_report,
    sheet=figures.sheet,
    headline=figures.headline,
    bundling=Bundling(stages.guess_bundle, lambda at: at.guess_bundle, "places", _locator),
)
