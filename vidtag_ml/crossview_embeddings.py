"""Embeddings of what GAMa searches and is searched in: clips, sequences of tiles, tiles, regions.

Belongs here: which clips of a video are embedded, and running trained networks over pixels. Does
not belong here: networks (models/gama.py), files of embeddings in general (embeddings.py), searches
(screening.py).
Shape legend: N clips, V videos, G tiles or regions, S tiles of a sequence, C channels, H W pixels,
E common space.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidtag_ml import aerial, config, crossview_data, crossview_samples, imagery, stage
from vidtag_ml.crossview_data import Drive, Footage, Pairs
from vidtag_ml.models import base
from vidtag_ml.models.gama import GAMaNet, Screening

Indices = NDArray[np.int64]

FILE = "gallery.safetensors"
"""Embeddings of all tiles, or of all regions, beside the model that made them."""
TRUE_TILES = "true_tiles"
"""Folder, in that of the screening network, of the network before it is fine-tuned."""
_AT_ONCE = 64


def read_gama(folder: Path) -> GAMaNet:
    """The GAMa-Net in a folder, in evaluation mode.

    Raises:
        ValueError: there is none.
    """
    model = base.read(folder)
    if not isinstance(model, GAMaNet):
        raise ValueError(f"{folder}: holds a {model.name} model, not GAMa-Net")
    return model


def read_screening(folder: Path) -> Screening:
    """The screening network in a folder, in evaluation mode.

    Raises:
        ValueError: there is none.
    """
    model = base.read(folder)
    if not isinstance(model, Screening):
        raise ValueError(f"{folder}: holds a {model.name} model, not the screening network")
    return model


def clips_seen(
    drives: Sequence[Drive], footage: Footage, settings: config.Gama
) -> list[tuple[int, int]]:
    """Drive and fix of all clips that lie within their video, in order.

    Raises:
        ValueError: a video has none.
    """
    shape, seen = crossview_data.shape_of(settings), []
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
    model: GAMaNet, settings: config.Gama, seen: Sequence[tuple[int, int]],
    drives: Sequence[Drive], footage: Footage,
) -> Tensor:  # fmt: skip
    """Unit vectors (N, E) of clips."""
    pairs = Pairs(drives, footage, settings)
    rng = np.random.default_rng(0)  # nothing is drawn where nothing is random
    parts = []
    for some in _parts(seen):
        clips = [pairs.pair(drives[k], fix, rng, random=False)[0] for k, fix in some]
        parts.append(model.embed_clips(crossview_samples.scale(torch.stack(clips))))
    return torch.cat(parts)


@torch.inference_mode()
def embed_sequences(
    model: Screening, settings: config.Gama, found_VS: Sequence[Indices], footage: Footage
) -> Tensor:
    """Unit vectors (V, E) of videos by sequences of tiles."""
    size = (settings.tile_crop, settings.tile_crop)
    parts = []
    for rows in found_VS:
        tiles_SCHW = crossview_samples.centre_crop(footage.tiles(rows), size)
        parts.append(model.embed_videos(crossview_samples.scale(tiles_SCHW)[None]))
    return torch.cat(parts)


@torch.inference_mode()
def embed_areas(
    embed: Callable[[Tensor], Tensor],
    areas: aerial.Areas,
    settings: config.Gama,
    out: Path,
    folder: Path | None,
) -> Tensor:
    """Embeddings (G, E) of all tiles or regions, written beside the model, float16, and mapped."""
    size = (settings.tile_crop, settings.tile_crop)

    def encode(pixels_GHW3: NDArray[np.uint8]) -> Tensor:
        pixels = torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels_GHW3, -1, 1)))
        return embed(crossview_samples.scale(crossview_samples.centre_crop(pixels, size)))

    made_from = stage.digest(out / "model.safetensors")
    return imagery.embed(encode, areas, out / FILE, made_from, _AT_ONCE, folder)


def _parts(seen: Sequence[tuple[int, int]]) -> Iterator[Sequence[tuple[int, int]]]:
    return (seen[k : k + _AT_ONCE] for k in range(0, len(seen), _AT_ONCE))
