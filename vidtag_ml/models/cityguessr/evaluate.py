"""Evaluation of answers that are places: which city, state, country and continent of each clip.

Belongs here: running CityGuessr over a split, VidTAG on the same task, the report and its files.
Does not belong here: inferences, calibration and figures (inference.py), what is seen of a clip
(data.py), tracks (models/gps_retrieval/evaluate.py), pictures (plots.py).
Shape legend: N clips, K classes of a level, 4 = the levels, city first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml import config
from vidtag_ml.dataset.hierarchy import LEVELS, Hierarchy
from vidtag_ml.metrics import bootstrap
from vidtag_ml.metrics import places as place_metrics
from vidtag_ml.models import familiarity
from vidtag_ml.models.cityguessr import inference as inferences
from vidtag_ml.models.cityguessr import knowing
from vidtag_ml.models.cityguessr import sources as cityguessr_sources
from vidtag_ml.models.cityguessr.network import CityGuessr
from vidtag_ml.models.cityguessr.sources import Sources
from vidtag_ml.models.familiarity import Familiarity
from vidtag_ml.models.report import Filed

if TYPE_CHECKING:
    from vidtag_ml.models.cityguessr.data import Labelled
    from vidtag_ml.models.report import Report
    from vidtag_ml.retrieval.gallery import Gallery


SEED = 0
SHARES = (*(f"acc_{level}" for level in LEVELS), "consistency")
"""Figures that have intervals."""


@dataclass(frozen=True)
class PlaceReport(Filed):
    """What a model says of the places of one split's clips."""

    summary: dict[str, Any]
    """Figures (docs/specs/metrics.md, section 10) with intervals, model, split and protocol;
    JSON-safe. Those of the other inferences stand under their names, as tree_acc_city ..."""
    per_clip: pd.DataFrame
    """One row a clip: true and predicted labels, which are right, confidences, and the answer that
    stops where it is not sure: `answer` in words, and `depth`, its number of levels."""
    reliability: pd.DataFrame
    """Columns level, low, high, num_clips, confidence, accuracy: a reliability diagram a level."""


def evaluate_places(
    model: "CityGuessr",
    clips: "Labelled",
    labelled_clips: pd.DataFrame,
    train_ids_N4: NDArray[np.int64],
    *,
    inference: str,
    least_probability: float,
    draws: int,
    batch_size: int,
    split: str,
    model_name: str = "cityguessr",
) -> PlaceReport:
    """The report of a CityGuessr on one split.

    Args:
        model: in evaluation mode, calibrated.
        clips: the clips as the model sees them.
        labelled_clips: the same clips, in the same order: clip_id and labels.
        train_ids_N4: classes of the train clips, for the baseline of the most frequent class.
        inference: how logits become the answer; the others are reported beside it.
        least_probability: an answer goes down to the last level that is as probable.
        draws: bootstrap draws over clips.
        batch_size: clips at once.
        split: how the report calls the clips.
        model_name: how the report calls the model.
    """
    from vidtag_ml.models.cityguessr import data

    hierarchy = Hierarchy.of_rows(model.sizes.places)
    true_N4 = clips.classes_C4.numpy()
    logits = data.logits(model, clips, batch_size)
    fitted = dict(zip(inferences.INFERENCES, model.temperatures.tolist(), strict=True))
    found = {
        how: inferences.probabilities(logits, hierarchy, how, fitted[how])
        for how in inferences.INFERENCES
    }
    judged = {how: inferences.judged(found[how], true_N4, hierarchy, how) for how in found}
    raw = inferences.probabilities(logits, hierarchy, inference)
    per_clip = _per_clip(labelled_clips, found[inference], hierarchy, inference, least_probability)
    per_clip = pd.concat([per_clip, judged[inference]], axis=1)
    summary = {
        "model": model_name,
        "split": split,
        "inference": inference,
        **_counts(true_N4, hierarchy),
        "temperatures": fitted[inference],
        **inferences.figures(judged[inference]),
        **intervals(judged[inference], draws),
        "ece_uncalibrated": _figures(raw, true_N4, hierarchy, inference)["ece"],
        **_of_most_frequent(train_ids_N4, true_N4, hierarchy),
        **_abstention(per_clip),
        **{
            f"{how}_{name}": value
            for how in found
            for name, value in inferences.figures(judged[how]).items()
        },
    }
    return PlaceReport(summary, per_clip, _reliability(per_clip))


def _counts(true_N4: NDArray[np.int64], hierarchy: Hierarchy) -> dict[str, int]:
    sizes = zip(LEVELS, hierarchy.sizes, strict=True)
    return {
        "num_clips": len(true_N4),
        **{f"num_{level}": size for level, size in sizes},
        "num_of_no_class": int((true_N4[:, 0] < 0).sum()),
    }


