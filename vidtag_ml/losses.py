"""What training minimises, and the noise that Phase II learns to undo (vidtag.md sections 3.6, 4).

Belongs here: functions of tensors. Does not belong here: models, optimisers, batches. Shape legend:
B clips, T frames, N real frames of a batch, M other coordinates, E common space, 2 = (lat, lon) in
degrees. Embeddings are unit vectors.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from vidtag_ml import config, geo


def unit_vectors(latlon_2: Tensor) -> Tensor:
    """Points (..., 2) in degrees as float64 unit vectors (..., 3); geo.unit_vectors for tensors."""
    lat, lon = torch.deg2rad(latlon_2.double()).unbind(-1)
    return torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], -1)


def distance_km(latlon_N2: Tensor, other_M2: Tensor) -> Tensor:
    """Great-circle distances (N, M), float32, of every pair; wrong by less than a metre."""
    cosine_NM = unit_vectors(latlon_N2) @ unit_vectors(other_M2).T
    half_chord_NM = ((1 - cosine_NM) / 2).clamp(0, 1).sqrt().float()
    return 2 * geo.EARTH_RADIUS_KM * half_chord_NM.asin()


def contrastive(
    frames_NE: Tensor,
    gps_NE: Tensor,
    scale: Tensor,
    *,
    direction: Literal["frames_to_gps", "symmetric"] = "frames_to_gps",
    negatives_ME: Tensor | None = None,
    distance_NX: Tensor | None = None,
    soft_targets_km: float | None = None,
) -> Tensor:
    """Cross-entropy of finding each frame's coordinate among all (vidtag.md 4.1, Eq. 1).

    Args:
        frames_NE: embeddings of real frames.
        gps_NE: embeddings of their coordinates, row for row.
        scale: factor on the cosines, `model.scale()`.
        direction: symmetric averages this with finding each coordinate's frame.
        negatives_ME: further coordinates to choose from; no frame belongs to them.
        distance_NX: km from each frame's place to all X = N + M coordinates, in that order.
        soft_targets_km: targets proportional to exp(-distance / this); None = one-hot (published).

    Raises:
        ValueError: soft targets without distances.
    """
    if (soft_targets_km is None) != (distance_NX is None):
        raise ValueError("soft targets need distance_NX and soft_targets_km, both or none")
    others_XE = gps_NE if negatives_ME is None else torch.cat([gps_NE, negatives_ME])
    logits_NX = scale * frames_NE @ others_XE.T
    closeness_NX = None
    if distance_NX is not None and soft_targets_km is not None:
        closeness_NX = -distance_NX / soft_targets_km
    loss = _cross_entropy(logits_NX, closeness_NX)
    if direction == "frames_to_gps":
        return loss
    num = len(frames_NE)
    back = None if closeness_NX is None else closeness_NX[:, :num].T
    return (loss + _cross_entropy(logits_NX[:, :num].T, back)) / 2


def _cross_entropy(logits_NX: Tensor, closeness_NX: Tensor | None) -> Tensor:
    if closeness_NX is None:
        targets = torch.arange(len(logits_NX), device=logits_NX.device)
        return functional.cross_entropy(logits_NX, targets)
    targets_NX = functional.softmax(closeness_NX, -1).to(logits_NX.dtype)
    return functional.cross_entropy(logits_NX, targets_NX)


def identity(
    refined_BTE: Tensor,
    true_BTE: Tensor,
    latlon_BT2: Tensor,
    valid_BT: Tensor,
    *,
    off_diagonal_weight: float,
    diagonal_weight: float,
    same_place_km: float,
) -> Tensor:
    """Squared error to the identity of frame and of video similarities (vidtag.md 4.2, Eq. 2-5).

    Args:
        refined_BTE: unit vectors from the refiner.
        true_BTE: unit vectors of the true coordinates.
        latlon_BT2: true coordinates, to find pairs at the same place.
        valid_BT: True at real frames with a true coordinate; every clip has one.
        off_diagonal_weight: the paper's alpha, 10.
        diagonal_weight: the paper's beta, 1.
        same_place_km: off-diagonal pairs closer than this are left out; 0 keeps all, as printed.
    """
    vectors_BT3 = unit_vectors(torch.where(valid_BT[..., None], latlon_BT2, 0.0))
    frames = (refined_BTE[valid_BT], true_BTE[valid_BT], vectors_BT3[valid_BT])
    videos = (
        _video_mean(refined_BTE, valid_BT),
        _video_mean(true_BTE, valid_BT),
        _video_mean(vectors_BT3, valid_BT),
    )
    total = refined_BTE.new_zeros(())
    for refined_NE, true_NE, vectors_N3 in (frames, videos):
        # 1 - cos(angle) of a small angle; float64 keeps it above rounding at one metre.
        apart_NN = 1 - vectors_N3 @ vectors_N3.T
        same_NN = apart_NN < (same_place_km / geo.EARTH_RADIUS_KM) ** 2 / 2
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


def _video_mean(values_BTX: Tensor, valid_BT: Tensor) -> Tensor:
    """Unit vector (B, X) of the sum over real frames."""
    return functional.normalize(torch.where(valid_BT[..., None], values_BTX, 0.0).sum(1), dim=-1)


def corrupt(
    latlon_BT2: Tensor, valid_BT: Tensor, noise: config.Noise, generator: torch.Generator
) -> Tensor:
    """True tracks made wrong the way Phase I is wrong: jitter and shift, or collapse to a point.

    Offsets are in degrees of latitude and longitude alike, as published. Latitudes are clamped,
    longitudes wrapped into [-180, 180). Padding comes back as (0, 0).

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
    jitter = low + (high - low) * uniform(num, length, 2)
    jitter = torch.where(uniform(num, length, 2) < 0.5, -jitter, jitter)
    shift = noise.shift_deg * (2 * uniform(num, 1, 2) - 1)
    moved = true + jitter + shift
    # The k-th smallest of random numbers at real frames: each real frame is as likely as any other.
    chosen = (uniform(num, length) + valid_BT).argmax(1)
    collapsed = true[torch.arange(num, device=true.device), chosen][:, None].expand_as(true)
    collapse = uniform(num, 1, 1) < noise.collapse_probability
    wrong = torch.where(collapse, collapsed, moved)
    lat, lon = wrong.unbind(-1)
    lon = lon - 360 * ((lon + 180) / 360).floor()  # leaves longitudes in range as they are
    on_globe = torch.stack([lat.clamp(-90, 90), lon], -1)
    return torch.where(valid_BT[..., None], on_globe, 0.0)
