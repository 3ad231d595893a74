"""Video files: what is in them, and the frames shown at given times. The decoding seam.

decord decodes and PyAV catches what decord cannot open or would decode differently (decision 10);
PyAV also reads the presentation times, so both obey one clock, which starts at the first frame.

Belongs here: all that touches decord or PyAV; nobody else imports either. Does not belong here: how
pictures become features (features.py). Shape legend: T frames, B of them, H W pixels, 3 = RGB.
"""

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vidtag_ml import stage

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

Frames = NDArray[np.uint8]
Floats = NDArray[np.float64]

_THREADED_PIXELS = 640 * 480
_PLAIN_CONTAINERS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi")
_BITEXACT = 1 << 23
# x264's macroblock tree reads memory that it has not set, so its bytes depend on what ran before.
_X264 = {"preset": "fast", "bf": "0", "x264-params": "mbtree=0"}


class VideoError(ValueError):
    """A file that cannot be used as a video: says which, why, and what to do."""


@dataclass(frozen=True)
class Probe:
    """What a video file holds, as it is shown (upright, presented frames only)."""

    num_frames: int
    """Frames that are presented."""
    duration_s: float
    """From the first frame to the end of the last."""
    fps: float
    """Mean number of frames a second."""
    width: int
    """Columns of the upright picture."""
    height: int
    """Rows of the upright picture."""
    codec: str
    """Name of the codec, for example h264."""
    decoder: str
    """Which of decord and pyav decodes it."""


@dataclass(frozen=True)
class _Index:
    """Presentation times of a file's frames, in ticks, sorted."""

    pts: NDArray[np.int64]
    key_pts: NDArray[np.int64]
    tick_s: Fraction
    last_ticks: int
    width: int
    height: int
    codec: str
    quarter_turns: int
    """Counter-clockwise turns that make the picture upright."""
    plain: bool
    """Container and pixels are of the kinds that decord decodes as PyAV does."""

    @property
    def duration_s(self) -> float:
        return float((int(self.pts[-1] - self.pts[0]) + self.last_ticks) * self.tick_s)

    @property
    def time_s(self) -> Floats:
        return np.asarray((self.pts - self.pts[0]) * float(self.tick_s))


def probe(path: Path) -> Probe:
    """What is in a video file; reads packets, decodes at most one frame.

    Raises:
        VideoError: the file is missing, truncated, or holds no frame.
    """
    index = _index_of(path)
    duration_s = index.duration_s
    turned = index.quarter_turns % 2 == 1
    return Probe(
        num_frames=len(index.pts),
        duration_s=duration_s,
        fps=len(index.pts) / duration_s,
        width=index.height if turned else index.width,
        height=index.width if turned else index.height,
        codec=index.codec,
        decoder="pyav" if _decord_reader(path, index) is None else "decord",
    )


def sample_times(path: Path, frames_per_second: float) -> Floats:
    """Times (T,) 0, 1/fps, 2/fps ... before the end of a video; at least the first.

    Raises:
        ValueError: `frames_per_second` is not positive.
        VideoError: the file is missing, truncated, or holds no frame.
    """
    if not frames_per_second > 0:
        raise ValueError(f"frames_per_second is {frames_per_second}; it must be positive")
    num = max(1, int(np.ceil(_index_of(path).duration_s * frames_per_second - 1e-6)))
    return np.arange(num) / frames_per_second


def frames_at(path: Path, time_s: ArrayLike) -> tuple[Frames, str]:
    """Frames (T, H, W, 3) shown at times (T,) from the first frame, and the decoder's name.

    A frame is shown from its presentation time (less the container's rounding, at most 0.5 ms)
    until the next one's; the last for ever, and before the first there is the first. For long
    videos take `batches_at`, which holds only one batch.

    Raises:
        VideoError: the file is missing, truncated, or cannot be decoded.
    """
    batches = list(batches_at(path, time_s, batch_size=256))
    if not batches:
        raise ValueError(f"{path}: no times were asked for")
    return np.concatenate([frames for frames, _ in batches]), batches[-1][1]


