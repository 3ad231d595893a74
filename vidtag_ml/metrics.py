"""Metrics of predicted tracks, named as in every machine-readable report (metrics.md section 10).

Belongs here: errors of frames and clips, track distances, their summary over clips and bootstrap
intervals. Accuracies are fractions from 0 to 1. Does not belong here: running a model
(evaluate.py).
Shape legend: T frames of a clip, N clips, P and Q points of two tracks, 2 = (lat, lon) in degrees.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vidtag_ml import geo

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

OUTLIER_KM = 25.0


def dfd_km(prediction_P2: ArrayLike, truth_Q2: ArrayLike) -> float:
    """Discrete Frechet distance of two tracks in km."""
    p, q = _track(prediction_P2), _track(truth_Q2)
    return _discrete_frechet(geo.great_circle_km(p[:, None], q[None]))


def dfd_deg(prediction_P2: ArrayLike, truth_Q2: ArrayLike) -> float:
    """Discrete Frechet distance in the plane of degrees, to compare with the paper's tables."""
    p, q = _track(prediction_P2), _track(truth_Q2)
    apart = p[:, None] - q[None]
    return _discrete_frechet(np.hypot(apart[..., 0], geo.wrap_lon(apart[..., 1])))


def _discrete_frechet(distance_PQ: Floats) -> float:
    """The recursion of metrics.md section 4, one anti-diagonal at a time."""
    rows, columns = distance_PQ.shape
    reach = np.full((rows + 1, columns + 1), np.inf)
    reach[0, 0] = -np.inf
    for diagonal in range(rows + columns - 1):
        i = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        j = diagonal - i
        before = np.minimum(np.minimum(reach[i, j + 1], reach[i + 1, j]), reach[i, j])
        reach[i + 1, j + 1] = np.maximum(before, distance_PQ[i, j])
    return float(reach[rows, columns])


def mrd_deg(prediction_P2: ArrayLike, truth_Q2: ArrayLike) -> float:
    """Mean of the differences of the two tracks' extents in lat and in lon, in degrees."""
    return float(np.abs(_extent(_track(prediction_P2)) - _extent(_track(truth_Q2))).mean())


def mrd_km(prediction_P2: ArrayLike, truth_Q2: ArrayLike) -> float:
    """Like `mrd_deg`, in km at the truth's mean latitude."""
    truth = _track(truth_Q2)
    scale = geo.KM_PER_DEGREE * np.array([1.0, np.cos(np.radians(truth[:, 0].mean()))])
    return float((np.abs(_extent(_track(prediction_P2)) - _extent(truth)) * scale).mean())


def _extent(track_P2: Floats) -> Floats:
    """Extent (2,) in lat, and of the shortest arc that holds all lons: safe at the date line."""
    lon = np.sort(track_P2[:, 1] % 360.0)
    gaps = np.diff(lon, append=lon[:1] + 360.0)
    return np.array([np.ptp(track_P2[:, 0]), 360.0 - gaps.max()])


def video_error_km(prediction_P2: ArrayLike, truth_Q2: ArrayLike, *, flat: bool = False) -> float:
    """Distance of the truth's centroid from the prediction that is closest to the predictions' own.

    Centroids are means of unit vectors; with `flat`, of lat and lon (metrics.md section 3).
    """
    p, q = _track(prediction_P2), _track(truth_Q2)
    if flat:
        chosen, centre = p[geo.great_circle_km(p, p.mean(0)).argmin()], q.mean(0)
    else:
        vectors = geo.unit_vectors(p)
        chosen, centre = p[(vectors @ vectors.mean(0)).argmax()], geo.centroid(q)
    return float(geo.great_circle_km(chosen, centre))


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


def clip_errors(
    prediction_T2: ArrayLike,
    truth_T2: ArrayLike,
    valid_T: ArrayLike,
    time_s: ArrayLike | None = None,
) -> ClipErrors:
    """The errors of one clip; frames without a true position are left out of both tracks.

    Raises:
        ValueError: shapes disagree, no frame is valid, or a position that counts is not finite.
    """
    prediction, truth = np.asarray(prediction_T2, float), np.asarray(truth_T2, float)
    valid = np.asarray(valid_T, bool)
    if prediction.shape != truth.shape or valid.shape != truth.shape[:1]:
        raise ValueError(
            f"prediction {prediction.shape}, truth {truth.shape} and valid {valid.shape} disagree"
        )
    p, q = _track(prediction[valid]), _track(truth[valid])
    return ClipErrors(
        error_km_T=geo.great_circle_km(p, q),
        speed_error_kmh_T=_speed_errors(prediction, truth, valid, time_s),
        video_error_km=video_error_km(p, q),
        dfd_km=dfd_km(p, q),
        dfd_deg=dfd_deg(p, q),
        mrd_km=mrd_km(p, q),
        mrd_deg=mrd_deg(p, q),
        num_skipped=int((~valid).sum()),
    )


