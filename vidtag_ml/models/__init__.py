"""Neural networks that place pictures and videos on the Earth."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidtag_ml.models.base import GeoModel


def constructors() -> "dict[str, type[GeoModel]]":
    """The models there are, by name."""
    from vidtag_ml.models.classifier import CellClassifier
    from vidtag_ml.models.geoclip import GeoCLIP
    from vidtag_ml.models.vidtag import VidTAG

    return {model.name: model for model in (VidTAG, GeoCLIP, CellClassifier)}


def build(name: str, sizes: Any, widths: Mapping[str, int]) -> "GeoModel":
    """The model `name` with random weights.

    Args:
        name: vidtag, geoclip or classifier.
        sizes: the `model` section of the params; of the classifier its own `Sizes`.
        widths: encoder name -> number of its features, of those whose features it reads.

    Raises:
        ValueError: there is no such model.
    """
    known = constructors()
    if name not in known:
        raise ValueError(f"no model is called {name!r}; known: {', '.join(known)}")
    return known[name](sizes, widths)
