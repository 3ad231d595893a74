"""Video files: what is in them, and the frames shown at given times. The decoding seam.

decord reads videos whole. PyAV picks frames out of videos, and catches what decord cannot open or
would decode differently (decision 20); it also reads the presentation times, so both obey one
clock, which starts at the first frame.

Belongs here: all that reads with decord or PyAV; nobody else imports decord. Does not belong here:
writing videos anew (encoding.py), how pictures become features (features/extraction.py).
Shape legend: T frames, B of them, H W pixels, 3 = RGB.
"""

import functools
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream


Frames = NDArray[np.uint8]
Floats = NDArray[np.float64]

_THREADED_PIXELS = 640 * 480
# Raw streams have a rate but no times: their frames are shown one after the other.
_RAW = ("hevc", "h264")
_PLAIN_CONTAINERS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi")
# FFmpeg moves the packet in which an edit begins to a whole packet before it: a hundredth of a
# second of pictures, but a second of telemetry. So edits only shift it, all by as much.
_PLAIN_EDITS = {"advanced_editlist": "0"}
_SOON_S = 60
_SAME_S = 0.1
# Codecs of which a frame that says that no other needs it is needed by none. In HEVC it may be.
_SKIPPABLE = ("h264",)
# Frames from a wanted one to the next key frame; leaping over fewer costs more than it saves.
_LEAST_JUMP = 4


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
    """Which of decord and pyav decodes it when every frame is wanted; some are up to pyav."""


@dataclass(frozen=True)
class Packet:
    """One sample of a track that is neither picture nor sound."""

    time_s: float
    """From the first frame; negative if it begins before."""
    duration_s: float
    """0 where the file does not say."""
    data: bytes


@dataclass(frozen=True)
class Container:
    """What a file says beside its pictures."""

    tags: dict[str, str]
    """Metadata of the whole file, for example creation_time and location, as FFmpeg names it."""
    tracks: tuple[tuple[Packet, ...], ...]
    """Tracks that are neither picture nor sound, subtitles among them, in their order."""


@dataclass(frozen=True)
class Head:
    """What a file says before any of its packets is read."""

    tags: dict[str, str]
    """As those of `Container`."""
    duration_s: float
    """How long its pictures last."""


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
    plain: bool
    """Container, streams and pixels are of the kinds that decord decodes as PyAV does."""
    first_byte: int
    """Where in the file the first frame lies; -1 = unknown."""
    timed: bool
    """Frames come with their times; AVI has none and its reordered frames can only be counted."""

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
    turned = _quarter_turns(path) % 2 == 1
    return Probe(
        num_frames=len(index.pts),
        duration_s=duration_s,
        fps=len(index.pts) / duration_s,
        width=index.height if turned else index.width,
        height=index.width if turned else index.height,
        codec=index.codec,
        decoder="pyav" if _decord_reader(path, index) is None else "decord",
    )


def length_s(path: Path) -> float:
    """From the first frame to the end of the last; reads packets and decodes nothing.

    Raises:
        VideoError: the file is missing, truncated, or holds no frame.
    """
    return _index_of(path).duration_s


def head(path: Path) -> Head:
    """Tags and length of a video file by its header alone.

    Raises:
        VideoError: the file is missing, is no video, or does not say how long it is.
    """
    import av

    try:
        with _opened(path) as opened:
            for stream in opened.streams.video:
                if stream.duration and stream.time_base:
                    return Head(dict(opened.metadata), float(stream.duration * stream.time_base))
    except av.FFmpegError as error:
        reason = f"{path}: not a video, or cut off before its index ({error.strerror})"
        raise VideoError(f"{reason}; copy or record it again") from error
    raise VideoError(f"{path}: its header tells no length of a video; copy or record it again")


def container(path: Path) -> Container:
    """Tags and data tracks of a video file.

    Raises:
        VideoError: the file is missing, truncated, or holds no frame.
    """
    import av

    index = _index_of(path)
    try:
        with _opened(path) as opened:
            found = _read_container(opened, float(index.pts[0] * index.tick_s))
        if not found.tracks:
            return found
        with _opened(path, _PLAIN_EDITS) as opened:
            start_s = _first_s(opened, index)
        with _opened(path, _PLAIN_EDITS) as opened:
            plain = _read_container(opened, start_s)
    except av.FFmpegError as error:
        reason = f"{path}: its data tracks cannot be read ({error.strerror})"
        raise VideoError(f"{reason}; copy or record it again") from error
    pairs = zip(found.tracks, plain.tracks, strict=True)
    return Container(found.tags, tuple(_shifted(*pair) for pair in pairs))


def _shifted(moved: tuple[Packet, ...], plain: tuple[Packet, ...]) -> tuple[Packet, ...]:
    """The packets of a track with their plain times, if edits shift all of them by as much.

    A file that edits put together of several pieces keeps the times that FFmpeg gives.
    """
    times = Counter(packet.data for packet in moved)
    plain_s = {packet.data: packet.time_s for packet in plain}
    shifts_s = [p.time_s - plain_s[p.data] for p in moved if p.time_s >= 0 and times[p.data] == 1]
    in_pieces = shifts_s and max(shifts_s) - min(shifts_s) > _SAME_S
    return moved if in_pieces else tuple(packet for packet in plain if packet.data in times)


