"""Whether a recording looks like what a model was trained on; what does not gets no position.

Two measures, means over the frames: how unlikely their features are among those of train frames
(the logarithm of Mahalanobis' distance; Lee et al. 2018, 1807.03888), and how badly the best of all
answers fits them. Val clips, cut to so many frames, tell what is usual of each.

Belongs here: learning and judging that, for every system. Does not belong here: what features and
scores are (each system's), what is answered (located.py), how sure an answer is
(gps_retrieval/calibration.py). Shape legend: T frames, D features, N train frames or val clips,
2 = measures.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from vidtag_ml.metrics import bootstrap, conformal
from vidtag_ml.models.report import Filed
from vidtag_ml.workflow import stage

Floats = NDArray[np.float64]

SEED = 0
KEPT = 0.95
"""Share of recordings like those of training that keep their answer."""
MOST_JUDGED = 256
"""Frames of a recording that are judged, evenly spaced."""
RIDGE = 1e-2
"""Part of the mean variance that each direction has at least."""
FRAMES_OF_EACH = 16
"""Frames of a train clip that tell what they look like."""
MOST_CLIPS = 1000
"""Val clips, evenly spaced in their table, and as many train clips, that are looked at."""
FOLDER = "familiarity"
"""Of a report on val, and of a bundle."""
LOST = "lost"
"""Column of clips, and their mean: whether they are taken for something unknown."""
UNKNOWN = "whether the model knows this kind of recording is not known: {}"
OLD = "it was bundled by an older vidtag"
_FILE = "familiarity.safetensors"
_USUAL = "familiarity.json"
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

    @classmethod
    def of_clips(cls, clips: Iterable[Tensor]) -> "Looks":
        """What frames of clips with these features (T, D) look like, a few of each clip."""
        some = []
        for features_TD in clips:
            rows = np.linspace(0, len(features_TD) - 1, FRAMES_OF_EACH).round().astype(int)
            some.append(features_TD[np.unique(rows)].cpu().float())
        return cls.of(torch.cat(some))

    def measures(self, features_TD: Tensor, score_T: ArrayLike) -> Floats:
        """The measures (2,) of a recording.

        Args:
            features_TD: of its frames.
            score_T: how well the best answer to each frame fits it; the more, the better.
        """
        rows = np.linspace(0, len(features_TD) - 1, min(len(features_TD), MOST_JUDGED)).astype(int)
        off_TD = (features_TD[rows].cpu().float() - self.mean_D) @ self.whitening_DD
        unlikely = float(off_TD.square().mean(-1).clamp(min=1e-9).log().mean())
        return np.array([unlikely, -float(np.asarray(score_T, float)[rows].mean())])

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

    def beyond(self, features_TD: Tensor, score_T: ArrayLike) -> float | None:
        """By how much a recording is stranger than what is still known; None = nobody knows.

        Features and scores as of `Looks.measures`. In sums of standard deviations of val clips;
        what is known is not above 0.
        """
        fitting = [u for u in self.usual if u.num_frames <= len(features_TD)]
        if not fitting:
            return None
        usual = fitting[-1]
        return usual.strangeness(self.looks.measures(features_TD, score_T)) - usual.limit

    def foreign(self, features_TD: Tensor, score_T: ArrayLike) -> str:
        """What is known, if a recording is of another kind; empty if it is not, or nobody knows."""
        beyond = self.beyond(features_TD, score_T)
        return self.kinds if beyond is not None and beyond > 0 else ""

    @property
    def unsure(self) -> tuple[str, ...]:
        """What is not known of it, a sentence at most."""
        few = f"fewer than {conformal.LEAST_CLIPS} val clips tell"
        return () if self.usual else (UNKNOWN.format(few),)

    def write(self, folder: Path) -> None:
        """Writes it into a folder, made if need be."""
        folder.mkdir(parents=True, exist_ok=True)
        stage.write_text(folder / _USUAL, json.dumps(self.as_json(), indent=1) + "\n")
        self.looks.write(folder)

    @classmethod
    def read(cls, folder: Path) -> "Familiarity | None":
        """The one in a folder; None where there is no such folder, as in bundles of before."""
        if not folder.is_dir():
            return None
        return cls.of_json(json.loads((folder / _USUAL).read_text()), Looks.read(folder))

    def as_json(self) -> dict[str, Any]:
        """Plain values, but for looks."""
        return {"kinds": self.kinds, "usual": [dataclasses.asdict(each) for each in self.usual]}

    @classmethod
    def of_json(cls, value: Mapping[str, Any], looks: Looks) -> "Familiarity":
        """From what `as_json` gives."""
        return cls(value["kinds"], tuple(Usual(**each) for each in value["usual"]), looks)


def learnt(known: str, looks: Looks, measures_2: Mapping[int, Sequence[Floats]]) -> Familiarity:
    """What is known, by the measures of val clips that are cut to so many frames.

    Args:
        known: what `kinds` says of the train clips.
        looks: what their frames look like.
        measures_2: number of frames, growing -> measures of each clip that has so many.
    """
    usual = (Usual.of(n, np.array(measures)) for n, measures in measures_2.items())
    return Familiarity(known, tuple(filter(None, usual)), looks)


R = TypeVar("R", bound=Filed)


def reported(report: R, lost: "pd.Series[float]", draws: int) -> R:
    """A report that says of each clip whether it would get no answer, and of all, how many.

    Args:
        report: on some clips.
        lost: 1 of those without an answer, by clip_id; a clip of which nobody knows is not there.
        draws: of the bootstrap, for the interval.
    """
    per_clip = report.per_clip.assign(**{LOST: report.per_clip["clip_id"].map(lost)})
    low, high = bootstrap.bootstrap(per_clip[LOST].dropna(), draws, SEED)
    figures = {LOST: float(lost.mean()), f"{LOST}_lo": low, f"{LOST}_hi": high}
    summary = {**report.summary, **figures}
    return dataclasses.replace(report, summary=summary, per_clip=per_clip)


def spaced(num: int) -> range:
    """Rows of at most `MOST_CLIPS` of so many clips, evenly spaced."""
    return range(0, num, max(1, -(-num // MOST_CLIPS)))


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
