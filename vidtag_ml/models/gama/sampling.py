"""What training and evaluation of GAMa see: frames of clips, tiles, and how both are varied.

Published: 30 frames/s, fixes once a second, clips of 8 frames with one left out between two
(docs/specs/gama.md, sections 5 and 6). All counts of frames follow from the `ClipShape`, so that 15
frames, published as the shift before a second, are the span of a clip here.

Belongs here: which fix, frames, crop and turn are drawn, as functions of a NumPy generator. Does
not belong here: reading frames (media/video.py) and tiles, batches, networks (network.py).
Shape legend: N fixes of a video, T frames, S tiles, C channels, H W pixels, X any leading
dimensions.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

Indices = NDArray[np.int64]

LAST_SECONDS = 2
"""Clips begin at most where this many seconds of the video are left."""
GAP_BEFORE, GAP_AFTER = 6, 3
"""Fixes between the middle of a drive and the hard partner that is drawn before it, after it."""
MOST_OFFSET = 4
"""Tiles that a sequence may leave out at its beginning."""


@dataclass(frozen=True)
class ClipShape:
    """The frames of one clip."""

    fps: float
    """Frames a second in the video. Published: 30."""
    num_frames: int
    """Frames in the clip. Published: 8."""
    stride: int
    """Each so-manyth frame is taken. Published: 2."""

    @property
    def span(self) -> int:
        """Frames from the clip's first to its last, both counted.

        >>> ClipShape(30.0, 8, 2).span
        15
        """
        return (self.num_frames - 1) * self.stride + 1

    def frames_from(self, first: int) -> Indices:
        """The clip's frame numbers (T,).

        >>> ClipShape(30.0, 8, 2).frames_from(30).tolist()
        [30, 32, 34, 36, 38, 40, 42, 44]
        """
        return first + self.stride * np.arange(self.num_frames)


def draw_fixes(time_s_N: ArrayLike, rng: Generator) -> tuple[int, int]:
    """A fix and its hard partner, one in each half of the drive, as a rule.

    Neither is the first or the last fix, nor one from before the video begins.

    Args:
        time_s_N: the fixes' times in seconds since the video's first frame, increasing.
        rng: source of all randomness.

    Raises:
        ValueError: there is no such fix.
    """
    time_s = np.asarray(time_s_N, float)
    num, middle = len(time_s), len(time_s) // 2
    usable = np.arange(1, num - 1)
    usable = usable[time_s[1:-1] >= 0]
    if len(usable) == 0:
        raise ValueError(
            f"of {num} fixes none is between the first and the last and not before the video: "
            "leave the video out"
        )
    fix = int(rng.choice(usable))
    before, after = usable[usable <= middle - GAP_BEFORE], usable[usable >= middle + GAP_AFTER]
    others, end = (before, usable[:1]) if fix >= middle else (after, usable[-1:])
    return fix, int(rng.choice(others if len(others) else end))


def draw_first(time_s: float, num_video_frames: int, shape: ClipShape, rng: Generator) -> int:
    """First frame of a clip around a fix, in training: up to a span before the fix's second.

    Args:
        time_s: the fix's time since the video's first frame; rounded to a second, as published.
        num_video_frames: frames in the video.
        shape: of the clip, which always lies within the video.
        rng: source of all randomness.

    Raises:
        ValueError: the video is shorter than a clip.
    """
    second = min(round(time_s), int(num_video_frames // shape.fps) - LAST_SECONDS)
    first = round(second * shape.fps) - shape.span + int(rng.integers(shape.span))
    return _within(first, num_video_frames, shape)


def first_at(
    time_s: float, num_video_frames: int, shape: ClipShape, *, center_test_clip: bool = False
) -> int:
    """First frame of a clip at a second, in evaluation.

    As published the clip begins at the second; `center_test_clip` puts its middle there, where
    training has it on average.

    Raises:
        ValueError: the video is shorter than a clip.

    >>> first_at(4, 900, ClipShape(30.0, 8, 2))
    120
    """
    earlier = shape.span // 2 if center_test_clip else 0
    return _within(round(round(time_s) * shape.fps) - earlier, num_video_frames, shape)


def _within(first: int, num_video_frames: int, shape: ClipShape) -> int:
    last = num_video_frames - shape.span
    if last < 0:
        raise ValueError(f"a video of {num_video_frames} frames holds no clip of {shape.span}")
    return min(max(first, 0), last)


def draw_sequence(num_tiles: int, length: int, rng: Generator) -> Indices:
    """Tiles (S,) in a row from near a video's beginning; the last stands in for missing ones.

    In training of the screening network (docs/specs/gama.md, section 8); `screening.tile_sequence`
    otherwise.

    Raises:
        ValueError: there is no tile.
    """
    if num_tiles == 0:
        raise ValueError("a video without tiles makes no sequence")
    offset = int(rng.integers(MOST_OFFSET + 1))
    return np.minimum(offset + np.arange(length), num_tiles - 1)


def augment_clip(frames_XHW: Tensor, size_hw: tuple[int, int], rng: Generator) -> Tensor:
    """One crop and one decision to mirror, the same for all frames.

    Raises:
        ValueError: the crop is larger than the frames.
    """
    frames_XHW = random_crop(frames_XHW, size_hw, rng)
    return frames_XHW.flip(-1) if rng.random() < 0.5 else frames_XHW


def augment_tile(tile_CHW: Tensor, side: int, rng: Generator) -> Tensor:
    """A square crop, turned by a multiple of 90 degrees and perhaps mirrored both ways.

    Raises:
        ValueError: the crop is larger than the tile.
    """
    tile_CHW = random_crop(tile_CHW, (side, side), rng)
    tile_CHW = tile_CHW.rot90(int(rng.integers(4)), (-2, -1))
    mirrored = [axis for axis in (-2, -1) if rng.random() < 0.5]
    return tile_CHW.flip(mirrored)


def augment_tiles(tiles_SCHW: Tensor, side: int, rng: Generator) -> Tensor:
    """`augment_tile` of each tile of a sequence, each with draws of its own.

    Raises:
        ValueError: the crop is larger than the tiles.
    """
    return torch.stack([augment_tile(tile_CHW, side, rng) for tile_CHW in tiles_SCHW])


def centre_crop(pixels_XHW: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """The middle of frames or tiles, for evaluation.

    Raises:
        ValueError: the crop is larger than they are.
    """
    top, left = (room // 2 for room in _room(pixels_XHW, size_hw))
    return pixels_XHW[..., top : top + size_hw[0], left : left + size_hw[1]]


def scale(pixels_X: Tensor) -> Tensor:
    """Pixels from 0 to 255 as float32 from -1 to 1.

    >>> scale(torch.tensor([0, 255], dtype=torch.uint8)).tolist()
    [-1.0, 1.0]
    """
    return (pixels_X.float() / 255 - 0.5) / 0.5


def random_crop(pixels_XHW: Tensor, size_hw: tuple[int, int], rng: Generator) -> Tensor:
    """Some part of frames or tiles, for training; of all the same.

    Raises:
        ValueError: the crop is larger than they are.
    """
    top, left = (int(rng.integers(room + 1)) for room in _room(pixels_XHW, size_hw))
    return pixels_XHW[..., top : top + size_hw[0], left : left + size_hw[1]]


def _room(pixels_XHW: Tensor, size_hw: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns that a crop leaves out."""
    rows, columns = (pixels_XHW.shape[k - 2] - size_hw[k] for k in range(2))
    if rows < 0 or columns < 0:
        raise ValueError(
            f"a crop of {size_hw[0]} x {size_hw[1]} is larger than a picture of "
            f"{pixels_XHW.shape[-2]} x {pixels_XHW.shape[-1]}"
        )
    return rows, columns
