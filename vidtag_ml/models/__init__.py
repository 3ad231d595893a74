"""Neural networks that place pictures and videos on the Earth."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidtag_ml import config
    from vidtag_ml.models.base import GeoModel


def build(name: str, sizes: "config.Model", num_features: int) -> "GeoModel":
    """The model `name` with random weights.

    Args:
        name: vidtag or geoclip.
        sizes: the `model` section of the params.
        num_features: width of the features it reads: all encoders (vidtag), the first (geoclip).

    Raises:
        ValueError: there is no such model.
    """
    from vidtag_ml.models.geoclip import GeoCLIP
    from vidtag_ml.models.vidtag import VidTAG

    constructors: dict[str, type[GeoModel]] = {"vidtag": VidTAG, "geoclip": GeoCLIP}
    if name not in constructors:
        raise ValueError(f"no model is called {name!r}; known: {', '.join(constructors)}")
    return constructors[name](sizes, num_features)
