"""Evaluation: a model's tracks over one split against the truth, and the gallery they came from.

Belongs here: running a model over a split, the report and its files. Does not belong here: the
metrics themselves (metrics/tracks.py), pictures (plots/maps.py), comparing models
(models/gate.py). Shape legend: T frames, G gallery entries, E embedding, 2 = (lat, lon) in degrees.
"""

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml import config
from vidtag_ml.dataset import hierarchy
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.dataset.hierarchy import LEVELS
from vidtag_ml.earth import sphere
from vidtag_ml.earth.tracks import Track
from vidtag_ml.metrics import bootstrap
from vidtag_ml.metrics import places as place_metrics
from vidtag_ml.metrics import tracks as track_metrics
from vidtag_ml.models.gps_retrieval import coverage
from vidtag_ml.models.report import Report
from vidtag_ml.retrieval import gallery, motion

if TYPE_CHECKING:
    from vidtag_ml.features.store import FeatureStore
    from vidtag_ml.models.gps_retrieval.calibration import Calibration, Sureness
    from vidtag_ml.models.gps_retrieval.network import GeoModel, Prediction
    from vidtag_ml.retrieval.index import Index


Truth = tuple[NDArray[np.float64], NDArray[np.bool_]]
"""Positions of frames, and which of them are known."""
LABELS = ["clip_id", "mode", *LEVELS]
SEED = 0


def evaluate(
    model: "GeoModel",
    entries: gallery.Gallery,
    features: "FeatureStore",
    tables: clip_tables.Tables,
    split: str,
    evaluation: config.Evaluation,
    model_name: str,
    *,
    max_gap_s: float = 2.0,
    index: "Index | None" = None,
    calibration: "Calibration | None" = None,
) -> Report:
    """The report of a model on one split.

    Args:
        model: in evaluation mode.
        entries: the gallery that is searched.
        features: cached features of the split's clips, by this model's encoders and perhaps others.
        tables: clips and true positions.
        split: train, val or test.
        evaluation: search, decoding, thresholds, speed limits and bootstrap draws.
        model_name: how the report calls the model.
        max_gap_s: true positions are not interpolated across longer gaps.
        index: of the gallery, as `evaluation.search` has it, if it is at hand; made here otherwise.
        calibration: what tells how sure answers are; tracks have no radius without it.

    With a gallery of cities each frame has the label of its point, and a video that of most frames.

    Raises:
        ValueError: the split is empty, features of an encoder are missing, no frame has a true
            position, or a mode has no speed limit.
    """
    chosen = tables.clips[tables.clips["split"] == split].sort_values("clip_id")
    if chosen.empty:
        raise ValueError(f"no clip is in split {split!r}")
    index = index or index_of(model, entries, evaluation)
    wander = motion.learnt(tables) if evaluation.decoding == "motion" else {}
    truth_of = functools.partial(clip_tables.clip_positions, tables, max_gap_s=max_gap_s)
    found = _located(
        model, entries, features, chosen, evaluation, index, wander, calibration, truth_of
    )
    tracks, places, sureness, truths, areas = found
    answered = list(zip(tracks, truths, strict=True))
    final, initial = (track_metrics.Errors(evaluation.accuracy_km) for _ in range(2))
    errors = final.extend((t.latlon_T2, *truth, t.time_s) for t, truth in answered)
    initial.extend((t.initial_latlon_T2, *truth, t.time_s) for t, truth in answered)
    per_clip = pd.DataFrame([e.row(evaluation.accuracy_km) if e else {} for e in errors])
    per_clip = pd.concat([chosen[LABELS].reset_index(drop=True), per_clip], axis=1)
    if places:
        per_clip = _with_places(per_clip, pd.DataFrame(places), tables)
    table = _frames(tracks, np.concatenate([truth_T2 for truth_T2, _ in truths]))
    per_clip = pd.concat([per_clip, pd.DataFrame(areas, index=per_clip.index)], axis=1)
    if calibration is not None:
        per_clip = _with_coverage(per_clip, calibration, sureness, table)
    summary = {
        "model": model_name,
        "split": split,
        "decoding": evaluation.decoding,
        "windows": evaluation.windows,
        **_protocol(entries, table),
        **_search(index.protocol, entries, table),
        **final.counts(),
        **final.summary(),
        **final.intervals(evaluation.bootstrap_draws, SEED),
        **{f"initial_{name}": value for name, value in initial.summary().items()},
        **_place_figures(per_clip, evaluation),
        **coverage.figures(per_clip, evaluation.bootstrap_draws),
    }
    counted = [e is not None for e in errors]
    return Report(summary, per_clip[counted].reset_index(drop=True), table)


def _located(
    model: "GeoModel",
    entries: gallery.Gallery,
    features: "FeatureStore",
    chosen: pd.DataFrame,
    evaluation: config.Evaluation,
    index: "Index",
    wander_kms: Mapping[str, float],
    calibration: "Calibration | None",
    truth_of: Callable[[str, NDArray[np.float64]], Truth],
) -> tuple[
    list[Track], list[dict[str, str]], list["Sureness"], list[Truth], list[dict[str, float]]
]:
    """Tracks of the chosen clips, their places where the gallery has labels, how sure they are.

    Also where they really were, and how well credible areas hold that.
    """
    from vidtag_ml.models.gps_retrieval.locate import locate

    features = features.select(tuple(model.widths))
    tracks, places, sureness, truths, areas = [], [], [], [], []
    for clip_id, mode in zip(chosen["clip_id"], chosen["mode"], strict=True):
        clip, limit = features.clip(clip_id), _speed_limit(evaluation, mode)
        wander = wander_kms.get(mode)
        found = locate(model, clip.stored, clip.time_s, index, evaluation, limit, wander)
        latlon, radius_km_T = (found.latlon_T2, found.initial_latlon_T2), None
        if calibration is not None:
            sureness.append(calibration.sureness(mode, clip.features_TD, found))
            radius_km_T = sureness[-1].radius_km_T
        track = Track(str(clip_id), clip.time_s, *latlon, found.score_T, radius_km_T=radius_km_T)
        tracks.append(track)
        truths.append(truth_of(track.clip, clip.time_s))
        areas.append(coverage.of_areas(found.belief, truths[-1][0]))
        if entries.labels is not None:
            places.append(_place(entries, found))
    return tracks, places, sureness, truths, areas


