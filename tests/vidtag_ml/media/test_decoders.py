"""Decord and PyAV show the same picture at the same time, or the table says why not."""

import csv
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vidtag_ml.media import fingerprint as fingerprints
from vidtag_ml.media import video

_DATA = Path(__file__).resolve().parents[3] / "../shared/data"
_UNREADABLE = {
    "bad/audio_only.mp3": "has no video stream",
    "bad/corrupted.mp4": "frames from .* on cannot be decoded",
    "bad/empty.mp4": "the file is empty",
    "bad/hero7_cut_no_moov.mp4": "cut off before its index",
}
_PYAV_ALONE = {
    "codecs/av1_video.mkv": "decord 0.6 has no decoder for AV1",
    "codecs/h265_10bits.mp4": "decord is 3 grey levels off where it turns 10 bits into 8",
    "codecs/nasa_13013.mp4": "of several video streams decord takes another than the first",
}
_MOST_LEVELS = 2.0

real = pytest.mark.skipif(not _DATA.is_dir(), reason="the real recordings are not beside the code")


def _listed():
    """Videos of the manifest, and the sound that calls itself one."""
    if not _DATA.is_dir():
        return []
    with (_DATA / "MANIFEST.csv").open(newline="") as file:
        names = [row["path"] for row in csv.DictReader(file)]
    return [name for name in names if name.endswith((".mp4", ".mov", ".mkv", ".mp3"))]


def _by_both(path):
    """Six frames as decord decodes them and as PyAV does; None for decord if it is not used."""
    index = video._index_of(path)
    indices = np.unique(np.linspace(0, len(index.pts) - 1, 6).astype(int))
    reader = video._decord_reader(path, index)
    decord_THW3 = None if reader is None else video._decord_frames(reader, indices)
    pyav_THW3 = np.stack(list(video._pyav_pictures(path, index, indices)))
    shown, _ = video.frames_at(path, index.time_s[indices])
    return decord_THW3, pyav_THW3, shown


def _levels(first, second):
    return np.abs(first.astype(float) - second).mean((1, 2, 3)).max()


@real
@pytest.mark.parametrize("name", [n for n in _listed() if n not in {*_UNREADABLE, *_PYAV_ALONE}])
def test_both_decoders_show_the_same_pictures_of_real_files(name):
    decord_THW3, pyav_THW3, shown = _by_both(_DATA / name)
    assert decord_THW3 is not None
    assert _levels(decord_THW3, pyav_THW3) < _MOST_LEVELS
    assert _levels(shown, pyav_THW3) < _MOST_LEVELS


@real
@pytest.mark.parametrize("name", _PYAV_ALONE)
def test_pyav_alone_reads_what_decord_would_show_otherwise(name):
    decord_THW3, pyav_THW3, shown = _by_both(_DATA / name)
    assert decord_THW3 is None
    assert video.probe(_DATA / name).decoder == "pyav"
    assert np.array_equal(pyav_THW3, shown)


@real
@pytest.mark.parametrize(("name", "reason"), _UNREADABLE.items())
def test_what_cannot_be_read_is_refused_with_its_reason(name, reason):
    with pytest.raises(video.VideoError, match=f"{Path(name).name}: .*{reason}"):
        fingerprints.fingerprint(_DATA / name, 1.0)


@real
def test_every_readable_file_has_a_fingerprint():
    names = [name for name in _listed() if name not in _UNREADABLE]
    assert {*_UNREADABLE, *_PYAV_ALONE} <= {*_listed()}
    found = {name: fingerprints.fingerprint(_DATA / name, 0.2) for name in names}
    assert all(len(fingerprint.hashes) for fingerprint in found.values())


@real
def test_telemetry_of_a_real_camera_is_a_data_track():
    found = video.container(_DATA / "gopro_trims" / "hero5-trimmed.mp4")
    assert any(track and track[0].data.startswith(b"DEVC") for track in found.tracks)


