"""Metrics of predicted tracks, named as in every machine-readable report.

See docs/specs/metrics.md, section 10.

Belongs here: errors of frames and clips, track distances, their summary over clips and bootstrap
intervals. Accuracies are fractions from 0 to 1. Does not belong here: running a model
(models/gps_retrieval/evaluate.py), labels of places (places.py).
Shape legend: T frames of a clip, N clips, D draws of N clips, P and Q points of two tracks, X
points, C coordinates, 2 = (lat, lon) in degrees.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vidtag_ml.earth import sphere
from vidtag_ml.metrics import frechet
from vidtag_ml.metrics.bootstrap import INTERVAL

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Indices = NDArray[np.int64]

OUTLIER_KM = 25.0


def dfd_km(prediction_P2: ArrayLike, truth_Q2: ArrayLike) -> float:
    """Discrete Frechet distance of two tracks in km."""
    return float(dfds_km([prediction_P2], [truth_Q2])[0])


def dfd_deg(prediction_P2: ArrayLike, truth_Q2: ArrayLike) -> float:
    """Discrete Frechet distance in the plane of degrees, to compare with the paper's tables."""
    return float(dfds_deg([prediction_P2], [truth_Q2])[0])


def dfds_km(predictions: Iterable[ArrayLike], truths: Iterable[ArrayLike]) -> Floats:
    """Discrete Frechet distances (N,) of many pairs of tracks at once, of any lengths, in km.

    Minima and maxima are taken of chords, which put distances in the same order as arcs do.

    Raises:
        ValueError: the lists differ in length, or a track is empty or not finite.
    """
    return sphere.chord_km(_frechet(predictions, truths, sphere.unit_vectors, _square))


def dfds_deg(predictions: Iterable[ArrayLike], truths: Iterable[ArrayLike]) -> Floats:
    """Like `dfds_km`, in the plane of degrees."""
    return _frechet(predictions, truths, _wrapped, _square_of_wrapped)


def _frechet(
    predictions: Iterable[ArrayLike],
    truths: Iterable[ArrayLike],
    place: Callable[[Floats], Floats],
    square: Callable[[Floats], Floats],
) -> Floats:
    p, q = ([_track(track) for track in tracks] for tracks in (predictions, truths))
    return frechet.distances(p, q, place, square)


def _square(apart_C: Floats) -> Floats:
    return np.asarray(np.square(apart_C, out=apart_C).sum(0))


def _wrapped(latlon_X2: Floats) -> Floats:
    return np.stack([latlon_X2[:, 0], sphere.wrap_lon(latlon_X2[:, 1])], -1)


def _square_of_wrapped(apart_2: Floats) -> Floats:
    """Squares of degrees apart, the shorter way round."""
    across = np.abs(apart_2[1])
    np.minimum(across, 360.0 - across, out=apart_2[1])
    return _square(apart_2)


def mrd_deg(prediction_P2: ArrayLike, truth_Q2: ArrayLike) -> float:
    """Mean of the differences of the two tracks' extents in lat and in lon, in degrees."""
    return float(np.abs(_extent(_track(prediction_P2)) - _extent(_track(truth_Q2))).mean())


def mrd_km(prediction_P2: ArrayLike, truth_Q2: ArrayLike) -> float:
    """Like `mrd_deg`, in km at the truth's mean latitude."""
    truth = _track(truth_Q2)
    scale = sphere.KM_PER_DEGREE * np.array([1.0, np.cos(np.radians(truth[:, 0].mean()))])
    return float((np.abs(_extent(_track(prediction_P2)) - _extent(truth)) * scale).mean())


def _extent(track_P2: Floats) -> Floats:
    """Extent (2,) in lat, and of the shortest arc that holds all lons: safe at the date line."""
    lon = np.sort(track_P2[:, 1] % 360.0)
    gaps = np.diff(lon, append=lon[:1] + 360.0)
    return np.array([np.ptp(track_P2[:, 0]), 360.0 - gaps.max()])


def video_error_km(prediction_P2: ArrayLike, truth_Q2: ArrayLike, *, flat: bool = False) -> float:
    """Distance of the truth's centroid from the prediction that is closest to the predictions' own.

    Centroids are means of unit vectors; with `flat`, of lat and lon (docs/specs/metrics.md, section
    3).
    """
    p, q = _track(prediction_P2), _track(truth_Q2)
    if flat:
        chosen, centre = p[sphere.great_circle_km(p, p.mean(0)).argmin()], q.mean(0)
    else:
        vectors = sphere.unit_vectors(p)
        chosen, centre = p[(vectors @ vectors.mean(0)).argmax()], sphere.centroid(q)
    return float(sphere.great_circle_km(chosen, centre))


def _track(latlon_P2: ArrayLike) -> Floats:
    track = np.asarray(latlon_P2, float)
    if track.ndim != 2 or track.shape[1] != 2 or len(track) == 0:
        raise ValueError(f"a track has shape (points, 2) and at least one point, not {track.shape}")
    if not np.isfinite(track).all():
        raise ValueError("a track has a position that is not finite")
    return track


