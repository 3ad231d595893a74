"""Bundles of any kind, opened.

Belongs here: finding the system whose bundle a folder is. Does not belong here: what is in it (each
system's module `locator`).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from vidtag_ml.models import bundle
from vidtag_ml.models.vidtag.locator import Predictor

if TYPE_CHECKING:
    from vidtag_ml.models.cityguessr.locator import Guesser
    from vidtag_ml.models.gama.locator import Matcher


def load(folder: Path) -> "Predictor | Guesser | Matcher":
    """A bundle of any kind in memory, ready to locate videos.

    Raises:
        ValueError: the folder is no bundle, or one of another format.
    """
    from vidtag_ml.models.cityguessr import locator as cityguessr_locator
    from vidtag_ml.models.gama import locator as gama_locator

    given = bundle.kind(folder)
    if given == cityguessr_locator.KIND:
        return cityguessr_locator.Guesser.load(folder)
    if given == gama_locator.KIND:
        return gama_locator.Matcher.load(folder)
    return Predictor.load(folder)
