"""Tests of vidtag_ml.media.video."""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import decord
import numpy as np
import pytest

from vidtag_ml.media import encoding, fingerprint, video
from vidtag_ml.workflow import stage

_ROOT = Path(__file__).parents[3]
_ENCODE = """
import sys, pathlib, numpy as np
from vidtag_ml.media import encoding
frames = np.random.default_rng(3).integers(0, 60, (8, 96, 96, 3)).astype(np.uint8)
frames += np.arange(96, dtype=np.uint8)[:, None]
encoding.write(pathlib.Path(sys.argv[1]), frames, 1.0)
"""


def _frames(num: int = 30, height: int = 64, width: int = 96):
    y, x = np.mgrid[:height, :width]
    pictures = [np.stack([x + 5 * k, y + 2 * k, x * 0 + 4 * k], -1) % 256 for k in range(num)]
    return np.array(pictures, np.uint8)


def _encode(path, frames, codec="libx264", rotation=None, **options):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.options = options
        if rotation is not None:
            stream.set_display_rotation(rotation)
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def _all_frames(path):
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return np.stack(
            [np.rot90(f.to_ndarray(format="rgb24"), round(f.rotation / 90)) for f in frames]
        )


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.mp4"
    encoding.write(path, _frames(20), 2.0)
    return path


def test_probe_tells_what_was_written(clip):
    expected = video.Probe(20, 10.0, 2.0, 96, 64, "h264", "decord")
    assert video.probe(clip) == expected


def test_written_frames_come_back(clip):
    frames, decoder = video.frames_at(clip, np.arange(20) / 2.0)
    assert decoder == "decord"
    assert frames.shape == (20, 64, 96, 3)
    assert np.abs(frames.astype(float) - _frames(20)).mean() < 8


def test_decord_and_pyav_return_the_same_pictures(tiny_world):
    for path in sorted((tiny_world / "videos").glob("*.mp4"))[:4]:
        frames, decoder = video.frames_at(path, np.arange(8))
        assert decoder == "decord"
        assert np.array_equal(frames, _all_frames(path))


@pytest.mark.parametrize(
    ("name", "codec", "decoder"),
    [
        ("a.mp4", "libx264", "decord"),
        ("a.mkv", "libx264", "decord"),
        ("a.avi", "mpeg4", "decord"),
        ("a.webm", "libvpx-vp9", "decord"),
        ("a.ts", "libx264", "pyav"),
        ("a.avi", "libx264", "pyav"),
    ],
)
def test_frames_are_those_shown_at_the_time(tmp_path, name, codec, decoder):
    path = tmp_path / name
    _encode(path, _frames(), codec, g="12")
    for wanted, expected in ((np.arange(30), decoder), (np.array([0, 11, 12, 25, 29]), "pyav")):
        frames, used = video.frames_at(path, wanted / 30)
        assert used == expected
        assert np.array_equal(frames, _all_frames(path)[wanted])


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", {"bf": "0"}),
        ("libx264", {"bf": "4", "x264-params": "open-gop=1:b-pyramid=normal"}),
        ("libx265", {"x265-params": "log-level=none:open-gop=1:bframes=4"}),
        ("mpeg4", {"bf": "2"}),
    ],
)
@pytest.mark.parametrize("indices", [[0, 1, 29], [13], [5, 12, 24], [11, 12, 23, 24], range(30)])
def test_seeking_leads_to_the_right_frames(tmp_path, codec, options, indices):
    path = tmp_path / "a.mkv"
    _encode(path, _frames(), codec, g="12", **options)
    with av.open(str(path)) as container:
        found = list(video._by_seeking(container, video._index_of(path), np.array(indices)))
        pictures = [frame.to_ndarray(format="rgb24") for frame in found]
    assert np.array_equal(pictures, _all_frames(path)[np.array(indices)])


def test_seeking_decodes_only_what_the_frames_need(tmp_path):
    path = tmp_path / "a.mp4"
    _encode(path, _frames(90), g="30", bf="0")
    index = video._index_of(path)
    with av.open(str(path)) as container:
        container.seek(int(index.pts[30]), stream=container.streams.video[0])
        frames = list(video._decoded(container, "h264", {int(index.pts[40])}))
    assert [frame.pts for frame in frames] == index.pts[30:41].tolist()


