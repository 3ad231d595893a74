"""What the references are worth on a split: known places found, others left without a position.

Belongs here: the report. Does not belong here: placing (decoding.py), the verdict (judging.py).
Shape legend: T frames of a clip, F frames of the split, R references, 2 = (lat, lon) in degrees.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from vidtag_ml import config
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.dataset.tables import Tables
from vidtag_ml.earth import sphere
from vidtag_ml.features.store import FeatureStore
from vidtag_ml.metrics import bootstrap
from vidtag_ml.models import recording
from vidtag_ml.models.report import Filed
from vidtag_ml.models.revisit import baselines, decoding, search, train
from vidtag_ml.models.revisit.network import Revisit

Floats = NDArray[np.float64]
RECALL_M = (5, 15, 25)
SEED = 0
LABELS = ["clip_id", "mode"]
TRUE = ["true_lat", "true_lon"]
MAY_BE_OFF = (1, 5)
"""Percents of answers that may be off where the share that is answered is told."""


@dataclass(frozen=True)
class RevisitReport(Filed):
    """What the references did on one split."""

    frames: pd.DataFrame
    """One row a frame with a true position: where it was placed, with radius, heading and score;
    the truth, how far its nearest reference is (nearest_m), whether that makes it known, whether
    what was said is right: a known one within `known_m`, an unknown one without a position; and
    errors and scores of the baselines."""


@dataclass(frozen=True)
class Measured:
    """What a report is made of beside the references."""

    features: FeatureStore
    """Cached features of the split's clips."""
    tables: Tables
    """The clips and their fixes."""
    dataset: Path
    """Folder that their paths are relative to."""
    max_gap_s: float
    """Between fixes further apart than this no frame has a true position."""
    max_speed_kmh: Mapping[str, float]
    """Limit by mode."""
    draws: int
    """Of intervals."""


def report_on(
    model: Revisit, settings: config.Revisit, seen: Measured, split: str, name: str
) -> RevisitReport:
    """The report on a split.

    Raises:
        ValueError: the split is empty, or no frame of it has a true position.
    """
    clips = seen.tables.clips[seen.tables.clips["split"] == split].sort_values("clip_id")
    if clips.empty:
        raise ValueError(f"no clip is in split {split!r}")
    store = seen.features.select(tuple(model.widths))
    tables = [
        _frames(model, settings, seen, store, *clip)
        for clip in clips[LABELS].itertuples(index=False)
    ]
    frames = pd.concat(tables, ignore_index=True)
    if frames.empty:
        raise ValueError(f"no frame of split {split!r} has a true position")
    frames = frames.assign(**baselines.blindly(model, frames[TRUE].to_numpy(float)))
    per_clip = clips[LABELS].merge(
        frames.groupby("clip", as_index=False)
        .agg(right=("is_right", "mean"), num_known=("is_known", "sum"), num_frames=("clip", "size"))
        .rename(columns={"clip": "clip_id"})
    )
    summary = {
        "model": name,
        "split": split,
        "num_clips": len(per_clip),
        "num_references": model.sizes.num_references,
        "least_inliers": float(model.least_inliers),
        "known_m": settings.known_m,
        **figures(frames, settings.known_m),
        **bootstrap.named("right", bootstrap.bootstrap(per_clip["right"], seen.draws, SEED)),
        **of_baselines(frames, settings.known_m),
    }
    return RevisitReport(summary, per_clip, frames)


def _frames(
    model: Revisit,
    settings: config.Revisit,
    seen: Measured,
    store: FeatureStore,
    clip_id: str,
    mode: str,
) -> pd.DataFrame:
    """The frames of a clip that have a true position."""
    clip = store.clip(clip_id)
    shown = recording.of_clip(seen.tables, clip_id, seen.dataset)
    looks = train.looks_of(shown, clip.time_s, settings.num_keypoints)
    local_T, thumbnail_T = zip(*looks, strict=True)
    found = search.candidates(model, clip.features_TD, local_T, settings.num_candidates)
    limit = seen.max_speed_kmh[mode]
    placed = decoding.place(model, found, clip.time_s, limit, settings.known_m)
    truth_T2, valid_T = clip_tables.clip_positions(
        seen.tables, clip_id, clip.time_s, seen.max_gap_s
    )
    table = pd.DataFrame(
        {
            "clip": clip_id,
            "time_s": clip.time_s,
            **dict(zip(("lat", "lon"), placed.latlon_T2.T, strict=True)),
            "radius_m": placed.radius_m_T,
            "heading_deg": placed.heading_T,
            "score": placed.score_T,
            **dict(zip(TRUE, truth_T2.T, strict=True)),
            "true_heading_deg": train.headings(truth_T2),
            "nearest_m": _nearest_m(model, truth_T2),
            "error_m": sphere.great_circle_km(placed.latlon_T2, truth_T2) * 1000,
            **baselines.alike(model, clip.features_TD, np.stack(thumbnail_T), truth_T2),
        }
    )[valid_T]
    table["is_known"] = table["nearest_m"] <= settings.known_m
    is_near = table["error_m"] <= settings.known_m
    return table.assign(is_right=np.where(table["is_known"], is_near, table["lat"].isna()))


