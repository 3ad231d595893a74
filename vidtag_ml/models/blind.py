"""Answers of whoever looks at no frame: what every model must beat (decision 25).

Belongs here: where the train fixes are, and how wrong that answers for the clips of a report. Does
not belong here: comparing models (gate.py), baselines that are trained.
Shape legend: N train fixes, S of them, K clips, 2 = (lat, lon) in degrees.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vidtag_ml.earth import sphere
from vidtag_ml.models.report import Report

NUM_SAMPLED = 1000
"""Fixes, evenly spaced in their table, among which the centre is looked for."""
SEED = 0


def medians_km(report: Report, train_N2: NDArray[np.float64]) -> pd.DataFrame:
    """Median error of each clip of a report, by clip_id in order, had it been located blindly.

    Columns: always answering the centre of the train fixes, and one of them drawn for each clip.

    Raises:
        ValueError: there is no train fix.
    """
    if not len(train_N2):
        raise ValueError("the train split has no fix, so there is no blind answer to compare with")
    clips = np.sort(report.per_clip["clip_id"].to_numpy(str))
    drawn_K = np.random.default_rng(SEED).integers(len(train_N2), size=len(clips))
    answers = {
        "the centre of the train fixes": np.tile(centre(train_N2), (len(clips), 1)),
        "a random train fix": train_N2[drawn_K],
    }
    return pd.DataFrame({name: _medians(report, clips, a_K2) for name, a_K2 in answers.items()})


def centre(latlon_N2: NDArray[np.float64]) -> NDArray[np.float64]:
    """The point (2,) from which the others are nearest on average: their geometric median.

    It is one of the points themselves (of at most 1000, evenly spaced in the list), so that two
    towns have their centre in one of them, not in the woods between.
    """
    step = -(-len(latlon_N2) // NUM_SAMPLED)
    sample_S2 = latlon_N2[::step]
    apart_SS = sphere.great_circle_km(sample_S2[:, None], sample_S2)
    return np.asarray(sample_S2[apart_SS.mean(1).argmin()])


def _medians(report: Report, clips: NDArray[np.str_], answer_K2: NDArray[np.float64]) -> pd.Series:
    row = pd.Series(range(len(clips)), index=clips)
    frames = report.frames[report.frames["clip"].isin(clips)]
    answer = answer_K2[row[frames["clip"]].to_numpy(int)]
    error_km = sphere.great_circle_km(answer, frames[["true_lat", "true_lon"]].to_numpy(float))
    return pd.Series(error_km).groupby(frames["clip"].to_numpy(str)).median()