def test_frames_are_counted_where_seeking_does_not_lead(tmp_path):
    path = tmp_path / "refreshed.mp4"
    _encode(path, _frames(90), g="30", **{"x264-params": "intra-refresh=1"})
    with av.open(str(path)) as container:
        assert not list(video._by_seeking(container, video._index_of(path), np.array([70])))
    assert np.array_equal(video.frames_at(path, [70 / 30])[0], _all_frames(path)[[70]])


@pytest.mark.parametrize("rotation", [90, -90, 180])
def test_rotated_recordings_are_upright(tmp_path, rotation):
    path = tmp_path / "phone.mp4"
    _encode(path, _frames(), rotation=rotation)
    expected = (64, 96) if rotation == 180 else (96, 64)
    assert (video.probe(path).height, video.probe(path).width) == expected
    frames, _ = video.frames_at(path, [0.0, 0.5])
    assert np.array_equal(frames, _all_frames(path)[[0, 15]])
    whole, decoder = video.frames_at(path, np.arange(30) / 30)
    assert decoder == "decord"
    assert np.array_equal(frames, whole[[0, 15]])


def test_a_frame_is_shown_until_the_next(clip):
    frames, _ = video.frames_at(clip, [-1.0, 0.49, 0.5, 100.0])
    expected, _ = video.frames_at(clip, [0.0, 0.0, 0.5, 9.5])
    assert np.array_equal(frames, expected)


@pytest.mark.parametrize("step", [1, 4])
def test_batches_give_the_same_frames_in_any_order(clip, step):
    time_s = np.array([5.0, 0.0, 5.0, 5.0, 9.0, *np.arange(0.5, 10, 0.5)])[::step]
    parts = [frames for frames, _ in video.batches_at(clip, time_s, 2)]
    assert {len(part) for part in parts[:-1]} == {2}
    shown = (time_s * 2).astype(int)
    assert np.array_equal(np.concatenate(parts), _all_frames(clip)[shown])


@pytest.mark.parametrize(("fps", "expected"), [(1.0, 10), (2.0, 20), (0.05, 1), (0.3, 3)])
def test_sample_times_start_at_zero_and_end_before_the_end(clip, fps, expected):
    time_s = video.sample_times(clip, fps)
    assert len(time_s) == expected
    assert time_s[0] == 0.0
    assert np.allclose(np.diff(time_s), 1 / fps)


def test_sample_times_need_a_positive_rate(clip):
    with pytest.raises(ValueError, match="frames_per_second is 0"):
        video.sample_times(clip, 0)


def test_equal_frames_give_equal_bytes_whatever_memory_held_before(tmp_path):
    digests = set()
    for filling in ("1", "170"):
        path = tmp_path / f"{filling}.mp4"
        environment = {**os.environ, "MALLOC_PERTURB_": filling}
        command = [sys.executable, "-c", _ENCODE, str(path)]
        subprocess.run(command, check=True, env=environment, cwd=_ROOT)
        digests.add(stage.digest(path))
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("name", "share", "reason"),
    [
        ("a.mp4", 0.6, "cut off before its index"),
        ("a.mp4", 0.0, "empty"),
        ("fast.mp4", 0.6, r"truncated: \d+ of \d+ bytes"),
        ("a.mkv", 0.5, "truncated: ends at"),
    ],
)
def test_truncated_files_are_refused_by_name(tmp_path, name, share, reason):
    path = tmp_path / name
    _encode(path, np.random.default_rng(0).integers(0, 255, (90, 64, 96, 3)).astype(np.uint8))
    if name == "fast.mp4":
        with (
            av.open(str(path)) as source,
            av.open(str(tmp_path / "moved.mp4"), "w", options={"movflags": "faststart"}) as copy,
        ):
            stream = copy.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    copy.mux(packet)
        path = tmp_path / "moved.mp4"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(video.VideoError, match=f"{path.name}.*{reason}"):
        video.frames_at(path, [0.0])


