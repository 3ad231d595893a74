"""From a video file to a track by aerial imagery: a bundle of GAMa is nearly all that takes.

A bundle holds GAMa-Net, the screening network, the aerial gallery and the embeddings of its tiles
and regions, the network of turned tiles, and perhaps VidTAG. Pictures of tiles, which two of them
look at, stay where the imagery lies: the bundle knows that folder (the Blue Marble needs none).
`vidtag locate --model gama` and the model in MLflow both are this module.

Belongs here: writing and reading such bundles, the four steps of the search for one video
(docs/specs/gama.md, section 9). Does not belong here: bundles of other models
(models/vidtag/locator.py, models/cityguessr/locator.py), the steps themselves (screening.py),
reports (evaluate.py), track files (models/located.py). Shape legend: N clips, T frames, M tiles,
R regions, S tiles of a sequence, C channels, H W pixels, E common space, 2 = (lat, lon) in degrees.
"""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidtag_ml import config
from vidtag_ml.aerial import gallery as aerial_gallery
from vidtag_ml.aerial import pictures as aerial_pictures
from vidtag_ml.media import video
from vidtag_ml.models import bundle, familiarity, locator, recording
from vidtag_ml.models.gama import data, embedding, knowing, sampling, screening, tile_tracks
from vidtag_ml.models.gama.embedding import WEIGHTS
from vidtag_ml.models.gama.network import GAMaNet, Screening
from vidtag_ml.models.gama.sampling import ClipShape
from vidtag_ml.models.located import LocatedTrack
from vidtag_ml.models.locator import Answer, Locator, Progress
from vidtag_ml.models.recording import Recording, Video
from vidtag_ml.models.vidtag import locator as vidtag_locator
from vidtag_ml.retrieval import embeddings
from vidtag_ml.workflow import accelerator, layout

Indices = NDArray[np.int64]

SECTIONS = ("gama", "screening", "heading", "fusion", "evaluation")
"""Of the params, that go into a bundle."""
FORM = bundle.Form("aerial", 2, SECTIONS, ("mode", "imagery"))
_EMBEDDED = (*WEIGHTS, embedding.FILE)
PARTS = {"gama": _EMBEDDED, "screening": _EMBEDDED, "heading": WEIGHTS}
"""Files of each network that a bundle holds."""
_AT_ONCE = 64
"""Clips whose frames are held at once."""
NO_RADIUS = "no radius: GAMa tells none of its tracks"


