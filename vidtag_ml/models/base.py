"""What all geolocalization models share: the interface, its answer, and files on disk.

Belongs here: `Model`, `GeoModel`, `Prediction`, `save`, `read`, `load`, `embed_gallery`. Does not
belong here: any model's layers, embeddings on disk (embeddings.py), the way from features to a
track (locate.py).
Shape legend: B clips, T frames, D features, E common space, G gallery entries, K candidates,
N points, 2 = (lat, lon) in degrees. `valid_BT` is True at real frames.
"""

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from vidtag_ml import config
from vidtag_ml.models.location import LocationEncoder

Floats = NDArray[np.float64]


class Model(nn.Module):
    """A network that a folder can hold: weights, sizes, and which encoders' features it reads."""

    name: ClassVar[str]
    """Key in `vidtag_ml.models.constructors()`; stored in model.json."""
    sizes_type: ClassVar[type]
    """Dataclass of `sizes`."""

    def __init__(self, sizes: Any, widths: Mapping[str, int]) -> None:
        """Notes what the model is made of.

        Args:
            sizes: of type `sizes_type`; stored in model.json.
            widths: encoder name -> number of its features, in the order in which they come.
        """
        super().__init__()
        self.sizes, self.widths = sizes, dict(widths)
        self.num_features = sum(self.widths.values())


class GeoModel(Model, ABC):
    """Embeds frames and coordinates in one space, where the nearest coordinate is the answer."""

    sizes_type: ClassVar[type] = config.Model
    decodings: ClassVar[tuple[str, ...]] = ("initial", "viterbi")
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

    def __post_init__(self) -> None:
        """Checks that all parts speak of the same frames and candidates."""
        num_frames, num_candidates = self.candidate_score_TK.shape
        wanted = {
            "latlon_T2": (num_frames, 2),
            "initial_latlon_T2": (num_frames, 2),
            "score_T": (num_frames,),
            "candidate_latlon_TK2": (num_frames, num_candidates, 2),
        }
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, not {shape}")


def save(model: Model, folder: Path) -> None:
    """Writes model.json (name, sizes) and model.safetensors into `folder`, made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    card = {
        "name": model.name,
        "config": config.as_dict(model.sizes),
        "widths": model.widths,
    }
    (folder / "model.json").write_text(json.dumps(card, indent=2) + "\n")
    weights = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    about = None
    if isinstance(model, AlignedModel):  # for those who start from its GPS encoder
        about = {"sigmas": json.dumps(model.sizes.location.sigmas)}
    save_file(weights, folder / "model.safetensors", metadata=about)


def load(folder: Path) -> GeoModel:
    """The model that `save` wrote to `folder`, as `read` has it, if it gives coordinates.

    Raises:
        ValueError: it gives none, or `read` refuses the folder.
    """
    model = read(folder)
    if not isinstance(model, GeoModel):
        raise ValueError(f"{folder}: a {model.name} model gives no coordinates")
    return model


def read(folder: Path) -> Model:
    """The model that `save` wrote to `folder`, on the CPU and in evaluation mode.

    Raises:
        ValueError: a file is missing or does not fit the other; names it.
    """
    from vidtag_ml.models import build, constructors

    for name in ("model.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise ValueError(f"{folder / name}: no such file, so {folder} holds no trained model")
    card = json.loads((folder / "model.json").read_text())
    sizes_type = constructors()[card["name"]].sizes_type
    sizes = config.parse(sizes_type, card["config"], str(folder / "model.json"))
    model = build(card["name"], sizes, card["widths"])
    try:
        model.load_state_dict(load_file(folder / "model.safetensors"))
    except RuntimeError as error:
        raise ValueError(
            f"{folder / 'model.safetensors'}: does not fit {folder / 'model.json'}: {error}"
        ) from error
    return model.eval()


@torch.inference_mode()
def embed_gallery(model: GeoModel, latlon_G2: Floats, chunk: int = 8192) -> Tensor:
    """Vectors (G, E) of gallery points, float32 on the model's device; once per weights."""
    points_G2 = torch.as_tensor(np.ascontiguousarray(latlon_G2), device=model.device)
    starts = range(0, len(points_G2), chunk)
    return torch.cat([model.embed_locations(points_G2[k : k + chunk]).float() for k in starts])
