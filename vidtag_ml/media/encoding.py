"""Writing videos, from frames or from another video.

Belongs here: one encoder with fixed settings, files without notes on who made them where and when.
Does not belong here: reading (video.py), what is blurred (privacy.py).
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vidtag_ml.media.video import Frames, VideoError
from vidtag_ml.workflow import stage

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


_BITEXACT = {"fflags": "+bitexact"}
_BITEXACT_FLAG = 1 << 23
_TICK_S = Fraction(1, 90_000)
# Units of a stream that are no picture: cameras and encoders leave notes in them, some positions.
_NOTES = {"h264": "6", "hevc": "39-40", "av1": "5"}
# x264's macroblock tree reads memory that it has not set, so its bytes depend on what ran before.
_X264 = {"crf": "18", "preset": "fast", "bf": "0", "x264-params": "mbtree=0"}

# x264's macroblock tree reads memory that it has not set, so its bytes depend on what ran before.
_X264_OPTIONS = {"preset": "fast", "bf": "0", "x264-params": "mbtree=0"}


def remux(source: Path, target: Path) -> None:
    """Copies the pictures of a video without decoding them, and nothing else.

    Neither sound, data tracks, subtitles and tags go along, nor the notes within H.264, HEVC and
    AV1 streams. Times and turning stay; the suffix of `target` says what container it becomes.

    Raises:
        VideoError: the file cannot be read, or its stream cannot be in such a container.
    """
    with _copying(source, target) as (read, written):
        stream = read.streams.video[0]
        copy = written.add_stream_from_template(stream, opaque=True)
        copy.metadata.clear()
        bare = _without_notes(stream, copy)
        for packet in read.demux(stream):
            for kept in bare(packet):
                kept.stream = copy
                written.mux(kept)


def rewrite(source: Path, target: Path, change: Callable[[Frames], Frames]) -> None:
    """Writes the frames of a video, each changed, as H.264 and nothing else; holds one at a time.

    Frames are decoded in the order in which they are shown, keep their times and become upright. A
    picture with an odd side grows by its last row or column, as H.264 needs.

    Args:
        source: the video.
        target: ends in .mp4 or .mkv.
        change: upright picture (H, W, 3) to another one, all of one size.

    Raises:
        VideoError: the file cannot be read to its end.
    """
    with _copying(source, target) as (read, written):
        stream = read.streams.video[0]
        stream.thread_type = "AUTO"
        tick_s = stream.time_base or _TICK_S
        coded = None
        for ticks, frame in _shown(read, stream, tick_s):
            picture = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
            picture = _even(change(np.ascontiguousarray(picture, np.uint8)))
            coded = coded or _coded(written, stream, tick_s, picture)
            written.mux(coded.encode(_frame(picture, ticks, tick_s)))
        if coded is None:
            raise VideoError(f"{source}: holds no frame that can be decoded")
        written.mux(coded.encode())


@contextlib.contextmanager
def _copying(source: Path, target: Path) -> Iterator[tuple["InputContainer", "OutputContainer"]]:
    import av

    try:
        with av.open(str(source.absolute())) as read, stage.replacing(target) as aside:
            if not read.streams.video:
                raise VideoError(f"{source}: has no video stream")
            with av.open(str(aside.absolute()), "w", options=_BITEXACT) as written:
                yield read, written
    except av.FFmpegError as error:
        reason = f"{source}: cannot be written anew as {target.name} ({error.strerror})"
        raise VideoError(f"{reason}; copy or record it again") from error


def _without_notes(
    stream: "VideoStream", copy: "VideoStream"
) -> "Callable[[Packet[VideoStream]], Iterable[Packet[VideoStream]]]":
    """What leaves notes out of packets, whose times must be known."""
    from av.bitstream import BitStreamFilterContext

    codec = stream.codec_context.codec.canonical_name
    if codec not in _NOTES:
        return lambda packet: [packet] if packet.size else []
    left_out = BitStreamFilterContext(f"filter_units=remove_types={_NOTES[codec]}", stream, copy)
    return lambda packet: left_out.filter(packet if packet.size else None)


def _shown(
    read: "InputContainer", stream: "VideoStream", tick_s: Fraction
) -> "Iterator[tuple[int, VideoFrame]]":
    """Frames with their ticks from the first one; a frame without a time comes at the mean rate."""
    step = max(1, round(1 / ((stream.guessed_rate or 25) * tick_s)))
    first, last = None, None
    for frame in read.decode(stream):
        ticks = frame.pts if frame.pts is not None else (0 if last is None else last + step)
        if last is not None and ticks <= last:
            continue  # not shown: the frame before has its time
        first, last = ticks if first is None else first, ticks
        yield ticks - first, frame


def _coded(
    written: "OutputContainer", stream: "VideoStream", tick_s: Fraction, picture_HW3: Frames
) -> "VideoStream":
    """The stream to write, on the clock of the stream that is read."""
    coded = written.add_stream("libx264", rate=stream.average_rate or Fraction(25))
    coded.height, coded.width = picture_HW3.shape[:2]
    coded.pix_fmt = "yuv420p"
    coded.time_base = coded.codec_context.time_base = tick_s
    coded.codec_context.thread_count = 1
    coded.codec_context.flags |= _BITEXACT_FLAG
    coded.codec_context.options = _X264
    return coded


def _frame(picture_HW3: Frames, ticks: int, tick_s: Fraction) -> "VideoFrame":
    import av

    frame = av.VideoFrame.from_ndarray(picture_HW3, format="rgb24")
    frame.pts, frame.time_base = ticks, tick_s
    return frame


def _even(picture_HW3: Frames) -> Frames:
    height, width = picture_HW3.shape[:2]
    grown = np.pad(picture_HW3, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return np.ascontiguousarray(grown)


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
            stream.codec_context.flags |= _BITEXACT_FLAG
            stream.codec_context.options = {"crf": str(crf), **_X264_OPTIONS}
            for k, picture in enumerate(frames_THW3):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                frame.pts, frame.time_base = k, 1 / rate
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