def _first_s(opened: "InputContainer", index: _Index) -> float:
    """When the first frame is shown, where edits do not move it onto a frame's begin."""
    for packet in opened.demux(opened.streams.video[0]):
        if packet.pos == index.first_byte and packet.pts is not None:
            return float(packet.pts * index.tick_s)
        if packet.dts is not None and packet.dts > index.pts[0] + _SOON_S / index.tick_s:
            break
    return float(index.pts[0] * index.tick_s)


def _read_container(opened: "InputContainer", start_s: float) -> Container:
    chosen = [stream for stream in opened.streams if stream.type in ("data", "subtitle")]
    packets: dict[int, list[Packet]] = {stream.index: [] for stream in chosen}
    for packet in opened.demux(chosen) if chosen else ():
        ticks = packet.dts if packet.pts is None else packet.pts
        if ticks is None or packet.size == 0 or packet.time_base is None:
            continue
        time_s = float(ticks * packet.time_base) - start_s
        duration_s = float((packet.duration or 0) * packet.time_base)
        packets[packet.stream_index].append(Packet(time_s, duration_s, bytes(packet)))
    return Container(dict(opened.metadata), tuple(tuple(track) for track in packets.values()))


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
    parts = [
        np.unique(shown[start : start + batch_size], return_inverse=True)
        for start in range(0, len(shown), batch_size)
    ]
    # Where frames are left out PyAV is several times faster: it decodes only what the others need.
    every_frame = len(np.unique(shown)) == len(index.pts)
    reader = _decord_reader(path, index) if every_frame else None
    pictures: Iterator[Frames] | None = None
    for k, (unique, inverse) in enumerate(parts):
        frames = None if reader is None else _decord_frames(reader, unique)
        if frames is None:
            reader = None
            if pictures is None:
                left = np.concatenate([indices for indices, _ in parts[k:]])
                pictures = _pyav_pictures(path, index, left)
            frames = np.stack(list(itertools.islice(pictures, len(unique))))
        yield frames[inverse], "pyav" if reader is None else "decord"


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
        with _opened(path) as container:
            return _read_index(path, num_bytes, container)
    except av.FFmpegError as error:
        reason = f"{path}: not a video, or cut off before its index ({error.strerror})"
        raise VideoError(f"{reason}; copy or record it again") from error


def _opened(path: Path, options: dict[str, str] | None = None) -> "InputContainer":
    """The file in PyAV; tags that are no UTF-8 (cameras write them) have their bytes replaced."""
    import av

    # A relative path with a colon would be a protocol to FFmpeg.
    return av.open(str(path.absolute()), metadata_errors="replace", options=options)


def _read_index(path: Path, num_bytes: int, container: "InputContainer") -> _Index:
    import av

    if not container.streams.video:
        raise VideoError(f"{path}: has no video stream")
    stream = container.streams.video[0]
    end = max((entry.pos + entry.size for entry in stream.index_entries), default=0)
    if end > num_bytes:
        raise VideoError(f"{path}: truncated: {num_bytes} of {end} bytes; copy or record it again")
    matroska = "matroska" in container.format.name
    raw = container.format.name in _RAW
    shown: list[tuple[int, bool, int, int]] = []
    reached_s = 0.0
    for packet in container.demux() if matroska else container.demux(stream):
        ticks = packet.dts if packet.pts is None else packet.pts
        if raw and packet.size:
            ticks = len(shown) * (packet.duration or 0)
        if ticks is None or packet.size == 0:
            continue
        if matroska:
            reached_s = max(reached_s, float((ticks + (packet.duration or 0)) * packet.time_base))
        if packet.stream_index == stream.index and not packet.is_discard:
            at = -1 if packet.pos is None else packet.pos
            shown.append((ticks, packet.is_keyframe, packet.duration or 0, at))
    if matroska and container.duration and reached_s < container.duration / 1e6 - 1.0:
        raise VideoError(
            f"{path}: truncated: ends at {reached_s:.1f} s of {container.duration / 1e6:.1f} s; "
            "copy or record it again"
        )
    if not shown:
        raise VideoError(f"{path}: holds no frame with a presentation time")
    shown.sort()
    pts = np.array([ticks for ticks, *_ in shown], np.int64)
    tick_s = stream.time_base or Fraction(1, av.time_base)
    rate = stream.average_rate or Fraction(25)
    return _Index(
        pts=pts,
        key_pts=np.array([ticks for ticks, key, *_ in shown if key], np.int64),
        tick_s=tick_s,
        last_ticks=shown[-1][2] or max(1, round(1 / (rate * tick_s))),
        width=stream.codec_context.width,
        height=stream.codec_context.height,
        codec=stream.codec_context.codec.canonical_name,
        plain=(
            container.format.name in _PLAIN_CONTAINERS
            and len(container.streams.video) == 1
            and _bits(stream) == 8
        ),
        first_byte=shown[0][3],
        timed=not raw and (container.format.name != "avi" or not stream.codec_context.has_b_frames),
    )