def _nearest_m(model: Revisit, latlon_T2: Floats) -> Floats:
    """How far the nearest reference is from positions (T,); infinite where these are unknown."""
    from scipy.spatial import cKDTree

    tree, known_T = cKDTree(sphere.unit_vectors(model.latlon_R2.numpy())), np.isfinite(latlon_T2)
    nearest_m_T = np.full(len(latlon_T2), np.inf)
    rows = np.flatnonzero(known_T.all(1))
    chord, _ = tree.query(sphere.unit_vectors(latlon_T2[rows]))
    nearest_m_T[rows] = sphere.chord_km(chord) * 1000
    return nearest_m_T


def figures(frames: pd.DataFrame, known_m: float) -> dict[str, Any]:
    """Figures of frames; None where there is nothing to measure."""
    known = frames[frames["is_known"]]
    unknown = frames[~frames["is_known"]]
    placed = known.dropna(subset=["lat"])
    turned = np.abs((placed["heading_deg"] - placed["true_heading_deg"] + 180) % 360 - 180)
    return {
        "num_frames": len(frames),
        "num_known": len(known),
        "num_unknown": len(unknown),
        **{f"recall_{m}m": _mean(known["error_m"] <= m) for m in RECALL_M},
        "answered": _mean(known["lat"].notna()),
        "silent": _mean(unknown["lat"].isna()),
        "median_m": _median(placed["error_m"]),
        "covered": _mean(placed["error_m"] <= placed["radius_m"]),
        "heading_median_deg": _median(turned.dropna()),
        "area": area(known["score"], unknown["score"]),
        **_answered(frames, "error_m", "score", known_m),
        "right": _mean(frames["is_right"]),
    }


def of_baselines(frames: pd.DataFrame, known_m: float) -> dict[str, Any]:
    """The same figures, as far as they have any, of answers that take less: FIGURE_NAME."""
    known, unknown = frames[frames["is_known"]], frames[~frames["is_known"]]
    found: dict[str, Any] = {}
    for name in (*baselines.ALIKE, *baselines.BLIND):
        error, score = f"error_m_{name}", f"score_{name}"
        of_name = {f"recall_{m}m": _mean(known[error] <= m) for m in RECALL_M}
        if name in baselines.ALIKE:
            of_name["median_m"] = _median(known[error])
            of_name["area"] = area(known[score], unknown[score])
            of_name |= _answered(frames, error, score, known_m)
        found |= {f"{key}_{name}": value for key, value in of_name.items()}
    right = baselines.right(frames, known_m)
    return {**found, **{f"right_{name}": float(each.mean()) for name, each in right.items()}}


def _answered(frames: pd.DataFrame, error: str, score: str, known_m: float) -> dict[str, Any]:
    placed = frames.dropna(subset=[error])
    is_off, num = placed[error] > known_m, int(frames["is_known"].sum())
    return {
        f"answered_at_{percent}": answered(placed[score], is_off, placed["is_known"], num, percent)
        for percent in MAY_BE_OFF
    }


def answered(
    score_N: ArrayLike, is_off_N: ArrayLike, is_known_N: ArrayLike, num_known: int, percent: float
) -> float | None:
    """Share of known frames that are answered if scores decide how many are, and so many are off.

    As many answers as possible are given, those of greatest scores and all of equal score, of which
    at most `percent` are off. None where no frame is known.

    >>> answered([0.9, 0.8, 0.8, 0.1], [0, 0, 1, 0], [1, 1, 0, 1], 4, 25)
    0.75
    >>> answered([0.9, 0.8, 0.8, 0.1], [0, 0, 1, 0], [1, 1, 0, 1], 4, 10)
    0.25
    """
    if not num_known:
        return None
    order = np.argsort(-np.asarray(score_N, float), kind="stable")
    score, is_off, is_known = (np.asarray(v, float)[order] for v in (score_N, is_off_N, is_known_N))
    num = 1 + np.arange(len(score))
    is_last = np.append(score[1:] != score[:-1], True)[: len(score)]
    few_off = np.flatnonzero(is_last & (is_off.cumsum() / num <= percent / 100))
    return float(is_known[: few_off[-1] + 1].sum() / num_known) if len(few_off) else 0.0


def area(known_N: ArrayLike, unknown_N: ArrayLike) -> float | None:
    """Chance that a known frame has a greater score than an unknown one; None without both.

    >>> area([0.9, 0.5], [0.1, 0.5])
    0.875
    """
    from scipy.stats import rankdata

    known, unknown = np.asarray(known_N, float), np.asarray(unknown_N, float)
    if not len(known) or not len(unknown):
        return None
    ranks = rankdata(np.concatenate([known, unknown]))[: len(known)]
    wins = ranks.sum() - len(known) * (len(known) + 1) / 2
    return float(wins / (len(known) * len(unknown)))


def _mean(values: "pd.Series[bool]") -> float | None:
    return float(values.mean()) if len(values) else None


def _median(values: "pd.Series[float]") -> float | None:
    return float(values.median()) if len(values) else None
