"""From a video file to a track among places that were recorded before: a bundle is all that takes.

A bundle holds the references and the frozen encoder; it needs neither a workspace nor the
recordings that the references are from. `vidtag locate --model revisit` and the model in MLflow
both are this module.

Belongs here: writing and reading such bundles, locating a video, its answer. Does not belong here:
the search and its decoding (search.py, decoding.py), track files (earth/track_files.py). Shape
legend: T frames, E embedding, 2 = (lat, lon) in degrees.
"""

import dataclasses
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

from vidtag_ml import config
from vidtag_ml.encoders.frames import FrameEncoder
from vidtag_ml.features import extraction
from vidtag_ml.models import bundle, locator, networks, recording
from vidtag_ml.models.located import LocatedTrack
from vidtag_ml.models.locator import Answer, Locator, Progress
from vidtag_ml.models.recording import Recording
from vidtag_ml.models.revisit import decoding, local_features, network, search

FORM = bundle.Form("revisited", 2, ("features", "revisit", "evaluation"), ("mode",))
Floats = NDArray[np.float64]
UNKNOWN = "not at a place that was recorded before"


@dataclass(frozen=True, kw_only=True)
class RevisitedTrack(LocatedTrack):
    """A track among places that are known; positions are NaN where the place is not."""

    heading_T: Floats
    """Degrees from north; NaN where unknown."""
    references_T: tuple[tuple[str, ...], ...]
    """The references that speak for each position, the best first, as CLIP at SECONDS s."""

    @property
    def known_T(self) -> NDArray[np.bool_]:
        """Which frames are at a place that is known."""
        return np.asarray(np.isfinite(self.latlon_T2).all(1))

    @property
    def told(self) -> tuple[str, ...]:
        """What was assumed about it, and how much of it is unknown."""
        unknown = int((~self.known_T).sum())
        said = f"{unknown} of {len(self.time_s)} frames are {UNKNOWN}: without a position"
        return (*super().told, *((said,) if unknown else ()))

    def table(self) -> pd.DataFrame:
        """One row a position, with heading_deg and reference, the best one."""
        return (
            super()
            .table()
            .assign(
                heading_deg=self.heading_T,
                reference=[names[0] if names else "" for names in self.references_T],
            )
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values: null where nothing is known."""
        told = LocatedTrack.as_json(self._compared())
        for point, names in zip(told["track"], self.references_T, strict=True):
            del point["reference"]
            point["references"] = list(names)
        return told

    def _compared(self) -> "RevisitedTrack":
        """Without what its receiver measured, where that was at no moment that is placed."""
        gps = self.gps
        if gps is None or gps.latlon_T2 is None:
            return self
        if (self.known_T & np.isfinite(gps.latlon_T2).all(1)).any():
            return self
        return dataclasses.replace(self, gps=dataclasses.replace(gps, latlon_T2=None))


def write_bundle(
    model_folder: Path,
    encoders_dir: Path,
    params: config.Params,
    folder: Path,
    mode: str,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Fills `folder` with all that a track takes.

    Args:
        model_folder: what `base.save` wrote.
        encoders_dir: holds NAME.json and NAME.safetensors of the encoder.
        params: its sections `features`, `revisit` and `evaluation` go into the bundle.
        folder: the bundle; made if need be.
        mode: how the train clips moved; its speed limit is used for videos of unknown mode.
        provenance: what the bundle was made from, stored as it is.
    """
    for part in ("model", "encoders"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name in ("model.json", "model.safetensors"):
        shutil.copy(model_folder / name, folder / "model")
    for kind in ("json", "safetensors"):
        shutil.copy(encoders_dir / f"{params.revisit.encoder}.{kind}", folder / "encoders")
    bundle.write(folder, FORM, params, provenance, mode=mode)


@dataclass(frozen=True)
class RevisitLocator(Locator):
    """A bundle in memory, ready to find videos among its places."""

    gives: ClassVar[type[Answer]] = RevisitedTrack
    folder: Path
    """The bundle."""
    features: config.Features
    """How frames become features."""
    settings: config.Revisit
    """How frames are found among the references."""
    evaluation: config.Evaluation
    """Speed limits."""
    mode: str
    """How the train clips moved."""

    @classmethod
    def of(cls, card: bundle.Card) -> "RevisitLocator":
        """The locator of the bundle with this card.

        Raises:
            ValueError: it is of another kind or format.
        """
        card.check(FORM)
        return cls(
            card.folder,
            card.section("features", config.Features),
            card.section("revisit", config.Revisit),
            card.section("evaluation", config.Evaluation),
            card.content["mode"],
        )

    def rate(self, frames_per_second: float | None) -> float:
        """Frames of a video that are looked at each second: as asked for, else as in training.

        Raises:
            ValueError: it is not positive.
        """
        return locator.rate(frames_per_second, self.features.frames_per_second)

    def locate(
        self,
        asked: Path | Recording,
        frames_per_second: float | None = None,
        progress: Progress | None = None,
    ) -> RevisitedTrack:
        """The track of a video, or of pictures that follow each other, where it is known.

        Args:
            asked: any file that decord or PyAV decodes, or a folder of nothing but pictures.
            frames_per_second: frames of a video that are looked at; as in training if not given.
            progress: called with the frames done and the frames to do.

        Raises:
            VideoError: the file is no video that can be used; says why.
            ValueError: `frames_per_second` is not positive, or the folder is not of pictures.
        """
        seen = recording.opened(asked)
        time_s = seen.times(self.rate(frames_per_second))
        found = self._candidates(seen, time_s, progress)
        limits = self.evaluation.max_speed_kmh
        how = limits[self.mode], self.settings.known_m
        placed = decoding.place(self.model, found, time_s, *how)
        first_T = found.inliers_TK.argmax(1)
        nearest_T = found.row_TK[np.arange(len(time_s)), first_T]
        initial_T2 = np.where(
            placed.known_T[:, None], self.model.latlon_R2.numpy()[nearest_T], np.nan
        )
        return RevisitedTrack(
            clip=seen.name,
            time_s=time_s,
            latlon_T2=placed.latlon_T2,
            initial_latlon_T2=initial_T2,
            score_T=placed.score_T,
            mode=self.mode,
            max_speed_kmh=limits,
            radius_km_T=placed.radius_m_T / 1000,
            heading_T=placed.heading_T,
            references_T=tuple(self._named(rows) for rows in placed.witness_TW),
        )

    def _candidates(
        self, seen: Recording, time_s: Floats, progress: Progress | None
    ) -> search.Candidates:
        """The candidates of all frames; holds but a batch of frames at a time."""
        features, local = [], []
        for frames in seen.batches_at(time_s, self.features.batch_size):
            batch = self.features.batch_size, self.features.views
            features.append(extraction.encode(self.encoders, frames, *batch))
            local += local_features.of_frames(frames, self.settings.num_keypoints)
            if progress:
                progress(len(local), len(time_s))
        whole = torch.cat(features)
        features_TE = whole if whole.ndim == 2 else whole[:, 0]
        return search.candidates(self.model, features_TE, local, self.settings.num_candidates)

    def _named(self, rows_W: NDArray[np.int64]) -> tuple[str, ...]:
        """References as people find them."""
        clips, model = self.model.sizes.clips, self.model
        return tuple(
            f"{clips[int(model.clip_R[row])]} at {float(model.time_R[row]):g} s"
            for row in rows_W
            if row >= 0
        )

    @cached_property
    def model(self) -> network.Revisit:
        """The references."""
        model = networks.read(self.folder / "model")
        assert isinstance(model, network.Revisit)
        return model

    @cached_property
    def encoders(self) -> dict[str, FrameEncoder]:
        """The frozen frame encoder that shortlists."""
        read = replace(self.features, encoders=tuple(self.model.widths))
        return extraction.load_encoders(read, self.folder / "encoders")