def _figures(
    probabilities: Sequence[NDArray[np.float64]],
    true_N4: NDArray[np.int64],
    hierarchy: Hierarchy,
    inference: str,
) -> dict[str, float]:
    return inferences.figures(inferences.judged(probabilities, true_N4, hierarchy, inference))


def _of_most_frequent(
    train_ids_N4: NDArray[np.int64], true_N4: NDArray[np.int64], hierarchy: Hierarchy
) -> dict[str, float]:
    """Shares of clips that the most frequent classes of the train clips are right about."""
    answer_N4 = np.tile(inferences.prior(train_ids_N4, hierarchy), (len(true_N4), 1))
    right = inferences.correct(answer_N4, true_N4, hierarchy).mean()
    return {f"prior_acc_{level}": float(right[f"acc_{level}"]) for level in LEVELS}


def _reliability(per_clip: pd.DataFrame) -> pd.DataFrame:
    """A reliability diagram a level, one below the other."""
    tables = [
        inferences.reliability(per_clip[f"confidence_{level}"], per_clip[f"acc_{level}"])
        for level in LEVELS
    ]
    named = [table.assign(level=level) for level, table in zip(LEVELS, tables, strict=True)]
    return pd.concat(named, ignore_index=True)


def intervals(judged: pd.DataFrame, draws: int) -> dict[str, float]:
    """95 % bootstrap intervals over clips, as NAME_lo and NAME_hi."""
    ends: dict[str, float] = {}
    for name in SHARES:
        low, high = bootstrap.bootstrap(judged[name], draws, SEED)
        ends |= {f"{name}_lo": low, f"{name}_hi": high}
    return ends


def _per_clip(
    labelled_clips: pd.DataFrame,
    probabilities: Sequence[NDArray[np.float64]],
    hierarchy: Hierarchy,
    inference: str,
    least_probability: float,
) -> pd.DataFrame:
    ids_N4 = inferences.answer(probabilities, hierarchy, inference)
    sure_N4, depth_N = inferences.supported(probabilities, hierarchy, least_probability)
    predicted = {
        f"predicted_{level}": [names[k] for k in ids_N]
        for level, names, ids_N in zip(LEVELS, hierarchy.names, ids_N4.T, strict=True)
    }
    answers = [inferences.sentence(ids_4, hierarchy) for ids_4 in sure_N4]
    true = labelled_clips[["clip_id", *LEVELS]].reset_index(drop=True)
    true_N4 = hierarchy.ids(true)
    right_N = ((sure_N4 == true_N4) | (sure_N4 < 0)).all(1)
    return true.assign(**predicted, answer=answers, depth=depth_N, answer_right=right_N)


def _abstention(per_clip: pd.DataFrame) -> dict[str, float]:
    """How deep the sure answers go, and how often all that they say is right."""
    depth = per_clip["depth"]
    answered = {
        f"answered_{level}": float((depth >= len(LEVELS) - k).mean())
        for k, level in enumerate(LEVELS)
    }
    said = per_clip[depth > 0]
    right = float(said["answer_right"].mean()) if len(said) else float("nan")
    return {**answered, **({"answer_right": right} if len(said) else {})}


def nearest_city(report: "Report", cities: "Gallery") -> pd.DataFrame:
    """Labels of each clip by the city nearest to each of its frames, and a vote over frames.

    VidTAG on CityGuessr's task, with its usual gallery: columns clip_id and the levels.

    Raises:
        ValueError: the cities have no labels.
    """
    from vidtag_ml.earth import sphere

    if cities.labels is None:
        raise ValueError("the cities have no labels")
    rows = []
    for track in report.tracks:
        apart_TG = sphere.great_circle_km(track.latlon_T2[:, None], cities.latlon_G2)
        city = place_metrics.majority(apart_TG.argmin(1).tolist(), track.score_T)
        named = {str(k): str(v) for k, v in cities.labels.iloc[city].items()}
        rows.append({"clip_id": track.clip, **named})
    return pd.DataFrame(rows)


def report_on(
    model: CityGuessr,
    settings: config.CityGuessr,
    sources: Sources,
    split: str,
    draws: int,
    known: Familiarity | None = None,
) -> PlaceReport:
    """What the model says of the clips of a split.

    Args:
        model: in evaluation mode, calibrated.
        settings: which frames are seen, and how logits become an answer.
        sources: videos and classes.
        split: of the clips.
        draws: of the bootstrap, for intervals.
        known: what tells which videos it knows; the report says how many would get no answer.
    """
    clips = sources.tables.clips
    report = evaluate_places(
        model,
        cityguessr_sources.clips_of(model, settings, sources, split),
        clips[clips["split"] == split],
        sources.hierarchy.ids(clips[clips["split"] == "train"]),
        inference=settings.inference,
        least_probability=settings.least_probability,
        draws=draws,
        batch_size=settings.batch_size,
        split=split,
    )
    if known is None or not known.usual:
        return report
    lost = knowing.lost(known, model, settings, sources, split)
    return familiarity.reported(report, lost, draws)
