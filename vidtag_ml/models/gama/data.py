"""Data of cross-view training and search: pixels on disk, and batches of clips with their tiles.

Frames of all videos, tiles and regions are scaled once and lie in three arrays that are mapped into
memory, so that a step reads what it shows and nothing else. What is random in a step follows from
its seed, as in features/batches.py.

Belongs here: the arrays, which tile belongs to which fix, batches. Does not belong here: what is
drawn (sampling.py), where tiles lie (aerial/sources.py), networks.
Shape legend: F frames of all videos, G tiles, R regions, N fixes, V videos, B pairs of a batch,
T frames of a clip, S tiles of a sequence, C channels, H W pixels, 2 = (lat, lon) in degrees.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from vidtag_ml import config
from vidtag_ml.aerial import gallery as aerial_gallery
from vidtag_ml.aerial import pictures as aerial_pictures
from vidtag_ml.dataset.tables import Tables
from vidtag_ml.earth import slippy
from vidtag_ml.features.batches import Step, StepDataset
from vidtag_ml.ingest.published import tables as published
from vidtag_ml.media import pictures as picture_files
from vidtag_ml.media import video
from vidtag_ml.models.gama import sampling
from vidtag_ml.models.gama.sampling import ClipShape
from vidtag_ml.workflow import progress

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]
Pixels = NDArray[np.uint8]
Progress = Callable[[int, int], None]

_AT_ONCE = 64
"""Frames or tiles that are scaled at once."""


class Pictures(Protocol):
    """Rows of pixels: an array that is mapped, or whatever reads them when they are asked for."""

    def __getitem__(self, rows: Any, /) -> Pixels:
        """Pictures (X, H, W, 3) of row numbers (X,)."""


@dataclass(frozen=True)
class PixelStore:
    """Pixels of a dataset and its aerial gallery."""

    videos: pd.DataFrame
    """clip_id, first (row of frames_FHW3) and num_frames, a row a video."""
    frames_FHW3: Pictures
    """Frames of all videos, one behind the other."""
    tiles_GHW3: Pictures
    """A row a tile of the gallery, in its order."""
    regions_RHW3: Pictures
    """A row a region of the gallery, in its order."""

    @classmethod
    def read(cls, folder: Path) -> "PixelStore":
        """What `write` made, mapped.

        Raises:
            ValueError: a file is missing or broken; names the folder.
        """
        try:
            arrays = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS]
            return cls(pd.read_parquet(folder / "videos.parquet"), *arrays)
        except (OSError, ValueError) as error:
            raise ValueError(f"{folder}: holds no footage: {error}") from error

    @cached_property
    def number(self) -> dict[str, int]:
        """Row of `videos` of each video, by its name."""
        return {str(name): k for k, name in enumerate(self.videos["clip_id"])}

    def num_frames(self, name: str) -> int:
        """Frames of a video."""
        return int(self.videos["num_frames"].iloc[self.number[name]])

    def clip(self, name: str, first: int, shape: ClipShape) -> Tensor:
        """Frames (T, C, H, W) of a clip that begins at frame `first` of a video."""
        start = int(self.videos["first"].iloc[self.number[name]])
        return _pixels_first(self.frames_FHW3[start + shape.frames_from(first)])

    def tiles(self, rows: Any) -> Tensor:
        """Tiles (S, C, H, W)."""
        return _pixels_first(self.tiles_GHW3[np.asarray(rows)])

    def regions(self, rows: Any) -> Tensor:
        """Regions (S, C, H, W)."""
        return _pixels_first(self.regions_RHW3[np.asarray(rows)])


_ARRAYS = ("frames", "tiles", "regions")


def _pixels_first(pixels_XHW3: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(pixels_XHW3, -1, -3)))


def write(
    tables: Tables,
    dataset: Path,
    tiles: aerial_gallery.Tiles,
    regions: aerial_gallery.Regions,
    imagery_folder: Path | None,
    settings: config.GamaTraining,
    folder: Path,
    report: Progress | None = None,
) -> None:
    """Writes the pixels of all videos, tiles and regions: a byte a colour, scaled to their sizes.

    Args:
        tables: clips and, of those that are folders of pictures, one of the pictures.
        dataset: folder that `video_path` and `file` are relative to.
        tiles: of the gallery.
        regions: of the gallery.
        imagery_folder: where their files lie.
        settings: frame_size and frames_per_second.
        folder: made if need be.
        report: called with (videos done, all videos).
    """
    folder.mkdir(parents=True, exist_ok=True)
    opened = [_opened(row, tables, dataset, settings.frames_per_second) for row in _rows(tables)]
    counts = np.array([num for num, _ in opened], np.int64)
    names = tables.clips["clip_id"].astype(str)
    table = pd.DataFrame({"clip_id": names, "first": counts.cumsum() - counts})
    table.assign(num_frames=counts).to_parquet(folder / "videos.parquet", index=False)
    frames = _array(folder, "frames", int(counts.sum()), settings.frame_size)
    for done, (first, (_, batches)) in enumerate(zip(table["first"], opened, strict=True), 1):
        for pixels_BHW3 in batches():
            part_FHW3 = scaled(pixels_BHW3, settings.frame_size)
            frames[first : first + len(part_FHW3)] = part_FHW3
            first += len(part_FHW3)
        if report:
            report(done, len(opened))
    areas: aerial_gallery.Areas
    for name, areas in (("tiles", tiles), ("regions", regions)):
        side = areas.protocol["tile_pixels"]
        pictures = _array(folder, name, len(areas), (side, side))
        for start in range(0, len(areas), _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, len(areas)))
            pictures[rows] = aerial_pictures.pixels(areas, rows, side, imagery_folder)


def _rows(tables: Tables) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in tables.clips.to_dict("records")]


def _opened(
    row: dict[str, Any], tables: Tables, dataset: Path, frames_per_second: float
) -> tuple[int, Callable[[], Any]]:
    """How many frames a video has, and what gives them in batches (B, H, W, 3).

    Of a folder of pictures every one is a frame: the table of frames need not name them all.
    """
    if row["kind"] == "video":
        path = dataset / row["video_path"]
        time_s = video.sample_times(path, frames_per_second)
        return len(time_s), lambda: (p for p, _ in video.batches_at(path, time_s, _AT_ONCE))
    assert tables.frames is not None
    some = tables.frames.loc[tables.frames["clip_id"] == row["clip_id"], "file"].iloc[0]
    paths = list(published.numbered((dataset / some).parent).values())
    return len(paths), lambda: (picture_files.picture(path)[None] for path in paths)


def _array(folder: Path, name: str, num: int, size: tuple[int, int]) -> Pixels:
    path = folder / f"{name}.npy"
    made: Pixels = np.lib.format.open_memmap(path, "w+", np.uint8, (num, *size, 3))
    return made


def scaled(pixels_BHW3: Pixels, size: tuple[int, int]) -> Pixels:
    """Frames at another (height, width), as bytes."""
    if pixels_BHW3.shape[1:3] == tuple(size):
        return pixels_BHW3
    pixels = torch.from_numpy(np.moveaxis(pixels_BHW3, -1, 1)).float()
    scaled = functional.interpolate(pixels, tuple(size), mode="bilinear", antialias=True)
    bytes_B3HW = scaled.round().clamp(0, 255).byte().numpy()
    return np.ascontiguousarray(np.moveaxis(bytes_B3HW, 1, -1))


@dataclass(frozen=True)
class DriveFixes:
    """A video: its fixes, and the tiles in which they lie."""

    name: str
    region: int
    """Row of its region."""
    time_s_N: Floats
    """Times of the fixes from the first frame, increasing."""
    latlon_N2: Floats
    """Their positions."""
    tile_N: Indices
    """Rows of their tiles."""


def drives(
    tables: Tables, tiles: aerial_gallery.Tiles, regions: aerial_gallery.Regions, split: str
) -> list[DriveFixes]:
    """The videos of a split that have a region and fixes with tiles.

    Centred tiles know their fix; on a grid the tile of a fix is the one that contains it.

    Raises:
        ValueError: there is none.
    """
    names = set(regions.ids)
    clips = tables.clips.loc[tables.clips["split"] == split, "clip_id"].astype(str)
    of_video = _centred(tiles) if tiles.protocol["kind"] == "centred" else _of_grid(tables, tiles)
    found = []
    for name in clips:
        if name in names and name in of_video:
            own = of_video[name].sort_values("time_s", kind="stable")
            found.append(
                DriveFixes(
                    name,
                    int(regions.rows([name])[0]),
                    own["time_s"].to_numpy(float),
                    own[["lat", "lon"]].to_numpy(float),
                    own["row"].to_numpy(np.int64),
                )
            )
    if not found:
        raise ValueError(f"split {split!r} has no video with aerial tiles")
    return found


def _centred(tiles: aerial_gallery.Tiles) -> dict[str, pd.DataFrame]:
    table = tiles.table[["region", "time_s", "lat", "lon"]].assign(row=np.arange(len(tiles)))
    return {str(name): own for name, own in table.dropna().groupby("region")}


def _of_grid(tables: Tables, tiles: aerial_gallery.Tiles) -> dict[str, pd.DataFrame]:
    fixes = tables.kept[["clip_id", "time_s", "lat", "lon"]].dropna()
    numbers = slippy.numbers(fixes[["lat", "lon"]].to_numpy(float), tiles.protocol["zoom"])
    rows = tiles.ids.get_indexer(pd.Index([f"{x}_{y}" for x, y in numbers], dtype=object))
    fixes = fixes.assign(row=rows)[rows >= 0]
    return {str(name): own for name, own in fixes.groupby("clip_id")}


@dataclass(frozen=True)
class CrossViewData:
    """What is learnt and searched."""

    train: Sequence[DriveFixes]
    val: Sequence[DriveFixes]
    footage: PixelStore
    tiles: aerial_gallery.Tiles
    regions: aerial_gallery.Regions
    imagery: Path | None
    """Folder of the files of tiles and regions."""
    weights: Path
    """Folder of weights to start from."""


def trainable(found: Sequence[DriveFixes]) -> list[DriveFixes]:
    """Those of which a fix and its hard partner can be drawn.

    Raises:
        ValueError: there is none.
    """
    kept = [drive for drive in found if (drive.time_s_N[1:-1] >= 0).any()]
    if len(kept) < len(found):
        progress.tell(f"gama: {len(found) - len(kept)} videos have too few fixes to learn from")
    if not kept:
        raise ValueError("no video has a fix between its first and its last: nothing can be learnt")
    return kept


def shape_of(settings: config.GamaTraining) -> ClipShape:
    """The frames of a clip."""
    return ClipShape(settings.frames_per_second, settings.frames_per_clip, settings.stride)


@dataclass(frozen=True)
class Batch:
    """What one step sees; row by row what belongs together, and the seed of all that is random."""

    left: Tensor
    """Clips (B, C, T, H, W), or sequences of tiles (B, S, C, H, W)."""
    right: Tensor
    """Their tiles or regions (B, C, H, W)."""
    seed: int

    def __post_init__(self) -> None:
        """Checks that both are as many."""
        if self.left.ndim != 5 or self.right.ndim != 4 or len(self.left) != len(self.right):
            raise ValueError(f"{tuple(self.left.shape)} do not go with {tuple(self.right.shape)}")

    def to(self, device: torch.device | str) -> "Batch":
        """The batch on another device."""
        return Batch(self.left.to(device), self.right.to(device), self.seed)

    def __len__(self) -> int:
        """Pairs."""
        return len(self.left)


class Pairs:
    """Clips of drives with their tiles: of each drive one pair, or two with `hard_pairs`."""

    def __init__(
        self, found: Sequence[DriveFixes], footage: PixelStore, settings: config.GamaTraining
    ) -> None:
        """Reads nothing yet."""
        self.drives, self.footage, self.settings = found, footage, settings

    def of(self, drive: DriveFixes, rng: Generator, *, random: bool) -> list[tuple[Tensor, Tensor]]:
        """Clip (C, T, H, W) and tile (C, H, W) of the fixes that are drawn."""
        fixes = sampling.draw_fixes(drive.time_s_N, rng)
        return [self.pair(drive, fix, rng, random=random) for fix in fixes[: self.num_pairs]]

    @property
    def num_pairs(self) -> int:
        """Pairs of each drive."""
        return 2 if self.settings.hard_pairs else 1

    def pair(
        self, drive: DriveFixes, fix: int, rng: Generator, *, random: bool
    ) -> tuple[Tensor, Tensor]:
        """A clip around a fix, and the fix's tile."""
        settings, shape = self.settings, shape_of(self.settings)
        num, time_s = self.footage.num_frames(drive.name), float(drive.time_s_N[fix])
        if random:
            first = sampling.draw_first(time_s, num, shape, rng)
        else:
            first = sampling.first_at(
                time_s, num, shape, center_test_clip=settings.center_test_clip
            )
        clip_TCHW = self.footage.clip(drive.name, first, shape)
        tile_CHW = self.footage.tiles(drive.tile_N[fix])
        if random and settings.augment:
            clip_TCHW = sampling.augment_clip(clip_TCHW, settings.clip_crop, rng)
            tile_CHW = sampling.augment_tile(tile_CHW, settings.tile_crop, rng)
        else:
            clip_TCHW = sampling.centre_crop(clip_TCHW, settings.clip_crop)
            tile_CHW = _middle(tile_CHW, settings)
        return clip_TCHW.transpose(0, 1), tile_CHW


