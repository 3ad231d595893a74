"""Motion: tracks whose speed and heading persist, as far as those of train clips did.

Belongs here: how much velocities wander, learnt from tracks, and the likeliest track through what
frames claim of the places around it. Does not belong here: which places (decoding.py), models
(models/). Shape legend: T frames, S states, C coefficients, 2 = (lat, lon) in degrees, 3 = x, y, z
of the unit sphere; `east_north` are the two directions of the ground.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vidtag_ml.dataset.tables import Tables
from vidtag_ml.earth import sphere
from vidtag_ml.earth.tracks import SPAN_S

Floats = NDArray[np.float64]

LEAST_S = 1e-3
"""Frames that are nearer in time count as so far apart."""
LEAST_WANDER_KMS = 1e-4
"""Less than of anyone on foot: nothing is held to its line as if on rails."""
STEPS = 3
"""Steps of Newton's method, each of at most `REACH` spacings."""
REACH = 1.5
"""Places within so many spacings, as a standard deviation, speak for the shape of a claim."""
DAMPING = 1e-6
"""Of Newton's steps, where neither frames nor motion hold a track."""
PLAY = 1e-3
"""No motion is known better than to this part of `REACH` spacings."""
FLAT = 1e-3
"""Ridge on slope and curvature of a claim, where too few places are near to tell them."""


@dataclass(frozen=True)
class Motion:
    """How something moves."""

    max_speed_kmh: float
    """It is hardly ever faster."""
    wander_kms: float
    """Standard deviation of the change of velocity in one second, in each of two directions; after
    t seconds it is sqrt(t) times that, as of a random walk."""


def learnt(tables: Tables) -> dict[str, float]:
    """`Motion.wander_kms` of each mode, from the tracks of its train clips.

    A mode is left out if none of its train clips has three fixes a second apart, or none moves.
    """
    train = tables.clips[tables.clips["split"] == "train"]
    found = {}
    for mode, clips in train.groupby("mode")["clip_id"]:
        tracks = [tables.fixes_of(clip_id) for clip_id in clips]
        squares = [
            _squares(track["time_s"].to_numpy(float), track[["lat", "lon"]].to_numpy(float))
            for track in tracks
        ]
        all_of = np.concatenate([*squares, np.empty(0)])
        if all_of.any():
            found[str(mode)] = max(LEAST_WANDER_KMS, float(np.sqrt(all_of.mean())))
    return found


def _squares(time_s: Floats, latlon_2: Floats) -> Floats:
    """What each three consecutive fixes say of the square of `wander_kms`.

    Mean velocities over two intervals that meet differ by a third of their summed lengths, in
    units of that square, if velocity is a random walk.
    """
    known = np.isfinite(time_s) & np.isfinite(latlon_2).all(-1)
    rows = np.flatnonzero(known)[_apart(time_s[known])]
    at_s, at_3 = time_s[rows], sphere.EARTH_RADIUS_KM * sphere.unit_vectors(latlon_2[rows])
    lasts_s = np.diff(at_s)
    velocity = np.diff(at_3, axis=0) / lasts_s[:, None]
    change = np.square(np.diff(velocity, axis=0)).sum(-1) / 2
    return np.asarray(change * 3 / (lasts_s[1:] + lasts_s[:-1]))


def _apart(time_s: Floats) -> list[int]:
    """Rows that are at least `SPAN_S` apart, from the first on."""
    rows: list[int] = []
    for row, at_s in enumerate(time_s):
        if not rows or at_s - time_s[rows[-1]] >= SPAN_S - LEAST_S:
            rows.append(row)
    return rows


def smoothed(
    states_latlon_S2: ArrayLike,
    log_probability_TS: ArrayLike,
    start_latlon_T2: ArrayLike,
    time_s: ArrayLike,
    spacing_km: float,
    motion: Motion,
) -> Floats:
    """The likeliest positions (T, 2): what frames claim times how likely such a motion is.

    Velocity is a random walk, so speed and heading persist unless frames say otherwise; a frame
    that claims nothing near it lies where its neighbours lead. From the start on, the claims
    around each position are taken as a paraboloid, three times: positions leave the gallery's
    lattice, and lie at most `STEPS` times `REACH` spacings from the start. O(T S + T^3): for
    windows of a long video.

    Args:
        states_latlon_S2: places around the track, for all frames.
        log_probability_TS: what frames claim of them; up to a constant a frame.
        start_latlon_T2: where to start: a track that is right but for such details.
        time_s: frame times (T,), not decreasing.
        spacing_km: of the places; positive unless there is but one.
        motion: how the camera moves.
    """
    start_T2 = np.asarray(start_latlon_T2, float)
    if not spacing_km > 0:
        return start_T2
    states_S3, track_T3 = sphere.unit_vectors(states_latlon_S2), sphere.unit_vectors(start_T2)
    radius = REACH * spacing_km / sphere.EARTH_RADIUS_KM
    stiffness_TT = _stiffness(np.asarray(time_s, float), motion, PLAY * radius)
    log_TS = np.asarray(log_probability_TS, float)
    for _ in range(STEPS):
        slope_T3, curvature_T33 = _claims(states_S3, log_TS, track_T3, radius)
        moved_T3 = _newton(slope_T3, curvature_T33, stiffness_TT, track_T3, radius)
        length_T1 = np.linalg.norm(moved_T3, axis=1, keepdims=True)
        track_T3 = track_T3 + moved_T3 * np.minimum(1, radius / np.maximum(length_T1, 1e-15))
        track_T3 /= np.linalg.norm(track_T3, axis=1, keepdims=True)
    return sphere.from_unit_vectors(track_T3)