def _generate(path, codec, pixels, turned=0, uneven=False, **options):
    """36 frames, 1/30 s apart, or, if uneven, 1 to 3 times as far."""
    y, x = np.mgrid[:64, :96]
    fragments = {"movflags": "frag_keyframe+empty_moov"} if "fragments" in path.name else {}
    with av.open(str(path), "w", options=fragments) as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, pixels
        stream.codec_context.options = {"g": "12", **options}
        if turned:
            stream.set_display_rotation(turned)
        at = 0
        for k in range(36):
            picture = np.stack([x * 2 + 3 * k, y * 3 + 2 * k, x + y], -1).clip(0, 255)
            frame = av.VideoFrame.from_ndarray(picture.astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = at, Fraction(1, 30)
            container.mux(stream.encode(frame))
            at += 1 + k % 3 if uneven else 1
        container.mux(stream.encode())
    return path


_QUIET = {"x265-params": "log-level=none"}


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "more", "decoder"),
    [
        ("plain.mp4", "libx264", "yuv420p", {}, "decord"),
        ("fragments.mp4", "libx264", "yuv420p", {}, "decord"),
        ("variable.mp4", "libx264", "yuv420p", {"uneven": True}, "decord"),
        ("variable.mkv", "libx264", "yuv420p", {"uneven": True}, "decord"),
        ("left.mov", "libx264", "yuv420p", {"turned": 90}, "decord"),
        ("right.mp4", "libx264", "yuv420p", {"turned": -90}, "decord"),
        ("over.mp4", "libx264", "yuv420p", {"turned": 180}, "decord"),
        ("full_range.mp4", "libx264", "yuvj420p", {}, "decord"),
        ("finer_colour.mp4", "libx264", "yuv422p", {}, "decord"),
        ("finest_colour.mp4", "libx264", "yuv444p", {}, "decord"),
        ("grey.mp4", "libx264", "gray", {}, "decord"),
        ("hevc.mp4", "libx265", "yuv420p", _QUIET, "decord"),
        ("hevc_10_bits.mp4", "libx265", "yuv420p10le", _QUIET, "pyav"),
        ("av1.mp4", "libsvtav1", "yuv420p", {}, "pyav"),
        ("vp9.webm", "libvpx-vp9", "yuv420p", {}, "decord"),
    ],
)
def test_both_decoders_show_the_same_pictures(tmp_path, name, codec, pixels, more, decoder):
    path = _generate(tmp_path / name, codec, pixels, **more)
    decord_THW3, pyav_THW3, shown = _by_both(path)
    assert video.probe(path).decoder == decoder
    assert np.array_equal(shown, pyav_THW3)
    if decoder == "decord":
        assert _levels(decord_THW3, pyav_THW3) < _MOST_LEVELS


def test_uneven_times_show_the_frame_that_has_begun(tmp_path):
    path = _generate(tmp_path / "variable.mp4", "libx264", "yuv420p", uneven=True)
    index = video._index_of(path)
    assert len(set(np.diff(index.pts))) == 3
    before_next_s = index.time_s[[6, 20]] - 0.002
    frames, _ = video.frames_at(path, before_next_s)
    assert np.array_equal(frames, video.frames_at(path, index.time_s[[5, 19]])[0])


def test_decord_is_not_asked_for_a_file_with_two_video_streams(tmp_path):
    path = tmp_path / "front_and_rear.mp4"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=10) for _ in range(2)]
        for stream, size in zip(streams, (64, 96), strict=True):
            stream.width, stream.height, stream.pix_fmt = size, size, "yuv420p"
        for stream, size in zip(streams, (64, 96), strict=True):
            for k in range(6):
                grey = np.full((size, size, 3), 20 * k + size, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
            container.mux(stream.encode())
    frames, decoder = video.frames_at(path, np.arange(6) / 10)
    assert (frames.shape, decoder) == ((6, 64, 64, 3), "pyav")
