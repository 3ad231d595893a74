"""From scores of the classes of four levels to a place, and how far the place can be trusted.

Four inferences, all of the same logits. codependent: the city head alone, its ancestors follow (the
published default). independent: each head for itself. product: each level's probabilities times the
parent's, from the continent down. tree (ours, beyond the paper): the product of all four along the
paths that exist, and of no other.

Belongs here: inferences, their calibration and figures, the answer in words. Does not belong here:
the model that scores (models/), the numbering of classes (dataset/hierarchy.py), intervals
(metrics/bootstrap.py). Shape legend: N clips, K classes of a level, C cities, 4 = the levels, city
first. Logits and probabilities are sequences of four arrays (N, K), city first.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from vidtag_ml.dataset.hierarchy import LEVELS, UNKNOWN, Hierarchy
from vidtag_ml.metrics import places as place_metrics
from vidtag_ml.models import networks
from vidtag_ml.models.cityguessr.network import CityGuessr

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

INFERENCES = ("codependent", "independent", "product", "tree")
UNCALIBRATED = (1.0, 1.0, 1.0, 1.0)
TEMPERATURE_RANGE = (0.01, 100.0)
"""Where temperatures are sought; without a limit, a head that is never wrong would go to zero."""
NUM_BINS = 15
"""Bins of confidence (Guo et al. 2017, arXiv 1706.04599)."""
_NUM_BEST = 5
_ROUNDING = 1e-9


def probabilities(
    logits: Sequence[ArrayLike],
    hierarchy: Hierarchy,
    how: str,
    temperatures: Sequence[float] = UNCALIBRATED,
) -> list[Floats]:
    """Probabilities of the classes of each level (docs/specs/cityguessr.md, section 6).

    Under codependent and tree, a class has the sum of its children's, and only the first
    temperature counts.

    Raises:
        ValueError: no such inference, a temperature is not positive, or the logits are not finite
            scores of the hierarchy's classes.
    """
    if len(temperatures) != len(LEVELS) or not all(0 < t < np.inf for t in temperatures):
        raise ValueError(f"temperatures are four positive numbers, not {temperatures}")
    heads = _heads(logits, hierarchy, how)
    logs = [_log_softmax(head / t) for head, t in zip(heads, temperatures, strict=False)]
    if len(logs) == 1:
        return _summed(np.exp(logs[0]), hierarchy)
    if how == "product":
        for k in reversed(range(len(hierarchy.parents))):
            logs[k] = _log_softmax(logs[k] + logs[k + 1][:, hierarchy.parents[k]])
    return [np.exp(log_NK) for log_NK in logs]


def _heads(logits: Sequence[ArrayLike], hierarchy: Hierarchy, how: str) -> list[Floats]:
    """What is divided by temperatures: scores of each level, or of the cities alone."""
    if how not in INFERENCES:
        raise ValueError(f"no inference is called {how!r}; there are {', '.join(INFERENCES)}")
    heads = [np.asarray(head, float) for head in logits]
    wanted = [(len(heads[0]), size) for size in hierarchy.sizes] if heads else []
    if [head.shape for head in heads] != wanted or not wanted:
        raise ValueError(f"logits {[h.shape for h in heads]} do not fit {hierarchy.sizes} classes")
    if not all(np.isfinite(head).all() for head in heads):
        raise ValueError("a logit is not finite")
    if how == "codependent":
        return heads[:1]
    if how == "tree":
        paths = zip(heads, hierarchy.ancestors_C4.T, strict=True)
        return [np.sum([_log_softmax(head)[:, ancestor_C] for head, ancestor_C in paths], axis=0)]
    return heads


def _log_softmax(logits_NK: Floats) -> Floats:
    shifted_NK = logits_NK - logits_NK.max(1, keepdims=True)
    return np.asarray(shifted_NK - np.log(np.exp(shifted_NK).sum(1, keepdims=True)))


def _summed(city_NC: Floats, hierarchy: Hierarchy) -> list[Floats]:
    """Level by level, so that rounding cannot make a class less probable than its child."""
    levels = [city_NC]
    for parent_K, size in zip(hierarchy.parents, hierarchy.sizes[1:], strict=True):
        levels.append(np.asarray(levels[-1] @ np.eye(size)[parent_K]))
    return levels


def answer(probabilities: Sequence[Floats], hierarchy: Hierarchy, how: str) -> Indices:
    """The classes (N, 4) that an inference decides for; of equally probable ones, the first.

    Raises:
        ValueError: no such inference.
    """
    if how == "codependent":
        return np.asarray(hierarchy.ancestors_C4[probabilities[0].argmax(1)])
    if how == "tree":
        return _descended(probabilities, hierarchy)
    if how in INFERENCES:
        return np.stack([level_NK.argmax(1) for level_NK in probabilities], 1)
    raise ValueError(f"no inference is called {how!r}; there are {', '.join(INFERENCES)}")


def _descended(probabilities: Sequence[Floats], hierarchy: Hierarchy) -> Indices:
    """From the most probable continent, at each step to the most probable child."""
    chosen = [probabilities[-1].argmax(1)]
    steps = zip(probabilities[:-1], hierarchy.parents, strict=True)
    for level_NK, parent_K in reversed(list(steps)):
        children_NK = parent_K == chosen[-1][:, None]
        chosen.append(np.where(children_NK, level_NK, -1.0).argmax(1))
    return np.stack(chosen[::-1], 1)


def supported(
    probabilities: Sequence[Floats], hierarchy: Hierarchy, least: float
) -> tuple[Indices, Indices]:
    """Classes (N, 4) from the continent down while they are probable enough, and how many (N,).

    Each step goes to the most probable child; once it is less probable than `least`, it and all
    below it are -1.

    Raises:
        ValueError: `least` is no probability.
    """
    if not 0 <= least <= 1:
        raise ValueError(f"the least probability is {least}; it must be from 0 to 1")
    ids_N4 = _descended(probabilities, hierarchy)
    enough_N4 = _probability_of(ids_N4, probabilities) >= least
    sure_N4 = np.logical_and.accumulate(enough_N4[:, ::-1], axis=1)[:, ::-1]
    return np.where(sure_N4, ids_N4, UNKNOWN), sure_N4.sum(1)


def _probability_of(ids_N4: Indices, probabilities: Sequence[Floats]) -> Floats:
    levels = zip(probabilities, ids_N4.T, strict=True)
    return np.stack([level_NK[np.arange(len(ids_N4)), id_N] for level_NK, id_N in levels], 1)


def sentence(ids_4: Sequence[int] | Indices, hierarchy: Hierarchy) -> str:
    """The place in words, from the city up, or as much of it as is known from the continent down.

    "Lyon, Auvergne-Rhône-Alpes, France, Europe", "France, city unknown", "Europe, country unknown",
    "nothing is sure". A name that follows itself, as in city states, is said once.
    """
    classes = list(zip(hierarchy.names, ids_4, strict=True))
    sure = itertools.takewhile(lambda level: level[1] != UNKNOWN, reversed(classes))
    known = [names[k].replace("_", " ") for names, k in sure][::-1]
    if not known:
        return "nothing is sure"
    if len(known) == 1:
        return f"{known[0]}, country unknown"
    if len(known) < len(LEVELS):
        known[-1] = "city unknown"
    return ", ".join(name for name, _ in itertools.groupby(known))


def temperatures(
    logits: Sequence[ArrayLike], true_ids_N4: ArrayLike, hierarchy: Hierarchy, how: str
) -> tuple[float, ...]:
    """Temperatures under which held-out clips are most likely (Guo et al. 2017, section 4.2).

    independent and product have one a head; codependent has one, of the city head, and tree one,
    of the sums of log-probabilities along paths: it is repeated. Clips whose true class is -1 do
    not count.

    Raises:
        ValueError: no clip's class is known at a level that counts, or the logits do not fit.
    """
    heads, true_N4 = _heads(logits, hierarchy, how), _of_clips(true_ids_N4)
    if len(true_N4) != len(heads[0]):
        raise ValueError(f"logits of {len(heads[0])} clips and true classes of {len(true_N4)}")
    levels = zip(LEVELS, heads, true_N4.T, strict=False)
    found = [_temperature(level, head, true_N) for level, head, true_N in levels]
    return tuple(found * (len(LEVELS) // len(found)))


def _temperature(level: str, logits_NK: Floats, true_N: Indices) -> float:
    from scipy.optimize import minimize_scalar

    known_N = true_N != UNKNOWN
    if not known_N.any():
        raise ValueError(f"no clip's {level} is a class: no temperature can be fit")
    logits_NK, true_N = logits_NK[known_N], true_N[known_N]

    def loss(log_temperature: float) -> float:
        logs_NK = _log_softmax(logits_NK / np.exp(log_temperature))
        return -float(logs_NK[np.arange(len(true_N)), true_N].mean())

    best = minimize_scalar(loss, bounds=np.log(TEMPERATURE_RANGE), method="bounded")
    return float(np.exp(best.x)) if best.fun < loss(0.0) else 1.0


def prior(train_ids_N4: ArrayLike, hierarchy: Hierarchy) -> Indices:
    """The most frequent class (4,) of each level among the train clips, the baseline.

    Each level by itself: the city need not lie in the country.

    Raises:
        ValueError: no clip's class is known at a level.
    """
    levels = zip(LEVELS, _of_clips(train_ids_N4).T, hierarchy.sizes, strict=True)
    counts = {name: np.bincount(id_N[id_N != UNKNOWN], minlength=k) for name, id_N, k in levels}
    for level, count_K in counts.items():
        if not count_K.any():
            raise ValueError(f"no train clip's {level} is a class: it has no most frequent one")
    return np.array([count_K.argmax() for count_K in counts.values()], np.int64)


def correct(ids_N4: ArrayLike, true_ids_N4: ArrayLike, hierarchy: Hierarchy) -> pd.DataFrame:
    """Which classes of each clip are right: acc_city ... acc_continent and consistency, 0 or 1.

    A true class of -1 is never answered rightly; an answer with a -1 is no path of the hierarchy.

    Raises:
        ValueError: the arrays are not (N, 4) of the same clips.
    """
    true_N4 = _of_clips(true_ids_N4)
    unlike_any_answer_N4 = np.where(true_N4 == UNKNOWN, UNKNOWN - 1, true_N4)
    tables = (_of_clips(ids_N4), unlike_any_answer_N4, hierarchy.ancestors_C4)
    named = (pd.DataFrame(table, columns=list(LEVELS)) for table in tables)
    return place_metrics.correct(*named).astype(float)


def judged(
    probabilities: Sequence[Floats], true_ids_N4: ArrayLike, hierarchy: Hierarchy, how: str
) -> pd.DataFrame:
    """What can be said of each clip by itself, one row a clip, to be summarised or bootstrapped.

    acc_, consistency as `correct` has them; top5_city ...: whether the true class is among the five
    most probable, 0 or 1; confidence_city ...: the probability of the answer.

    Raises:
        ValueError: no such inference, or probabilities and true classes are of different clips.
    """
    ids_N4, true_N4 = answer(probabilities, hierarchy, how), _of_clips(true_ids_N4)
    found = correct(ids_N4, true_N4, hierarchy)
    confidence_N4 = _probability_of(ids_N4, probabilities)
    for k, level in enumerate(LEVELS):
        best_N5 = np.argsort(-probabilities[k], axis=1, kind="stable")[:, :_NUM_BEST]
        found[f"top5_{level}"] = (best_N5 == true_N4[:, k, None]).any(1).astype(float)
        found[f"confidence_{level}"] = confidence_N4[:, k]
    return found


def figures(judged: pd.DataFrame) -> dict[str, float]:
    """Figures over clips of `judged`: shares acc_, top5_ and consistency, and ece of the levels.

    ece_city ... are expected calibration errors, ece is their mean (docs/specs/metrics.md, sections
    7 and 10).

    Raises:
        ValueError: there is no clip.
    """
    if judged.empty:
        raise ValueError("no clip has classes: there is nothing to summarise")
    shares = judged.loc[:, ~judged.columns.str.startswith("confidence_")].mean()
    errors = {
        f"ece_{level}": calibration_error(judged[f"confidence_{level}"], judged[f"acc_{level}"])
        for level in LEVELS
    }
    named = {str(name): float(share) for name, share in shares.items()}
    return {**named, "ece": float(np.mean(list(errors.values()))), **errors}


def calibration_error(confidence_N: ArrayLike, right_N: ArrayLike, bins: int = NUM_BINS) -> float:
    """Expected calibration error: mean over clips of |accuracy - confidence| of the clip's bin.

    Guo et al. 2017, equation 3.

    Raises:
        ValueError: `reliability` refuses the values.
    """
    table = reliability(confidence_N, right_N, bins)
    apart = (table["accuracy"] - table["confidence"]).abs() * table["num_clips"]
    return float(apart.sum() / table["num_clips"].sum())


def reliability(confidence_N: ArrayLike, right_N: ArrayLike, bins: int = NUM_BINS) -> pd.DataFrame:
    """A reliability diagram: low, high, num_clips, confidence and accuracy of each bin.

    Bins are equally wide and hold their upper edge. Means of an empty bin are NaN.

    Raises:
        ValueError: there is no bin or clip, not one value of each for each clip, or a confidence is
            no probability.
    """
    confidence, right = np.asarray(confidence_N, float), np.asarray(right_N, float)
    if bins < 1 or confidence.ndim != 1 or confidence.shape != right.shape or not len(right):
        raise ValueError(f"{confidence.shape} confidences, {right.shape} answers, {bins} bins")
    if not ((confidence >= 0) & (confidence <= 1 + _ROUNDING)).all() or np.isnan(right).any():
        raise ValueError("a confidence is not from 0 to 1, or an answer neither right nor wrong")
    edges = np.linspace(0.0, 1.0, bins + 1)
    bin_N = edges[1:-1].searchsorted(confidence)
    clips = pd.DataFrame({"bin": bin_N, "confidence": confidence, "accuracy": right})
    means = clips.groupby("bin").mean().reindex(range(bins))
    count = np.bincount(bin_N, minlength=bins)
    return pd.DataFrame(
        {"low": edges[:-1], "high": edges[1:], "num_clips": count, **dict(means.items())}
    )


def _of_clips(ids_N4: ArrayLike) -> Indices:
    ids = np.asarray(ids_N4, np.int64)
    if ids.ndim != 2 or ids.shape[1] != len(LEVELS):
        raise ValueError(f"classes of clips have shape (clips, {len(LEVELS)}), not {ids.shape}")
    return ids


def load(folder: Path) -> CityGuessr:
    """The CityGuessr that `base.save` wrote to `folder`, on the CPU and in evaluation mode.

    Raises:
        ValueError: it holds another model, or none.
    """
    model = networks.read(folder)
    if not isinstance(model, CityGuessr):
        raise ValueError(f"{folder}: a {model.name} model names no places")
    return model
