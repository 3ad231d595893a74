"""The GPS encoder: Equal Earth projection, random Fourier features, one perceptron a scale.

Belongs here: the encoder of GeoCLIP and VidTAG (docs/specs/geoclip.md, section 3), reading its
weights, and the names that GeoCLIP's releases give them. Does not belong here: reading those
releases (checkpoints.py), L2 normalisation, which the models do. Shape legend: N points, F
frequencies, E common space, 2 = (lat, lon) in degrees.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from vidtag_ml import config

GEOCLIP_SIGMAS = (1.0, 16.0, 256.0)
_A1, _A2, _A3, _A4 = 1.340264, -0.081106, 0.000893, 0.003796
_SCALE = 66.50336 / 180
_RELEASED = {"capsule.1": 0, "capsule.3": 2, "capsule.5": 4, "head.0": 6}


def equal_earth(latlon_N2: Tensor) -> Tensor:
    """Projected points (N, 2) = (x, y), x in [-1, 1] and y in [-0.487, 0.487].

    >>> [round(v, 6) for v in equal_earth(torch.tensor([[45.0, 90.0]])).double()[0].tolist()]
    [0.428523, 0.317824]
    """
    lat, lon = torch.deg2rad(latlon_N2).unbind(-1)
    theta = torch.asin(math.sqrt(3) / 2 * torch.sin(lat))
    square = theta**2
    sixth = square**3
    slope = 9 * _A4 * sixth * square + 7 * _A3 * sixth + 3 * _A2 * square + _A1
    x = 2 * math.sqrt(3) * lon * torch.cos(theta) / (3 * slope)
    y = theta * (_A4 * sixth * square + _A3 * sixth + _A2 * square + _A1)
    return torch.stack([x, y], -1) * _SCALE


class Branch(nn.Module):
    """One scale: Fourier features of projected points, then a perceptron of three hidden layers."""

    frequencies_F2: Tensor

    def __init__(self, sigma: float, num_frequencies: int, hidden: int, embed_dim: int) -> None:
        """Draws the frequencies from N(0, sigma^2); saved with the weights, never trained."""
        super().__init__()
        self.register_buffer("frequencies_F2", torch.randn(num_frequencies, 2) * sigma)
        self.layers = nn.Sequential(
            *(nn.Linear(2 * num_frequencies, hidden), nn.ReLU()),
            *(nn.Linear(hidden, hidden), nn.ReLU()),
            *(nn.Linear(hidden, hidden), nn.ReLU()),
            nn.Linear(hidden, embed_dim),
        )

    def forward(self, xy_N2: Tensor) -> Tensor:
        """Embeddings (N, E); phases, cosines and sines have the precision of the points."""
        with torch.autocast(xy_N2.device.type, enabled=False):
            phase_NF = 2 * math.pi * xy_N2 @ self.frequencies_F2.T.to(xy_N2.dtype)
            features = torch.cat([torch.cos(phase_NF), torch.sin(phase_NF)], -1)
        embeddings: Tensor = self.layers(features.to(self.frequencies_F2.dtype))
        return embeddings


class LocationEncoder(nn.Module):
    """Coordinates in, one vector each out: the sum of the branches, not normalised."""

    def __init__(self, sizes: config.Location, embed_dim: int) -> None:
        """Builds the branches with random frequencies and weights."""
        super().__init__()
        self.branches = nn.ModuleList(
            Branch(sigma, sizes.num_frequencies, sizes.hidden, embed_dim) for sigma in sizes.sigmas
        )

    def forward(self, latlon_N2: Tensor) -> Tensor:
        """Embeddings (N, E) of points in degrees.

        Projection and phases are computed in float32, or float64 if the points are: the finest
        branch turns one degree into many periods, so half precision would be noise.
        """
        with torch.autocast(latlon_N2.device.type, enabled=False):
            precision = torch.promote_types(latlon_N2.dtype, torch.float32)
            xy_N2 = equal_earth(latlon_N2.to(precision))
        embeddings = [branch(xy_N2) for branch in self.branches]
        return torch.stack(embeddings).sum(0)


def from_geoclip(released: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict of our `LocationEncoder` from the released one (keys LocEnc0.capsule.0.b, ...).

    Raises:
        ValueError: a key is missing.
    """
    num_branches = sum(key.endswith(".capsule.0.b") for key in released)
    ours: dict[str, Tensor] = {}
    try:
        for k in range(max(num_branches, 1)):
            ours[f"branches.{k}.frequencies_F2"] = released[f"LocEnc{k}.capsule.0.b"]
            for name, layer in _RELEASED.items():
                for part in ("weight", "bias"):
                    value = released[f"LocEnc{k}.{name}.{part}"]
                    ours[f"branches.{k}.layers.{layer}.{part}"] = value
    except KeyError as error:
        raise ValueError(f"not GeoCLIP's location encoder: {error.args[0]} is missing") from error
    return ours


def load_location(path: Path, sigmas: tuple[float, ...]) -> tuple[dict[str, Tensor], Tensor]:
    """State dict, float32, of a `LocationEncoder` with `sigmas`, and the logarithm of the scale.

    A branch whose sigma differs from the stored one keeps the directions of its frequencies: they
    are multiplied by wanted / stored (docs/specs/vidtag.md, section 3.4).

    Args:
        path: a safetensors file of a GPS encoder or of a model that has one; its metadata may hold
            `sigmas`, JSON, else they are those wanted.
        sigmas: scale of each branch.

    Raises:
        ValueError: it is no such file, or has another number of branches; names it.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            # A tensor file has keys alone; it cannot be iterated over.
            weights = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file: {error}") from error
    if any(key.startswith("location.") for key in weights):
        of_model = {k: v for k, v in weights.items() if k.startswith(("location.", "logit_scale"))}
        weights = {key.removeprefix("location."): value for key, value in of_model.items()}
    if "logit_scale" not in weights:
        raise ValueError(f"{path}: not a GPS encoder: logit_scale is missing")
    logit_scale = weights.pop("logit_scale").reshape(())
    stored = tuple(json.loads(metadata["sigmas"])) if "sigmas" in metadata else sigmas
    frequencies = {key for key in weights if key.endswith(".frequencies_F2")}
    names = [f"branches.{k}.frequencies_F2" for k in range(len(sigmas))]
    if frequencies != set(names) or len(stored) != len(sigmas):
        raise ValueError(f"{path}: has {len(frequencies)} branches, the sigmas are {sigmas}")
    for name, wanted, known in zip(names, sigmas, stored, strict=True):
        weights[name] *= wanted / known
    return weights, logit_scale
