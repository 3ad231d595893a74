"""How sure an answer is, by val clips: radii that hold the truth, and what is not known at all.

A frame expects the truth to be so far from its answer (`Prediction.spread_km_T`); how much farther
it is, val clips tell. Fewer frames help each other less, so clips are also cut to so many.

Belongs here: learning that from val, and telling it of an answer. Does not belong here: quantiles
(metrics/conformal.py), what is familiar (models/familiarity.py), how often radii hold
(coverage.py). Shape legend: T frames, D features, 2 = (lat, lon) in degrees.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from vidtag_ml import config
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.dataset.tables import Tables
from vidtag_ml.earth import sphere
from vidtag_ml.features.store import FeatureStore
from vidtag_ml.metrics import conformal
from vidtag_ml.models import familiarity
from vidtag_ml.models.familiarity import Familiarity, Looks
from vidtag_ml.models.gps_retrieval.locate import PATH_FRAMES, locate
from vidtag_ml.models.gps_retrieval.network import GeoModel, Prediction
from vidtag_ml.retrieval import motion
from vidtag_ml.retrieval.index import Index
from vidtag_ml.workflow import stage

Floats = NDArray[np.float64]

FOLDER = "calibration"
"""Of a report on val, and of a bundle."""
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Of truths that radii can hold; answers have those of the last."""
LENGTHS = (1, 4, 16, PATH_FRAMES)
"""Frames that val clips are cut to; more than are decoded together change nothing."""
_FILE = "calibration.json"


@dataclass(frozen=True)
class Radii:
    """What spreads are multiplied with, learnt from val clips of one mode and number of frames."""

    num_frames: int
    num_clips: int
    points: tuple[float, ...]
    """Of a frame, for radii that hold its truth as often as each of `SHARES` says."""
    track: float
    """Of all frames in the mean, for a radius that holds the whole true track as the last says."""


@dataclass(frozen=True)
class Sureness:
    """How sure an answer is."""

    radius_km_T: Floats | None = None
    """Distance from each position that the truth is within, in 9 of 10 cases; None = unknown."""
    track_radius_km: float | None = None
    """Distance from the track that all of the truth is within, in 9 of 10 clips."""
    beyond: float | None = None
    """Above 0, the recording is not of a kind that the model knows; None = unknown."""
    kinds: str = ""
    """What the model knows, in words."""
    told: tuple[str, ...] = ()
    """What is not known of it, and why, a sentence each."""


