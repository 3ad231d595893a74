"""How often radii and areas hold the truth that they should, and which flights lose their answer.

Belongs here: figures of that, of a clip, of a report and of kinds of clips. Does not belong here:
learning radii (calibration.py), kinds of clips (models/slices.py), pictures (plots/charts.py).
Shape legend: T frames of a clip.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.metrics import bootstrap, conformal
from vidtag_ml.models.familiarity import LOST
from vidtag_ml.models.gps_retrieval.belief import Belief
from vidtag_ml.models.gps_retrieval.calibration import SHARES, Calibration, Sureness

Floats = NDArray[np.float64]

SEED = 0
BARS = (0.85, 0.95)
"""Between these a kind of clips is covered as it is said to be."""
AREAS_KM2 = (1e3, 3e3, 1e4, 3e4, 1e5, 3e5, 1e6)
"""Searched areas whose recall is told; the smallest gallery cells are larger than some."""
AREA_HELD, FOUND = "area_held_{:.1f}", "found_{:.0f}km2"
"""Columns of clips: shares of their frames whose truth is in the credible area of such a share of
the probability, and in so many of the likeliest km^2."""
HELD, TRACK = "held_{:.1f}", "track_held"
"""Columns of clips: the share of their frames whose truth is within the radius for such a share,
and whether all of it is near the track."""


def of_clip(
    calibration: Calibration, mode: str, sure: Sureness, error_km_T: Floats
) -> dict[str, float]:
    """How well radii hold the truth of a clip; NaN in `error_km_T` where it is unknown."""
    found = {} if sure.beyond is None else {LOST: float(sure.beyond > 0)}
    radii, known = calibration.radii_of(mode, len(error_km_T)), np.isfinite(error_km_T)
    if radii is None or sure.radius_km_T is None or not known.any():
        return found
    ratio_T = (error_km_T / sure.radius_km_T)[known]
    held = {
        HELD.format(share): float((ratio_T <= factor / radii.points[-1]).mean())
        for share, factor in zip(SHARES, radii.points, strict=True)
    }
    assert sure.track_radius_km is not None
    within = float((error_km_T[known] <= sure.track_radius_km).all())
    median_km = float(np.median(sure.radius_km_T))
    return {**found, **held, TRACK: within, "radius_km": median_km}


def of_areas(belief: Belief, truth_T2: Floats) -> dict[str, float]:
    """How well credible areas hold the truth of a clip, and how much is searched to find it.

    Args:
        belief: where the clip may be.
        truth_T2: where its frames are; NaN where that is unknown.
    """
    mass_T, area_T = belief.searched(truth_T2)
    known_T = np.isfinite(mass_T)
    if not known_T.any():
        return {}
    held = {AREA_HELD.format(s): float((mass_T[known_T] < s).mean()) for s in SHARES}
    found = {FOUND.format(a): float((area_T[known_T] <= a).mean()) for a in AREAS_KM2}
    return {**held, **found}


def figures(per_clip: pd.DataFrame, draws: int) -> dict[str, float]:
    """Means over clips of what `of_clip` and `of_areas` give, with intervals."""
    areas = (*map(AREA_HELD.format, SHARES), *map(FOUND.format, AREAS_KM2))
    names = [n for n in (*map(HELD.format, SHARES), TRACK, LOST, *areas) if n in per_clip]
    found: dict[str, float] = {}
    for name in names:
        values = per_clip[name].dropna()
        if len(values):
            low, high = bootstrap.bootstrap(values, draws, SEED)
            found |= {name: float(values.mean()), f"{name}_lo": low, f"{name}_hi": high}
    if "radius_km" in per_clip and per_clip["radius_km"].notna().any():
        found["median_radius_km"] = float(per_clip["radius_km"].median())
    return found


def reliability(summary: Mapping[str, Any]) -> dict[float, float]:
    """Share of truths that radii should hold -> share that they do hold; empty without radii."""
    return {s: summary[HELD.format(s)] for s in SHARES if HELD.format(s) in summary}


def area_reliability(summary: Mapping[str, Any]) -> dict[float, float]:
    """Share of truths that areas should hold -> share that they do hold."""
    return {s: summary[n] for s in SHARES if (n := AREA_HELD.format(s)) in summary}


def recall_by_area(summary: Mapping[str, Any]) -> dict[float, float]:
    """km^2 that are searched, the likeliest first -> share of truths in them."""
    return {a: summary[n] for a in AREAS_KM2 if (n := FOUND.format(a)) in summary}


def by_slice(per_clip: pd.DataFrame, kinds: pd.DataFrame) -> pd.DataFrame:
    """How often radii hold in each kind of clips, and which are covered otherwise than said.

    Args:
        per_clip: of a report, with radii.
        kinds: by clip_id, a column a way of slicing, as `slices.of` gives them.
    """
    held = per_clip.set_index("clip_id")[HELD.format(SHARES[-1])].dropna()
    rows = [("all", "all clips", held)] + [
        (str(way), str(kind), held[held.index.isin(kinds.index[kinds[way] == kind])])
        for way in kinds
        for kind in sorted(kinds[way].dropna().unique())
    ]
    table = [
        (way, kind, len(some), round(float(some.mean()), 3), _verdict(some))
        for way, kind, some in rows
        if len(some)
    ]
    return pd.DataFrame(table, columns=["way", "clips are of", "clips", "held", "verdict"])


def _verdict(held: "pd.Series[float]") -> str:
    if len(held) < conformal.LEAST_CLIPS:
        return f"fewer than {conformal.LEAST_CLIPS} clips"
    low, high = BARS
    return (
        "as said"
        if low <= held.mean() <= high
        else "too seldom"
        if held.mean() < low
        else "more often"
    )
