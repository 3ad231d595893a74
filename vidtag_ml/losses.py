"""What training minimises, and the noise that Phase II learns to undo (vidtag.md sections 3.6, 4).

CityGuessr's losses are from cityguessr.md section 4.

Belongs here: functions of tensors. Does not belong here: models, optimisers, batches. Shape legend:
B clips, T frames, N real frames of a batch, M other coordinates, E common space, K classes of a
level, S scenes, 2 = (lat, lon) in degrees, 4 = city, state, country, continent. Embeddings are unit
vectors.
"""

import math
from collections.abc import Sequence
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


_NEVER = -1e5
"""A logit whose probability is 0; finite, so that a target of 0 there costs nothing."""


def contrastive(
    frames_NE: Tensor,
    gps_NE: Tensor,
    scale: Tensor,
    *,
    direction: Literal["frames_to_gps", "symmetric"] = "frames_to_gps",
    negatives_ME: Tensor | None = None,
    masked_NX: Tensor | None = None,
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
        masked_NX: True at coordinates, of all X = N + M in that order, that a frame does not see.
        distance_NX: km from each frame's place to all X coordinates.
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
    if masked_NX is not None:
        logits_NX = logits_NX.masked_fill(masked_NX, _NEVER)
        closeness_NX = None if closeness_NX is None else closeness_NX.masked_fill(masked_NX, _NEVER)
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
    video_unit: Literal["mean", "concatenation"] = "mean",
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
        video_unit: mean of a clip's embeddings, or all of them side by side (clips of one length).
    """
    video = video_mean if video_unit == "mean" else _video_concatenation
    vectors_BT3 = unit_vectors(torch.where(valid_BT[..., None], latlon_BT2, 0.0))
    frames = (refined_BTE[valid_BT], true_BTE[valid_BT], vectors_BT3[valid_BT])
    videos = (
        video(refined_BTE, valid_BT),
        video(true_BTE, valid_BT),
        video_mean(vectors_BT3, valid_BT),
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


def video_mean(values_BTX: Tensor, valid_BT: Tensor) -> Tensor:
    """Unit vector (B, X) of the sum over real frames."""
    return functional.normalize(torch.where(valid_BT[..., None], values_BTX, 0.0).sum(1), dim=-1)


def _video_concatenation(values_BTX: Tensor, valid_BT: Tensor) -> Tensor:
    """Unit vectors (B, T X) of all real frames side by side."""
    kept_BTX = torch.where(valid_BT[..., None], values_BTX, 0.0)
    return functional.normalize(kept_BTX.flatten(1), dim=-1)


def centroid(latlon_BT2: Tensor, valid_BT: Tensor) -> Tensor:
    """Mean place (B, 2) in degrees of each clip's real frames; geo.centroid for tensors."""
    x, y, z = video_mean(
        unit_vectors(torch.where(valid_BT[..., None], latlon_BT2, 0.0)), valid_BT
    ).unbind(-1)
    lat, lon = torch.atan2(z, torch.hypot(x, y)), torch.atan2(y, x)
    return torch.rad2deg(torch.stack([lat, lon], -1))


def jitter(latlon_N2: Tensor, std_m: float, generator: torch.Generator) -> Tensor:
    """Points (..., 2) moved by Gaussian noise of so many metres in both directions (geoclip.md 5).

    A degree of longitude is as long as it is at the point, but no shorter than at 89 degrees.
    """
    if std_m == 0:
        return latlon_N2
    drawn = torch.randn(latlon_N2.shape, generator=generator, device=generator.device)
    step = drawn.to(latlon_N2) * (std_m / 1000 / geo.KM_PER_DEGREE)
    shrink = torch.deg2rad(latlon_N2[..., 0]).cos().clamp(min=math.cos(math.radians(89)))
    return on_globe(latlon_N2 + step / torch.stack([torch.ones_like(shrink), shrink], -1))


def on_globe(latlon_N2: Tensor) -> Tensor:
    """Points (..., 2) with latitudes clamped and longitudes wrapped into [-180, 180)."""
    lat, lon = latlon_N2.unbind(-1)
    lon = lon - 360 * ((lon + 180) / 360).floor()  # leaves longitudes in range as they are
    return torch.stack([lat.clamp(-90, 90), lon], -1)


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
    wrong = on_globe(torch.where(collapse, collapsed, moved))
    if noise.clean_probability:
        wrong = torch.where(uniform(num, 1, 1) < noise.clean_probability, true, wrong)
    return torch.where(valid_BT[..., None], wrong, 0.0)


def nt_xent(
    clips_BE: Tensor, tiles_BE: Tensor, temperature: float = 0.1, base_temperature: float = 0.07
) -> Tensor:
    """Cross-entropy of finding each clip's tile and each tile's clip (gama.md section 4).

    All other clips and tiles of the batch stand to choice. As in the reference code, the positive
    stays in the denominator, where the paper's Eq. 1 leaves it out, and the mean over all 2 B
    anchors is multiplied by temperature / base_temperature.

    Args:
        clips_BE: unit vectors of clips.
        tiles_BE: unit vectors of their tiles, row for row.
        temperature: what similarities are divided by.
        base_temperature: scales the loss; equal to `temperature`, it is the plain cross-entropy.

    >>> round(float(nt_xent(torch.eye(4).double(), torch.eye(4).double())), 8)
    0.00038909
    """
    both_XE = torch.cat([clips_BE, tiles_BE])
    num = len(both_XE)
    itself_XX = torch.eye(num, dtype=torch.bool, device=both_XE.device)
    logits_XX = (both_XE @ both_XE.T / temperature).masked_fill(itself_XX, -torch.inf)
    partner_X = torch.arange(num, device=both_XE.device).roll(num // 2)
    return functional.cross_entropy(logits_XX, partner_X) * (temperature / base_temperature)


def triplet(clips_BE: Tensor, tiles_BE: Tensor, margin: float = 0.2) -> Tensor:
    """How much nearer than by a margin the hardest wrong partner is (gama.md section 4, baseline).

    Squared distances of unit vectors; the mean over both directions, each clip with the nearest
    wrong tile of the batch and each tile with the nearest wrong clip.

    Raises:
        ValueError: a batch of one pair has no wrong partner.
    """
    if len(clips_BE) < 2:
        raise ValueError(f"a triplet needs a wrong partner, but the batch has {len(clips_BE)} pair")
    apart_BB = 2 - 2 * clips_BE @ tiles_BE.T
    right_BB = torch.eye(len(clips_BE), dtype=torch.bool, device=clips_BE.device)
    wrong_BB = apart_BB.masked_fill(right_BB, torch.inf)
    own_B = apart_BB.diagonal()
    hinges = [functional.relu(own_B - wrong_BB.amin(axis) + margin) for axis in (0, 1)]
    return torch.cat(hinges).mean()


def hierarchical(logits: Sequence[Tensor], ids_B4: Tensor) -> Tensor:
    """Sum over levels of the mean cross-entropy (cityguessr.md section 4, L_geo).

    Args:
        logits: scores (B, K) of each level, city first.
        ids_B4: true classes; -1 = unknown, which counts nothing. A level with no known class adds
            0.
    """
    total = logits[0].new_zeros(())
    for logits_BK, ids_B in zip(logits, ids_B4.unbind(1), strict=True):
        summed = functional.cross_entropy(logits_BK, ids_B, ignore_index=-1, reduction="sum")
        total = total + summed / (ids_B != -1).sum().clamp(min=1)
    return total


def soft_labels(scene_BS: Tensor, target_BS: Tensor) -> Tensor:
    """Mean cross-entropy of logits to probabilities (cityguessr.md section 4, L_scene)."""
    return functional.cross_entropy(scene_BS, target_BS.to(scene_BS.dtype))


def text_alignment(text_BE: Tensor, target_BE: Tensor) -> Tensor:
    """Minus the mean cosine between answers and targets (cityguessr.md section 4, L_TLA).

    Published as a sum: times 12 it is what it was at the published batch of 12.
    """
    return -functional.cosine_similarity(text_BE, target_BE.to(text_BE.dtype), dim=-1).mean()
