"""How often radii hold the truth that they are said to hold, and which flights lose their answer.

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
from vidtag_ml.models.gps_retrieval.calibration import SHARES, Calibration, Sureness

Floats = NDArray[np.float64]

SEED = 0
BARS = (0.85, 0.95)
"""Between these a kind of clips is covered as it is said to be."""
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


def figures(per_clip: pd.DataFrame, draws: int) -> dict[str, float]:
    """Means over clips of what `of_clip` gives, and the intervals of those that are told."""
    names = [n for n in (*map(HELD.format, SHARES), TRACK, LOST) if n in per_clip]
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
