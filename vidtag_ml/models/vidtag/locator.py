"""From a video file to a track: a bundle is all that takes, in one folder.

A bundle holds the model, the gallery with its embeddings, and the frozen encoders; it needs neither
a workspace nor a registry. `vidtag locate` and the model in MLflow both are this module.

Belongs here: writing and reading bundles, locating a video. Does not belong here: decoding videos
(media/video.py), the way from features to positions (models/gps_retrieval/locate.py), track files
(models/located.py). Shape legend: T frames, V views, D features, G gallery entries, E common space,
2 = (lat, lon) in degrees.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from vidtag_ml import config
from vidtag_ml.encoders.frames import FrameEncoder
from vidtag_ml.features import decoding, extraction
from vidtag_ml.features.store import ClipFeatures
from vidtag_ml.models import bundle, locator, networks, recording
from vidtag_ml.models.given import Given
from vidtag_ml.models.gps_retrieval import calibration
from vidtag_ml.models.gps_retrieval import embedding as gallery_embedding
from vidtag_ml.models.gps_retrieval import network as geo_models
from vidtag_ml.models.gps_retrieval.known import Known
from vidtag_ml.models.gps_retrieval.locate import Posterior, locate, mass_of, posterior
from vidtag_ml.models.gps_retrieval.network import Prediction
from vidtag_ml.models.located import LocatedTrack
from vidtag_ml.models.locator import Answer, Locator, Progress
from vidtag_ml.models.recording import Recording
from vidtag_ml.retrieval import embeddings, gallery, index
from vidtag_ml.workflow import accelerator

FORM = bundle.Form("tracks", 2, ("features", "evaluation"), ("mode",), ("wander_kms",))
_EMBEDDINGS = "gallery.safetensors"


def write_bundle(
    model_folder: Path,
    gallery_folder: Path,
    encoders_dir: Path,
    params: config.Params,
    folder: Path,
    *,
    mode: str,
    wander_kms: float | None = None,
    calibrated: Path | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Fills `folder` with all that locating takes; embeds the gallery, once and for all.

    Args:
        model_folder: what `base.save` wrote.
        gallery_folder: what `gallery.write` wrote.
        encoders_dir: holds NAME.json and NAME.safetensors of each encoder that the model reads.
        params: its sections `features` and `evaluation` go into the bundle.
        folder: the bundle; made if need be.
        mode: how the clips moved; its speed limit is used for videos of unknown mode.
        wander_kms: how much velocities of that mode changed (`motion.learnt`), if that is known.
        calibrated: what `Calibration.write` wrote, if there is any: it tells how sure answers are.
        provenance: what the bundle was made from, stored as it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for source, target in ((model_folder, "model"), (gallery_folder, "gallery")):
        shutil.copytree(source, folder / target, dirs_exist_ok=True, ignore=_not_weights)
    (folder / "encoders").mkdir(exist_ok=True)
    model = networks.load(folder / "model")
    for name in model.widths:
        for kind in ("json", "safetensors"):
            shutil.copy(encoders_dir / f"{name}.{kind}", folder / "encoders")
    points = gallery.read(folder / "gallery")
    gallery_embedding.write(model, points.latlon_G2, folder / _EMBEDDINGS)
    if calibrated is not None:
        shutil.copytree(calibrated, folder / calibration.FOLDER, dirs_exist_ok=True)
    bundle.write(folder, FORM, params, provenance, mode=mode, wander_kms=wander_kms)


def _not_weights(_folder: str, names: list[str]) -> list[str]:
    """Loss curves and checkpoints lie beside a model, but are no part of it."""
    return [n for n in names if not n.endswith((".json", ".safetensors", ".parquet"))]


def encoded(
    encoders: Mapping[str, FrameEncoder],
    settings: config.Features,
    seen: Recording,
    time_s: np.ndarray,
    progress: Progress | None = None,
) -> Tensor:
    """Features (T, D), or (T, V, D) of several views; holds but a batch of frames at a time.

    Half of it is decoded while the other half is encoded.
    """
    parts, done = [], 0
    for frames in decoding.one_ahead(seen.batches_at(time_s, -(-settings.batch_size // 2))):
        parts.append(extraction.encode(encoders, frames, settings.batch_size, settings.views))
        done += len(frames)
        if progress:
            progress(done, len(time_s))
    return torch.cat(parts)


@dataclass(frozen=True)
class VidtagLocator(Locator):
    """A bundle in memory, ready to locate videos."""

    gives: ClassVar[type[Answer]] = LocatedTrack
    folder: Path
    """The bundle."""
    settings: config.Features
    """How frames become features."""
    evaluation: config.Evaluation
    """How features become positions."""
    mode: str
    """How the clips moved that the model was trained on."""
    wander_kms: float | None = None
    """How much their velocities changed; None = unknown, and nothing is decoded by it."""
    given: Given = field(default_factory=Given)
    """What is known of the recordings already."""

    @classmethod
    def of(cls, card: bundle.Card) -> "VidtagLocator":
        """The locator of the bundle with this card.

        Raises:
            ValueError: it is of another kind or format.
        """
        card.check(FORM)
        return cls(
            card.folder,
            card.section("features", config.Features),
            card.section("evaluation", config.Evaluation),
            card.content["mode"],
            card.content.get("wander_kms"),
        )

    def knowing(self, given: Given) -> "VidtagLocator":
        """The locator, for recordings of which that is known.

        Raises:
            ValueError: the model has no speed limit for its mode.
        """
        limits = self.evaluation.max_speed_kmh
        if given.mode is None or given.mode == self.mode:
            return replace(self, given=given)
        if given.mode not in limits:
            raise ValueError(f"--mode is {given.mode!r}; this model knows {', '.join(limits)}")
        return replace(self, given=given, mode=given.mode, wander_kms=None)

    def rate(self, frames_per_second: float | None) -> float:
        """Frames of a video that are looked at each second: as asked for, else as in training.

        Raises:
            ValueError: it is not positive.
        """
        return locator.rate(frames_per_second, self.settings.frames_per_second)

    def locate(
        self,
        asked: Path | Recording,
        frames_per_second: float | None = None,
        progress: Progress | None = None,
    ) -> LocatedTrack:
        """The track of a video, or of pictures that follow each other.

        Args:
            asked: any file that decord or PyAV decodes, or a folder of nothing but pictures.
            frames_per_second: frames of a video that are looked at; as in training if not given.
            progress: called with the frames done and the frames to do.

        Raises:
            VideoError: the file is no video that can be used; says why.
            ValueError: `frames_per_second` is not positive, or the folder is not of pictures.
            ContradictionError: what is known already contradicts what is seen.
        """
        seen = recording.opened(asked)
        time_s = seen.times(self.rate(frames_per_second))
        features = encoded(self.encoders, self.settings, seen, time_s, progress)
        located = self._found(features, time_s)
        sure = self._sureness(features, located)
        if self.given:
            located, sure = self._weighed(seen, features, time_s, located, sure)
        return LocatedTrack(
            clip=seen.name,
            time_s=time_s,
            latlon_T2=located.latlon_T2,
            initial_latlon_T2=located.initial_latlon_T2,
            score_T=located.score_T,
            areas=located.belief.areas(time_s),
            places=located.belief.places(),
            mode=self.mode,
            max_speed_kmh=self.evaluation.max_speed_kmh,
            **sure,
        )

    def _found(
        self, features: Tensor, time_s: np.ndarray, known: Known | None = None
    ) -> Prediction:
        """Where the frames are, among all points or those that are left."""
        speed_kmh = self.evaluation.max_speed_kmh[self.mode]
        ask = (self.index, self.evaluation, speed_kmh, self.wander_kms)
        return locate(self.model, features, time_s, *ask, known)

    def _weighed(
        self,
        seen: Recording,
        features: Tensor,
        time_s: np.ndarray,
        alone: Prediction,
        sure: dict[str, Any],
    ) -> tuple[Prediction, dict[str, Any]]:
        """Where the frames are by what is known already, and how sure that is.

        Args:
            seen: the recording.
            features: what the model sees of it.
            time_s: times of the frames.
            alone: where the model puts them by itself.
            sure: how sure that is.
        """
        if not self.given.is_of_place:
            told = f"given: {' and '.join(self.given.words)}"
            return alone, {**sure, "unsure": (told, *sure["unsure"])}
        ends = self.given.start or self.given.end
        if ends and isinstance(seen, recording.Pictures) and len(time_s) > 1 and not seen.timed:
            raise ValueError(
                f"{self.given.options}: the photos do not all tell their times, so nobody knows "
                "how far from there each was taken"
            )
        spacing_km = float(self.points.protocol.get("spacing_km", alone.belief.spacing_km))
        speed_kmh = self.evaluation.max_speed_kmh[self.mode]
        known = Known.of(self.given, seen.began, time_s, speed_kmh, spacing_km)
        within = mass_of(self.model, features, time_s, self.index, self.evaluation, known)
        told = known.told(*within)
        found = self._found(features, time_s, known)
        return found, known.sureness(sure, alone, found, within, told)

    def _sureness(self, features: Tensor, located: Prediction) -> dict[str, Any]:
        """How sure an answer is, as fields of it."""
        if self.calibration is None:
            sure = calibration.uncalibrated()
        else:
            features_TD = ClipFeatures(features, np.empty(0)).features_TD
            sure = self.calibration.sureness(self.mode, features_TD, located)
        return {
            "radius_km_T": sure.radius_km_T,
            "track_radius_km": sure.track_radius_km,
            "foreign": sure.kinds if (sure.beyond or 0) > 0 else "",
            "unsure": sure.told,
        }

    def posterior(self, video_path: Path, time_s: np.ndarray, mass: float) -> Posterior:
        """Where the frames at some times (T,), not decreasing, may be: see `locate.posterior`.

        Raises:
            VideoError: the file is no video that can be used; says why.
        """
        return posterior(
            self.model,
            encoded(self.encoders, self.settings, recording.Video(video_path), time_s),
            time_s,
            self.index,
            self.evaluation,
            self.evaluation.max_speed_kmh[self.mode],
            mass,
        )

    @cached_property
    def model(self) -> geo_models.GeoModel:
        """The network, on the accelerator if there is one."""
        return networks.load(self.folder / "model").to(accelerator.device())

    @cached_property
    def calibration(self) -> calibration.Calibration | None:
        """What tells how sure answers are; None in bundles of an older vidtag."""
        folder = self.folder / calibration.FOLDER
        return calibration.Calibration.read(folder) if folder.is_dir() else None

    @cached_property
    def encoders(self) -> dict[str, FrameEncoder]:
        """The frozen frame encoders that the model reads, in the order of their features."""
        read = replace(self.settings, encoders=tuple(self.model.widths))
        return extraction.load_encoders(read, self.folder / "encoders")

    @cached_property
    def points(self) -> gallery.Gallery:
        """The coordinates among which the model searches."""
        return gallery.read(self.folder / "gallery")

    @cached_property
    def index(self) -> index.Index:
        """What finds the points; on the CPU the gallery's embeddings stay on disk."""
        embedding_GE = embeddings.read(self.folder / _EMBEDDINGS).to(self.model.device)
        return index.build_index(self.model, self.points, embedding_GE, self.evaluation.search)
