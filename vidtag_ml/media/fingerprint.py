"""Fingerprints: whether two videos show the same.

Belongs here: hashes of frames. Does not belong here: decoding (video.py), what is done about equal
recordings (ingest/own/groups.py).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.media import video
from vidtag_ml.media.video import Frames

Floats = NDArray[np.float64]
_NUM_HASHES = 16
_FEW = 4


@dataclass(frozen=True)
class Fingerprint:
    """What near-duplicates share: difference hashes of frames spread over a video."""

    time_s: Floats
    """Times of the frames, from the first one."""
    hashes: NDArray[np.uint64]
    """A number a frame; alike pictures differ in few of the 64 bits."""
    decoder: str
    """Which of decord and pyav decoded them."""


def fingerprint(path: Path, frames_per_second: float) -> Fingerprint:
    """Hashes of up to 16 frames; decodes all that `sample_times` asks for, a few at a time.

    Raises:
        ValueError: `frames_per_second` is not positive.
        VideoError: the file is missing, truncated, or one of the frames cannot be decoded.
    """
    time_s = video.sample_times(path, frames_per_second)
    hashed = np.unique(np.linspace(0, len(time_s) - 1, _NUM_HASHES).round().astype(int))
    hashes: list[np.uint64] = []
    start, decoder = 0, ""
    for frames, name in video.batches_at(path, time_s, _FEW):
        within = hashed[(start <= hashed) & (hashed < start + len(frames))]
        hashes.extend(difference_hash(frames[k - start]) for k in within)
        start, decoder = start + len(frames), name
    return Fingerprint(time_s[hashed], np.array(hashes, np.uint64), decoder)


def difference_hash(picture_HW3: Frames) -> np.uint64:
    """64 bits: in 8 rows, which of 9 neighbouring areas are darker than the next."""
    height, width = picture_HW3.shape[:2]
    rows, columns = np.arange(8) * height // 8, np.arange(9) * width // 9
    grey_HW = picture_HW3.mean(2)
    sums = np.add.reduceat(np.add.reduceat(grey_HW, rows, 0), columns, 1)
    means = sums / np.maximum(np.diff(columns, append=width), 1)
    bits = np.packbits(means[:, :-1] < means[:, 1:])
    return np.uint64(int.from_bytes(bits.tobytes(), "big"))