def batches_at(path: Path, time_s: ArrayLike, batch_size: int) -> Iterator[tuple[Frames, str]]:
    """Batches of frames (B, H, W, 3), each with its decoder's name; see `frames_at`."""
    index = _index_of(path)
    rounding_s = min(float(index.tick_s) / 2, 0.0005) + 1e-6
    shown = np.searchsorted(index.time_s, np.asarray(time_s, float) + rounding_s, "right") - 1
    shown = shown.clip(min=0)
    reader, decoder = _decord_reader(path, index), "decord"
    for start in range(0, len(shown), batch_size):
        unique, inverse = np.unique(shown[start : start + batch_size], return_inverse=True)
        frames = None if reader is None else _decord_frames(reader, unique)
        if frames is None:
            reader, decoder = None, "pyav"
            frames = _pyav_frames(path, index, unique)
        yield frames[inverse], decoder


def write(path: Path, frames_THW3: Frames, fps: float, crf: int = 18) -> None:
    """Writes H.264 (4:2:0) into an mp4 file in one step; equal frames give equal bytes.

    Args:
        path: ends in .mp4.
        frames_THW3: at least one frame; height and width must be even.
        fps: frames a second.
        crf: quality, 0 is lossless, 18 hardly visible.
    """
    import av

    if frames_THW3.ndim != 4 or frames_THW3.shape[-1] != 3 or frames_THW3.dtype != np.uint8:
        found = f"{frames_THW3.dtype} {frames_THW3.shape}"
        raise ValueError(f"{path}: frames are {found}, not RGB bytes (T, H, W, 3)")
    height, width = frames_THW3.shape[1:3]
    if len(frames_THW3) == 0 or height % 2 or width % 2:
        raise ValueError(f"{path}: H.264 needs frames of even size, not {frames_THW3.shape}")
    rate = Fraction(fps).limit_denominator(10_000)
    with stage.replacing(path) as aside:
        options = {"fflags": "+bitexact"}
        with av.open(str(aside), "w", format="mp4", options=options) as container:
            stream = container.add_stream("libx264", rate=rate)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.thread_count = 1
            stream.codec_context.flags |= _BITEXACT
            stream.codec_context.options = {"crf": str(crf), **_X264}
            for k, picture in enumerate(frames_THW3):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                frame.pts, frame.time_base = k, 1 / rate
                container.mux(stream.encode(frame))
            container.mux(stream.encode())


