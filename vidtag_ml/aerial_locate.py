"""From a video file to a track by aerial imagery: a bundle of GAMa is nearly all that takes.

A bundle holds GAMa-Net, the screening network, the aerial gallery and the embeddings of its tiles
and regions. Pictures of tiles, which the screening network looks at, stay where the imagery lies:
the bundle knows that folder (the Blue Marble needs none). `vidtag locate --model gama` and the
model in MLflow both are this module.

Belongs here: writing and reading such bundles, the four steps of the search for one video
(gama.md section 9). Does not belong here: bundles of other models (predict.py, guess.py), the steps
themselves (screening.py), reports (evaluate_gama.py), track files (track.py).
Shape legend: N clips, T frames, M tiles, R regions, S tiles of a sequence, C channels, H W pixels,
E common space, 2 = (lat, lon) in degrees.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidtag_ml import (
    aerial,
    config,
    crossview_data,
    crossview_embeddings,
    crossview_samples,
    embeddings,
    gama_stages,
    imagery,
    layout,
    predict,
    screening,
    stage,
    stages,
    video,
)
from vidtag_ml.crossview_data import World
from vidtag_ml.crossview_samples import ClipShape
from vidtag_ml.models.gama import GAMaNet, Screening
from vidtag_ml.track import Track
from vidtag_ml.training.gama import TRUE_TILES

Indices = NDArray[np.int64]

FORMAT = 1
"""Stored in each bundle; another number means that this code cannot read it."""
KIND = "aerial"
"""`kind` of these bundles in bundle.json."""
_NETWORKS = ("gama", "screening")
_FILES = ("model.json", "model.safetensors", crossview_embeddings.FILE)
_AT_ONCE = 64
"""Clips whose frames are held at once."""


def make_bundle(root: Path, params: config.Params) -> bool:
    """Makes `out/aerial_bundle/`: what `vidtag locate --model gama` needs; as in stages.py."""
    at, folder = layout.of(root, params), params.aerial.folder
    made_from = {
        "dataset": at.source,
        "tables": stages._tables_digest(at.dataset),
        "aerial": stages._digest(at.aerial_gallery, "vidtag aerial"),
        **{
            name: {
                file: stages._digest(at.model(name) / file, f"vidtag train {name}")
                for file in _FILES
            }
            for name in _NETWORKS
        },
    }
    images = None if folder is None else (root / folder).resolve()
    key = {
        **made_from,
        **{name: config.as_dict(getattr(params, name)) for name in (*_NETWORKS, "evaluation")},
        "imagery": None if images is None else str(images),
        "code": stage.code_digest("vidtag_ml.aerial_locate", *gama_stages._TRAINING),
    }

    def build(aside: Path) -> None:
        write_bundle(at, params, images, aside, made_from)

    return stage.make(at.aerial_bundle, key, build)


def write_bundle(
    at: layout.Layout,
    params: config.Params,
    images: Path | None,
    folder: Path,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Fills `folder` with all that a track takes but the imagery.

    Args:
        at: holds both networks with their embeddings, and the aerial gallery.
        params: its sections `gama`, `screening` and `evaluation` go into the bundle.
        images: absolute path of the imagery; None for Flyover.
        folder: the bundle; made if need be.
        provenance: what the bundle was made from, stored as it is.
    """
    for name in _NETWORKS:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for file in _FILES:
            shutil.copy(at.model(name) / file, folder / name)
    shutil.copytree(at.aerial_gallery, folder / "gallery", dirs_exist_ok=True)
    card = {
        "kind": KIND,
        "format": FORMAT,
        **{name: config.as_dict(getattr(params, name)) for name in (*_NETWORKS, "evaluation")},
        "imagery": None if images is None else str(images),
        "made_from": dict(provenance or {}),
    }
    stage.write_text(folder / "bundle.json", json.dumps(card, indent=1) + "\n")


