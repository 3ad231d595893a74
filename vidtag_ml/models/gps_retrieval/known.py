"""Where each frame of a recording may be, by what is known of it already.

Belongs here: points that are ruled out, what that contradicts, radii in spite of it. Does not
belong here: what can be known (models/given.py), regions (earth/regions.py), search among what is
left (retrieval/search.py). Shape legend: T frames, P points, G gallery entries, 2 = (lat, lon) in
degrees.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.earth import sphere, sun
from vidtag_ml.models.given import DOUBTED, ContradictionError, Given
from vidtag_ml.models.gps_retrieval.belief import CELL
from vidtag_ml.models.recording import Began
from vidtag_ml.retrieval.index import Exact, Faiss, Index, Restricted

if TYPE_CHECKING:
    from vidtag_ml.models.gps_retrieval.network import Prediction

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

UNLIKELY = 0.01
"""If what a frame shows is so much less likely there than all over the gallery, it is likelier that
what is known is wrong, even if that is so only in one case of a hundred."""
WIDENED = "radii are the model's own, widened by how far the answer moved by what was given"
_DARK_DEG = -10.0
"""Below this the sun gives no daylight, even where `_STEP_S` misses its highest by 4 degrees."""
_STEP_S, _DAY_S = 1800.0, 86400.0


@dataclass(frozen=True)
class Allowed:
    """Which points each frame may be at."""

    ever_P: Bools
    """Which any frame may be at, whatever the time."""
    away_km_XP: Floats
    """Distances (X, P) from the places that are known of moments: the start, the end."""
    reach_km_XT: Floats
    """How far from these (X, T) each frame can be."""

    def of(self, frames: slice, points: slice) -> Bools:
        """Which of some points (P,) some frames (T,) may be at: (T, P)."""
        near_XTP = self.away_km_XP[:, None, points] <= self.reach_km_XT[:, frames, None]
        return np.asarray(near_XTP.all(0) & self.ever_P[points])


@dataclass(frozen=True)
class Known:
    """What is known of one recording, to the cells of a gallery."""

    given: Given
    time_s: Floats
    """Times (T,) of its frames."""
    max_speed_kmh: float
    spacing_km: float
    """Side of the gallery's cells: a point counts where its cell reaches what is known."""
    moments: tuple[float, float] | None
    """Seconds since 1970 between which there was daylight; None = nothing is known of that."""

    @classmethod
    def of(
        cls,
        given: Given,
        began: Began | None,
        time_s: Floats,
        max_speed_kmh: float,
        spacing_km: float,
    ) -> "Known":
        """What is known of a recording.

        Args:
            given: what a person knows.
            began: when the recording says that it began.
            time_s: times of its frames.
            max_speed_kmh: speed limit of its mode.
            spacing_km: of the gallery.

        Raises:
            ContradictionError: the recording says that it was made at another time.
            ValueError: a single moment, and a recording without a clock, tell nothing.
        """
        moments = _moments(given, given.began or began, float(time_s[-1] - time_s[0]))
        return cls(given, time_s, max_speed_kmh, spacing_km, moments)

    @property
    def room_km(self) -> float:
        """From a point to the corners of its cell."""
        return CELL * self.spacing_km

    def allowed(self, latlon_P2: Floats) -> Allowed:
        """Which of some points frames may be at."""
        ever_P = np.ones(len(latlon_P2), bool)
        for region in filter(None, (self.given.within, self.given.near)):
            ever_P &= region.holds(latlon_P2, self.room_km)
        if self.moments is not None:
            ever_P[ever_P] = _daylight(self.moments, latlon_P2[ever_P])
        places, reach_km_XT = self._places()
        away = [sphere.great_circle_km(place, latlon_P2) for place in places]
        away_km_XP = np.array(away).reshape(len(places), len(latlon_P2))
        return Allowed(ever_P, away_km_XP, reach_km_XT + self.room_km)

    def holds(self, latlon_T2: Floats, frames: slice) -> bool:
        """Whether all of some frames may be where they are said to be."""
        may_TT = self.allowed(latlon_T2).of(frames, slice(None))
        return bool(may_TT.diagonal().all())

    def _places(self) -> tuple[list[tuple[float, float]], Floats]:
        """Places that are known of moments, and how far frames can be from them (X, T)."""
        times = ((self.given.start, self.time_s[0]), (self.given.end, self.time_s[-1]))
        known = [(place, at) for place, at in times if place is not None]
        reach = [np.abs(self.time_s - at) * self.max_speed_kmh / 3600.0 for _, at in known]
        return [place for place, _ in known], np.array(reach).reshape(len(known), len(self.time_s))

    def farthest_km(self, latlon_T2: Floats) -> Floats:
        """How far (T,) the truth can be at most from each position; infinite where unbounded."""
        places, reach_km_XT = self._places()
        if self.given.near:
            near = self.given.near
            places.append(near.latlon)
            reach_km_XT = np.vstack([reach_km_XT, np.full((1, len(latlon_T2)), near.radius_km)])
        bounds = [np.full(len(latlon_T2), np.inf)]
        for place, reach_km_T in zip(places, reach_km_XT, strict=True):
            bounds.append(sphere.great_circle_km(place, latlon_T2) + reach_km_T)
        return np.asarray(np.min(bounds, axis=0))

    def told(self, mass_T: Floats, share_T: Floats) -> str:
        """What the model by itself held of what is known, as a sentence.

        Args:
            mass_T: probability of where each frame may be, before that was known.
            share_T: share of the gallery's points where it may be.

        Raises:
            ContradictionError: what is seen speaks against it, and nobody insists.
        """
        what = " and ".join(self.given.words)
        mean = float(mass_T.mean())
        share = f"{100 * mean:.0f} %" if mean >= UNLIKELY else f"{100 * mean:.1g} %"
        said = f"{share} of the probability lay there before that was given: {what}"
        if contradicted(mass_T, share_T) and not self.given.anyway:
            raise ContradictionError(f"what is seen contradicts what was given; {said}")
        return said

    def sureness(
        self,
        sure: Mapping[str, Any],
        alone: "Prediction",
        found: "Prediction",
        within: tuple[Floats, Floats],
        told: str,
    ) -> dict[str, Any]:
        """How sure an answer by what is known is, as fields of it.

        A radius around the model's own answer, widened by how far the answer has moved, holds the
        truth whenever the narrower one did; so does what is known. Val clips taught no factor for
        the new posterior, so its own radius would promise nothing.

        Args:
            sure: fields of the answer by the model alone.
            alone: that answer.
            found: the answer.
            within: what `locate.mass_of` gives.
            told: what the model alone held of what is known, as a sentence.
        """
        moved_km_T = sphere.great_circle_km(alone.latlon_T2, found.latlon_T2)
        most_km_T = self.farthest_km(found.latlon_T2)
        radius_km_T, track_km = sure["radius_km_T"], sure["track_radius_km"]
        doubt = (DOUBTED,) if contradicted(*within) else ()
        widened = () if radius_km_T is None else (WIDENED,)
        if radius_km_T is not None:
            radius_km_T = np.minimum(radius_km_T + moved_km_T, most_km_T)
            track_km = float(min(track_km + moved_km_T.max(), most_km_T.max()))
        areas = list(alone.belief.whole_areas())
        given = {
            "words": list(self.given.words),
            "probability_before": round(float(within[0].mean()), 6),
            "share_of_gallery": round(float(within[1].mean()), 6),
            "contradicts": bool(doubt),
            "areas_before": areas,
        }
        return {
            **sure,
            "radius_km_T": radius_km_T,
            "track_radius_km": track_km,
            "unsure": (*doubt, told, *widened, *sure["unsure"]),
            "given": given,
        }

    def within(self, index: Index) -> Restricted:
        """What finds only points of a gallery that frames may be at.

        Raises:
            ContradictionError: there is none for some frame.
        """
        assert isinstance(index, Exact | Faiss)
        allowed = self.allowed(index.latlon_G2)
        self._check(allowed)
        return Restricted(index.latlon_G2, index.embedding_GD, allowed.of)

    def _check(self, allowed: Allowed) -> None:
        """Refuses what leaves no place; without start and end all frames have the same places.

        Raises:
            ContradictionError: some frame can be nowhere.
        """
        whole = slice(None)
        for k in range(len(self.time_s) if len(allowed.away_km_XP) else 1):
            if not allowed.of(slice(k, k + 1), whole).any():
                what = " and ".join(self.given.words)
                raise ContradictionError(
                    f"no place is left at {self.time_s[k]:g} s, at {self.max_speed_kmh:g} km/h and "
                    f"among the places that the model searches: {what}"
                )


