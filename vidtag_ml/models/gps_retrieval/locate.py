"""From the features of a clip to its track: embed, search, decode.

See docs/specs/vidtag.md, section 8.

Belongs here: `locate`, `posterior`. Does not belong here: models (models/), how points are found
(retrieval/index.py), the path through them (retrieval/decoding.py, retrieval/motion.py), files
(models/vidtag/locator.py). Shape legend: T frames, V views, D features, E common space, K
candidates, M points found, S states, 2 = (lat, lon) in degrees.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidtag_ml import config
from vidtag_ml.earth import sphere
from vidtag_ml.models.gps_retrieval import belief
from vidtag_ml.models.gps_retrieval.belief import Belief, Part
from vidtag_ml.models.gps_retrieval.known import Known
from vidtag_ml.models.gps_retrieval.network import GeoModel, Prediction
from vidtag_ml.models.gps_retrieval.windows import in_windows, interleaved, windows
from vidtag_ml.models.position_encodings import LAST_POSITION
from vidtag_ml.retrieval import decoding, motion, search
from vidtag_ml.retrieval.index import Hits, Index

Floats = NDArray[np.float64]

MAX_FRAMES = 512
"""Longest clip a network sees at once; longer ones are cut into windows (docs/specs/vidtag.md,
section 8)."""
COMB_FRAMES = int(LAST_POSITION) + 1
"""Frames that training shows at once, hence the longest interleaved part of a clip."""
PATH_FRAMES, PATH_STATES = 64, 256
"""Frames that Viterbi decodes together, and gallery points through which their path may go."""
NEARBY = 1.5
"""Candidates within so many spacings of an answer speak for it."""
LEAST_KM = 0.001
"""Nothing is expected to be nearer than a metre."""


_TRACKS = ("viterbi", "refined_viterbi", "motion")
"""Decodings that look at all frames together, and at their times."""
_Seen = Literal["whole", "interleaved"]


@torch.inference_mode()
def locate(
    model: GeoModel,
    features: NDArray[np.floating] | Tensor,
    time_s: Floats,
    index: Index,
    evaluation: config.Evaluation,
    max_speed_kmh: float,
    wander_kms: float | None = None,
    known: Known | None = None,
) -> Prediction:
    """Where the frames of one clip were taken; no pass over the gallery.

    See docs/specs/vidtag.md, section 8.

    initial takes each frame's nearest point; refined sends the embeddings of those points through
    the refiner and searches again. viterbi finds the likeliest speed-limited path through the
    `num_candidates` nearest points of all frames together, so that a blind frame can use its
    neighbours' candidates, and then leaves the gallery's lattice for the local posterior mean.
    refined_viterbi does so with the mean of frame embedding and refined embedding as the query: the
    mean of both similarities, hence the product of what two experts say. motion goes on from
    viterbi to the likeliest track whose speed and heading persist as those of train tracks did
    (docs/decisions/0043); for a mode that had none it is viterbi.

    Args:
        model: in evaluation mode.
        features: cached features of the clip, any float type: (T, D), or (T, V, D) of several views
            of each frame, whose similarities are averaged (docs/specs/geoclip.md, section 7).
        time_s: presentation times (T,), not decreasing.
        index: finds the points most similar to a query, by this model's embeddings.
        evaluation: decoding, windows and number of candidates.
        max_speed_kmh: speed limit of the clip's mode; initial and refined do not read it.
        wander_kms: how much velocities of the clip's mode change (`motion.learnt`), if that is
            known; only motion reads it.
        known: where each frame may be; the gallery is then searched exactly, whatever the index,
            and motion is viterbi where it would lead elsewhere.

    Raises:
        ValueError: no frames, times of another number, a decoding that the model does not offer, or
            a model in training mode.
    """
    given = torch.as_tensor(features).to(model.device)
    time, wanted = np.asarray(time_s, float), evaluation.decoding
    _check(model, given, time, wanted)
    time_T = _seconds(time, wanted).to(model.device)
    query_TE = _embedded(model, given, time_T, evaluation.windows)
    if known:
        index = known.within(index.of_paths)
    hits = index.search(query_TE, evaluation.num_candidates)
    initial_T2 = hits.latlon_NK2[:, 0]
    if wanted.startswith("refined"):
        found_TE = hits.embeddings(hits.index_NK[:, 0]).to(query_TE)
        refined_TE = _parts(evaluation.windows)(model.refine, time_T, found_TE, query_TE)
        query_TE = refined_TE if wanted == "refined" else (query_TE + refined_TE) / 2
        hits = index.search(query_TE, evaluation.num_candidates)
    if wanted in _TRACKS and index.of_paths is not index:
        hits = index.of_paths.search(query_TE, evaluation.num_candidates)
    candidates_TK2 = hits.latlon_NK2
    probability_TK = _numpy((model.scale() * hits.score_NK).softmax(-1))
    spacing_km = known.spacing_km if known else decoding.spacing_km(candidates_TK2)
    if wanted in _TRACKS:
        moves = _moves(wanted, max_speed_kmh, wander_kms)
        latlon_T2, score_T, parts = _travel(
            model.scale() * query_TE, hits, probability_TK, time, max_speed_kmh, moves, known
        )
    else:
        parts = belief.alone(hits.index_NK.cpu().numpy(), hits.latlon_M2, probability_TK)
        latlon_T2 = candidates_TK2[:, 0]
        score_T = _mass_near(latlon_T2, candidates_TK2, probability_TK, spacing_km)
    return Prediction(
        latlon_T2=latlon_T2,
        initial_latlon_T2=initial_T2,
        score_T=score_T,
        candidate_latlon_TK2=candidates_TK2,
        candidate_score_TK=_numpy(hits.score_NK),
        spread_km_T=_spread_km(latlon_T2, candidates_TK2, probability_TK, spacing_km),
        belief=Belief(parts, spacing_km),
    )


def _moves(wanted: str, max_speed_kmh: float, wander_kms: float | None) -> motion.Motion | None:
    """How the camera moves, if the decoding asks for it and train tracks of the mode told it."""
    if wanted != "motion" or wander_kms is None:
        return None
    return motion.Motion(max_speed_kmh, wander_kms)


def _embedded(model: GeoModel, features: Tensor, time_T: Tensor, seen: _Seen) -> Tensor:
    """Queries (T, E): unit vectors, or the mean of those of all views."""
    if features.ndim == 2:
        return _parts(seen)(model.embed_frames, time_T, features)
    views = [_parts(seen)(model.embed_frames, time_T, view_TD) for view_TD in features.unbind(1)]
    return torch.stack(views).mean(0)


def _parts(seen: _Seen) -> Callable[..., Tensor]:
    """Applies a network to a clip of any length, in the parts that are asked for."""
    if seen == "interleaved":
        return lambda network, *parts_TX: interleaved(network, COMB_FRAMES, *parts_TX)
    return lambda network, *parts_TX: in_windows(network, MAX_FRAMES, *parts_TX)


@dataclass(frozen=True)
class Posterior:
    """What a model holds of the frames of one clip, for another model to multiply with."""

    latlon_T2: Floats
    """Where it puts them, by viterbi."""
    likely_P2: Floats
    """Gallery points that hold most of the posterior of some frame."""
    spacing_km: float
    """Distance between neighbours of these."""
    query_TE: Tensor
    """Embeddings of the frames, times the model's scale."""
    model: GeoModel
    """Whose posterior it is."""

    @torch.inference_mode()
    def log_odds(self, latlon_K2: Floats) -> Floats:
        """Logarithms (T, K) of the odds of any points, up to a constant a frame."""
        points_K2 = torch.from_numpy(np.ascontiguousarray(latlon_K2)).to(self.query_TE.device)
        places_KE = self.model.embed_locations(points_K2.float())
        return _numpy(self.query_TE @ places_KE.T)