def test_what_is_no_video_is_refused_by_name(tmp_path):
    text, sound = tmp_path / "notes.mp4", tmp_path / "sound.mp4"
    text.write_text("not a video" * 100)
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.rate = 8000
        container.mux([*stream.encode(frame), *stream.encode()])
    for path, reason in (
        (text, "not a video"),
        (sound, "no video stream"),
        (tmp_path / "gone.mp4", "no such file"),
        (tmp_path, "folder"),
    ):
        with pytest.raises(video.VideoError, match=f"{path.name}.*{reason}"):
            video.probe(path)


@pytest.mark.parametrize("shape", [(0, 64, 96, 3), (2, 63, 96, 3), (2, 64, 96, 4), (64, 96, 3)])
def test_frames_that_cannot_be_written_are_refused(tmp_path, shape):
    with pytest.raises(ValueError, match=r"bad\.mp4"):
        encoding.write(tmp_path / "bad.mp4", np.zeros(shape, np.uint8), 1.0)
    assert not list(tmp_path.iterdir())


def test_pyav_takes_over_when_decord_fails_on_the_way(clip, monkeypatch):
    time_s = np.arange(20) / 2
    expected, _ = video.frames_at(clip, time_s)
    get_batch = decord.VideoReader.get_batch

    def fail_later(reader, indices):
        if 10 in indices:
            raise decord.DECORDError("broken")
        return get_batch(reader, indices)

    monkeypatch.setattr(decord.VideoReader, "get_batch", fail_later)
    batches = list(video.batches_at(clip, time_s, 4))
    assert [decoder for _, decoder in batches] == ["decord"] * 2 + ["pyav"] * 3
    assert np.array_equal(np.concatenate([frames for frames, _ in batches]), expected)


def _with_telemetry(path, payloads):
    with av.open(str(path), "w") as container:
        pictures, data = container.add_stream("libx264", rate=10), None
        pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuv420p"
        data = container.add_data_stream("bin_data")
        data.time_base = Fraction(1, 1000)
        container.metadata.update(location="+33.1267-117.3274/", title="recorder")
        for k, payload in enumerate(payloads):
            frame = av.VideoFrame.from_ndarray(_frames(1, 64, 64)[0], format="rgb24")
            container.mux(pictures.encode(frame))
            packet = av.Packet(payload)
            packet.stream, packet.time_base = data, data.time_base
            packet.pts = packet.dts = 100 * k
            packet.duration = 100
            container.mux(packet)
        container.mux(pictures.encode())


def test_a_container_tells_its_tags_and_the_packets_of_its_data_tracks(tmp_path):
    _with_telemetry(tmp_path / "ride.mp4", [b"one", b"two", b"three"])
    found = video.container(tmp_path / "ride.mp4")
    assert found.tags["location"] == "+33.1267-117.3274/"
    (track,) = found.tracks
    assert [packet.data for packet in track] == [b"one", b"two", b"three"]
    assert np.allclose([packet.time_s for packet in track], [0.0, 0.1, 0.2])
    assert np.allclose([packet.duration_s for packet in track], 0.1)


def _ride(path):
    """Ten seconds at ten frames a second, a key a second, and a packet of telemetry a second."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("libx264", rate=10, options={"g": "10", "bf": "0"})
        pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuv420p"
        data = container.add_data_stream("bin_data")
        data.time_base = Fraction(1, 1000)
        for k, pixels in enumerate(_frames(100, 64, 64)):
            if k % 10 == 0:
                packet = av.Packet(b"second %d" % (k // 10))
                packet.stream, packet.time_base, packet.duration = data, data.time_base, 1000
                packet.pts = packet.dts = 100 * k
                container.mux(packet)
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(pictures.encode())


def _cut(path, target, start_s):
    """A lossless cut as FFmpeg's `-ss ... -c copy`: from the key before, with an edit list."""
    with av.open(str(path)) as source, av.open(str(target), "w") as container:
        streams = [container.add_stream_from_template(stream) for stream in source.streams]
        for packet in source.demux():
            if packet.dts is None or packet.pts * packet.time_base < int(start_s):
                continue
            packet.pts -= round(start_s / packet.time_base)
            packet.dts = packet.pts
            packet.stream = streams[packet.stream_index]
            container.mux(packet)