class Sequences:
    """Sequences of a drive's tiles with its region: true ones, or those that were found for it."""

    num_pairs = 1

    def __init__(
        self,
        found: Sequence[DriveFixes],
        footage: PixelStore,
        settings: config.GamaTraining,
        length: int,
        predicted: Sequence[Indices] | None = None,
    ) -> None:
        """`predicted` has rows of tiles of each drive, as `screening.tile_sequence` gives them."""
        self.drives, self.footage, self.settings = found, footage, settings
        self.length = length
        self.rows = {
            drive.name: None if predicted is None else predicted[k] for k, drive in enumerate(found)
        }

    def of(self, drive: DriveFixes, rng: Generator, *, random: bool) -> list[tuple[Tensor, Tensor]]:
        """Tiles (S, C, H, W) and region (C, H, W)."""
        rows, settings = self.rows[drive.name], self.settings
        if rows is None:
            at = sampling.draw_sequence(len(drive.tile_N), self.length, rng)
            rows = drive.tile_N[at]
        tiles_SCHW = self.footage.tiles(rows)
        region_CHW = self.footage.regions(drive.region)
        if random and settings.augment:
            augment = sampling.augment_tiles
            tiles_SCHW = augment(tiles_SCHW, settings.tile_crop, rng)
            region_CHW = sampling.augment_tile(region_CHW, settings.tile_crop, rng)
        else:
            tiles_SCHW = _middle(tiles_SCHW, settings)
            region_CHW = _middle(region_CHW, settings)
        return [(tiles_SCHW, region_CHW)]