def name_of(threshold_km: float) -> str:
    """How a threshold is written in names.

    >>> name_of(0.5), name_of(25.0)
    ('0.5km', '25km')
    """
    return f"{threshold_km:g}km"


def accuracies_of(summary: Mapping[str, Any]) -> list[str]:
    """Thresholds that a summary has accuracies at, in its order, as they are written in names.

    >>> accuracies_of({"acc_25km": 0.5, "acc_25km_lo": 0.4, "acc_city": 0.1, "acc_0.5km": 0.2})
    ['25km', '0.5km']
    """
    named = [key.removeprefix("acc_") for key in summary if key.startswith("acc_")]
    return [name for name in named if name.endswith("km")]


@dataclass(frozen=True)
class ClipErrors:
    """All errors of one clip."""

    error_km_T: Floats
    """Errors of the frames that have a true position."""
    speed_error_kmh_T: Floats
    """Absolute errors of the speeds between consecutive such frames; empty without times."""
    video_error_km: float
    """Distance between representative prediction and true centroid."""
    dfd_km: float
    dfd_deg: float
    mrd_km: float
    mrd_deg: float
    num_skipped: int
    """Frames without a true position."""

    def row(self, thresholds_km: Sequence[float]) -> dict[str, float]:
        """The clip's own figures, under the names of the summary."""
        frames = self.error_km_T
        return {
            "num_frames": len(frames),
            **_within(frames, thresholds_km),
            "mean_km": float(frames.mean()),
            "median_km": float(np.median(frames)),
            "p95_km": float(np.percentile(frames, 95)),
            "video_error_km": self.video_error_km,
            "outlier_rate": float(self.outliers.mean()),
            **{name: getattr(self, name) for name in _TRACK_DISTANCES},
        }

    @functools.cached_property
    def outliers(self) -> Bools:
        """Frames whose error exceeds the clip's median error by more than 25 km."""
        return np.asarray(self.error_km_T > np.median(self.error_km_T) + OUTLIER_KM)


_TRACK_DISTANCES = ("dfd_km", "dfd_deg", "mrd_km", "mrd_deg")


Clip = tuple[ArrayLike, ArrayLike, ArrayLike, ArrayLike | None]
"""Prediction (T, 2), truth (T, 2), valid (T,) and times (T,) in s, which may be unknown."""


def errors_of_clips(clips: Iterable[Clip]) -> list[ClipErrors]:
    """The errors of clips; frames without a true position are left out of both tracks.

    Discrete Frechet distances of all clips are computed together.

    Raises:
        ValueError: shapes disagree, no frame of a clip is valid, or a position that counts is not
            finite.
    """
    whole = [(*_agreeing(prediction, truth, valid), t) for prediction, truth, valid, t in clips]
    ours = [_track(prediction[valid]) for prediction, _, valid, _ in whole]
    true = [_track(truth[valid]) for _, truth, valid, _ in whole]
    both = zip(whole, ours, true, dfds_km(ours, true), dfds_deg(ours, true), strict=True)
    return [
        ClipErrors(
            error_km_T=sphere.great_circle_km(p, q),
            speed_error_kmh_T=_speed_errors(*clip),
            video_error_km=video_error_km(p, q),
            dfd_km=float(km),
            dfd_deg=float(deg),
            mrd_km=mrd_km(p, q),
            mrd_deg=mrd_deg(p, q),
            num_skipped=int((~clip[2]).sum()),
        )
        for clip, p, q, km, deg in both
    ]


def _agreeing(
    prediction_T2: ArrayLike, truth_T2: ArrayLike, valid_T: ArrayLike
) -> tuple[Floats, Floats, Bools]:
    prediction, truth = np.asarray(prediction_T2, float), np.asarray(truth_T2, float)
    valid = np.asarray(valid_T, bool)
    if prediction.shape != truth.shape or valid.shape != truth.shape[:1]:
        raise ValueError(
            f"prediction {prediction.shape}, truth {truth.shape} and valid {valid.shape} disagree"
        )
    return prediction, truth, valid


def _speed_errors(p_T2: Floats, q_T2: Floats, valid_T: Bools, time_s: ArrayLike | None) -> Floats:
    if time_s is None:
        return np.empty(0)
    hours = np.diff(np.asarray(time_s, float)) / 3600.0
    use = valid_T[1:] & valid_T[:-1] & (hours > 0)
    p_km, q_km = (sphere.great_circle_km(x[1:][use], x[:-1][use]) for x in (p_T2, q_T2))
    return np.asarray(np.abs(p_km - q_km) / hours[use])


def _within(error_km: Floats, thresholds_km: Sequence[float]) -> dict[str, float]:
    return {f"acc_{name_of(r)}": float((error_km <= r).mean()) for r in thresholds_km}


