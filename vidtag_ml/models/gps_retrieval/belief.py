"""What a model holds of where a clip's frames are: gallery points and their probabilities.

Belongs here: the posterior of a clip, the fewest points that hold a share of it, credible areas,
names. Does not belong here: how it comes about (locate.py), how often areas hold the truth
(coverage.py), outlines (earth/hulls.py). Shape legend: T frames, P points, 2 = (lat, lon) in
degrees.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.earth import hulls, naming, sphere

Floats = NDArray[np.float64]
Feature = Mapping[str, Any]
"""A GeoJSON feature: a credible area."""

SHARES = (0.9, 0.5)
"""Of the probability that areas hold; the last is drawn above the others."""
CELL = 0.75
"""Spacings from a gallery point to the corners of its cell, a little more than to those of a
square."""
MOST_HULLS, KEY_FRAMES = 6, 8
"""Hulls of one area; frames, evenly chosen, that have an area of their own."""
SURE = 0.9
"""Of the probability that a name must hold."""
_TOGETHER = 64
"""Frames whose points are listed together."""


@dataclass(frozen=True)
class Part:
    """The posterior of some frames that follow each other."""

    latlon_P2: Floats
    """Points where they may be."""
    probability_TP: NDArray[np.float32]
    """How probable each is; 1 in sum."""


@dataclass(frozen=True)
class Belief:
    """The posterior of all frames of a clip."""

    parts: tuple[Part, ...] = ()
    """In the order of the frames."""
    spacing_km: float = 0.0
    """Side of the points' cells; 0 = there is but one point, and nothing is known of its cell."""

    def whole(self) -> Part:
        """The mean over all frames, as one."""
        latlon_N2 = np.concatenate([part.latlon_P2 for part in self.parts])
        total = np.concatenate([part.probability_TP.sum(0, dtype=float) for part in self.parts])
        latlon_P2, which = np.unique(latlon_N2, axis=0, return_inverse=True)
        total_P = np.bincount(which.ravel(), total)
        return Part(latlon_P2, (total_P / total_P.sum()).astype(np.float32)[None])

    def frame(self, number: int) -> Part:
        """That of one frame."""
        for part in self.parts:
            if number < len(part.probability_TP):
                return Part(part.latlon_P2, part.probability_TP[number : number + 1])
            number -= len(part.probability_TP)
        raise ValueError(f"frame {number} is beyond the last")

    def searched(self, truth_T2: Floats) -> tuple[Floats, Floats]:
        """Probability (T,) before the truth's cell is searched, and km^2 (T,) until it is.

        The likeliest cells are searched first. What no point's cell reaches has all of the
        probability before it, and an infinite area; NaN where the truth is unknown.
        """
        start, masses, areas = 0, [], []
        for part in self.parts:
            stop = start + len(part.probability_TP)
            away_TP = sphere.great_circle_km(truth_T2[start:stop, None], part.latlon_P2)
            order_TP = np.argsort(-part.probability_TP, 1, kind="stable")
            ranked_TP = np.take_along_axis(part.probability_TP.astype(float), order_TP, 1)
            hit_TP = np.take_along_axis(away_TP <= CELL * self.spacing_km, order_TP, 1)
            first_T, any_T = hit_TP.argmax(1), hit_TP.any(1)
            before_TP = ranked_TP.cumsum(1) - ranked_TP
            masses.append(np.where(any_T, before_TP[np.arange(len(first_T)), first_T], 1.0))
            areas.append(np.where(any_T, (first_T + 1.0) * self.spacing_km**2, np.inf))
            start = stop
        known_T = np.isfinite(truth_T2).all(1)
        mass_T, area_T = np.concatenate(masses), np.concatenate(areas)
        return np.where(known_T, mass_T, np.nan), np.where(known_T, area_T, np.nan)

    def whole_areas(self) -> tuple[Feature, ...]:
        """Credible areas of the clip, as the first of `areas`."""
        if not self.parts or not self.spacing_km:
            return ()
        whole = self.whole()
        return tuple(each for share in SHARES for each in self._area(whole, share))

    def areas(self, time_s: Floats) -> tuple[Feature, ...]:
        """Credible areas: of the clip for each of `SHARES`, and of key frames for the first.

        An area is a few hulls, a GeoJSON feature each, with the probability in it as `mass`, the
        share that the area holds with the others as `of`, and `time_s` if it is of a frame.
        """
        found, num = list(self.whole_areas()), len(time_s)
        if not found:
            return ()
        keys = np.linspace(0, num - 1, min(KEY_FRAMES, num)).round().astype(int)
        for key in keys if num > 1 else keys[:0]:
            when = round(float(time_s[key]), 4)
            found += self._area(self.frame(int(key)), SHARES[0], time_s=when)
        return tuple(found)

    def places(self) -> tuple[dict[str, Any], ...]:
        """Names that hold `SURE` of the probability, coarse to fine: level, name and mass."""
        if not self.parts:
            return ()
        whole = self.whole()
        names = naming.labels(whole.latlon_P2, CELL * self.spacing_km)
        mass = pd.Series(whole.probability_TP[0].astype(float))
        found = []
        for level in naming.LEVELS:
            held = mass.groupby(names[level]).sum()
            if len(held) and held.max() >= SURE:
                sure = min(1.0, round(float(held.max()), 4))
                found.append({"level": level, "name": str(held.idxmax()), "mass": sure})
        return tuple(found)

    def _area(self, part: Part, share: float, **said: float) -> list[Feature]:
        """The hulls of an area, those that hold most first."""
        probability_P = part.probability_TP[0]
        chosen = np.flatnonzero(fewest(probability_P, share))
        latlon_P2, mass_P = part.latlon_P2[chosen], probability_P[chosen]
        found = hulls.hulls(latlon_P2, CELL * self.spacing_km, MOST_HULLS)
        masses = [min(1.0, round(float(mass_P[hull.members_M].sum()), 4)) for hull in found]
        order = np.argsort(-np.array(masses), kind="stable")
        return [
            {
                "type": "Feature",
                "geometry": _geometry(found[k].rings),
                "properties": {"mass": masses[k], "of": share, **said},
            }
            for k in order
        ]


