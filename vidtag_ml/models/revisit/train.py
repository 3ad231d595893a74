"""Train clips become references, and what these say of each other tells when to believe them.

Each reference is looked up among the others, twice: without itself and its clip where another clip
has been near by, which tells how far answers are off; and among those far away alone, which tells
how many points agree of places that are not the same.

Belongs here: which frames are kept, their headings, the calibration. Does not belong here: looking
up (search.py, decoding.py). Shape legend: F frames of a clip, R references, N references that are
looked up, 2 = (lat, lon) in degrees.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidtag_ml import config
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.dataset.tables import Tables
from vidtag_ml.earth import sphere
from vidtag_ml.features.store import FeatureStore
from vidtag_ml.models import base, recording
from vidtag_ml.models.revisit import baselines, decoding, local_features, search
from vidtag_ml.models.revisit.local_features import LocalFeatures
from vidtag_ml.models.revisit.network import Revisit, Sizes, unit
from vidtag_ml.models.revisit.search import Candidates

Floats = NDArray[np.float64]
NUM_LOOKED_UP = 300
"""References that calibrate, evenly spaced among all."""
FAR = 20.0
"""How many times `known_m` away nothing of a place is seen; a drone sees far."""
SURE = 0.99
"""Share of other places that must not be taken for known ones."""
COVERED = 0.9
"""Share of errors within the radius, of references that are placed where they are known."""
AT_ONCE = 64
"""Frames that are decoded at once."""


@dataclass(frozen=True, eq=False)
class _Reference:
    """A frame whose place is known."""

    clip: int
    time_s: float
    latlon_2: Floats
    heading: float
    features_E: Tensor
    local: LocalFeatures
    thumbnail_P: NDArray[np.uint8]


def train_revisit(
    settings: config.Revisit,
    features: FeatureStore,
    tables: Tables,
    dataset: Path,
    max_gap_s: float,
    out: Path,
) -> dict[str, float]:
    """Writes the references of the train clips, calibrated, to `out`; returns their losses.

    Args:
        settings: section revisit.
        features: cached features of all train clips.
        tables: the clips and their fixes.
        dataset: folder that their paths are relative to.
        max_gap_s: between fixes further apart than this no frame has a position.
        out: folder; made if need be.

    Raises:
        ValueError: no train frame has a position, or features of the encoder are missing.
    """
    store = features.select((settings.encoder,))
    clips = sorted(tables.clips.loc[tables.clips["split"] == "train", "clip_id"].astype(str))
    found = [
        reference
        for number, clip in enumerate(clips)
        for reference in _references(settings, store, tables, clip, number, dataset, max_gap_s)
    ]
    if not found:
        raise ValueError("no frame of the train clips has a position, so no place is known")
    model = _model(found, tuple(clips), settings, store)
    losses = calibrate(model, settings)
    base.save(model, out)
    pd.DataFrame([{"step": 0, **losses}]).to_csv(out / "losses.csv", index=False)
    return losses


def _references(
    settings: config.Revisit,
    store: FeatureStore,
    tables: Tables,
    clip_id: str,
    number: int,
    dataset: Path,
    max_gap_s: float,
) -> Iterator[_Reference]:
    """The frames of a clip that are kept."""
    clip = store.clip(clip_id)
    latlon_F2, valid_F = clip_tables.clip_positions(tables, clip_id, clip.time_s, max_gap_s)
    kept = thinned(latlon_F2, valid_F, settings.spacing_m)
    heading_F = headings(latlon_F2)
    seen = recording.of_clip(tables, clip_id, dataset)
    looks = looks_of(seen, clip.time_s[kept], settings.num_keypoints)
    for row, look in zip(kept, looks, strict=True):
        where = clip.time_s[row], latlon_F2[row], heading_F[row], clip.features_TD[row]
        yield _Reference(number, *where, *look)


def looks_of(
    seen: recording.Recording, time_s: Floats, num_keypoints: int
) -> Iterator[tuple[LocalFeatures, NDArray[np.uint8]]]:
    """Local features and thumbnails of a recording's frames at some times, a few at once."""
    for frames in seen.batches_at(time_s, AT_ONCE) if len(time_s) else ():
        local = local_features.of_frames(frames, num_keypoints)
        yield from zip(local, map(baselines.thumbnail, frames), strict=True)


