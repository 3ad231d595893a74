"""From candidates to a track: where a video was, as far as that was recorded before.

A frame is at one of its candidates, or elsewhere: a state of its own, as likely as a candidate in
which just as many points agree as frames of other places reach. Viterbi chooses for all frames
together: between two frames nobody goes further than the mode's speed allows, and one seldom
leaves what was recorded.

Belongs here: evidence, the choice, positions between references. Does not belong here: Viterbi
itself (retrieval/decoding.py), candidates (search.py), how far answers are believed (calibration
in train.py). Shape legend: T frames, K candidates, S = K + 1 with elsewhere, 2 = (lat, lon) in
degrees.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.earth import sphere
from vidtag_ml.models.revisit.network import Revisit
from vidtag_ml.models.revisit.search import Candidates
from vidtag_ml.retrieval import decoding

Floats = NDArray[np.float64]
SHARPNESS = 3.0
"""Evidence grows with this power of the points that agree."""
LEAVE = 0.2
"""Chance of a step from what was recorded to elsewhere, or back."""
NUM_WITNESSES = 3
"""References that are named for a position."""
_NONE = 1e-3
"""Points that count as agreeing where none do, as a share of those that must."""


@dataclass(frozen=True, eq=False)
class Placed:
    """Where frames are: NaN where that is unknown."""

    latlon_T2: Floats
    """Positions."""
    radius_m_T: Floats
    """How far they may be off, 9 of 10 times."""
    heading_T: Floats
    """Degrees from north of the reference that is most like the frame; NaN also where its own is
    unknown."""
    score_T: Floats
    """Evidence that the place is known, from 0 to 1; a half is where neither is likelier."""
    witness_TW: NDArray[np.int64]
    """References that speak for a position, the best first; -1 = no more."""

    @property
    def known_T(self) -> NDArray[np.bool_]:
        """Which frames are at a place that is known."""
        return np.asarray(np.isfinite(self.latlon_T2).all(1))


def place(
    model: Revisit, found: Candidates, time_s: Floats, max_speed_kmh: float, known_m: float
) -> Placed:
    """Positions of the frames of one recording.

    Args:
        model: the references, and when they are believed.
        found: the candidates of each frame.
        time_s: times (T,), not decreasing.
        max_speed_kmh: speed limit of the recording's mode.
        known_m: candidates this near to the chosen one count for a position.
    """
    share_TK = found.inliers_TK / float(model.least_inliers)
    latlon_TK2 = model.latlon_R2.numpy()[found.row_TK]
    log_evidence_TK = SHARPNESS * np.log(np.maximum(share_TK, _NONE))
    emission_TS = decoding.emission(np.pad(log_evidence_TK, ((0, 0), (0, 1))))
    gap_m_R = model.gap_m_R.numpy()
    reach_km = max_speed_kmh * np.diff(time_s) / 3600.0 + np.median(gap_m_R) / 1000.0
    steps = [
        _step(model.roads.apart_km(here, there, reach), reach)
        for here, there, reach in zip(found.row_TK[:-1], found.row_TK[1:], reach_km, strict=True)
    ]
    path_T = decoding.best_path(emission_TS, steps)
    marginal_TK = decoding.marginals(emission_TS, steps)[:, :-1]
    is_known_T = path_T < latlon_TK2.shape[1]
    chosen_T = np.where(is_known_T, path_T, 0)
    mean_T2, spread_m_T, weight_TK = _around(latlon_TK2, chosen_T, marginal_TK, known_m)
    best_T = share_TK.max(1)
    rows = np.arange(len(path_T))
    reference_T = found.row_TK[rows, chosen_T]
    radius_m_T = float(model.radius_factor) * np.hypot(spread_m_T, gap_m_R[reference_T])
    return Placed(
        np.where(is_known_T[:, None], mean_T2, np.nan),
        np.where(is_known_T, radius_m_T, np.nan),
        np.where(is_known_T, model.heading_R.numpy()[reference_T], np.nan),
        best_T**SHARPNESS / (best_T**SHARPNESS + 1),
        _witnesses(found, weight_TK, is_known_T),
    )


def _step(apart_KK: Floats, reach_km: float) -> Floats:
    """Probability (S, S) of a step, up to a constant."""
    step_SS = np.full(np.add(apart_KK.shape, 1), LEAVE)
    step_SS[:-1, :-1] = (1 - LEAVE) * decoding.step_probability(apart_KK, reach_km)
    step_SS[-1, -1] = 1 - LEAVE
    return step_SS


def _around(
    latlon_TK2: Floats, chosen_T: NDArray[np.int64], marginal_TK: Floats, known_m: float
) -> tuple[Floats, Floats, Floats]:
    """Mean positions (T, 2) of the candidates near the chosen ones, their spread, their weights."""
    chosen_T12 = latlon_TK2[np.arange(len(chosen_T)), chosen_T][:, None]
    is_near_TK = sphere.great_circle_km(latlon_TK2, chosen_T12) * 1000 <= known_m
    mean_T2 = decoding.posterior_mean(latlon_TK2, chosen_T, marginal_TK, known_m / 1000)
    weight_TK = np.where(is_near_TK, marginal_TK, 0.0)
    weight_TK = weight_TK / np.maximum(weight_TK.sum(1, keepdims=True), np.finfo(float).tiny)
    apart_TK = sphere.great_circle_km(latlon_TK2, mean_T2[:, None]) * 1000
    return mean_T2, np.sqrt((weight_TK * apart_TK**2).sum(1)), weight_TK


def _witnesses(
    found: Candidates, weight_TK: Floats, is_known_T: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """The references (T, W) of greatest weight; -1 where there are no more."""
    order = np.argsort(-weight_TK, 1, kind="stable")[:, :NUM_WITNESSES]
    rows = np.take_along_axis(found.row_TK, order, 1)
    counts = np.take_along_axis(weight_TK, order, 1) > 0
    return np.where(counts & is_known_T[:, None], rows, -1)