def _stiffness(time_s: Floats, motion: Motion, play: float) -> Floats:
    """Matrix (T, T) whose quadratic form is minus twice the log probability of a motion.

    That of velocities that are drawn back to rest as slowly as keeps them within the limit: an
    Ornstein-Uhlenbeck process whose standard deviation is `max_speed_kmh`. Where frames show a
    speed, or over times in which velocity hardly wanders, the drawing back is next to nothing.

    Args:
        time_s: frame times (T,).
        motion: how the camera moves.
        play: standard deviation, in Earth radii, that is allowed in any case.
    """
    step_s = np.maximum(np.diff(time_s), LEAST_S)
    wander = (motion.wander_kms / sphere.EARTH_RADIUS_KM) ** 2
    fastest = (motion.max_speed_kmh / 3600.0 / sphere.EARTH_RADIUS_KM) ** 2
    stepped = np.diff(np.eye(len(time_s)), axis=0)
    step_variance = step_s * fastest / (1 / max(step_s.sum(), LEAST_S) + wander / (4 * fastest))
    share, both_s = step_s[:-1] / (step_s[:-1] + step_s[1:]), step_s[:-1] + step_s[1:]
    bent = (1 - share)[:, None] * stepped[:-1] - share[:, None] * stepped[1:]
    bent_variance = (share * (1 - share) * both_s) ** 2 * wander * both_s / 3
    return np.asarray(
        (stepped.T / (step_variance + play**2)) @ stepped
        + (bent.T / (bent_variance + play**2)) @ bent
    )


def _claims(
    states_S3: Floats, log_TS: Floats, track_T3: Floats, radius: float
) -> tuple[Floats, Floats]:
    """Slopes (T, 3) and curvatures (T, 3, 3) of paraboloids fitted to the claims around a track."""
    east_north_T23 = _ground(track_T3)
    away_TS3 = (states_S3[None] - track_T3[:, None]) / radius
    x_TS, y_TS = np.moveaxis(away_TS3 @ east_north_T23.swapaxes(1, 2), -1, 0)
    near_TS = np.exp(-0.5 * np.square(away_TS3).sum(-1))
    terms = (np.ones_like(x_TS), x_TS, y_TS, x_TS**2 / 2, x_TS * y_TS, y_TS**2 / 2)
    terms_TSC = np.stack(terms, -1)
    weighted_TCS = (terms_TSC * near_TS[..., None]).swapaxes(1, 2)
    normal_TCC = weighted_TCS @ terms_TSC + np.diag([1e-9, *[FLAT] * 5])
    fitted_TC = np.linalg.solve(normal_TCC, weighted_TCS @ log_TS[..., None])[..., 0]
    slope_T3 = np.einsum("ti,tia->ta", fitted_TC[:, 1:3], east_north_T23) / radius
    bent_T22 = _concave(-fitted_TC[:, [3, 4, 4, 5]].reshape(-1, 2, 2)) / radius**2
    return slope_T3, east_north_T23.swapaxes(1, 2) @ bent_T22 @ east_north_T23


def _ground(track_T3: Floats) -> Floats:
    """Unit vectors (T, 2, 3) to the east and to the north of each position."""
    north, east = sphere.heading_frame(sphere.from_unit_vectors(track_T3), np.zeros(len(track_T3)))
    return np.stack([east, north], 1)


def _concave(bent_T22: Floats) -> Floats:
    """The nearest claims that nowhere grow with distance: those have no curvature there."""
    values_T2, axes_T22 = np.linalg.eigh(bent_T22)
    return np.asarray((axes_T22 * np.maximum(values_T2, 0)[:, None]) @ axes_T22.swapaxes(1, 2))


def _newton(
    slope_T3: Floats,
    curvature_T33: Floats,
    stiffness_TT: Floats,
    track_T3: Floats,
    radius: float,
) -> Floats:
    """How far to go (T, 3), on the ground, to where claims and motion together are likeliest."""
    num, at = len(track_T3), np.arange(len(track_T3))
    held = np.einsum("ij,ab->iajb", stiffness_TT, np.eye(3))
    upright_T33 = track_T3[:, :, None] * track_T3[:, None]
    held[at, :, at] += curvature_T33 + (upright_T33 + DAMPING * np.eye(3)) / radius**2
    pull_T3 = slope_T3 - stiffness_TT @ (track_T3 - track_T3.mean(0))
    moved = np.linalg.solve(held.reshape(3 * num, 3 * num), pull_T3.ravel())
    return np.asarray(moved.reshape(num, 3))
