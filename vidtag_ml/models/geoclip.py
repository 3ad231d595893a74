"""GeoCLIP: each frame by itself, from CLIP's features alone (geoclip.md section 2).

Belongs here: the image perceptron. Does not belong here: the GPS encoder (location.py). Shape
legend: B clips, T frames, D features, E common space.
"""

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from vidtag_ml import config
from vidtag_ml.models.base import GeoModel


class GeoCLIP(GeoModel):
    """The image baseline: a perceptron on the first encoder's features; no other frame is seen."""

    name: ClassVar[str] = "geoclip"

    def __init__(self, sizes: config.Model, num_features: int) -> None:
        """Random weights; `num_features` is the width of the first encoder alone (CLIP's role)."""
        super().__init__(sizes, num_features)
        self.image = nn.Sequential(
            nn.Linear(num_features, num_features),
            nn.ReLU(),
            nn.Linear(num_features, sizes.embed_dim),
        )

    def embed_frames(self, features_BTD: Tensor, valid_BT: Tensor, time_BT: Tensor) -> Tensor:  # noqa: ARG002
        """Unit vectors (B, T, E) from the first `num_features` columns; nothing else is read."""
        first = features_BTD[..., : self.num_features].to(self.logit_scale.dtype)
        return functional.normalize(self.image(first), dim=-1)
