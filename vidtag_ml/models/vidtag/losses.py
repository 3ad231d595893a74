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


def identity(
    refined_BTE: Tensor,
    true_BTE: Tensor,
    latlon_BT2: Tensor,
    valid_BT: Tensor,
    *,
    off_diagonal_weight: float,
    diagonal_weight: float,
    same_place_km: float,
    video_unit: Literal["mean", "concatenation"] = "mean",
) -> Tensor:
    """Squared error to the identity of frame and of video similarities.

    See docs/specs/vidtag.md, section 4.2, Eq. 2-5.

    Args:
        refined_BTE: unit vectors from the refiner.
        true_BTE: unit vectors of the true coordinates.
        latlon_BT2: true coordinates, to find pairs at the same place.
        valid_BT: True at real frames with a true coordinate; every clip has one.
        off_diagonal_weight: the paper's alpha, 10.
        diagonal_weight: the paper's beta, 1.
        same_place_km: off-diagonal pairs closer than this are left out; 0 keeps all, as printed.
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
        apart_NN = 1 - vectors_N3 @ vectors_N3.T
        same_NN = apart_NN < (same_place_km / sphere.EARTH_RADIUS_KM) ** 2 / 2
        total = total + to_identity(
            refined_NE @ true_NE.T, same_NN, off_diagonal_weight, diagonal_weight
        )
    return total


def to_identity(
    similarity_NN: Tensor, same_NN: Tensor, off_diagonal_weight: float, diagonal_weight: float
) -> Tensor:
    """Weighted mean of (S - I)^2: alpha (upper + lower triangle) + beta diagonal, a mean each.

    Off-diagonal pairs where `same_NN` is True are left out; a triangle without pairs counts 0.

    >>> float(to_identity(torch.ones(3, 3), torch.zeros(3, 3, dtype=torch.bool), 10.0, 1.0))
    20.0
    """
    one_NN = torch.eye(len(similarity_NN), dtype=similarity_NN.dtype, device=similarity_NN.device)
    error_NN = (similarity_NN - one_NN).square()
    kept_NN = (~same_NN).to(error_NN.dtype)
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