@torch.inference_mode()
def posterior(
    model: GeoModel,
    features: NDArray[np.floating] | Tensor,
    time_s: Floats,
    index: Index,
    evaluation: config.Evaluation,
    max_speed_kmh: float,
    mass: float,
) -> Posterior:
    """The posterior of a clip's frames, as `locate` has it when it decodes by viterbi.

    Args:
        model: in evaluation mode.
        features: as of `locate`.
        time_s: presentation times (T,), not decreasing.
        index: as of `locate`.
        evaluation: windows and number of candidates.
        max_speed_kmh: speed limit of the clip's mode.
        mass: share of each frame's posterior that the likely points hold.

    Raises:
        ValueError: as `locate`.
    """
    given = torch.as_tensor(features).to(model.device)
    time = np.asarray(time_s, float)
    _check(model, given, time, "viterbi")
    query_TE = _embedded(
        model, given, _seconds(time, "viterbi").to(model.device), evaluation.windows
    )
    hits = index.of_paths.search(query_TE, evaluation.num_candidates)
    scaled_TE = model.scale() * query_TE
    probability_TK = _numpy((model.scale() * hits.score_NK).softmax(-1))
    likely, positions = [], []
    for way in _ways(scaled_TE, hits, probability_TK, time, max_speed_kmh):
        positions.append(way.mean_T2()[way.mine])
        order_TS = np.argsort(-way.marginals_TS, 1)
        sorted_TS = np.take_along_axis(way.marginals_TS, order_TS, 1)
        needed_TS = sorted_TS.cumsum(1) - sorted_TS < mass
        likely.append(way.latlon_S2[np.unique(order_TS[needed_TS])])
    points_P2 = np.unique(np.concatenate(likely), axis=0)
    return Posterior(
        np.concatenate(positions),
        points_P2,
        decoding.spacing_km(hits.latlon_NK2),
        scaled_TE,
        model,
    )