@pytest.mark.parametrize(("start_s", "first_s"), [(3.3, -0.3), (3.75, -0.8), (3.0, 0.0)])
def test_an_edit_list_shifts_telemetry_as_it_shifts_pictures(tmp_path, start_s, first_s):
    _ride(tmp_path / "ride.mp4")
    _cut(tmp_path / "ride.mp4", tmp_path / "cut.mp4", start_s)
    (track,) = video.container(tmp_path / "cut.mp4").tracks
    assert [packet.data for packet in track] == [b"second %d" % k for k in range(3, 10)]
    assert np.allclose([packet.time_s for packet in track], np.arange(7) + first_s, atol=2e-3)


def test_tags_of_another_encoding_do_not_hide_a_video(tmp_path):
    path = tmp_path / "ride.mp4"
    _with_telemetry(path, [b"one"])
    path.write_bytes(path.read_bytes().replace(b"recorder", "行车记录".encode("gb18030")))
    with pytest.raises(UnicodeDecodeError):
        av.open(str(path))
    assert video.container(path).tags["location"] == "+33.1267-117.3274/"
    assert video.probe(path).num_frames == 1


def test_a_container_without_data_has_no_tracks(clip):
    assert video.container(clip).tracks == ()


def test_a_fingerprint_is_of_frames_spread_over_those_that_are_sampled(clip):
    found = fingerprint.fingerprint(clip, 2.0)
    assert found.time_s[[0, -1]].tolist() == [0.0, 9.5]
    assert set(found.time_s) <= set(video.sample_times(clip, 2.0))
    assert found.hashes.shape == found.time_s.shape == (16,)
    assert found.hashes.dtype == np.uint64
    assert found.decoder == "decord"


def _differing_bits(first, second):
    return np.bitwise_count(
        fingerprint.fingerprint(first, 1.0).hashes ^ fingerprint.fingerprint(second, 1.0).hashes
    )


def test_near_duplicates_differ_in_few_bits_and_other_videos_in_many(tmp_path):
    drawn = np.random.default_rng(0)
    scene, other = drawn.integers(0, 255, (2, 8, 8, 8, 3), np.uint8).repeat(12, 2).repeat(12, 3)
    for name, frames, crf in (("a", scene, 18), ("copy", scene // 2 + 40, 33), ("b", other, 18)):
        encoding.write(tmp_path / f"{name}.mp4", frames, 1.0, crf)
    assert _differing_bits(tmp_path / "a.mp4", tmp_path / "copy.mp4").max() <= 4
    assert _differing_bits(tmp_path / "a.mp4", tmp_path / "b.mp4").min() >= 16


@pytest.mark.parametrize("size", [(2, 2), (8, 10), (97, 31)])
def test_a_hash_sees_which_areas_grow_brighter_to_the_right(size):
    height, width = size
    ramp = np.broadcast_to((np.arange(width) * 2)[None, :, None], (height, width, 3)).astype(
        np.uint8
    )
    assert fingerprint.difference_hash(ramp[:, ::-1]) == 0
    assert fingerprint.difference_hash(ramp).item().bit_count() == 8 * min(8, width - 1)


def test_a_damaged_frame_is_found_only_if_sampling_needs_it(tmp_path):
    path = tmp_path / "damaged.mp4"
    _encode(path, _frames(120), g="30", bf="0")
    with av.open(str(path)) as container:
        packet = list(container.demux(video=0))[45]
        at, size = packet.pos, packet.size
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + b"\xff" * size + whole[at + size :])
    assert len(fingerprint.fingerprint(path, 1.0).hashes) == 4
    with pytest.raises(video.VideoError, match=r"damaged\.mp4: frames from 1\.50 s on cannot"):
        fingerprint.fingerprint(path, 2.0)
