"""What is minimised where frames and coordinates meet; tensors on a sphere.

See docs/specs/vidtag.md, section 4.1.

Belongs here: functions of tensors. Does not belong here: models, optimisers, batches, losses of one
system (its module `losses`). Shape legend: B clips, T frames, N real frames of a batch, M other
coordinates, E common space, 2 = (lat, lon) in degrees. Embeddings are unit vectors.
"""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from vidtag_ml.earth import sphere


def unit_vectors(latlon_2: Tensor) -> Tensor:
    """Points (..., 2) in degrees as float64 unit vectors (..., 3); as in earth/sphere.py."""
    lat, lon = torch.deg2rad(latlon_2.double()).unbind(-1)
    return torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], -1)


def distance_km(latlon_N2: Tensor, other_M2: Tensor) -> Tensor:
    """Great-circle distances (N, M), float32, of every pair; wrong by less than a metre."""
    cosine_NM = unit_vectors(latlon_N2) @ unit_vectors(other_M2).T
    half_chord_NM = ((1 - cosine_NM) / 2).clamp(0, 1).sqrt().float()
    return 2 * sphere.EARTH_RADIUS_KM * half_chord_NM.asin()


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
    """Cross-entropy of finding each frame's coordinate among all.

    See docs/specs/vidtag.md, section 4.1, Eq. 1.

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


def video_mean(values_BTX: Tensor, valid_BT: Tensor) -> Tensor:
    """Unit vector (B, X) of the sum over real frames."""
    return functional.normalize(torch.where(valid_BT[..., None], values_BTX, 0.0).sum(1), dim=-1)


def centroid(latlon_BT2: Tensor, valid_BT: Tensor) -> Tensor:
    """Mean place (B, 2) in degrees of each clip's real frames; sphere.centroid for tensors."""
    x, y, z = video_mean(
        unit_vectors(torch.where(valid_BT[..., None], latlon_BT2, 0.0)), valid_BT
    ).unbind(-1)
    lat, lon = torch.atan2(z, torch.hypot(x, y)), torch.atan2(y, x)
    return torch.rad2deg(torch.stack([lat, lon], -1))


def jitter(latlon_N2: Tensor, std_m: float, generator: torch.Generator) -> Tensor:
    """Points (..., 2) moved by Gaussian noise of so many metres in both directions.

    See docs/specs/geoclip.md, section 5.
    """
    if std_m == 0:
        return latlon_N2
    drawn = torch.randn(latlon_N2.shape, generator=generator, device=generator.device)
    return moved_km(latlon_N2, drawn.to(latlon_N2) * (std_m / 1000))


def moved_km(latlon_N2: Tensor, offset_N2: Tensor) -> Tensor:
    """Points (..., 2) moved by offsets (..., 2) in km, north and east.

    A degree of longitude is as long as it is at the point, but no shorter than at 89 degrees.
    """
    shrink = torch.deg2rad(latlon_N2[..., 0]).cos().clamp(min=math.cos(math.radians(89)))
    step = offset_N2 / sphere.KM_PER_DEGREE
    return on_globe(latlon_N2 + step / torch.stack([torch.ones_like(shrink), shrink], -1))


def on_globe(latlon_N2: Tensor) -> Tensor:
    """Points (..., 2) with latitudes clamped and longitudes wrapped into [-180, 180)."""
    lat, lon = latlon_N2.unbind(-1)
    lon = lon - 360 * ((lon + 180) / 360).floor()  # leaves longitudes in range as they are
    return torch.stack([lat.clamp(-90, 90), lon], -1)
