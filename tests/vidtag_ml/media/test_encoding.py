"""Writing videos: what one keeps when it is written anew, and what it loses."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vidtag_ml.media import encoding, video

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
REAL = (
    "gpmf_parser/hero7_carlsbad_2019-05.mp4",
    "metadata_extractor/video/ducks_nl_location.mp4",
    "metadata_extractor/video/iphone6_rotated90.mov",
    "codecs/av1_video.mkv",
)
MILLISECONDS = (0, 40, 100, 101, 1000, 4000)
SECRET = b"on board the Secret, 52.1 N 4.3 E"


def encode(path, codec="libx264", rotation=None, size=(48, 64), tags=None):
    """Grey frames at uneven times, with sound, tags and a note of ours within the stream."""
    with av.open(str(path), "w") as container:
        container.metadata.update(tags or {})
        stream = container.add_stream(codec, rate=100)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv444p" if size[0] % 2 else "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        if codec == "libx265":
            stream.codec_context.options = {"x265-params": "log-level=none"}
        if rotation is not None:
            stream.set_display_rotation(rotation)
        sound = container.add_stream("aac", rate=16000)
        for k, time_ms in enumerate(MILLISECONDS):
            picture = np.full((*size, 3), 40 * k, np.uint8)
            picture[: size[0] // 2, : size[1] // 2] = 255
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.sample_rate, silence.pts = 16000, 0
        container.mux(sound.encode(silence))
        container.mux(sound.encode())
    return path


def streams(path):
    with av.open(str(path)) as container:
        return [stream.type for stream in container.streams]


def shown(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def times(path):
    with av.open(str(path)) as container:
        times_s = [float(frame.time) for frame in container.decode(video=0)]
    return np.array(times_s) - times_s[0]


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx265"), ("a.mkv", "libsvtav1")]
)
def test_a_copy_has_the_same_pictures_at_the_same_times(tmp_path, name, codec):
    source, copy = encode(tmp_path / name, codec), tmp_path / f"copy-{name}"
    encoding.remux(source, copy)
    assert np.array_equal(shown(copy), shown(source))
    assert times(copy) == pytest.approx(np.array(MILLISECONDS) / 1000)


def test_a_copy_has_neither_sound_nor_tags_nor_notes(tmp_path):
    tags = {"title": SECRET.decode(), "creation_time": "2020-01-01T00:00:00"}
    source, copy = encode(tmp_path / "a.mp4", tags=tags), tmp_path / "b.mp4"
    assert SECRET in source.read_bytes()
    assert b"x264 - core" in source.read_bytes()
    assert streams(source) == ["video", "audio"]
    encoding.remux(source, copy)
    assert streams(copy) == ["video"]
    assert SECRET not in copy.read_bytes()
    assert b"x264 - core" not in copy.read_bytes()
    assert "creation_time" not in video.container(copy).tags


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_both_ways_keep_which_way_is_up(tmp_path, rotation):
    source = encode(tmp_path / "a.mp4", rotation=rotation)
    expected = video.frames_at(source, [0])[0].astype(int)
    encoding.remux(source, tmp_path / "copy.mp4")
    encoding.rewrite(source, tmp_path / "changed.mp4", lambda picture: picture)
    for name in ("copy.mp4", "changed.mp4"):
        found = video.frames_at(tmp_path / name, [0])[0]
        assert found.shape == expected.shape
        assert np.abs(found - expected).mean() < 3


def test_changed_frames_keep_their_times(tmp_path):
    source, changed = encode(tmp_path / "a.mkv", "libx265"), tmp_path / "b.mp4"
    encoding.rewrite(source, changed, lambda picture: 255 - picture)
    assert times(changed) == pytest.approx(np.array(MILLISECONDS) / 1000)
    corner = [picture[-8:, -8:].mean() for picture in shown(changed)]
    assert corner == pytest.approx([255 - 40 * k for k in range(6)], abs=4)
    assert streams(changed) == ["video"]


def test_odd_sides_become_even(tmp_path):
    source = encode(tmp_path / "a.mp4", size=(47, 63))
    encoding.rewrite(source, tmp_path / "b.mp4", lambda picture: picture)
    assert shown(tmp_path / "b.mp4")[0].shape == (48, 64, 3)


def test_equal_videos_become_equal_bytes(tmp_path):
    source = encode(tmp_path / "a.mp4")
    for name in ("b.mp4", "c.mp4"):
        encoding.rewrite(source, tmp_path / name, lambda picture: picture)
        encoding.remux(source, tmp_path / f"copy-{name}")
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "c.mp4").read_bytes()
    assert (tmp_path / "copy-b.mp4").read_bytes() == (tmp_path / "copy-c.mp4").read_bytes()


@pytest.mark.parametrize(
    "write", [encoding.remux, lambda *paths: encoding.rewrite(*paths, lambda picture: picture)]
)
def test_what_is_no_video_is_told_and_leaves_nothing(tmp_path, write):
    source, target = tmp_path / "a.mp4", tmp_path / "out" / "b.mp4"
    source.write_bytes(encode(tmp_path / "whole.mp4").read_bytes()[:600])
    with pytest.raises(video.VideoError, match=r"a\.mp4: cannot be written anew as b\.mp4"):
        write(source, target)
    assert list(tmp_path.glob("out/*")) == []


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the recordings of ../shared/data")
@pytest.mark.parametrize("name", REAL)
def test_copies_of_real_recordings_are_the_same_without_their_tags(tmp_path, name):
    source, copy = SHARED / name, tmp_path / Path(name).name
    encoding.remux(source, copy)
    time_s = [0.0, 1.0, 2.5]
    assert video.probe(copy) == video.probe(source)
    assert np.array_equal(video.frames_at(copy, time_s)[0], video.frames_at(source, time_s)[0])
    told = video.container(copy)
    assert told.tracks == ()
    assert set(told.tags) <= {"major_brand", "minor_version", "compatible_brands", "encoder"}