@dataclass(frozen=True)
class Calibration:
    """What val clips tell of how sure a model's answers are."""

    radii: Mapping[str, Sequence[Radii]]
    """By mode, with growing numbers of frames; without modes that have too few clips."""
    num_clips: Mapping[str, int]
    """Val clips by mode."""
    familiarity: Familiarity

    def sureness(self, mode: str, features_TD: Tensor, found: Prediction) -> Sureness:
        """How sure the answer to a recording is.

        Args:
            mode: how it moved.
            features_TD: what the model saw.
            found: what it answered.
        """
        beyond = self.familiarity.beyond(features_TD, found.candidate_score_TK[:, 0])
        radii, kinds = self.radii_of(mode, len(features_TD)), self.familiarity.kinds
        if radii is None:
            return Sureness(beyond=beyond, kinds=kinds, told=(self._few(mode),))
        spread_km_T = found.spread_km_T
        track_km = radii.track * float(spread_km_T.mean())
        return Sureness(radii.points[-1] * spread_km_T, track_km, beyond, kinds)

    def radii_of(self, mode: str, num_frames: int) -> Radii | None:
        """What fits a recording; None if the val clips of its mode are too few."""
        fitting = [r for r in self.radii.get(mode, ()) if r.num_frames <= num_frames]
        return fitting[-1] if fitting else None

    def _few(self, mode: str) -> str:
        num, least = self.num_clips.get(mode, 0), conformal.LEAST_CLIPS
        return f"no radius: {num} val clips of mode {mode}, and {least} are needed to tell one"

    def write(self, folder: Path) -> None:
        """Writes it into a folder, made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        value = {
            "shares": SHARES,
            "num_clips": dict(self.num_clips),
            "radii": {mode: [asdict(each) for each in radii] for mode, radii in self.radii.items()},
            "familiarity": self.familiarity.as_json(),
        }
        stage.write_text(folder / _FILE, json.dumps(value, indent=1) + "\n")
        self.familiarity.looks.write(folder)

    @classmethod
    def read(cls, folder: Path) -> "Calibration":
        """The one in a folder."""
        value = json.loads((folder / _FILE).read_text())
        radii = {mode: list(map(_read, each)) for mode, each in value["radii"].items()}
        looks = Looks.read(folder)
        known = Familiarity.of_json(value["familiarity"], looks)
        return cls(radii, value["num_clips"], known)


def _read(value: Mapping[str, Any]) -> Radii:
    return Radii(**{**value, "points": tuple(value["points"])})


def uncalibrated() -> Sureness:
    """How sure an answer of a bundle is that carries no calibration."""
    return Sureness(told=("no radius: its model was bundled by an older vidtag",))


def possible(tables: Tables) -> bool:
    """Whether a dataset has what tells how sure answers are: train and val clips."""
    return {"train", "val"} <= set(tables.clips["split"])


def fit(
    model: GeoModel,
    index: Index,
    store: FeatureStore,
    tables: Tables,
    evaluation: config.Evaluation,
    max_gap_s: float,
) -> Calibration:
    """What the val clips of a dataset tell of a model.

    Val also chose among trainings and settings; test has a part in neither.

    Args:
        model: in evaluation mode.
        index: of what it searches.
        store: features of the train and val clips, by this model's encoders and perhaps others.
        tables: clips and true positions.
        evaluation: how it answers.
        max_gap_s: true positions are not interpolated across longer gaps.
    """
    store, val, train = store.select(tuple(model.widths)), _some(tables, "val"), _some(tables)
    wander = motion.learnt(tables) if evaluation.decoding == "motion" else {}
    looks = Looks.of_clips(store.clip(str(name)).features_TD for name in train["clip_id"])
    answering = _Answering(model, index, store, tables, evaluation, max_gap_s, wander, looks)
    each = list(zip(val["clip_id"].map(str), val["mode"].map(str), strict=True))
    cut = {n: [j for one in each if (j := answering.judged(*one, n))] for n in LENGTHS}
    measures = {n: [j.measures_2 for j in judged] for n, judged in cut.items()}
    known = familiarity.learnt(familiarity.kinds(train), looks, measures)
    modes = val["mode"].value_counts()
    radii = {str(m): [r for n in LENGTHS if (r := _radii(n, m, cut[n]))] for m in modes.index}
    return Calibration(
        {mode: found for mode, found in radii.items() if found},
        {str(mode): int(num) for mode, num in modes.items()},
        known,
    )


@dataclass(frozen=True)
class _Judged:
    """One val clip, cut to some frames."""

    mode: str
    error_km_T: Floats
    """NaN where the truth is unknown."""
    spread_km_T: Floats
    measures_2: Floats


@dataclass(frozen=True)
class _Answering:
    """What answers val clips."""

    model: GeoModel
    index: Index
    store: FeatureStore
    tables: Tables
    evaluation: config.Evaluation
    max_gap_s: float
    wander_kms: Mapping[str, float]
    looks: Looks

    def judged(self, clip_id: str, mode: str, num_frames: int) -> _Judged | None:
        """The middle of a clip; None if it has fewer frames."""
        clip = self.store.clip(clip_id)
        start = (len(clip.time_s) - num_frames) // 2
        if start < 0:
            return None
        part = slice(start, start + num_frames)
        found = locate(
            self.model,
            clip.stored[part],
            clip.time_s[part],
            self.index,
            self.evaluation,
            self.evaluation.max_speed_kmh[mode],
            self.wander_kms.get(mode),
        )
        truth_T2, valid_T = clip_tables.clip_positions(
            self.tables, clip_id, clip.time_s[part], self.max_gap_s
        )
        error_km_T = np.where(valid_T, sphere.great_circle_km(found.latlon_T2, truth_T2), np.nan)
        measures_2 = self.looks.measures(clip.features_TD[part], found.candidate_score_TK[:, 0])
        return _Judged(mode, error_km_T, found.spread_km_T, measures_2)


def _radii(num_frames: int, mode: str, judged: Sequence[_Judged]) -> Radii | None:
    """What is learnt from the clips of a mode; None if they are too few."""
    usable = [j for j in judged if j.mode == mode and np.isfinite(j.error_km_T).any()]
    if len(usable) < conformal.LEAST_CLIPS:
        return None
    points = [(j.error_km_T / j.spread_km_T)[np.isfinite(j.error_km_T)] for j in usable]
    wholes = [np.array([np.nanmax(j.error_km_T) / j.spread_km_T.mean()]) for j in usable]
    factors = tuple(conformal.quantile(points, share) for share in SHARES)
    return Radii(num_frames, len(usable), factors, conformal.quantile(wholes, SHARES[-1]))


def _some(tables: Tables, split: str = "train") -> pd.DataFrame:
    """Clips of a split that are looked at."""
    clips = tables.clips[tables.clips["split"] == split].sort_values("clip_id")
    return clips.iloc[list(familiarity.spaced(len(clips)))]