def alone(
    index_TK: NDArray[np.int64], latlon_M2: Floats, probability_TK: Floats
) -> tuple[Part, ...]:
    """The posterior of frames that each speak for themselves, by the rows of their candidates."""
    parts = []
    for start in range(0, len(index_TK), _TOGETHER):
        rows = index_TK[start : start + _TOGETHER]
        points, which = np.unique(rows, return_inverse=True)
        probability_TP = np.zeros((len(rows), len(points)), np.float32)
        mine_TK = probability_TK[start : start + _TOGETHER].astype(np.float32)
        np.put_along_axis(probability_TP, which.reshape(rows.shape), mine_TK, 1)
        parts.append(Part(latlon_M2[points], probability_TP))
    return tuple(parts)


def fewest(probability_P: NDArray[np.floating], share: float) -> NDArray[np.bool_]:
    """The fewest points that hold a share of the probability.

    >>> fewest(np.array([0.1, 0.6, 0.3]), 0.7).tolist()
    [False, True, True]
    """
    order = np.argsort(-probability_P, kind="stable")
    before = probability_P[order].cumsum(dtype=float) - probability_P[order]
    chosen = np.zeros(len(probability_P), bool)
    chosen[order] = before < share * (1 - 1e-6)
    return chosen


def _geometry(rings: list[Floats]) -> dict[str, Any]:
    """Rings as GeoJSON, lon first, to ten metres."""
    polygons = [[ring[:, ::-1].round(4).tolist()] for ring in rings]
    if len(polygons) == 1:
        return {"type": "Polygon", "coordinates": polygons[0]}
    return {"type": "MultiPolygon", "coordinates": polygons}