def contradicted(mass_T: Floats, share_T: Floats) -> bool:
    """Whether what most frames show speaks against what is known; see `UNLIKELY`."""
    return bool(np.median(mass_T / share_T) < UNLIKELY)


def _moments(given: Given, began: Began | None, lasts_s: float) -> tuple[float, float] | None:
    """Seconds since 1970 between which the recording was made in daylight."""
    if given.after is None and given.before is None:
        return None
    sides = ((given.after, -np.inf), (given.before, np.inf))
    bounds = [moment.timestamp() if moment else infinite for moment, infinite in sides]
    if began is not None and began.is_utc:
        first_s = began.moment.timestamp()
        if not (bounds[0] <= first_s + lasts_s and first_s <= bounds[1]):
            told = f"{began.moment.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
            what = " and ".join(given.words)
            raise ContradictionError(
                f"the recording began {told}, says {began.source}, and it is given: {what}"
            )
        return first_s, first_s + lasts_s
    if not np.isfinite(bounds).all():
        raise ValueError(
            f"{given.options}: this recording does not tell when it was made, so one moment tells "
            "nothing of the sun: give both --after and --before, or --start-time with a zone"
        )
    return bounds[0], bounds[1]


def _daylight(moments: tuple[float, float], latlon_P2: Floats) -> Bools:
    """Which points had daylight at some moment."""
    first_s, last_s = moments
    if last_s - first_s >= _DAY_S:
        return np.ones(len(latlon_P2), bool)
    found = np.zeros(len(latlon_P2), bool)
    for at in np.r_[np.arange(first_s, last_s, _STEP_S), last_s]:
        found |= sun.height_deg(np.full(len(latlon_P2), at), latlon_P2) > _DARK_DEG
    return found