def _index_of(path: Path) -> _Index:
    try:
        facts = path.stat()
    except FileNotFoundError:
        raise VideoError(f"{path}: there is no such file") from None
    return _index(path, facts.st_size, facts.st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _index(path: Path, num_bytes: int, changed_ns: int) -> _Index:  # noqa: ARG001 - a cache key
    import av

    if num_bytes == 0:
        raise VideoError(f"{path}: the file is empty; copy or record it again")
    if path.is_dir():
        raise VideoError(f"{path}: this is a folder, not a video")
    try:
        with av.open(str(path)) as container:
            return _read_index(path, num_bytes, container)
    except av.FFmpegError as error:
        reason = f"{path}: not a video, or cut off before its index ({error.strerror})"
        raise VideoError(f"{reason}; copy or record it again") from error


def _read_index(path: Path, num_bytes: int, container: "InputContainer") -> _Index:
    import av

    if not container.streams.video:
        raise VideoError(f"{path}: has no video stream")
    stream = container.streams.video[0]
    end = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
    if end > num_bytes:
        raise VideoError(f"{path}: truncated: {num_bytes} of {end} bytes; copy or record it again")
    matroska = "matroska" in container.format.name
    shown, reached_s = [], 0.0
    for packet in container.demux() if matroska else container.demux(stream):
        ticks = packet.dts if packet.pts is None else packet.pts
        if ticks is None or packet.size == 0:
            continue
        reached_s = max(reached_s, float((ticks + (packet.duration or 0)) * packet.time_base))
        if packet.stream_index == stream.index and not packet.is_discard:
            shown.append((ticks, packet.is_keyframe, packet.duration or 0))
    if matroska and container.duration and reached_s < container.duration / 1e6 - 1.0:
        raise VideoError(
            f"{path}: truncated: ends at {reached_s:.1f} s of {container.duration / 1e6:.1f} s; "
            "copy or record it again"
        )
    if not shown:
        raise VideoError(f"{path}: holds no frame with a presentation time")
    shown.sort()
    pts = np.array([ticks for ticks, _, _ in shown], np.int64)
    tick_s = stream.time_base or Fraction(1, av.time_base)
    rate = stream.average_rate or Fraction(25)
    return _Index(
        pts=pts,
        key_pts=np.array([ticks for ticks, key, _ in shown if key], np.int64),
        tick_s=tick_s,
        last_ticks=shown[-1][2] or max(1, round(1 / (rate * tick_s))),
        width=stream.codec_context.width,
        height=stream.codec_context.height,
        codec=stream.codec_context.codec.canonical_name,
        quarter_turns=_quarter_turns(path),
        plain=container.format.name in _PLAIN_CONTAINERS and _bits(stream) == 8,
    )


def _bits(stream: "VideoStream") -> int:
    pixels = stream.codec_context.format
    return max(component.bits for component in pixels.components) if pixels else 0


def _quarter_turns(path: Path) -> int:
    import av

    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            return round(frame.rotation / 90) % 4
    raise VideoError(f"{path}: no frame can be decoded")


def _decord_reader(path: Path, index: _Index) -> Any:
    """A decord reader, or None if decord cannot open the file or sees other frames than PyAV."""
    if not index.plain:
        return None
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    threads = 1 if index.width * index.height <= _THREADED_PIXELS else 0
    try:
        reader = decord.VideoReader(str(path), num_threads=threads)
        if len(reader) != len(index.pts):
            return None
        start_s = reader.get_frame_timestamp(np.arange(len(reader)))[:, 0]
    except (decord.DECORDError, RuntimeError):
        return None
    same_clock = np.allclose(start_s - start_s[0], index.time_s, rtol=1e-6, atol=1e-3)
    return reader if same_clock else None


def _decord_frames(reader: Any, indices: NDArray[np.intp]) -> Frames | None:
    import decord

    try:
        return np.asarray(reader.get_batch(indices.tolist()).asnumpy())
    except (decord.DECORDError, RuntimeError):
        return None


def _pyav_frames(path: Path, index: _Index, indices: NDArray[np.intp]) -> Frames:
    """Frames at sorted indices, by seeking to key frames or, where that fails, from the start."""
    import av

    reason = f"{path}: frames {indices[0]} to {indices[-1]} cannot be decoded"
    try:
        pictures = _by_seeking(path, index, indices) or _in_order(path, indices)
    except av.FFmpegError as error:
        raise VideoError(f"{reason} ({error.strerror}); copy or record it again") from error
    if len(pictures) < len(indices):
        raise VideoError(f"{reason}: the file ends before; copy or record it again")
    return np.stack([np.rot90(picture, index.quarter_turns) for picture in pictures])


def _by_seeking(path: Path, index: _Index, indices: NDArray[np.intp]) -> list[Frames]:
    """Pictures at sorted indices, or none of them if a seek does not lead where it should."""
    import av

    pictures: list[Frames] = []
    decoded: Iterator[av.VideoFrame] = iter([])
    at = index.pts[0] - 1
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for wanted in index.pts[indices]:
            key = max(index.key_pts[index.key_pts <= wanted], default=at)
            if key > at:
                container.seek(int(key), stream=stream)
                decoded = container.decode(stream)
            frame = next((f for f in decoded if f.pts is None or f.pts >= wanted), None)
            if frame is None or frame.pts != wanted:
                return []
            at = wanted
            pictures.append(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
    return pictures


def _in_order(path: Path, indices: NDArray[np.intp]) -> list[Frames]:
    """Pictures at sorted indices; fewer if the file ends before."""
    import av

    wanted = set(indices.tolist())
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        frames = itertools.islice(container.decode(stream), int(indices[-1]) + 1)
        kept = (frame for k, frame in enumerate(frames) if k in wanted)
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in kept]
