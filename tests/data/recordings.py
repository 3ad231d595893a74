"""Own recordings: videos of a pattern with a track beside them, photos with EXIF."""

import datetime as dt
from fractions import Fraction

import av
import numpy as np

from tests.data import telemetry
from vidtag_ml.earth import track_files, tracks
from vidtag_ml.media import encoding

NOON = dt.datetime(2024, 6, 1, 12, tzinfo=dt.UTC)


def film(path, seed=0, num=12, crf=18):
    """A video of a slowly moving pattern, one frame a second."""
    rng = np.random.default_rng(seed)
    pattern = rng.integers(0, 255, (12, 16 + num, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    frames = np.stack([pattern[:, 8 * k : 8 * k + 128] for k in range(num)])
    path.parent.mkdir(parents=True, exist_ok=True)
    encoding.write(path, frames, 1.0, crf)
    return path


def walked(path, num=12, lat=47.0, began=NOON):
    """A GPX track beside a video: a walk to the north."""
    latlon = np.stack([lat + np.arange(num) / 111_195, np.full(num, 8.0)], -1)
    whole = np.arange(num, dtype=float)
    track_files.write_gpx(tracks.Track(path.stem, whole, latlon, latlon, whole / num, began), path)


def recording(folder, name="a", seed=0, lat=47.0, began=NOON):
    """A video, and its track beside it."""
    path = film(folder / f"{name}.mp4", seed)
    walked(path.with_suffix(".gpx"), lat=lat, began=began)
    return path


def photos(folder, num=4, step_s=5.0, lat=47.0, began=NOON, seed=0):
    """Photos of a walk to the north."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(num):
        time = began + dt.timedelta(seconds=k * step_s)
        path = folder / f"{k + 8}.jpg"
        telemetry.jpeg_with_position(path, lat + 1e-5 * k, 8.0, time, seed=seed + k)


def stamped(path, **tags):
    """The same video with tags of its container, for example creation_time; bytes as they were."""
    bare = path.rename(path.with_name(f"bare {path.name}"))
    options = {"movflags": "use_metadata_tags"}
    with av.open(str(bare)) as source, av.open(str(path), "w", "mp4", options) as target:
        target.metadata.update(tags)
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    bare.unlink()
    return path


def with_telemetry(path, payloads):
    """The same video with a track of telemetry, a packet a second."""
    bare = path.rename(path.with_name(f"bare {path.name}"))
    with av.open(str(bare)) as source, av.open(str(path), "w") as target:
        pictures = target.add_stream_from_template(source.streams.video[0])
        data = target.add_data_stream("bin_data")
        data.time_base = Fraction(1, 1000)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = pictures
                target.mux(packet)
        for k, payload in enumerate(payloads):
            packet = av.Packet(payload)
            packet.stream, packet.time_base, packet.duration = data, data.time_base, 1000
            packet.pts = packet.dts = 1000 * k
            target.mux(packet)
    bare.unlink()
    return path
