"""The systems, and bundles of any of them, opened.

Belongs here: the one list of systems, finding the one whose bundle a folder is. Does not belong
here: what a system is (system.py), what is in a bundle (each system's module `locator`).
"""

from pathlib import Path
from typing import TYPE_CHECKING

import vidtag_ml
from vidtag_ml.earth.origin import Facts
from vidtag_ml.models import bundle
from vidtag_ml.models.cityguessr.system import SYSTEM as CITYGUESSR
from vidtag_ml.models.classifier.system import SYSTEM as CLASSIFIER
from vidtag_ml.models.gama.system import SYSTEM as GAMA
from vidtag_ml.models.geoclip.system import SYSTEM as GEOCLIP
from vidtag_ml.models.revisit.system import SYSTEM as REVISIT
from vidtag_ml.models.system import Benchmark, System
from vidtag_ml.models.vidtag.system import SYSTEM as VIDTAG

if TYPE_CHECKING:
    from vidtag_ml.models.locator import Locator

SYSTEMS: dict[str, System] = {
    system.name: system for system in (VIDTAG, GEOCLIP, CLASSIFIER, CITYGUESSR, GAMA, REVISIT)
}
"""All that are trained, evaluated, bundled and registered by name."""
RANKED = [name for name, system in SYSTEMS.items() if system.ranked]
"""Those whose answers are tracks."""


def benchmarks(source: str) -> list[Benchmark]:
    """The rows that are for a dataset, by the name of its source."""
    every = [system.benchmark for system in SYSTEMS.values() if system.benchmark]
    own = [each for each in every if source in each.sources]
    return own or [each for each in every if not each.sources]


def load(folder: Path, registered: str | None = None) -> "Locator":
    """A bundle of any kind in memory, ready to locate videos.

    Args:
        folder: the bundle.
        registered: digest of its bytes in a registry, if it is in one.

    Raises:
        ValueError: the folder is no bundle, its bytes are others than they were, or it is of
            another kind or format.
    """
    return of(bundle.read(folder, registered))


def of(card: bundle.Card) -> "Locator":
    """The bundle with this card in memory.

    Raises:
        ValueError: it is of another kind or format.
    """
    return system_of(card).bundled.locator().of(card)


def facts(card: bundle.Card, kept: bundle.Kept) -> Facts:
    """Which model the bundle with this card is, for those who get its answers."""
    known = {
        "model": kept.name or system_of(card).name,
        "model_version": kept.version,
        "bundle": card.digest,
        "gallery": card.gallery,
        "vidtag_version": vidtag_ml.__version__,
    }
    return {name: value for name, value in known.items() if value is not None}


def system_of(card: bundle.Card) -> System:
    """The system whose bundle has this card.

    Raises:
        ValueError: there is none.
    """
    of_kind = {each.bundling.kind: each for each in SYSTEMS.values() if each.bundling}
    if card.kind not in of_kind:
        raise ValueError(f"{card.path}: kind {card.kind!r}; this vidtag knows {', '.join(of_kind)}")
    return of_kind[card.kind]