def _speed_errors(p_T2: Floats, q_T2: Floats, valid_T: Bools, time_s: ArrayLike | None) -> Floats:
    if time_s is None:
        return np.empty(0)
    hours = np.diff(np.asarray(time_s, float)) / 3600.0
    use = valid_T[1:] & valid_T[:-1] & (hours > 0)
    p_km, q_km = (geo.great_circle_km(x[1:][use], x[:-1][use]) for x in (p_T2, q_T2))
    return np.asarray(np.abs(p_km - q_km) / hours[use])


def _within(error_km: Floats, thresholds_km: Sequence[float]) -> dict[str, float]:
    return {f"acc_{name_of(r)}": float((error_km <= r).mean()) for r in thresholds_km}


def summarise(clips: Sequence[ClipErrors], thresholds_km: Sequence[float]) -> dict[str, float]:
    """Figures over clips: frames are pooled, track distances are means over clips.

    Raises:
        ValueError: there is no clip.
    """
    if not clips:
        raise ValueError("no clip has a true position: there is nothing to summarise")
    frames = np.concatenate([c.error_km_T for c in clips])
    videos = np.array([c.video_error_km for c in clips])
    speeds = np.concatenate([c.speed_error_kmh_T for c in clips])
    figures = _within(frames, thresholds_km)
    figures |= {f"video_{name}": share for name, share in _within(videos, thresholds_km).items()}
    figures["median_km"] = float(np.median(frames))
    figures["p95_km"] = float(np.percentile(frames, 95))
    figures["video_median_km"] = float(np.median(videos))
    figures |= {
        name: float(np.mean([getattr(c, name) for c in clips])) for name in _TRACK_DISTANCES
    }
    figures["outlier_rate"] = float(np.concatenate([c.outliers for c in clips]).mean())
    if len(speeds):
        figures["speed_error_kmh"] = float(speeds.mean())
    return figures


class Errors:
    """Accumulates clips; answers with their summary and its bootstrap intervals."""

    def __init__(self, thresholds_km: Sequence[float]) -> None:
        """Starts without clips; accuracies will be given at these thresholds."""
        self.thresholds_km = tuple(thresholds_km)
        self.clips: list[ClipErrors] = []
        self.num_skipped_clips = 0
        self.num_skipped_frames = 0

    def add(
        self,
        prediction_T2: ArrayLike,
        truth_T2: ArrayLike,
        valid_T: ArrayLike,
        time_s: ArrayLike | None = None,
    ) -> ClipErrors | None:
        """The errors of one more clip; None, and counted, if no frame of it has a true position."""
        if not np.any(valid_T):
            self.num_skipped_clips += 1
            self.num_skipped_frames += len(np.asarray(valid_T))
            return None
        self.clips.append(clip_errors(prediction_T2, truth_T2, valid_T, time_s))
        return self.clips[-1]

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
        values: dict[str, list[float]] = {name: [] for name in names}
        for drawn in rng.integers(len(self.clips), size=(draws, len(self.clips))):
            figures = summarise([self.clips[k] for k in drawn], self.thresholds_km)
            for name, value in figures.items():
                values[name].append(value)
        return {
            f"{name}_{end}": float(bound)
            for name in names
            for end, bound in zip(("lo", "hi"), np.percentile(values[name], _INTERVAL), strict=True)
        }


_INTERVAL = (2.5, 97.5)


def summary(
    predictions: Sequence[ArrayLike],
    truths: Sequence[ArrayLike],
    valid: Sequence[ArrayLike],
    thresholds_km: Sequence[float],
) -> dict[str, float]:
    """Figures over clips given as tracks (T, 2), see `summarise`.

    Raises:
        ValueError: the lists differ in length, or no frame has a true position.
    """
    errors = Errors(thresholds_km)
    for clip in zip(predictions, truths, valid, strict=True):
        errors.add(*clip)
    return errors.summary()


def bootstrap(values_N: ArrayLike, draws: int, seed: int) -> tuple[float, float]:
    """95 % interval of the mean of one value a clip, by resampling clips.

    Raises:
        ValueError: there is no value, or one is not finite.
    """
    values = np.asarray(values_N, float)
    if values.ndim != 1 or len(values) == 0 or not np.isfinite(values).all():
        raise ValueError(f"a bootstrap needs finite values, one a clip, not {values}")
    drawn = np.random.default_rng(seed).integers(len(values), size=(draws, len(values)))
    low, high = np.percentile(values[drawn].mean(1), _INTERVAL)
    return float(low), float(high)


def paired_difference(
    a_N: ArrayLike, b_N: ArrayLike, draws: int, seed: int
) -> tuple[float, float, float]:
    """Mean of a - b over the same clips, with its 95 % bootstrap interval.

    Raises:
        ValueError: a and b do not describe the same number of clips, or `bootstrap` refuses them.
    """
    a, b = np.asarray(a_N, float), np.asarray(b_N, float)
    if a.shape != b.shape:
        raise ValueError(f"paired values of {a.shape} and {b.shape} clips")
    low, high = bootstrap(a - b, draws, seed)
    return float((a - b).mean()), low, high