def _bits(stream: "VideoStream") -> int:
    pixels = stream.codec_context.format
    return max(component.bits for component in pixels.components) if pixels else 0


def _quarter_turns(path: Path) -> int:
    """Counter-clockwise turns that make the pictures upright."""
    return _turns(next(_pyav_frames(path, _index_of(path), np.zeros(1, np.intp))))


def _turns(frame: "VideoFrame") -> int:
    return round(frame.rotation / 90)


def _decord_reader(path: Path, index: _Index) -> Any:
    """A decord reader, or None if decord cannot open the file or sees other frames than PyAV."""
    if not index.plain:
        return None
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    try:
        reader = decord.VideoReader(str(path.absolute()), num_threads=_num_threads(index))
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


def _pyav_pictures(path: Path, index: _Index, indices: NDArray[np.intp]) -> Iterator[Frames]:
    """Upright pictures at indices, one by one; best where indices ascend."""
    from av.video.reformatter import VideoReformatter

    reformatter = VideoReformatter()
    for run in np.split(indices, np.flatnonzero(np.diff(indices) < 0) + 1):
        unique, counts = np.unique(run, return_counts=True)
        for frame, count in zip(_pyav_frames(path, index, unique), counts, strict=True):
            converted = reformatter.reformat(
                frame, index.width, index.height, format="rgb24", threads=1
            )
            picture = np.asarray(converted.to_ndarray(), np.uint8)
            yield from itertools.repeat(np.rot90(picture, _turns(frame)), count)


def _pyav_frames(path: Path, index: _Index, indices: NDArray[np.intp]) -> Iterator["VideoFrame"]:
    """Frames at ascending indices, by seeking or, once that fails, from the start."""
    import av

    done = 0
    try:
        for find in (_by_seeking, _in_order)[not index.timed :]:
            with _opened(path) as container:
                stream = container.streams.video[0]
                stream.thread_type = "AUTO"
                stream.codec_context.thread_count = _num_threads(index)
                for frame in find(container, index, indices[done:]):
                    yield frame
                    done += 1
            if done == len(indices):
                return
    except av.FFmpegError as error:
        raise _undecodable(path, index, indices[done], error.strerror) from error
    raise _undecodable(path, index, indices[done], "the file ends before")


def _undecodable(path: Path, index: _Index, first: np.intp, reason: str | None) -> VideoError:
    at_s = index.time_s[first]
    return VideoError(
        f"{path}: frames from {at_s:.2f} s on cannot be decoded ({reason}); copy or record it again"
    )


def _by_seeking(
    container: "InputContainer", index: _Index, indices: NDArray[np.intp]
) -> Iterator["VideoFrame"]:
    """Frames at ascending indices; ends early if a seek does not lead where it should."""
    keys = np.union1d(0, np.searchsorted(index.pts, index.key_pts))
    before = keys[np.searchsorted(keys, indices, "right") - 1]
    jumps = np.flatnonzero(before[1:] - indices[:-1] > _LEAST_JUMP) + 1
    for run, key in zip(np.split(indices, jumps), before[[0, *jumps]], strict=True):
        container.seek(int(index.pts[key]), stream=container.streams.video[0])
        wanted = index.pts[run].tolist()
        frames = _decoded(container, index.codec, set(wanted))
        for pts in wanted:
            frame = next((f for f in frames if f.pts is not None and f.pts >= pts), None)
            if frame is None or frame.pts != pts:
                return
            yield frame


def _decoded(container: "InputContainer", codec: str, wanted: set[int]) -> Iterator["VideoFrame"]:
    """Frames from the next key on until those at all `wanted` ticks are out, with others."""
    stream = container.streams.video[0]
    left = set(wanted)
    for packet in itertools.dropwhile(lambda p: not p.is_keyframe, container.demux(stream)):
        ticks = packet.dts if packet.pts is None else packet.pts
        if ticks is None or packet.size == 0:
            continue
        if codec in _SKIPPABLE:
            stream.codec_context.skip_frame = "DEFAULT" if ticks in wanted else "NONREF"
        yield from stream.codec_context.decode(packet)
        left.discard(ticks)
        if not left:
            break
    yield from stream.codec_context.decode(None)


def _in_order(
    container: "InputContainer",
    index: _Index,  # noqa: ARG001 - the interface of `_by_seeking`
    indices: NDArray[np.intp],
) -> Iterator["VideoFrame"]:
    """Frames at ascending indices; fewer if the file ends before."""
    wanted = set(indices.tolist())
    frames = itertools.islice(container.decode(video=0), int(indices[-1]) + 1)
    return (frame for k, frame in enumerate(frames) if k in wanted)


def _num_threads(index: _Index) -> int:
    return 1 if index.width * index.height <= _THREADED_PIXELS else 0