def thinned(latlon_F2: Floats, valid_F: NDArray[np.bool_], spacing_m: float) -> list[int]:
    """Rows of frames with a position, each at least `spacing_m` from the one before.

    >>> thinned(np.array([(0, 0), (0, 1e-6), (0, 1e-3)]), np.ones(3, bool), 5.0)
    [0, 2]
    """
    kept: list[int] = []
    for row in np.flatnonzero(valid_F):
        last_2 = latlon_F2[kept[-1]] if kept else np.full(2, np.nan)
        if not sphere.great_circle_km(last_2, latlon_F2[row]) * 1000 < spacing_m:
            kept.append(int(row))
    return kept


def headings(latlon_F2: Floats, least_m: float = 1.0) -> Floats:
    """Directions (F,) in which frames move on, in degrees from north.

    From the frame before to the one after of those whose positions are known; NaN where these are
    less than `least_m` apart, and where a frame's own is unknown.
    """
    rows = np.flatnonzero(np.isfinite(latlon_F2).all(1))
    known_N2, heading_F = latlon_F2[rows], np.full(len(latlon_F2), np.nan)
    if len(rows):
        before = np.concatenate([known_N2[:1], known_N2[:-1]])
        after = np.concatenate([known_N2[1:], known_N2[-1:]])
        moved_m = sphere.great_circle_km(before, after) * 1000
        bearing = sphere.bearing_deg(before, after)
        heading_F[rows] = np.where(moved_m >= least_m, bearing, np.nan)
    return heading_F


def _model(
    found: list[_Reference], clips: tuple[str, ...], settings: config.Revisit, store: FeatureStore
) -> Revisit:
    model = Revisit(Sizes(len(found), settings.num_keypoints, clips), store.widths)
    model.embedding_RE.copy_(unit(torch.stack([r.features_E for r in found]).float()))
    model.latlon_R2.copy_(torch.from_numpy(np.stack([r.latlon_2 for r in found])))
    model.heading_R.copy_(torch.tensor([r.heading for r in found]))
    model.clip_R.copy_(torch.tensor([r.clip for r in found]))
    model.time_R.copy_(torch.tensor([r.time_s for r in found]))
    for row, reference in enumerate(found):
        model.thumbnail_RP[row] = torch.from_numpy(reference.thumbnail_P)
        num = len(reference.local.points_P2)
        model.num_R[row] = num
        model.points_RP2[row, :num] = torch.from_numpy(reference.local.points_P2)
        model.descriptors_RPD[row, :num] = torch.from_numpy(reference.local.descriptors_PD)
    return model


def calibrate(model: Revisit, settings: config.Revisit) -> dict[str, float]:
    """Sets when the references are believed; returns how often they err even so, as losses.

    `loss` is the share of references with others near them that are not placed within `known_m`,
    `val_loss` that of references for which more points than needed agree with a place far away; 0
    where there are none.
    """
    num = len(model.latlon_R2)
    rows_N = np.unique(np.linspace(0, num - 1, min(num, NUM_LOOKED_UP)).round().astype(int))
    apart_m_NR = _apart_m(model, rows_N)
    far_N = _agreeing_far_away(model, settings, rows_N, apart_m_NR)
    most = [float(np.ceil(np.quantile(far_N, SURE))) + 1] if len(far_N) else []
    least = max([float(settings.least_inliers), *most])
    model.least_inliers.fill_(least)
    barred_NR = _itself(model, rows_N, apart_m_NR <= settings.known_m)
    is_near_N = (~barred_NR & (apart_m_NR <= settings.known_m)).any(1)
    model.gap_m_R.copy_(torch.from_numpy(_gaps_m(model, settings)))
    missed = _set_radius(model, settings, rows_N[is_near_N], barred_NR[is_near_N])
    wrong = float((far_N >= least).sum()) / max(1, len(far_N))
    return {"loss": missed, "val_loss": wrong}


