"""From a video file to a place: a bundle of CityGuessr is all that takes, in one folder.

A bundle holds the model with its hierarchy and temperatures, and the frozen frame encoders if it
reads any; it needs neither a workspace nor a registry. `vidtag locate --model cityguessr` and the
model in MLflow both are this module.

Belongs here: writing and reading such bundles, a video's place, its files. Does not belong here:
bundles that give tracks (models/vidtag/locator.py), inferences (inference.py), decoding
(media/video.py). Shape legend: T frames, D features, K classes of a level.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidtag_ml import config
from vidtag_ml.dataset.hierarchy import LEVELS, Hierarchy
from vidtag_ml.earth.origin import Facts
from vidtag_ml.earth.tracks import legible
from vidtag_ml.encoders.frames import FrameEncoder
from vidtag_ml.features import extraction
from vidtag_ml.features import store as feature_store
from vidtag_ml.models import bundle, familiarity, locator, networks, recording
from vidtag_ml.models.cityguessr import data, inference, knowing, network
from vidtag_ml.models.locator import Answer, Locator, Progress
from vidtag_ml.models.recording import Began, Recording
from vidtag_ml.models.vidtag import locator as vidtag_locator
from vidtag_ml.workflow import accelerator, stage

FORM = bundle.Form("places", 1, ("features", "cityguessr"))
NUM_SHOWN = 5
"""Candidates of each level in a file."""


@dataclass(frozen=True)
class Place:
    """Where a model says that a video is from."""

    noun: ClassVar[str] = "place"
    timed: ClassVar[bool] = False
    clip: str
    """Name of the file without its suffix."""
    names: Mapping[str, str]
    """Level -> name: a path through the hierarchy unless the inference says otherwise."""
    probabilities: Mapping[str, float]
    """Level -> calibrated probability of that name."""
    sure: Mapping[str, str | None]
    """Level -> name where it is probable enough, as are all levels above it, else None."""
    answer: str
    """The sure names in words: "France, city unknown"."""
    candidates: Mapping[str, list[tuple[str, float]]]
    """Level -> the most probable names with their probabilities, best first."""
    foreign: str = ""
    """What the model knows, if this video is of another kind."""
    unsure: tuple[str, ...] = ()
    """What is not known of how sure it is, a sentence each."""

    @property
    def told(self) -> tuple[str, ...]:
        """What is to be said of it, a sentence each."""
        return self.unsure

    def table(self) -> pd.DataFrame:
        """One row: clip, answer, city ..., probability_city ... and, or null, sure_city ..."""
        row: dict[str, Any] = {"clip": self.clip, "answer": self.answer, **self.names}
        row |= {f"probability_{level}": self.probabilities[level] for level in LEVELS}
        return pd.DataFrame([row | {f"sure_{level}": self.sure[level] for level in LEVELS}])

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "clip": self.clip,
            "answer": self.answer,
            "place": {
                level: {"name": self.names[level], "probability": self.probabilities[level]}
                for level in LEVELS
            },
            "sure": dict(self.sure),
            "candidates": {k: [list(pair) for pair in v] for k, v in self.candidates.items()},
        }

    def write(self, folder: Path, name: str, facts: Facts) -> list[Path]:
        """Writes NAME.json and NAME.png with where they come from; returns the paths."""
        from vidtag_ml.models.cityguessr import plots

        paths = [folder / f"{name}.{kind}" for kind in ("json", "png")]
        marks = [*([str(facts["foreign"])] if "foreign" in facts else []), *self.told]
        told = {**self.as_json(), "told": marks, "origin": dict(facts)}
        stage.write_text(paths[0], json.dumps(told, indent=1, ensure_ascii=False) + "\n")
        with stage.replacing(paths[1]) as aside:
            plots.place_card(self.candidates, self.sure, aside, self.clip, facts)
        return paths

    def beside(self, seen: Recording, began: Began | None) -> "Place":  # noqa: ARG002 - of tracks
        """The same: a place has no times, and nothing that a recording tells is one."""
        return self


def write_bundle(
    model_folder: Path,
    encoders_dir: Path,
    params: config.Params,
    folder: Path,
    known: Path | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Fills `folder` with all that a place takes.

    Args:
        model_folder: what `base.save` wrote.
        encoders_dir: holds NAME.json and NAME.safetensors of each encoder that the model reads.
        params: its sections `features` and `cityguessr` go into the bundle.
        folder: the bundle; made if need be.
        known: what `Familiarity.write` wrote, if there is any: it tells what the model knows.
        provenance: what the bundle was made from, stored as it is.
    """
    (folder / "model").mkdir(parents=True, exist_ok=True)
    for name in ("model.json", "model.safetensors"):
        shutil.copy(model_folder / name, folder / "model")
    (folder / "encoders").mkdir(exist_ok=True)
    for name in networks.read(folder / "model").widths:
        for kind in ("json", "safetensors"):
            shutil.copy(encoders_dir / f"{name}.{kind}", folder / "encoders")
    if known is not None:
        shutil.copytree(known, folder / familiarity.FOLDER, dirs_exist_ok=True)
    bundle.write(folder, FORM, params, provenance)


