"""Bundles of any kind, opened.

Belongs here: finding the system whose bundle a folder is. Does not belong here: what is in it (each
system's module `locator`).
"""

from pathlib import Path

from vidtag_ml.models import bundle
from vidtag_ml.models.locator import Locator


def load(folder: Path) -> Locator:
    """A bundle of any kind in memory, ready to locate videos.

    Raises:
        ValueError: the folder is no bundle, or one of another kind or format.
    """
    from vidtag_ml.models.cityguessr import locator as cityguessr_locator
    from vidtag_ml.models.gama import locator as gama_locator
    from vidtag_ml.models.vidtag import locator as vidtag_locator

    locators: dict[str, type[Locator]] = {
        vidtag_locator.FORM.kind: vidtag_locator.VidtagLocator,
        cityguessr_locator.FORM.kind: cityguessr_locator.CityGuessrLocator,
        gama_locator.FORM.kind: gama_locator.GamaLocator,
    }
    card = bundle.read(folder)
    if card.kind not in locators:
        known = ", ".join(locators)
        raise ValueError(f"{card.path}: kind {card.kind!r}; this vidtag knows {known}")
    return locators[card.kind].of(card)