def write_bundle(
    at: layout.Layout,
    params: config.Params,
    images: Path | None,
    vidtag: Path | None,
    folder: Path,
    *,
    mode: str,
    known: Path | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Fills `folder` with all that a track takes but the imagery.

    Args:
        at: holds the networks with their embeddings, and the aerial gallery.
        params: its `SECTIONS` go into the bundle.
        images: absolute path of the imagery; None for Flyover.
        vidtag: the VidTAG bundle whose posterior is asked for, which becomes part of this one.
        folder: the bundle; made if need be.
        mode: how the train videos moved, hence how fast a track may be.
        known: what `Familiarity.write` wrote, if there is any: it tells what the model knows.
        provenance: what the bundle was made from, stored as it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, files in PARTS.items():
        (folder / name).mkdir(exist_ok=True)
        for file in files:
            shutil.copy(at.model(name) / file, folder / name)
    shutil.copytree(at.aerial_gallery, folder / "gallery", dirs_exist_ok=True)
    if vidtag is not None:
        shutil.copytree(vidtag, folder / "vidtag", dirs_exist_ok=True)
    if known is not None:
        shutil.copytree(known, folder / familiarity.FOLDER, dirs_exist_ok=True)
    imagery = None if images is None else str(images)
    bundle.write(folder, FORM, params, provenance, mode=mode, imagery=imagery)


@dataclass(frozen=True)
class GamaLocator(Locator):
    """A bundle in memory, ready to locate videos among its tiles."""

    gives: ClassVar[type[Answer]] = LocatedTrack
    folder: Path
    """The bundle."""
    settings: config.Gama
    """Which clips are seen, and how many regions are kept."""
    screened: config.Screening
    """How many tiles the screening network sees."""
    heading: config.Heading
    """How many tiles are turned, if any are."""
    fusion: config.Fusion
    """Whether VidTAG's posterior is asked for, and how much of it restricts the tiles."""
    evaluation: config.Evaluation
    """Speed limits."""
    mode: str
    """How the videos moved that the networks were trained on."""
    images: Path | None
    """Where the imagery lies; None for Flyover."""
    vidtag: vidtag_locator.VidtagLocator | None
    """VidTAG, if it is asked for its posterior."""

    @classmethod
    def of(cls, card: bundle.Card) -> "GamaLocator":
        """The locator of the bundle with this card.

        Raises:
            ValueError: it is of another kind or format, or its imagery is gone.
        """
        card.check(FORM)
        given = card.content["imagery"]
        images = None if given is None else Path(given)
        if images is not None and not images.is_dir():
            raise ValueError(
                f"{card.path}: the aerial imagery is gone from {images}; put it back, or a link "
                "there to where it lies now"
            )
        fusion = card.section("fusion", config.Fusion)
        return cls(
            card.folder,
            card.section("gama", config.Gama),
            card.section("screening", config.Screening),
            card.section("heading", config.Heading),
            fusion,
            card.section("evaluation", config.Evaluation),
            card.content["mode"],
            images,
            vidtag_locator.VidtagLocator.of(card.part("vidtag")) if fusion.bundle else None,
        )

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
        """The track of a video: the likeliest track through tiles, a position a second.

        Initial positions are the middles of the tiles that the flat search finds in the whole
        gallery. Final ones are those of `TileTrackDecoder.decode`, of its last track, among the
        tiles of the regions that the screening network keeps. The score is the probability of the
        tile that the track passes through.

        Args:
            asked: any file that decord or PyAV decodes.
            frames_per_second: frames of which clips are made; as in training if not given.
            progress: called with the clips done and the clips to do.

        Raises:
            VideoError: the file is no video that can be used; says why.
            ValueError: the video is shorter than a clip, `frames_per_second` is not positive, or
                pictures are asked for, which have no clips.
        """
        fps, seen = self.rate(frames_per_second), recording.opened(asked)
        if not isinstance(seen, Video):
            raise ValueError(f"{seen.path}: GAMa looks at clips of videos; photos have none")
        video_path = seen.path
        time_s_T, vectors = self._clips(video_path, fps, progress)
        first_T = np.asarray(aerial_gallery.search(vectors[0], self.tiles_ME, 1)[1][:, 0].cpu())
        region_K = self._regions(first_T)
        rows_R = aerial_gallery.reduced(self.tiles, self.regions, list(self.regions.ids[region_K]))
        vidtag, mass = self.vidtag, self.fusion.mass
        clips = tile_tracks.Clips(
            time_s_T,
            vectors[0],
            vectors[1],
            self.evaluation.max_speed_kmh[self.mode],
            vidtag.posterior(video_path, time_s_T, mass) if vidtag else None,
        )
        _, track = list(self.decoder.decode(clips, rows_R).values())[-1]
        return LocatedTrack(
            clip=seen.name,
            time_s=time_s_T,
            latlon_T2=track.latlon_T2,
            initial_latlon_T2=self.tiles.latlon_G2[first_T],
            score_T=track.marginals_TK[np.arange(len(time_s_T)), track.path_T].clip(0, 1),
            mode=self.mode,
            max_speed_kmh=self.evaluation.max_speed_kmh,
            **self._known(vectors[0]),
        )

    def _known(self, vectors_TE: Tensor) -> dict[str, Any]:
        """What the model knows if a video is of another kind, as fields of the answer."""
        if self.familiarity is None:
            unsure = (NO_RADIUS, familiarity.UNKNOWN.format(familiarity.OLD))
            return {"unsure": unsure}
        foreign = self.familiarity.foreign(vectors_TE, knowing.best(vectors_TE, self.tiles_ME))
        return {"foreign": foreign, "unsure": (NO_RADIUS, *self.familiarity.unsure)}

    def _clips(
        self, path: Path, fps: float, progress: Progress | None = None
    ) -> tuple[NDArray[np.float64], list[Tensor]]:
        """Times (T,) of the clips at the whole seconds of a video, and their unit vectors (T, E).

        The latter by GAMa-Net, and by the network of turned tiles.
        """
        settings = self.settings
        shape = ClipShape(fps, settings.frames_per_clip, settings.stride)
        time_s_T = video.sample_times(path, fps)
        if len(time_s_T) < shape.span:
            raise ValueError(
                f"{path}: {len(time_s_T)} frames at {fps:g} a second; a clip takes {shape.span}"
            )
        second_N = np.arange((len(time_s_T) - shape.span) // fps + 1)
        centre = settings.center_test_clip
        first_N = [
            sampling.first_at(second, len(time_s_T), shape, center_test_clip=centre)
            for second in second_N
        ]
        networks = self.network, self.turner
        found: tuple[list[Tensor], ...] = ([], [])
        with torch.inference_mode():
            for clips_NCTHW in self._pixels(path, time_s_T, first_N, shape):
                seen = sampling.scale(clips_NCTHW.to(accelerator.device()))
                for vectors, network in zip(found, networks, strict=True):
                    vectors.append(network.embed_clips(seen))
                if progress:
                    progress(sum(map(len, found[0])), len(first_N))
        return second_N.astype(float), [torch.cat(vectors) for vectors in found]

    def _pixels(
        self, path: Path, time_s_T: np.ndarray, first_N: list[int], shape: ClipShape
    ) -> Iterator[Tensor]:
        """Clips (N, C, T, H, W), a few at a time."""
        for start in range(0, len(first_N), _AT_ONCE):
            frames_NT = np.stack([shape.frames_from(k) for k in first_N[start : start + _AT_ONCE]])
            read, where = np.unique(frames_NT, return_inverse=True)
            scaled = [
                data.scaled(pixels, self.settings.frame_size)
                for pixels, _ in video.batches_at(path, time_s_T[read], _AT_ONCE)
            ]
            clips_NTHW3 = np.concatenate(scaled)[where.reshape(frames_NT.shape)]
            clips_NCTHW = torch.from_numpy(clips_NTHW3).permute(0, 4, 1, 2, 3)
            yield sampling.centre_crop(clips_NCTHW, self.settings.clip_crop)

    def _regions(self, first_N: Indices) -> Indices:
        """Rows (K,) of the regions most like the tiles that were found, best first."""
        rows_S = screening.tile_sequence(first_N, self.screened.frames_per_clip)
        side, crop = self.tiles.protocol["tile_pixels"], self.settings.tile_crop
        pictures = aerial_pictures.pixels(self.tiles, rows_S, side, self.images)
        tiles_SCHW = torch.from_numpy(np.ascontiguousarray(np.moveaxis(pictures, -1, 1)))
        seen_SCHW = sampling.scale(sampling.centre_crop(tiles_SCHW, (crop, crop)))
        device = next(self.screener.parameters()).device
        with torch.inference_mode():
            video_1E = self.screener.embed_videos(seen_SCHW[None].to(device))
        best_1K = screening.best_regions(video_1E, self.regions_RE, self.settings.kept)
        return np.asarray(best_1K[0])

    @cached_property
    def network(self) -> GAMaNet:
        """GAMa-Net, on the accelerator if there is one."""
        return embedding.read_gama(self.folder / "gama").to(accelerator.device())

    @cached_property
    def turner(self) -> GAMaNet:
        """The network of turned tiles."""
        return embedding.read_gama(self.folder / "heading").to(accelerator.device())

    @cached_property
    def decoder(self) -> tile_tracks.TileTrackDecoder:
        """What leads to the track of a video."""
        return tile_tracks.TileTrackDecoder(
            self.tiles, self.tiles_ME, self.settings, self.turner, self.heading.num_candidates,
            self.images,
        )  # fmt: skip

    @cached_property
    def screener(self) -> Screening:
        """The screening network, on the accelerator if there is one."""
        return embedding.read_screening(self.folder / "screening").to(accelerator.device())

    @cached_property
    def familiarity(self) -> familiarity.Familiarity | None:
        """What tells which videos the model knows; None in bundles of an older vidtag."""
        return familiarity.Familiarity.read(self.folder / familiarity.FOLDER)

    @cached_property
    def _gallery(self) -> tuple[aerial_gallery.Tiles, aerial_gallery.Regions]:
        return aerial_gallery.read(self.folder / "gallery")

    @property
    def tiles(self) -> aerial_gallery.Tiles:
        """The tiles that are searched."""
        return self._gallery[0]

    @property
    def regions(self) -> aerial_gallery.Regions:
        """The regions that they make up."""
        return self._gallery[1]

    @cached_property
    def tiles_ME(self) -> Tensor:
        """Embeddings of the tiles; on the CPU they stay on disk."""
        return embeddings.read(self.folder / "gama" / embedding.FILE).to(accelerator.device())

    @cached_property
    def regions_RE(self) -> Tensor:
        """Embeddings of the regions."""
        return embeddings.read(self.folder / "screening" / embedding.FILE).to(accelerator.device())