@dataclass(frozen=True)
class CityGuessrLocator(Locator):
    """A bundle in memory, ready to say where videos are from."""

    gives: ClassVar[type[Answer]] = Place
    folder: Path
    """The bundle."""
    features: config.Features
    """How frames become features."""
    settings: config.CityGuessr
    """Which frames are seen, and how logits become an answer."""

    @classmethod
    def of(cls, card: bundle.Card) -> "CityGuessrLocator":
        """The locator of the bundle with this card.

        Raises:
            ValueError: it is of another kind or format.
        """
        card.check(FORM)
        features = card.section("features", config.Features)
        return cls(card.folder, features, card.section("cityguessr", config.CityGuessr))

    def rate(self, frames_per_second: float | None) -> float:
        """Frames of a video that are looked at each second: as asked for, else as in training.

        Raises:
            ValueError: it is not positive, or VideoMAE's clips fix the frames that are seen.
        """
        if frames_per_second is not None and self.model.sizes.videomae is not None:
            raise ValueError(
                f"frames_per_second is {frames_per_second:g}, but this model sees every "
                f"{self.settings.frame_stride}th frame of a video; leave it out (--fps)"
            )
        return locator.rate(frames_per_second, self.features.frames_per_second)

    def locate(
        self,
        asked: Path | Recording,
        frames_per_second: float | None = None,
        progress: Progress | None = None,
    ) -> Place:
        """The place of a video, or of pictures that follow each other.

        Args:
            asked: any file that decord or PyAV decodes, or a folder of nothing but pictures.
            frames_per_second: frames that are chosen from; as in training if not given.
            progress: called with the frames done and the frames to do.

        Raises:
            VideoError: the file is no video that can be used; says why.
            ValueError: `rate` refuses `frames_per_second`, or the folder is not of pictures.
        """
        fps, seen = self.rate(frames_per_second), recording.opened(asked)
        given = self._seen(seen, fps, progress)
        with torch.inference_mode():
            logits = self.model.logits(*given)
        how, hierarchy = self.settings.inference, self.hierarchy
        temperatures = self.model.temperatures[inference.INFERENCES.index(how)].tolist()
        scores = [np.asarray(level.double().cpu().numpy()) for level in logits]
        found = inference.probabilities(scores, hierarchy, how, temperatures)
        chosen_4 = inference.answer(found, hierarchy, how)[0]
        sure_4 = inference.supported(found, hierarchy, self.settings.least_probability)[0][0]
        named = list(zip(LEVELS, hierarchy.names, found, strict=True))
        return Place(
            legible(seen.name),
            {level: n[k] for (level, n, _), k in zip(named, chosen_4, strict=True)},
            {level: float(p[0, k]) for (level, _, p), k in zip(named, chosen_4, strict=True)},
            {
                level: n[k] if k >= 0 else None
                for (level, n, _), k in zip(named, sure_4, strict=True)
            },
            inference.sentence(sure_4, hierarchy),
            {level: _best(n, p[0]) for level, n, p in named},
            *self._known(given, logits[0]),
        )

    def _known(self, given: data.Seen, logits_1K: Tensor) -> tuple[str, tuple[str, ...]]:
        """What the model knows if a video is of another kind, and what is not known of that."""
        if self.familiarity is None:
            return "", (familiarity.UNKNOWN.format(familiarity.OLD),)
        found = knowing.looked(self.model, given, logits_1K)
        return self.familiarity.foreign(*found), self.familiarity.unsure

    def _seen(
        self,
        seen: Recording,
        frames_per_second: float,
        progress: Progress | None = None,
    ) -> data.Seen:
        spec, device = self.model.sizes.videomae, self.model.temperatures.device
        if spec is not None:
            how = spec.num_frames, self.settings.frame_stride, spec.image_size
            frames_TX, time_s = _squares(seen, *how)
        else:
            times = seen.times(frames_per_second)
            time_s = times[data.middles(len(times), self.settings.frames_per_clip)]
            given = vidtag_locator.encoded(self.encoders, self.features, seen, time_s, progress)
            frames_TX = feature_store.ClipFeatures(given, time_s).features_TD
        time_1T = torch.from_numpy(time_s - time_s[0]).float()[None].to(device)
        return frames_TX[None].to(device), torch.ones_like(time_1T, dtype=torch.bool), time_1T

    @cached_property
    def model(self) -> network.CityGuessr:
        """The network, on the accelerator if there is one."""
        model = inference.load(self.folder / "model")
        return model.to(accelerator.device())

    @cached_property
    def familiarity(self) -> familiarity.Familiarity | None:
        """What tells which videos the model knows; None in bundles of an older vidtag."""
        return familiarity.Familiarity.read(self.folder / familiarity.FOLDER)

    @cached_property
    def hierarchy(self) -> Hierarchy:
        """The places that the model knows."""
        return Hierarchy.of_rows(self.model.sizes.places)

    @cached_property
    def encoders(self) -> dict[str, FrameEncoder]:
        """The frozen frame encoders that the model reads, in the order of their features."""
        read = replace(self.features, encoders=tuple(self.model.widths))
        return extraction.load_encoders(read, self.folder / "encoders")


def _squares(
    seen: Recording, num_frames: int, stride: int, size: int
) -> tuple[Tensor, NDArray[np.float64]]:
    if isinstance(seen, recording.Pictures):
        return data.pictured(seen.files, num_frames, stride, size)
    return data.decoded(seen.path, num_frames, stride, size)


def _best(names: tuple[str, ...], probability_K: np.ndarray) -> list[tuple[str, float]]:
    order = np.argsort(-probability_K, kind="stable")[:NUM_SHOWN]
    return [(names[k], float(probability_K[k])) for k in order]
