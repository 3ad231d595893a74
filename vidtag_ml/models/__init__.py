"""Neural networks that place pictures and videos on the Earth."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidtag_ml.models.base import Model


def constructors() -> "dict[str, type[Model]]":
    """The models there are, by name."""
    from vidtag_ml.models.cityguessr import CityGuessr
    from vidtag_ml.models.classifier import CellClassifier
    from vidtag_ml.models.gama import GAMaNet, Screening
    from vidtag_ml.models.geoclip import GeoCLIP
    from vidtag_ml.models.vidtag import VidTAG

    models = (VidTAG, GeoCLIP, CellClassifier, CityGuessr, GAMaNet, Screening)
    return {model.name: model for model in models}


def build(name: str, sizes: Any, widths: Mapping[str, int]) -> "Model":
    """The model `name` with random weights.

    Args:
        name: a key of `constructors()`.
        sizes: the `model` section of the params for vidtag and geoclip; of others their own sizes.
        widths: encoder name -> number of its features, of those whose features it reads.

    Raises:
        ValueError: there is no such model.
    """
    known = constructors()
    if name not in known:
        raise ValueError(f"no model is called {name!r}; known: {', '.join(known)}")
    return known[name](sizes, widths)
