"""Evaluation: a model's tracks over one split against the truth, and the gallery they came from.

Belongs here: running a model over a split, the report and its files. Does not belong here: the
metrics themselves (metrics.py), pictures (plots.py), comparing models (the gate in vidtag_assets).
Shape legend: T frames, G gallery entries, E embedding, 2 = (lat, lon) in degrees.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml import clips, config, gallery, geo, metrics
from vidtag_ml.track import Track

if TYPE_CHECKING:
    from torch import Tensor

    from vidtag_ml.features import FeatureStore
    from vidtag_ml.models.base import GeoModel

LABELS = ["clip_id", "mode", "city", "state", "country", "continent"]
SEED = 0
_FILES = ("summary.json", "per_clip.parquet", "frames.parquet")


@dataclass(frozen=True)
class Report:
    """What a model did on one split, and everything the figures depend on."""

    summary: dict[str, Any]
    """Figures (metrics.md section 10) with intervals, model, split, decoding and gallery protocol;
    JSON-safe. Figures named initial_... are those before refinement and decoding."""
    per_clip: pd.DataFrame
    """One row a clip: labels and the clip's own figures."""
    frames: pd.DataFrame
    """One row a frame: the track's columns, true_lat, true_lon and error_km (NaN without truth)."""

    @cached_property
    def tracks(self) -> list[Track]:
        """The predicted tracks, in order of clip."""
        return [
            Track(
                clip=str(clip),
                time_s=rows["time_s"].to_numpy(float),
                latlon_T2=rows[["lat", "lon"]].to_numpy(float),
                initial_latlon_T2=rows[["initial_lat", "initial_lon"]].to_numpy(float),
                score_T=rows["score"].to_numpy(float),
            )
            for clip, rows in self.frames.groupby("clip", sort=False)
        ]

    @cached_property
    def truths(self) -> dict[str, NDArray[np.float64]]:
        """True positions (T, 2) by clip; NaN where unknown."""
        groups = self.frames.groupby("clip", sort=False)
        return {str(c): rows[["true_lat", "true_lon"]].to_numpy(float) for c, rows in groups}

    def write(self, folder: Path) -> None:
        """Writes summary.json, per_clip.parquet and frames.parquet."""
        folder.mkdir(parents=True, exist_ok=True)
        summary = json.dumps(self.summary, indent=2, allow_nan=False)
        (folder / _FILES[0]).write_text(summary + "\n")
        self.per_clip.to_parquet(folder / _FILES[1], index=False)
        self.frames.to_parquet(folder / _FILES[2], index=False)

    @classmethod
    def read(cls, folder: Path) -> "Report":
        """The report in a folder.

        Raises:
            ValueError: the folder lacks one of the files; names it.
        """
        for name in _FILES:
            if not (folder / name).is_file():
                raise ValueError(f"{folder / name} is missing; `vidtag evaluate` writes reports")
        summary = json.loads((folder / _FILES[0]).read_text())
        return cls(summary, *(pd.read_parquet(folder / name) for name in _FILES[1:]))


def evaluate(
    model: "GeoModel",
    entries: gallery.Gallery,
    features: "FeatureStore",
    tables: clips.Tables,
    split: str,
    evaluation: config.Evaluation,
    model_name: str,
    *,
    max_gap_s: float = 2.0,
    gallery_embedding_GE: "Tensor | None" = None,
) -> Report:
    """The report of a model on one split.

    Args:
        model: in evaluation mode.
        entries: the gallery that is searched.
        features: cached features of the split's clips.
        tables: clips and true positions.
        split: train, val or test.
        evaluation: decoding, thresholds, speed limits and bootstrap draws.
        model_name: how the report calls the model.
        max_gap_s: true positions are not interpolated across longer gaps.
        gallery_embedding_GE: embeddings of the gallery if they are at hand; made here otherwise.

    Raises:
        ValueError: the split is empty, no frame has a true position, or a mode has no speed limit.
    """
    from vidtag_ml.models import base

    chosen = tables.clips[tables.clips["split"] == split].sort_values("clip_id")
    if chosen.empty:
        raise ValueError(f"no clip is in split {split!r}")
    if gallery_embedding_GE is None:
        gallery_embedding_GE = base.embed_gallery(model, entries.latlon_G2)
    final, initial = (metrics.Errors(evaluation.accuracy_km) for _ in range(2))
    rows, frames = [], []
    for _, labels in chosen[LABELS].iterrows():
        clip_id, clip = str(labels["clip_id"]), features.clip(labels["clip_id"])
        prediction = base.locate(
            model,
            clip.features_TD,
            clip.time_s,
            entries.latlon_G2,
            gallery_embedding_GE,
            evaluation,
            _speed_limit(evaluation, labels["mode"]),
        )
        places = (prediction.latlon_T2, prediction.initial_latlon_T2)
        truth, valid = clips.clip_positions(tables, clip_id, clip.time_s, max_gap_s)
        errors = final.add(places[0], truth, valid, clip.time_s)
        initial.add(places[1], truth, valid, clip.time_s)
        if errors is not None:
            rows.append({**labels, **errors.row(evaluation.accuracy_km)})
        frames.append(_frames(Track(clip_id, clip.time_s, *places, prediction.score_T), truth))
    table = pd.concat(frames, ignore_index=True)
    summary = {
        "model": model_name,
        "split": split,
        "decoding": evaluation.decoding,
        **_protocol(entries, table),
        **final.counts(),
        **final.summary(),
        **final.intervals(evaluation.bootstrap_draws, SEED),
        **{f"initial_{name}": value for name, value in initial.summary().items()},
    }
    return Report(summary, pd.DataFrame(rows), table)


def _speed_limit(evaluation: config.Evaluation, mode: str) -> float:
    if mode not in evaluation.max_speed_kmh:
        raise ValueError(f"evaluation.max_speed_kmh has no limit for mode {mode!r}")
    return evaluation.max_speed_kmh[mode]


def _frames(track: Track, truth_T2: NDArray[np.float64]) -> pd.DataFrame:
    table = track.table()
    table["true_lat"], table["true_lon"] = truth_T2[:, 0], truth_T2[:, 1]
    table["error_km"] = geo.great_circle_km(track.latlon_T2, truth_T2)
    return table


def _protocol(entries: gallery.Gallery, frames: pd.DataFrame) -> dict[str, Any]:
    """What the gallery was, its ceiling on these frames, and how many of them it contains."""
    truth = frames[["true_lat", "true_lon"]].dropna().to_numpy(float)
    settings = {
        f"gallery_{k}": v for k, v in entries.protocol.items() if k not in ("source", "size")
    }
    return {
        "gallery": entries.protocol.get("source", "unknown"),
        "gallery_size": len(entries.latlon_G2),
        "gallery_md5": entries.digest,
        **settings,
        **(gallery.coverage(entries.latlon_G2, truth) if len(truth) else {}),
    }
