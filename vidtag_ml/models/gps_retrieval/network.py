"""Networks that embed frames and coordinates in one space, and what they answer.

Belongs here: `GeoModel`, `AlignedModel`, `Prediction`. Does not belong here: any model's layers,
embeddings of a gallery (embedding.py), the way from features to a track (locate.py).
Shape legend: B clips, T frames, D features, E common space, G gallery entries, K candidates,
N points, 2 = (lat, lon) in degrees. `valid_BT` is True at real frames.
"""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from vidtag_ml import config
from vidtag_ml.encoders.location import LocationEncoder
from vidtag_ml.models.base import Model
from vidtag_ml.models.gps_retrieval.belief import Belief
from vidtag_ml.retrieval.gallery import Gallery

Floats = NDArray[np.float64]


class GeoModel(Model, ABC):
    """Embeds frames and coordinates in one space, where the nearest coordinate is the answer."""

    sizes_type: ClassVar[type] = config.Model
    decodings: ClassVar[tuple[str, ...]] = ("initial", "viterbi", "motion")
    """Values of `config.Evaluation.decoding` that `locate` accepts for this model."""

    def __init__(self, sizes: Any, widths: Mapping[str, int]) -> None:
        """Makes the temperature; the rest as `Model`."""
        super().__init__(sizes, widths)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    @abstractmethod
    def embed_frames(self, features_BTD: Tensor, valid_BT: Tensor, time_BT: Tensor) -> Tensor:
        """Unit vectors (B, T, E) of frames; float16 features are converted first.

        Args:
            features_BTD: cached backbone features.
            valid_BT: True at real frames; what stands at padding changes nothing.
            time_BT: seconds; only their relative position within the clip matters.
        """

    @abstractmethod
    def embed_locations(self, latlon_N2: Tensor) -> Tensor:
        """Vectors (N, E) of points in degrees; of unit length where frames' are."""

    def refine(
        self,
        gps_BTE: Tensor,  # noqa: ARG002
        frames_BTE: Tensor,  # noqa: ARG002
        valid_BT: Tensor,  # noqa: ARG002
        time_BT: Tensor,  # noqa: ARG002
    ) -> Tensor:
        """Unit vectors (B, T, E): GPS embeddings made consistent with each other and the frames.

        Raises:
            ValueError: this model has no refiner.
        """
        raise ValueError(f"{self.name} has no refiner: decode with {' or '.join(self.decodings)}")

    def searched(self, entries: Gallery) -> Gallery:
        """The points that it answers with, where a gallery is at hand: all of that."""
        return entries

    def scale(self) -> Tensor:
        """Factor on cosines that makes them logits: the inverse temperature, at most 100."""
        return self.logit_scale.clamp(max=math.log(100)).exp()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.logit_scale.device


class AlignedModel(GeoModel):
    """A model whose coordinates are embedded by a GPS encoder, as unit vectors."""

    sizes: config.Model

    def __init__(self, sizes: config.Model, widths: Mapping[str, int]) -> None:
        """Builds the GPS encoder, with random weights."""
        super().__init__(sizes, widths)
        self.location = LocationEncoder(sizes.location, sizes.embed_dim)

    def metadata(self) -> dict[str, str]:
        """The scales of the GPS encoder, for those who start from it."""
        return {"sigmas": json.dumps(self.sizes.location.sigmas)}

    def unaligned(self) -> tuple[nn.Module, ...]:
        """Parts that contrastive training leaves as they are."""
        return ()

    def embed_locations(self, latlon_N2: Tensor) -> Tensor:
        """Unit vectors (N, E) of points in degrees."""
        return functional.normalize(self.location(latlon_N2), dim=-1)


@dataclass(frozen=True)
class Prediction:
    """Where a model places the frames of one clip."""

    latlon_T2: Floats
    """The answer, by the chosen decoding."""
    initial_latlon_T2: Floats
    """Phase I's nearest gallery point, frame by frame."""
    score_T: Floats
    """Share of the candidates' probability that lies near the answer, in [0, 1]."""
    candidate_latlon_TK2: Floats
    """Gallery points most similar to each frame, best first; after the refiner if it was used."""
    candidate_score_TK: Floats
    """Their similarities."""
    spread_km_T: Floats
    """How far each frame by itself expects the truth to be from the answer; positive."""
    belief: Belief = field(default_factory=Belief)
    """Where else they may be."""

    def __post_init__(self) -> None:
        """Checks that all parts speak of the same frames and candidates."""
        num_frames, num_candidates = self.candidate_score_TK.shape
        wanted = {
            "latlon_T2": (num_frames, 2),
            "initial_latlon_T2": (num_frames, 2),
            "score_T": (num_frames,),
            "candidate_latlon_TK2": (num_frames, num_candidates, 2),
            "spread_km_T": (num_frames,),
        }
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, not {shape}")