def summarise(clips: Sequence[ClipErrors], thresholds_km: Sequence[float]) -> dict[str, float]:
    """Figures over clips: frames are pooled, track distances are means over clips.

    Raises:
        ValueError: there is no clip.
    """
    once_each = np.arange(len(clips))[None]
    figures = _figures(clips, thresholds_km, once_each)
    return {name: float(values[0]) for name, values in figures.items() if len(values)}


def _figures(
    clips: Sequence[ClipErrors], thresholds_km: Sequence[float], drawn_DN: Indices
) -> dict[str, Floats]:
    """Figures (D,) of each draw of clips; a draw without a speed has no `speed_error_kmh`."""
    if not clips:
        raise ValueError("no clip has a true position: there is nothing to summarise")
    frames = [c.error_km_T for c in clips]
    videos = [np.array([c.video_error_km]) for c in clips]
    figures = {
        f"{prefix}acc_{name_of(r)}": _means([errors <= r for errors in pool], drawn_DN)
        for prefix, pool in (("", frames), ("video_", videos))
        for r in thresholds_km
    }
    figures["median_km"], figures["p95_km"] = _quantiles(frames, drawn_DN, (0.5, 0.95))
    (figures["video_median_km"],) = _quantiles(videos, drawn_DN, (0.5,))
    for name in _TRACK_DISTANCES:
        figures[name] = _means([np.array([getattr(c, name)]) for c in clips], drawn_DN)
    figures["outlier_rate"] = _means([c.outliers for c in clips], drawn_DN)
    figures["speed_error_kmh"] = _means([c.speed_error_kmh_T for c in clips], drawn_DN)
    return figures


def _means(pool: Sequence[Floats | Bools], drawn_DN: Indices) -> Floats:
    """Means of the values of each draw of clips; draws without a value are left out."""
    sums = np.array([float(values.sum()) for values in pool])[drawn_DN].sum(1)
    sizes = np.array([len(values) for values in pool])[drawn_DN].sum(1)
    return np.asarray(sums[sizes > 0] / sizes[sizes > 0])


def _quantiles(pool: Sequence[Floats], drawn_DN: Indices, shares: Sequence[float]) -> Floats:
    """Quantiles (shares, D) of the values of each draw, between neighbours by linear interpolation.

    Exact. All values are sorted once: a draw only tells how often each of them occurs.
    """
    values, clip = np.concatenate(pool), np.repeat(np.arange(len(pool)), [len(v) for v in pool])
    order = values.argsort()
    values, clip = values[order], clip[order]
    found = np.empty((len(drawn_DN), len(shares)))
    for row, drawn in zip(found, drawn_DN, strict=True):
        upto = np.bincount(drawn, minlength=len(pool))[clip].cumsum()
        place = (upto[-1] - 1) * np.asarray(shares)
        low, high = values[np.searchsorted(upto, [np.floor(place), np.ceil(place)], side="right")]
        row[:] = low + (high - low) * (place % 1.0)
    return found.T


class Errors:
    """Accumulates clips; answers with their summary and its bootstrap intervals."""

    def __init__(self, thresholds_km: Sequence[float]) -> None:
        """Starts without clips; accuracies will be given at these thresholds."""
        self.thresholds_km = tuple(thresholds_km)
        self.clips: list[ClipErrors] = []
        self.num_skipped_clips = 0
        self.num_skipped_frames = 0

    def extend(self, clips: Iterable[Clip]) -> list[ClipErrors | None]:
        """The errors of more clips; None, and counted, where no frame has a true position."""
        clips = list(clips)
        known = [bool(np.any(valid)) for _, _, valid, _ in clips]
        found = errors_of_clips(itertools.compress(clips, known))
        self.clips += found
        self.num_skipped_clips += known.count(False)
        self.num_skipped_frames += sum(np.size(c[2]) for c in clips if not np.any(c[2]))
        each = iter(found)
        return [next(each) if k else None for k in known]

    def counts(self) -> dict[str, int]:
        """How many clips and frames count, and how many have no true position."""
        return {
            "num_clips": len(self.clips),
            "num_frames": sum(len(c.error_km_T) for c in self.clips),
            "skipped_clips": self.num_skipped_clips,
            "skipped_frames": self.num_skipped_frames + sum(c.num_skipped for c in self.clips),
        }

    def summary(self) -> dict[str, float]:
        """Figures over all clips, see `summarise`."""
        return summarise(self.clips, self.thresholds_km)

    def intervals(self, draws: int, seed: int) -> dict[str, float]:
        """95 % bootstrap intervals over clips: {name}_lo and {name}_hi for each of the summary."""
        names = self.summary()
        rng = np.random.default_rng(seed)
        drawn_DN = rng.integers(len(self.clips), size=(draws, len(self.clips)))
        figures = _figures(self.clips, self.thresholds_km, drawn_DN)
        bounds = {name: np.percentile(figures[name], INTERVAL) for name in names}
        return {
            f"{name}_{end}": float(bound)
            for name, ends in bounds.items()
            for end, bound in zip(("lo", "hi"), ends, strict=True)
        }
