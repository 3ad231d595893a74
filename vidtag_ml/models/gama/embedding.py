"""Embeddings of what GAMa searches and is searched in: clips, sequences of tiles, tiles, regions.

Belongs here: which clips of a video are embedded, and running trained networks over pixels. Does
not belong here: networks (network.py), files of embeddings in general (retrieval/embeddings.py),
searches (screening.py).
Shape legend: N clips, V videos, G tiles or regions, S tiles of a sequence, C channels, H W pixels,
E common space.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidtag_ml import config
from vidtag_ml.aerial import gallery as aerial_gallery
from vidtag_ml.aerial import pictures as aerial_pictures
from vidtag_ml.models import networks
from vidtag_ml.models.gama import data, sampling
from vidtag_ml.models.gama.data import CrossViewData, DriveFixes, Pairs, PixelStore
from vidtag_ml.models.gama.network import GAMaNet, Screening
from vidtag_ml.workflow import stage

Indices = NDArray[np.int64]

FILE = "gallery.safetensors"
"""Embeddings of all tiles, or of all regions, beside the model that made them."""
TRUE_TILES = "true_tiles"
"""Folder, in that of the screening network, of the network before it is fine-tuned."""
_AT_ONCE = 64

WEIGHTS = ("model.json", "model.safetensors")


def read_gama(folder: Path) -> GAMaNet:
    """The GAMa-Net in a folder, in evaluation mode.

    Raises:
        ValueError: there is none.
    """
    model = networks.read(folder)
    if not isinstance(model, GAMaNet):
        raise ValueError(f"{folder}: holds a {model.name} model, not GAMa-Net")
    return model


def read_screening(folder: Path) -> Screening:
    """The screening network in a folder, in evaluation mode.

    Raises:
        ValueError: there is none.
    """
    model = networks.read(folder)
    if not isinstance(model, Screening):
        raise ValueError(f"{folder}: holds a {model.name} model, not the screening network")
    return model


def clips_seen(
    drives: Sequence[DriveFixes], footage: PixelStore, settings: config.GamaTraining
) -> list[tuple[int, int]]:
    """Video and fix of all clips that lie within their video, in order.

    Raises:
        ValueError: a video has none.
    """
    shape, seen = data.shape_of(settings), []
    for k, drive in enumerate(drives):
        second_N = np.round(drive.time_s_N)
        last_s = (footage.num_frames(drive.name) - shape.span) / shape.fps
        fixes = np.flatnonzero((drive.time_s_N >= 0) & (second_N <= last_s))
        if len(fixes) == 0:
            raise ValueError(f"{drive.name}: no clip of {shape.span} frames begins at a fix")
        seen += [(k, int(fix)) for fix in fixes]
    return seen


@torch.inference_mode()
def embed_clips(
    model: GAMaNet,
    settings: config.GamaTraining,
    seen: Sequence[tuple[int, int]],
    drives: Sequence[DriveFixes],
    footage: PixelStore,
) -> Tensor:
    """Unit vectors (N, E) of clips."""
    pairs = Pairs(drives, footage, settings)
    rng = np.random.default_rng(0)  # nothing is drawn where nothing is random
    parts = []
    for some in _parts(seen):
        clips = [pairs.pair(drives[k], fix, rng, random=False)[0] for k, fix in some]
        parts.append(model.embed_clips(sampling.scale(torch.stack(clips))))
    return torch.cat(parts)


@torch.inference_mode()
def embed_sequences(
    model: Screening,
    settings: config.GamaTraining,
    found_VS: Sequence[Indices],
    footage: PixelStore,
) -> Tensor:
    """Unit vectors (V, E) of videos by sequences of tiles."""
    size = (settings.tile_crop, settings.tile_crop)
    parts = []
    for rows in found_VS:
        tiles_SCHW = sampling.centre_crop(footage.tiles(rows), size)
        parts.append(model.embed_videos(sampling.scale(tiles_SCHW)[None]))
    return torch.cat(parts)


@torch.inference_mode()
def embed_areas(
    embed: Callable[[Tensor], Tensor],
    areas: aerial_gallery.Areas,
    settings: config.GamaTraining,
    out: Path,
    folder: Path | None,
) -> Tensor:
    """Embeddings (G, E) of all tiles or regions, written beside the model, float16, and mapped."""
    size = (settings.tile_crop, settings.tile_crop)

    def encode(pixels_GHW3: NDArray[np.uint8]) -> Tensor:
        pixels = torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels_GHW3, -1, 1)))
        return embed(sampling.scale(sampling.centre_crop(pixels, size)))

    made_from = stage.digest(out / "model.safetensors")
    return aerial_pictures.embed(encode, areas, out / FILE, made_from, _AT_ONCE, folder)


def _parts(seen: Sequence[tuple[int, int]]) -> Iterator[Sequence[tuple[int, int]]]:
    return (seen[k : k + _AT_ONCE] for k in range(0, len(seen), _AT_ONCE))


def embed_anew(
    bundle: Path, settings: config.GamaTraining, world: CrossViewData, folder: Path
) -> tuple[Path, Path]:
    """Folders of a bundle's networks with embeddings of another gallery, as evaluation takes them.

    Args:
        bundle: what `write_bundle` filled.
        settings: its own.
        world: whose tiles and regions are embedded.
        folder: receives both folders.
    """
    gama, screening_folder = (folder / name for name in ("gama", "screening"))
    for target in (gama, screening_folder):
        target.mkdir()
        for file in WEIGHTS:
            shutil.copy(bundle / target.name / file, target)
    tiles = read_gama(gama).embed_tiles
    embed_areas(tiles, world.tiles, settings, gama, world.imagery)
    regions = read_screening(screening_folder).embed_regions
    embed_areas(regions, world.regions, settings, screening_folder, world.imagery)
    # A bundle holds the fine-tuned network alone; figures from before are not compared.
    shutil.copytree(screening_folder, screening_folder / TRUE_TILES)
    return gama, screening_folder