@dataclass(frozen=True)
class _Way:
    """The path through one window of a clip."""

    latlon_S2: Floats
    """Gallery points through which it may go."""
    emission_TS: Floats
    """What each frame says of them, by itself."""
    path_T: NDArray[np.int64]
    """Which it goes through."""
    marginals_TS: Floats
    """What all frames together say of them."""
    time_s: Floats
    """Times of the frames."""
    read: slice
    """Which frames of the clip they are."""
    mine: slice
    """Frames that count; the others are other windows'."""

    def mean_T2(self) -> Floats:
        """Positions of the frames, off the lattice."""
        return decoding.posterior_mean(self.latlon_S2, self.path_T, self.marginals_TS)

    def smoothed_T2(self, moves: motion.Motion) -> Floats:
        """Positions of the frames, off the lattice, of something that moves so."""
        return motion.smoothed(
            self.latlon_S2,
            np.log(self.emission_TS),
            self.mean_T2(),
            self.time_s,
            decoding.spacing_km(self.latlon_S2),
            moves,
        )


def _travel(
    query_TE: Tensor,
    hits: Hits,
    probability_TK: Floats,
    time_s: Floats,
    max_speed_kmh: float,
    moves: motion.Motion | None,
    known: Known | None,
) -> tuple[Floats, Floats, tuple[Part, ...]]:
    """Positions (T, 2) along the likeliest path, the probability near each (T,), the posterior."""
    positions, scores, parts = [], [], []
    for way in _ways(query_TE, hits, probability_TK, time_s, max_speed_kmh, known):
        smoothed_T2 = None if moves is None else way.smoothed_T2(moves)
        if known and smoothed_T2 is not None and not known.holds(smoothed_T2, way.read):
            smoothed_T2 = None
        latlon_T2 = way.mean_T2() if smoothed_T2 is None else smoothed_T2
        positions.append(latlon_T2[way.mine])
        passed_T2 = way.latlon_S2[way.path_T] if smoothed_T2 is None else latlon_T2
        spacing_km = decoding.spacing_km(way.latlon_S2)
        near_T = _mass_near(passed_T2, way.latlon_S2, way.marginals_TS, spacing_km)
        scores.append(near_T[way.mine])
        parts.append(Part(way.latlon_S2, way.marginals_TS[way.mine].astype(np.float32)))
    return np.concatenate(positions), np.concatenate(scores), tuple(parts)