def _apart_m(model: Revisit, rows_N: NDArray[np.int64]) -> Floats:
    """Distances (N, R) of references from all."""
    latlon_R2 = model.latlon_R2.numpy()
    return sphere.great_circle_km(latlon_R2[rows_N][:, None], latlon_R2[None]) * 1000


def _gaps_m(model: Revisit, settings: config.Revisit) -> Floats:
    """How far each reference (R,) is from its nearest other one, from spacing to `known_m`."""
    from scipy.spatial import cKDTree

    vectors_R3 = sphere.unit_vectors(model.latlon_R2.numpy())
    chord_R2, _ = cKDTree(vectors_R3).query(vectors_R3, k=2)
    nearest_m_R = sphere.chord_km(np.minimum(chord_R2[:, 1], 2.0)) * 1000
    return np.asarray(nearest_m_R.clip(settings.spacing_m, settings.known_m))


def _agreeing_far_away(
    model: Revisit, settings: config.Revisit, rows_N: NDArray[np.int64], apart_m_NR: Floats
) -> NDArray[np.int64]:
    """How many points of references agree with the best one far away, of those that have such."""
    barred_NR = apart_m_NR < FAR * settings.known_m
    has_far_N = ~barred_NR.all(1)
    found = _looked_up(model, settings, rows_N[has_far_N], barred_NR[has_far_N])
    return np.asarray(found.inliers_TK.max(1, initial=0))


def _itself(
    model: Revisit, rows_N: NDArray[np.int64], is_near_NR: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """What a reference is not compared with: itself, and its clip if another is near it, too."""
    clip_R = model.clip_R.numpy()
    is_own_NR = clip_R[rows_N][:, None] == clip_R[None]
    has_other_N = (is_near_NR & ~is_own_NR).any(1)
    barred_NR = np.asarray(is_own_NR & has_other_N[:, None])
    barred_NR[np.arange(len(rows_N)), rows_N] = True
    return barred_NR


def _set_radius(
    model: Revisit,
    settings: config.Revisit,
    rows_N: NDArray[np.int64],
    barred_NR: NDArray[np.bool_],
) -> float:
    """Sets the radius so that it covers the errors; returns the share of references missed."""
    model.radius_factor.fill_(1.0)
    found = _looked_up(model, settings, rows_N, barred_NR)
    ratios = []
    for k, row in enumerate(rows_N):
        one = Candidates(found.row_TK[k : k + 1], found.inliers_TK[k : k + 1])
        placed = decoding.place(model, one, np.zeros(1), 1.0, settings.known_m)
        truth_2 = model.latlon_R2[row].numpy()
        error_m = float(sphere.great_circle_km(placed.latlon_T2[0], truth_2)) * 1000
        if error_m <= settings.known_m:
            ratios.append(error_m / placed.radius_m_T[0])
    model.radius_factor.fill_(covering(ratios))
    return 1 - len(ratios) / max(1, len(rows_N))


def covering(ratios: list[float]) -> float:
    """The factor by which radii hold `COVERED` of errors, told as shares of them; at least 1.

    >>> covering([float(k) for k in range(11)])
    9.0
    """
    return max(1.0, float(np.quantile(ratios or [1.0], COVERED)))


def _looked_up(
    model: Revisit,
    settings: config.Revisit,
    rows_N: NDArray[np.int64],
    barred_NR: NDArray[np.bool_],
) -> Candidates:
    """References as if they were frames of a video, among those that are not barred."""
    return search.candidates(
        model,
        model.embedding_RE[torch.from_numpy(rows_N)],
        [model.local(row) for row in rows_N],
        settings.num_candidates,
        torch.from_numpy(barred_NR),
    )