@dataclass(frozen=True)
class Matcher:
    """A bundle in memory, ready to locate videos among its tiles."""

    folder: Path
    """The bundle."""
    settings: config.Gama
    """Which clips are seen, and how many regions are kept."""
    screened: config.Screening
    """How many tiles the screening network sees."""
    evaluation: config.Evaluation
    """Speed limits, by which a receiver's own track is believed."""
    images: Path | None
    """Where the imagery lies; None for Flyover."""

    @classmethod
    def load(cls, folder: Path) -> "Matcher":
        """The matcher of a bundle; networks are read when they are needed.

        Raises:
            ValueError: the folder is no such bundle, one of another format, or its imagery is gone.
        """
        if predict.kind(folder) != KIND:
            raise ValueError(f"{folder}: this model gives {predict.kind(folder)}, not {KIND}")
        path = folder / "bundle.json"
        card = json.loads(path.read_text())
        if card.get("format") != FORMAT:
            raise ValueError(f"{path}: format {card.get('format')!r}; this vidtag reads {FORMAT}")
        images = None if card["imagery"] is None else Path(card["imagery"])
        if images is not None and not images.is_dir():
            raise ValueError(
                f"{path}: the aerial imagery is gone from {images}; put it back, or write there "
                "as `imagery` where it lies now"
            )
        return cls(
            folder,
            config.parse(config.Gama, card["gama"], str(path)),
            config.parse(config.Screening, card["screening"], str(path)),
            config.parse(config.Evaluation, card["evaluation"], str(path)),
            images,
        )

    def locate(self, video_path: Path, frames_per_second: float | None = None) -> Track:
        """The track of a video: the middle of the tile that each second's clip is given.

        Initial positions are those of the flat search in the whole gallery, final ones those of the
        search in the regions that the screening network keeps. The score is (1 + c) / 2 of the
        cosine c between clip and final tile, as in reports.

        Args:
            video_path: any file that decord or PyAV decodes.
            frames_per_second: frames of which clips are made; as in training if not given.

        Raises:
            VideoError: the file is no video that can be used; says why.
            ValueError: the video is shorter than a clip, or `frames_per_second` is not positive.
        """
        time_s_N, clips_NE = self._clips(video_path, frames_per_second)
        first_N = np.asarray(aerial.search(clips_NE, self.tiles_ME, 1)[1][:, 0].cpu())
        region_K = self._regions(first_N)
        rows_M = aerial.reduced(self.tiles, self.regions, list(self.regions.ids[region_K]))
        cosine_N1, final_N1 = aerial.search(clips_NE, self.tiles_ME, 1, rows_M)
        middles_M2 = self.tiles.latlon_G2
        return Track(
            clip=video_path.stem,
            time_s=time_s_N,
            latlon_T2=middles_M2[np.asarray(final_N1[:, 0].cpu())],
            initial_latlon_T2=middles_M2[first_N],
            score_T=((1 + cosine_N1[:, 0].double().cpu().numpy()) / 2).clip(0, 1),
        )

    def _clips(self, path: Path, frames_per_second: float | None) -> tuple[np.ndarray, Tensor]:
        """Times (N,) and unit vectors (N, E) of the clips at the whole seconds of a video."""
        settings = self.settings
        fps = frames_per_second or settings.frames_per_second
        shape = ClipShape(fps, settings.frames_per_clip, settings.stride)
        time_s_T = video.sample_times(path, fps)
        if len(time_s_T) < shape.span:
            raise ValueError(
                f"{path}: {len(time_s_T)} frames at {fps:g} a second; a clip takes {shape.span}"
            )
        second_N = np.arange((len(time_s_T) - shape.span) // fps + 1)
        centre = settings.center_test_clip
        first_N = [
            crossview_samples.first_at(second, len(time_s_T), shape, center_test_clip=centre)
            for second in second_N
        ]
        device = next(self.network.parameters()).device
        with torch.inference_mode():
            parts = [
                self.network.embed_clips(crossview_samples.scale(clips.to(device)))
                for clips in self._pixels(path, time_s_T, first_N, shape)
            ]
        return second_N, torch.cat(parts)

    def _pixels(
        self, path: Path, time_s_T: np.ndarray, first_N: list[int], shape: ClipShape
    ) -> Iterator[Tensor]:
        """Clips (N, C, T, H, W), a few at a time."""
        for start in range(0, len(first_N), _AT_ONCE):
            frames_NT = np.stack([shape.frames_from(k) for k in first_N[start : start + _AT_ONCE]])
            read, where = np.unique(frames_NT, return_inverse=True)
            scaled = [
                crossview_data._scaled(pixels, self.settings.frame_size)
                for pixels, _ in video.batches_at(path, time_s_T[read], _AT_ONCE)
            ]
            clips_NTHW3 = np.concatenate(scaled)[where.reshape(frames_NT.shape)]
            clips_NCTHW = torch.from_numpy(clips_NTHW3).permute(0, 4, 1, 2, 3)
            yield crossview_samples.centre_crop(clips_NCTHW, self.settings.clip_crop)

    def _regions(self, first_N: Indices) -> Indices:
        """Rows (K,) of the regions most like the tiles that were found, best first."""
        rows_S = screening.tile_sequence(first_N, self.screened.frames_per_clip)
        side, crop = self.tiles.protocol["tile_pixels"], self.settings.tile_crop
        pictures = imagery.pixels(self.tiles, rows_S, side, self.images)
        tiles_SCHW = torch.from_numpy(np.ascontiguousarray(np.moveaxis(pictures, -1, 1)))
        seen_SCHW = crossview_samples.scale(crossview_samples.centre_crop(tiles_SCHW, (crop, crop)))
        device = next(self.screener.parameters()).device
        with torch.inference_mode():
            video_1E = self.screener.embed_videos(seen_SCHW[None].to(device))
        best_1K = screening.best_regions(video_1E, self.regions_RE, self.settings.kept)
        return np.asarray(best_1K[0])

    @cached_property
    def network(self) -> GAMaNet:
        """GAMa-Net, on the accelerator if there is one."""
        return crossview_embeddings.read_gama(self.folder / "gama").to(_device())

    @cached_property
    def screener(self) -> Screening:
        """The screening network, on the accelerator if there is one."""
        return crossview_embeddings.read_screening(self.folder / "screening").to(_device())

    @cached_property
    def _gallery(self) -> tuple[aerial.Tiles, aerial.Regions]:
        return aerial.read(self.folder / "gallery")

    @property
    def tiles(self) -> aerial.Tiles:
        """The tiles that are searched."""
        return self._gallery[0]

    @property
    def regions(self) -> aerial.Regions:
        """The regions that they make up."""
        return self._gallery[1]

    @cached_property
    def tiles_ME(self) -> Tensor:  # noqa: N802
        """Embeddings of the tiles; on the CPU they stay on disk."""
        return embeddings.read(self.folder / "gama" / crossview_embeddings.FILE).to(_device())

    @cached_property
    def regions_RE(self) -> Tensor:  # noqa: N802
        """Embeddings of the regions."""
        return embeddings.read(self.folder / "screening" / crossview_embeddings.FILE).to(_device())


def embed_anew(
    bundle: Path, settings: config.Gama, world: World, folder: Path
) -> tuple[Path, Path]:
    """Folders of a bundle's networks with embeddings of another gallery, as evaluation takes them.

    Args:
        bundle: what `write_bundle` filled.
        settings: its own.
        world: whose tiles and regions are embedded.
        folder: receives both folders.
    """
    gama, screening_folder = (folder / name for name in _NETWORKS)
    for target in (gama, screening_folder):
        target.mkdir()
        for file in _FILES[:2]:
            shutil.copy(bundle / target.name / file, target)
    tiles = crossview_embeddings.read_gama(gama).embed_tiles
    crossview_embeddings.embed_areas(tiles, world.tiles, settings, gama, world.imagery)
    regions = crossview_embeddings.read_screening(screening_folder).embed_regions
    crossview_embeddings.embed_areas(
        regions, world.regions, settings, screening_folder, world.imagery
    )
    # A bundle holds the fine-tuned network alone; figures from before are not compared.
    shutil.copytree(screening_folder, screening_folder / TRUE_TILES)
    return gama, screening_folder


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
