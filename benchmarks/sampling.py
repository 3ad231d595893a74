"""Frames at sparse times through the seam against the fastest of three plain ways to get them.

The plain ways: decord's `get_batch`, PyAV decoding from the start to the last frame, and PyAV with
a seek to the key frame before each frame that needs one. Videos of 60 s with a key frame every 2 s
and every 250 frames are written first; all ways take turns in one process, open the file anew, and
must return the same pictures. Run as `python -m benchmarks.sampling`.

Belongs here: this one measurement. Does not belong here: what is measured
(vidtag_ml/media/video.py).
"""

import functools
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import decord
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from vidtag_ml.media import video

WIDTH, HEIGHT, FPS, SECONDS = 1280, 720, 30, 60
KEY_EVERY_FRAMES = (60, 250)
SAMPLE_EVERY_S = (1, 10)
ROUNDS = 7
MOST_RATIO = 1.2

Frames = NDArray[np.uint8]


def write(path: Path, key_every_frames: int, bit_rate: int | None = None) -> None:
    """H.264 with B-frames: the camera moves over a coarse pattern, through noise."""
    drawn = np.random.default_rng(0)
    coarse = drawn.integers(0, 200, (HEIGHT // 16 + 64, WIDTH // 16 + 64, 3), np.uint8)
    pattern = coarse.repeat(16, 0).repeat(16, 1)
    noise = drawn.integers(0, 20, (HEIGHT + 32, WIDTH + 32, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        options = {"preset": "veryfast", "g": str(key_every_frames), "sc_threshold": "0"}
        stream.codec_context.options = options
        if bit_rate is not None:
            stream.bit_rate = bit_rate
        for k in range(FPS * SECONDS):
            y, x = 2 * k % 900, 3 * k % 900
            dy, dx = drawn.integers(0, 32, 2)
            picture = pattern[y : y + HEIGHT, x : x + WIDTH]
            picture = picture + noise[dy : dy + HEIGHT, dx : dx + WIDTH]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def by_seam(path: Path, indices: list[int]) -> Frames:
    """What a user of the seam waits for, reading of the presentation times included."""
    path.touch()
    return video.frames_at(path, np.array(indices) / FPS)[0]


def by_decord(path: Path, indices: list[int]) -> Frames:
    """Its `get_batch` alone."""
    return np.asarray(decord.VideoReader(str(path)).get_batch(indices).asnumpy())


def in_order(path: Path, indices: list[int]) -> Frames:
    """PyAV alone, from the first frame to the last one wanted."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        frames = itertools.islice(container.decode(video=0), indices[-1] + 1)
        wanted = set(indices)
        return np.stack([f.to_ndarray(format="rgb24") for k, f in enumerate(frames) if k in wanted])


def by_seeking(path: Path, indices: list[int], key_every_frames: int) -> Frames:
    """PyAV alone, from key frame to key frame."""
    pictures: list[Frames] = []
    frames: Iterator[av.VideoFrame] = iter(())
    at = -1
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        ticks = round(1 / (FPS * (stream.time_base or 1)))
        for k in indices:
            if k // key_every_frames != at:
                at = k // key_every_frames
                container.seek((k - k % key_every_frames) * ticks, stream=stream)
                frames = container.decode(stream)
            frame = next(f for f in frames if f.pts == k * ticks)
            pictures.append(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
    return np.stack(pictures)


def compare(path: Path, key_every_frames: int, sample_every_s: int) -> float:
    """Median time of the seam over that of the fastest plain way; prints all medians."""
    indices = list(range(0, FPS * SECONDS, FPS * sample_every_s))
    ways: dict[str, Callable[[], Frames]] = {
        "seam": functools.partial(by_seam, path, indices),
        "decord": functools.partial(by_decord, path, indices),
        "PyAV in order": functools.partial(in_order, path, indices),
        "PyAV seeking": functools.partial(by_seeking, path, indices, key_every_frames),
    }
    expected = in_order(path, indices)
    assert all(np.array_equal(way(), expected) for way in ways.values())
    rounds = [{name: _seconds(way) for name, way in ways.items()} for _ in range(ROUNDS)]
    medians = {name: statistics.median(times[name] for times in rounds) for name in ways}
    fastest = min((name for name in ways if name != "seam"), key=medians.__getitem__)
    ratio = statistics.median(times["seam"] / times[fastest] for times in rounds)
    shown = ", ".join(f"{name} {1e3 * seconds:.0f} ms" for name, seconds in medians.items())
    Console().print(
        f"key frame every {key_every_frames}, a picture every {sample_every_s} s: {shown}; "
        f"ratio to {fastest} {ratio:.2f} (bar: at most {MOST_RATIO})",
        soft_wrap=True,
    )
    return ratio


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def ratios(folder: Path) -> Iterator[float]:
    """A ratio for each video and rate."""
    for key_every_frames in KEY_EVERY_FRAMES:
        path = folder / f"{key_every_frames}.mp4"
        write(path, key_every_frames)
        for sample_every_s in SAMPLE_EVERY_S:
            yield compare(path, key_every_frames, sample_every_s)


def main() -> int:
    """Prints the ratios; 1 if one is above the bar."""
    with tempfile.TemporaryDirectory() as folder:
        return int(max(ratios(Path(folder))) > MOST_RATIO)


if __name__ == "__main__":
    sys.exit(main())
