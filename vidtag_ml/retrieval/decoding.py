"""Decoding: one gallery point a frame, chosen together so that the track can have been travelled.

Belongs here: the training-free speed prior, Viterbi, the marginals, and the local posterior mean
that goes below the gallery's own spacing. Does not belong here: anything that knows a model or a
gallery (models/, gallery.py). Shape legend: T frames, K candidates, 2 = (lat, lon) in degrees.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vidtag_ml.earth import sphere

Floats = NDArray[np.float64]

STEEPNESS = 8.0
"""A step of r times the reach has log probability -log(1 + r ** STEEPNESS)."""
_RULED_OUT = 1e-100
"""Probability of what cannot be: no path goes there while it can go elsewhere."""
OUTLIER = 0.01
"""Share of frames whose own evidence is noise; it bounds what a single frame can claim."""


def viterbi(
    candidate_latlon_TK2: ArrayLike,
    log_probability_TK: ArrayLike,
    time_s: ArrayLike,
    max_speed_kmh: float,
    allowed_TK: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.int64], Floats]:
    """The most probable candidate of each frame (T,), and every candidate's marginal (T, K).

    The reach of a step is what the speed limit allows plus the spacing of the candidates, which
    are not the truth but points near it. Within the reach a step costs next to nothing, beyond it
    the cost grows steeply, yet only with the logarithm of the distance: a frame without a usable
    candidate cannot break the rest of the path. O(T K^2).

    Args:
        candidate_latlon_TK2: candidates (T, K, 2); (K, 2) when all frames share theirs.
        log_probability_TK: log-softmax of the scaled similarities; up to a constant a frame.
        time_s: frame times (T,), not decreasing.
        max_speed_kmh: speed limit of the clip's mode.
        allowed_TK: candidates at which each frame may be; all if not given.

    Raises:
        ValueError: shapes disagree, a value is not finite, times decrease, or the limit is not
            positive.
    """
    candidates = np.asarray(candidate_latlon_TK2, float)
    log_probability = np.asarray(log_probability_TK, float)
    times = np.asarray(time_s, float)
    _check(candidates, log_probability, times, max_speed_kmh)
    emission_TK = emission(log_probability, allowed_TK)
    reach_km = max_speed_kmh * np.diff(times) / 3600.0 + spacing_km(candidates)
    steps = _steps(candidates, reach_km)
    return best_path(emission_TK, steps), marginals(emission_TK, steps)


def posterior_mean(
    candidate_latlon_TK2: ArrayLike,
    path_T: NDArray[np.int64],
    marginals_TK: Floats,
    radius_km: float | None = None,
) -> Floats:
    """Positions (T, 2): mean of the candidates near each path point, weighted by their marginals.

    Neighbours of the path point pull it off the gallery's lattice towards the truth; other modes of
    the posterior, further than `radius_km` away, do not count.

    Args:
        candidate_latlon_TK2: candidates (T, K, 2); (K, 2) when all frames share theirs.
        path_T: index of the chosen candidate of each frame.
        marginals_TK: weights, as `viterbi` returns them.
        radius_km: 2.5 spacings of the candidates if not given.
    """
    candidates = np.asarray(candidate_latlon_TK2, float)
    radius = 2.5 * spacing_km(candidates) if radius_km is None else radius_km
    candidates = np.broadcast_to(candidates, (*marginals_TK.shape, 2))
    rows = np.arange(len(path_T))
    chosen = candidates[rows, path_T][:, None]
    near = sphere.great_circle_km(candidates, chosen) <= radius
    weight = np.where(near, marginals_TK, 0.0)
    weight[rows, path_T] += np.finfo(float).tiny
    return sphere.from_unit_vectors((weight[..., None] * sphere.unit_vectors(candidates)).sum(1))


def spacing_km(candidate_latlon_2: ArrayLike) -> float:
    """Lower quartile of the distances of candidates to their nearest other one; 0 if all are one.

    Where candidates lie in clusters, as they do, this is the gallery's own spacing.
    """
    from scipy.spatial import cKDTree

    points = np.unique(np.asarray(candidate_latlon_2, float).reshape(-1, 2), axis=0)
    if len(points) < 2:
        return 0.0
    chord, _ = cKDTree(sphere.unit_vectors(points)).query(sphere.unit_vectors(points), k=2)
    return float(np.percentile(sphere.chord_km(chord[:, 1]), 25))


def _check(
    candidates: Floats, log_probability: Floats, times: Floats, max_speed_kmh: float
) -> None:
    shapes = {(*log_probability.shape, 2), (*log_probability.shape[1:], 2)}
    if log_probability.ndim != 2 or 0 in log_probability.shape or candidates.shape not in shapes:
        raise ValueError(
            f"candidates {candidates.shape} do not fit log probabilities {log_probability.shape}"
        )
    if times.shape != log_probability.shape[:1] or (np.diff(times) < 0).any():
        raise ValueError(f"frame times must be {len(log_probability)} values that do not decrease")
    if not all(np.isfinite(values).all() for values in (candidates, log_probability, times)):
        raise ValueError("candidates, their log probabilities and frame times must be finite")
    if not max_speed_kmh > 0:
        raise ValueError(f"max_speed_kmh is {max_speed_kmh}; it must be positive")


def emission(log_probability_TK: Floats, allowed_TK: NDArray[np.bool_] | None = None) -> Floats:
    """Probabilities (T, K), each frame's mixed with a little of the uniform one.

    What is not allowed has next to none, where anything is.
    """
    if allowed_TK is not None:
        allowed_TK = allowed_TK | ~allowed_TK.any(1, keepdims=True)
        log_probability_TK = np.where(allowed_TK, log_probability_TK, -np.inf)
    p = np.exp(log_probability_TK - log_probability_TK.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    mixed_TK = np.asarray((1 - OUTLIER) * p + OUTLIER / p.shape[1])
    return mixed_TK if allowed_TK is None else np.where(allowed_TK, mixed_TK, _RULED_OUT)


def _steps(candidates: Floats, reach_km: Floats) -> list[Floats]:
    """Probability (K, K) of each of the T - 1 steps, up to a constant; rows are where it starts."""
    if candidates.ndim == 2:
        distance = sphere.great_circle_km(candidates[:, None], candidates[None])
        return _shared_steps(distance, reach_km)
    distance = sphere.great_circle_km(candidates[:-1, :, None], candidates[1:, None])
    return [step_probability(d, reach) for d, reach in zip(distance, reach_km, strict=True)]


def _shared_steps(distance_KK: Floats, reach_km: Floats) -> list[Floats]:
    """The steps over one set of candidates: equal reaches share one matrix."""
    made = {reach: step_probability(distance_KK, reach) for reach in np.unique(reach_km.round(6))}
    return [made[reach] for reach in reach_km.round(6)]


def step_probability(distance_km: Floats, reach_km: float) -> Floats:
    """Probability of steps over some distances, up to a constant: 1 well within the reach."""
    ratio = distance_km / max(reach_km, 1e-3)
    return np.asarray(1 / (1 + ratio**STEEPNESS))


def best_path(emission_TK: Floats, steps: list[Floats]) -> NDArray[np.int64]:
    """The most probable state of each frame (T,), given what each frame and each step says."""
    score = np.log(emission_TK[0])
    came_from = np.zeros(emission_TK.shape, np.int64)
    for t, step in enumerate(steps, 1):
        through = score[:, None] + np.log(step)
        came_from[t] = through.argmax(0)
        score = through.max(0) + np.log(emission_TK[t])
    path = np.empty(len(emission_TK), np.int64)
    path[-1] = score.argmax()
    for t in range(len(path) - 1, 0, -1):
        path[t - 1] = came_from[t, path[t]]
    return path


def marginals(emission_TK: Floats, steps: list[Floats]) -> Floats:
    """Every state's marginal (T, K).

    Forward-backward, rescaled in each frame; no step has probability 0: nothing underflows.
    """
    forward, backward = emission_TK.copy(), np.ones_like(emission_TK)
    for t, step in enumerate(steps, 1):
        forward[t] *= (forward[t - 1] / forward[t - 1].sum()) @ step
    for t in range(len(steps) - 1, -1, -1):
        ahead = emission_TK[t + 1] * backward[t + 1]
        backward[t] = steps[t] @ (ahead / ahead.sum())
    both = forward * backward
    return np.asarray(both / both.sum(1, keepdims=True))
