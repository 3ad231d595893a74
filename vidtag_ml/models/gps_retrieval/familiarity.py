"""Whether a recording looks like what a model was trained on; what does not gets no position.

Two measures, means over the frames: how unlikely their features are among those of train frames
(the logarithm of Mahalanobis' distance; Lee et al. 2018, 1807.03888), and how unlike they are to
the nearest gallery point. Val clips, cut to so many frames, tell what is usual of each.

Belongs here: learning and judging that. Does not belong here: what is answered (located.py), how
sure an answer is (calibration.py). Shape legend: T frames, D features, N train frames or val clips,
2 = measures.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from vidtag_ml.metrics import conformal
from vidtag_ml.models.gps_retrieval.network import Prediction

Floats = NDArray[np.float64]

KEPT = 0.95
"""Share of recordings like those of training that keep their answer."""
MOST_JUDGED = 256
"""Frames of a recording that are judged, evenly spaced."""
RIDGE = 1e-2
"""Part of the mean variance that each direction has at least."""
_FILE = "familiarity.safetensors"
_KINDS = {
    "walk": "walks",
    "ride": "rides",
    "car": "drives",
    "drone": "flights of drones",
    "flyover": "flights over Earth from above",
    "photos": "series of photos",
}
"""What people call recordings of a mode."""


@dataclass(frozen=True)
class Usual:
    """What is usual of val clips that are cut to so many frames."""

    num_frames: int
    centre_2: tuple[float, ...]
    """Means of the measures."""
    scale_2: tuple[float, ...]
    """Their standard deviations."""
    limit: float
    """What is stranger than this is not known."""

    @classmethod
    def of(cls, num_frames: int, measures_N2: Floats) -> "Usual | None":
        """What is usual of clips with these measures; None if they are too few."""
        if len(measures_N2) < conformal.LEAST_CLIPS:
            return None
        centre_2, scale_2 = measures_N2.mean(0), np.maximum(measures_N2.std(0), 1e-9)
        found = cls(num_frames, tuple(centre_2.tolist()), tuple(scale_2.tolist()), limit=0.0)
        limit = conformal.quantile([np.array([found.strangeness(m)]) for m in measures_N2], KEPT)
        return dataclasses.replace(found, limit=limit)

    def strangeness(self, measures_2: Floats) -> float:
        """How strange a recording is: the sum of its measures, each in its standard deviations."""
        return float(((measures_2 - np.array(self.centre_2)) / np.array(self.scale_2)).sum())


@dataclass(frozen=True)
class Looks:
    """What train frames look like to a model."""

    mean_D: Tensor
    whitening_DD: Tensor
    """Features less their mean, times this, have a variance of at most 1 in each direction."""

    @classmethod
    def of(cls, features_ND: Tensor) -> "Looks":
        """What frames with these features look like."""
        features_ND = features_ND.double()
        mean_D = features_ND.mean(0)
        variance_D, axes_DD = torch.linalg.eigh(torch.cov(features_ND.T).reshape([len(mean_D)] * 2))
        least = RIDGE * variance_D.mean().clamp(min=1e-12)
        whitening_DD = axes_DD / (variance_D.clamp(min=0) + least).sqrt()
        return cls(mean_D.float(), whitening_DD.float())

    def measures(self, features_TD: Tensor, found: Prediction) -> Floats:
        """The measures (2,) of a recording."""
        rows = np.linspace(0, len(features_TD) - 1, min(len(features_TD), MOST_JUDGED)).astype(int)
        off_TD = (features_TD[rows].cpu().float() - self.mean_D) @ self.whitening_DD
        unlikely = float(off_TD.square().mean(-1).clamp(min=1e-9).log().mean())
        return np.array([unlikely, -float(found.candidate_score_TK[rows, 0].mean())])

    def write(self, folder: Path) -> None:
        """Writes them into a folder that is there."""
        values = {f.name: getattr(self, f.name).contiguous() for f in dataclasses.fields(self)}
        save_file(values, folder / _FILE)

    @classmethod
    def read(cls, folder: Path) -> "Looks":
        """Those of a folder."""
        return cls(**load_file(folder / _FILE))


@dataclass(frozen=True)
class Familiarity:
    """What a model knows."""

    kinds: str
    """In words."""
    usual: tuple[Usual, ...]
    """By numbers of frames, growing; empty = val clips were too few to tell."""
    looks: Looks

    def beyond(self, features_TD: Tensor, found: Prediction) -> float | None:
        """By how much a recording is stranger than what is still known; None = nobody knows.

        In sums of standard deviations of val clips; what is known is not above 0.
        """
        fitting = [u for u in self.usual if u.num_frames <= len(features_TD)]
        if not fitting:
            return None
        usual = fitting[-1]
        return usual.strangeness(self.looks.measures(features_TD, found)) - usual.limit

    def as_json(self) -> dict[str, Any]:
        """Plain values, but for looks."""
        return {"kinds": self.kinds, "usual": [dataclasses.asdict(each) for each in self.usual]}

    @classmethod
    def of_json(cls, value: Mapping[str, Any], looks: Looks) -> "Familiarity":
        """From what `as_json` gives."""
        return cls(value["kinds"], tuple(Usual(**each) for each in value["usual"]), looks)


def kinds(clips: pd.DataFrame) -> str:
    """What recordings clips are, most frequent first.

    >>> kinds(pd.DataFrame({"mode": ["car", "walk", "car"], "dataset": ["a", "b", "a"]}))
    'drives and walks (a, b)'
    """
    modes = [_KINDS.get(str(mode), str(mode)) for mode in clips["mode"].value_counts().index]
    names = ", ".join(sorted(map(str, clips["dataset"].unique())))
    return f"{_listed(modes)} ({names})"


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