def _middle(pixels_XHW: Tensor, settings: config.GamaTraining) -> Tensor:
    side = settings.tile_crop
    return sampling.centre_crop(pixels_XHW, (side, side))


Kind = TypeVar("Kind", Pairs, Sequences)


class PairDataset(StepDataset[Batch], Generic[Kind]):
    """Batches by step: this process's share of the drives of a step, each with draws of its own."""

    def __init__(self, samples: Kind, *, random: bool) -> None:
        """Without `random`, clips and tiles are cut out of their middles."""
        self.samples: Kind = samples
        self.random = random

    def __len__(self) -> int:
        """Drives."""
        return len(self.samples.drives)

    def __getitem__(self, step: Step) -> Batch:
        """The batch of a step."""
        seeds = np.random.SeedSequence(step.seed).spawn(len(step.clips_B))
        mine = range(step.rank, len(step.clips_B), step.world_size)
        drawn = [
            self.samples.of(
                self.samples.drives[step.clips_B[k]],
                np.random.default_rng(seeds[k]),
                random=self.random,
            )
            for k in mine
        ]
        pairs = [of_drive[k] for k in range(self.samples.num_pairs) for of_drive in drawn]
        left, right = (sampling.scale(torch.stack(side)) for side in zip(*pairs, strict=True))
        return Batch(left, right, step.seed)