def _ways(
    query_TE: Tensor,
    hits: Hits,
    probability_TK: Floats,
    time_s: Floats,
    max_speed_kmh: float,
    known: Known | None = None,
) -> Iterator[_Way]:
    """The path through each window.

    All frames of a window share their states: the points that the frames find likeliest in sum.
    """
    index_TK = hits.index_NK.cpu().numpy()
    for read, keep in windows(len(time_s), PATH_FRAMES):
        points, which = np.unique(index_TK[read], return_inverse=True)
        total = np.bincount(which.ravel(), probability_TK[read].ravel())
        likeliest = np.argsort(-total, kind="stable")[:PATH_STATES]
        states_S = np.sort(points[likeliest[total[likeliest] > 0]])
        states_SE = hits.embeddings(torch.from_numpy(states_S)).to(query_TE)
        log_probability_TS = _numpy((query_TE[read] @ states_SE.T).log_softmax(-1))
        latlon_S2 = hits.latlon_M2[states_S]
        allowed_TS = known.allowed(latlon_S2).of(read, slice(None)) if known else None
        path_T, marginals_TS = decoding.viterbi(
            latlon_S2, log_probability_TS, time_s[read], max_speed_kmh, allowed_TS
        )
        mine = slice(keep.start - read.start, keep.stop - read.start)
        emission_TS = decoding.emission(log_probability_TS, allowed_TS)
        yield _Way(latlon_S2, emission_TS, path_T, marginals_TS, time_s[read], read, mine)


@torch.inference_mode()
def mass_of(
    model: GeoModel,
    features: NDArray[np.floating] | Tensor,
    time_s: Floats,
    index: Index,
    evaluation: config.Evaluation,
    known: Known,
) -> tuple[Floats, Floats]:
    """Probability (T,) by each frame's own softmax of where it may be, and share of the gallery.

    It is one pass over the gallery.

    Args:
        model: in evaluation mode.
        features: as of `locate`.
        time_s: as of `locate`.
        index: as of `locate`.
        evaluation: decoding and windows.
        known: where each frame may be.

    Raises:
        ContradictionError: some frame can be nowhere.
    """
    time_T = _seconds(time_s, evaluation.decoding).to(model.device)
    given = torch.as_tensor(features).to(model.device)
    query_TE = _embedded(model, given, time_T, evaluation.windows)
    within = known.within(index.of_paths)
    return search.mass(model.scale() * query_TE, within.embedding_GD, within.allowed)


def _mass_near(
    latlon_T2: Floats, candidates_TK2: Floats, probability_TK: Floats, spacing_km: float
) -> Floats:
    """Probability (T,) of the candidates within `NEARBY` spacings of each point."""
    away_TK = sphere.great_circle_km(latlon_T2[:, None], candidates_TK2)
    near_TK = away_TK <= NEARBY * spacing_km
    return np.asarray((probability_TK * near_TK).sum(-1).clip(0, 1))


def _spread_km(
    latlon_T2: Floats, candidates_TK2: Floats, probability_TK: Floats, spacing_km: float
) -> Floats:
    """How far (T,) each frame by itself expects the truth to be from the answer.

    The mean distance of its candidates, by their probability, and half of their spacing, since none
    of them is the truth. Other frames count only by the answer, so that it means the same of one
    frame as of many.
    """
    away_TK = sphere.great_circle_km(latlon_T2[:, None], candidates_TK2)
    expected_T = (probability_TK * away_TK).sum(-1)
    return np.asarray(expected_T + max(spacing_km / 2, LEAST_KM))


def _check(model: GeoModel, features: Tensor, time_s: Floats, wanted: str) -> None:
    if model.training:
        raise ValueError("the model is in training mode: call model.eval() before locate")
    if features.ndim not in (2, 3) or not features.numel():
        raise ValueError(
            f"features of shape {tuple(features.shape)}; needed: (frames, width), or (frames, "
            "views, width)"
        )
    if time_s.shape != (len(features),):
        raise ValueError(f"{len(features)} frames but times of shape {time_s.shape}")
    if wanted not in model.decodings:
        raise ValueError(
            f"{model.name} cannot decode by {wanted}; it offers {', '.join(model.decodings)}"
        )


def _seconds(time_s: Floats, wanted: str) -> Tensor:
    """Times from the first frame (T,); frame numbers where a source has no times."""
    if np.isfinite(time_s).all():
        return torch.from_numpy(time_s - time_s[0]).float()
    if wanted in _TRACKS:
        raise ValueError("frames without times have no speed: decode by initial or refined")
    return torch.arange(len(time_s)).float()


def _numpy(values: Tensor) -> Floats:
    return np.asarray(values.double().cpu().numpy())