def index_of(model: "GeoModel", entries: gallery.Gallery, evaluation: config.Evaluation) -> "Index":
    """What finds a gallery's points by a model."""
    from vidtag_ml.retrieval import embeddings
    from vidtag_ml.retrieval import index as retrieval_index

    embedding_GE = embeddings.embed_gallery(model, entries.latlon_G2)
    return retrieval_index.build_index(model, entries, embedding_GE, evaluation.search)


def _with_coverage(
    per_clip: pd.DataFrame,
    calibration: "Calibration",
    sureness: list["Sureness"],
    frames: pd.DataFrame,
) -> pd.DataFrame:
    """The clips with how well radii hold their truth."""
    errors = {str(c): rows.to_numpy(float) for c, rows in frames.groupby("clip")["error_km"]}
    each = zip(per_clip["clip_id"].map(str), per_clip["mode"].map(str), sureness, strict=True)
    rows = [coverage.of_clip(calibration, mode, sure, errors[c]) for c, mode, sure in each]
    return pd.concat([per_clip, pd.DataFrame(rows, index=per_clip.index)], axis=1)


def _place(entries: gallery.Gallery, found: "Prediction") -> dict[str, str]:
    """The city that most frames of a clip are in, with its state, country and continent."""
    assert entries.labels is not None
    apart_TG = sphere.great_circle_km(found.latlon_T2[:, None], entries.latlon_G2)
    rows = apart_TG.argmin(1)
    row = place_metrics.majority(rows.tolist(), found.candidate_score_TK[:, 0])
    return {str(k): v for k, v in entries.labels.iloc[row].items()}


def _with_places(
    per_clip: pd.DataFrame, places: pd.DataFrame, tables: clip_tables.Tables
) -> pd.DataFrame:
    """The clips with their predicted labels, and which of them are right."""
    right = place_metrics.correct(places, per_clip, hierarchy.build(tables.clips))
    return pd.concat([per_clip, places.add_prefix("predicted_"), right.astype(float)], axis=1)


def _place_figures(per_clip: pd.DataFrame, evaluation: config.Evaluation) -> dict[str, float]:
    """Shares of clips whose labels are right, with intervals, where labels were predicted."""
    figures: dict[str, float] = {}
    for name in (*(f"acc_{level}" for level in LEVELS), "consistency"):
        if name in per_clip:
            low, high = bootstrap.bootstrap(per_clip[name], evaluation.bootstrap_draws, SEED)
            mean = float(per_clip[name].mean())
            figures |= {name: mean, f"{name}_lo": low, f"{name}_hi": high}
    return figures


def leakage(tables: clip_tables.Tables, split: str) -> dict[str, float]:
    """What a split shares with the others, by which figures would flatter.

    shared_groups, shared_contents: groups of clips and video contents of the split that another
    split has too. near_train_1km, near_train_25km: share of the split's fixes that are so near to a
    train fix.
    """
    mine = tables.clips["split"] == split
    shared = {
        f"shared_{name}": len(set(tables.clips.loc[mine, key]) & set(tables.clips.loc[~mine, key]))
        for name, key in (("groups", "group_id"), ("contents", "content_md5"))
    }
    fixes = tables.fixes_in(split)[["lat", "lon"]].dropna().to_numpy(float)
    distance = train_distance_km(tables, fixes)
    near = {f"near_train_{km}km": float((distance <= km).mean()) for km in (1, 25)}
    return {**shared, **near}


def train_distance_km(
    tables: clip_tables.Tables, latlon_N2: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distance (N,) of each point from the nearest fix of the train split; infinite without one."""
    train = tables.fixes_in("train")[["lat", "lon"]].dropna().to_numpy(float)
    if not len(train):
        return np.full(len(latlon_N2), np.inf)
    return gallery.oracle_km(train, latlon_N2)


def _speed_limit(evaluation: config.Evaluation, mode: str) -> float:
    if mode not in evaluation.max_speed_kmh:
        raise ValueError(f"evaluation.max_speed_kmh has no limit for mode {mode!r}")
    return evaluation.max_speed_kmh[mode]


def _frames(tracks: list[Track], truth_T2: NDArray[np.float64]) -> pd.DataFrame:
    """All frames of the tracks, one behind the other, with their true positions and errors."""
    table = pd.concat([track.table() for track in tracks], ignore_index=True)
    table["true_lat"], table["true_lon"] = truth_T2.T
    table["error_km"] = sphere.great_circle_km(table[["lat", "lon"]].to_numpy(float), truth_T2)
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


def _search(
    protocol: dict[str, Any], entries: gallery.Gallery, frames: pd.DataFrame
) -> dict[str, Any]:
    """How points were found; if cells were divided, the ceiling of the finest points."""
    truth = frames[["true_lat", "true_lon"]].dropna().to_numpy(float)
    if "search_finest_km" not in protocol or not len(truth):
        return protocol
    distance = gallery.finest_oracle_km(
        entries.latlon_G2, entries.protocol["spacing_km"], protocol["search_finest_km"], truth
    )
    finest = {f"finest_{name}": value for name, value in gallery.ceiling(distance).items()}
    return {**protocol, **finest}
