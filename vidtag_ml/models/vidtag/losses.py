"""What Phase II minimises, and the noise that it learns to undo.

See docs/specs/vidtag.md, section 4.2.

Belongs here: functions of tensors. Shape legend: B clips, T frames, N real frames of a batch, E
common space, X values of a frame, 2 = (lat, lon) in degrees. Embeddings are unit vectors.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from vidtag_ml import config
from vidtag_ml.earth import sphere
from vidtag_ml.models.gps_retrieval import losses as gps_losses

Target = Literal["identity", "kernel"]
"""What the similarities of refined and true embeddings are to be: the identity, as published, or
those of the true embeddings among themselves, which the truth alone reaches."""


def similarities(
    refined_BTE: Tensor,
    true_BTE: Tensor,
    latlon_BT2: Tensor,
    valid_BT: Tensor,
    target: Target,
    *,
    off_diagonal_weight: float,
    diagonal_weight: float,
    same_place_km: float,
    video_unit: Literal["mean", "concatenation"] = "mean",
) -> Tensor:
    """Squared error of frame and of video similarities to a target.

    See docs/specs/vidtag.md, section 4.2, Eq. 2-5.

    The identity is out of reach where true embeddings are alike, and the embeddings nearest to it
    are not the true ones; the kernel's error is 0 at the truth (docs/decisions/0044).

    Args:
        refined_BTE: unit vectors from the refiner.
        true_BTE: unit vectors of the true coordinates.
        latlon_BT2: true coordinates, to find pairs at the same place.
        valid_BT: True at real frames with a true coordinate; every clip has one.
        target: what the similarities are to be.
        off_diagonal_weight: the paper's alpha, 10.
        diagonal_weight: the paper's beta, 1.
        same_place_km: off-diagonal pairs closer than this are left out; 0 keeps all, as printed.
            The kernel leaves out none.
        video_unit: mean of a clip's embeddings, or all of them side by side (clips of one length).
    """
    video = gps_losses.video_mean if video_unit == "mean" else _video_concatenation
    vectors_BT3 = gps_losses.unit_vectors(torch.where(valid_BT[..., None], latlon_BT2, 0.0))
    frames = (refined_BTE[valid_BT], true_BTE[valid_BT], vectors_BT3[valid_BT])
    videos = (
        video(refined_BTE, valid_BT),
        video(true_BTE, valid_BT),
        gps_losses.video_mean(vectors_BT3, valid_BT),
    )
    total = refined_BTE.new_zeros(())
    for refined_NE, true_NE, vectors_N3 in (frames, videos):
        # 1 - cos(angle) of a small angle; float64 keeps it above rounding at one metre.
        wanted_NN, apart_NN = true_NE @ true_NE.T, 1 - vectors_N3 @ vectors_N3.T
        kept_NN = torch.ones_like(apart_NN, dtype=torch.bool)
        if target == "identity":
            wanted_NN = torch.eye(len(true_NE)).to(wanted_NN)
            kept_NN = apart_NN >= (same_place_km / sphere.EARTH_RADIUS_KM) ** 2 / 2
        error_NN = (refined_NE @ true_NE.T - wanted_NN).square()
        total = total + weighted(error_NN, kept_NN, off_diagonal_weight, diagonal_weight)
    return total


def weighted(
    error_NN: Tensor, kept_NN: Tensor, off_diagonal_weight: float, diagonal_weight: float
) -> Tensor:
    """An error by pairs: alpha (upper + lower triangle) + beta diagonal, a mean each.

    Off-diagonal pairs where `kept_NN` is False are left out; a triangle without pairs counts 0.

    >>> error_NN = (torch.ones(3, 3) - torch.eye(3)).square()
    >>> float(weighted(error_NN, torch.ones(3, 3, dtype=torch.bool), 10.0, 1.0))
    20.0
    """
    kept_NN = kept_NN.to(error_NN.dtype)
    off = error_NN.new_zeros(())
    for triangle in (kept_NN.triu(1), kept_NN.tril(-1)):
        off = off + (error_NN * triangle).sum() / triangle.sum().clamp(min=1)
    return off_diagonal_weight * off + diagonal_weight * error_NN.diagonal().mean()


def _video_concatenation(values_BTX: Tensor, valid_BT: Tensor) -> Tensor:
    """Unit vectors (B, T X) of all real frames side by side."""
    kept_BTX = torch.where(valid_BT[..., None], values_BTX, 0.0)
    return functional.normalize(kept_BTX.flatten(1), dim=-1)


def corrupt(
    latlon_BT2: Tensor, valid_BT: Tensor, noise: config.Noise, generator: torch.Generator
) -> Tensor:
    """True tracks made wrong the way Phase I is wrong: jitter and shift, or collapse to a point.

    With `collapse_after` a collapsed track lies at one of its moved points, else at a true one;
    with `drift` the shift grows along the track. Offsets are in degrees of latitude and longitude
    alike, as published. Latitudes are clamped, longitudes wrapped into [-180, 180). Padding comes
    back as (0, 0).

    Args:
        latlon_BT2: true coordinates.
        valid_BT: True where there is one.
        noise: ranges and probabilities.
        generator: source of all randomness; its device is where it is drawn.
    """

    def uniform(*shape: int) -> Tensor:
        drawn = torch.rand(shape, generator=generator, device=generator.device)
        return drawn.to(latlon_BT2)

    num, length = valid_BT.shape
    true = torch.where(valid_BT[..., None], latlon_BT2, 0.0)
    low, high = noise.jitter_deg
    jittered = low + (high - low) * uniform(num, length, 2)
    jittered = torch.where(uniform(num, length, 2) < 0.5, -jittered, jittered)
    shift = noise.shift_deg * (2 * uniform(num, 1, 2) - 1)
    if noise.drift:
        step = (valid_BT.cumsum(1) - 1).clamp(min=0)
        shift = shift * (step / step.amax(1, keepdim=True).clamp(min=1))[..., None].to(shift)
    moved = true + jittered + shift
    # The k-th smallest of random numbers at real frames: each real frame is as likely as any other.
    chosen = (uniform(num, length) + valid_BT).argmax(1)
    falls_on = moved if noise.collapse_after else true
    collapsed = falls_on[torch.arange(num, device=true.device), chosen][:, None].expand_as(true)
    collapse = uniform(num, 1, 1) < noise.collapse_probability
    wrong = gps_losses.on_globe(torch.where(collapse, collapsed, moved))
    if noise.clean_probability:
        wrong = torch.where(uniform(num, 1, 1) < noise.clean_probability, true, wrong)
    return torch.where(valid_BT[..., None], wrong, 0.0)


def wander(
    latlon_BT2: Tensor, valid_BT: Tensor, noise: config.Noise, generator: torch.Generator
) -> Tensor:
    """Tracks moved by an error that wanders: a first-order autoregressive walk, north and east.

    Each frame's error is as large as any other's; padding comes back as (0, 0).

    Args:
        latlon_BT2: true coordinates.
        valid_BT: True where there is one.
        noise: `wander_km` and `wander_memory`.
        generator: source of all randomness, on the CPU.
    """
    drawn_BT2 = noise.wander_km * torch.randn(
        latlon_BT2.shape, generator=generator, dtype=torch.float64
    )
    kept, fresh = noise.wander_memory, (1 - noise.wander_memory**2) ** 0.5
    error_B2, errors = drawn_BT2[:, 0], [drawn_BT2[:, 0]]
    for step in range(1, drawn_BT2.shape[1]):
        error_B2 = kept * error_B2 + fresh * drawn_BT2[:, step]
        errors.append(error_B2)
    true_BT2 = torch.where(valid_BT[..., None], latlon_BT2, 0.0).cpu().double()
    moved_BT2 = gps_losses.moved_km(true_BT2, torch.stack(errors, 1))
    return torch.where(valid_BT.cpu()[..., None], moved_BT2, 0.0)


def swap(valid_BT: Tensor, probability: float, generator: torch.Generator) -> Tensor:
    """For each frame the row (B, T), counted over all, of the one that it becomes.

    Mostly its own; with `probability` that of any real frame of the batch.
    """
    valid_BT = valid_BT.cpu()
    own_BT = torch.arange(valid_BT.numel()).view(valid_BT.shape)
    real_N = own_BT[valid_BT]
    other_BT = real_N[torch.randint(len(real_N), valid_BT.shape, generator=generator)]
    swapped_BT = torch.rand(valid_BT.shape, generator=generator) < probability
    return torch.where(swapped_BT & valid_BT, other_BT, own_BT)
