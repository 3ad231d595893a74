"""GeoCLIP: each frame by itself, from CLIP's features alone (docs/specs/geoclip.md, section 2).

Belongs here: the image perceptron. Does not belong here: the GPS encoder (encoders/location.py),
released weights (encoders/geoclip_release.py). Shape legend: B clips, T frames, D features, E
common space.
"""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from vidtag_ml import config
from vidtag_ml.models.gps_retrieval.network import AlignedModel


class GeoCLIP(AlignedModel):
    """The image baseline: a perceptron on one encoder's features; no other frame is seen."""

    name: ClassVar[str] = "geoclip"

    def __init__(self, sizes: config.Model, widths: Mapping[str, int]) -> None:
        """Random weights; `widths` names the one encoder that plays CLIP's role."""
        super().__init__(sizes, widths)
        self.image = nn.Sequential(
            nn.Linear(self.num_features, self.num_features),
            nn.ReLU(),
            nn.Linear(self.num_features, sizes.embed_dim),
        )

    def embed_frames(self, features_BTD: Tensor, valid_BT: Tensor, time_BT: Tensor) -> Tensor:  # noqa: ARG002
        """Unit vectors (B, T, E) of frames, each by itself."""
        return functional.normalize(self.image(features_BTD.to(self.logit_scale.dtype)), dim=-1)
