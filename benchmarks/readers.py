"""Seconds that our readers and ExifTool take for the same videos.

Run as `python -m benchmarks.readers VIDEO...`: a line a video, medians of `RUNS` runs each, with
the positions that either reads. The index of a video, which ingest reads anyway, is not timed.

Belongs here: this measurement. Does not belong here: whether both read the same
(tests/vidtag_ml/ingest/own/test_second_opinion.py).
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from vidtag_ml.ingest.telemetry import camm, exiftool, gpmf
from vidtag_ml.ingest.telemetry.readers import InTrack, Recording
from vidtag_ml.media import video

RUNS = 5
OURS: tuple[InTrack, ...] = (gpmf.READER, camm.READER)


def main() -> None:
    """Prints what each takes for each video."""
    console = Console(soft_wrap=True, highlight=False)
    for path in map(Path, sys.argv[1:]):
        (ours_s, num), (theirs_s, others) = (_timed(read, path) for read in (_ours, _theirs))
        console.print(
            f"{path.name}, {path.stat().st_size / 1e6:.1f} MB: ours {num} positions in "
            f"{ours_s:.3f} s, exiftool {exiftool.version()} {others} in {theirs_s:.3f} s, "
            f"{theirs_s / ours_s:.1f} x"
        )


def _timed(read: Callable[[Path], int], path: Path) -> tuple[float, int]:
    """Median seconds, and how many positions there are."""
    took_s, num = [], 0
    for _ in range(RUNS):
        began_s = time.perf_counter()
        num = read(path)
        took_s.append(time.perf_counter() - began_s)
    return statistics.median(took_s), num


def _ours(path: Path) -> int:
    held = Recording(video.container(path), [], path)
    sources = [source for reader in OURS for source in reader.sources(held)]
    return sum(len(source.read().points) for source in sources)


def _theirs(path: Path) -> int:
    return len(exiftool.read(Recording(video.Container({}, ()), [], path)).points)


if __name__ == "__main__":
    main()
