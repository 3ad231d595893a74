"""Writes a miniature of comma2k19 in its published layout: `python tests/data/comma2k19.py FOLDER`.

Drives along one road; some folders have a pipe in their name and global_pose, some an underscore
and global_pos; arrays without a suffix; raw HEVC streams, which have a rate but no times. One
segment has no poses, and one has no position at all.
"""

import io
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from vidtag_ml.earth import sphere

NUM_DRIVES, NUM_SEGMENTS, SECONDS = 4, 2, 2
PER_SECOND, BOOT_S, UTC_MS = 20, 46408.5475, 1_533_226_488_000
SIZE = (64, 96)
START_METRES = (-2712087.51680896, -4261670.05595519, 3881014.4539217)
METRES_A_SECOND = (5.0, 8.0, 13.0)
RECEIVER_S = 0.1
UNPOSED, UNPLACED = (0, 1), (1, 1)


def make(
    folder: Path,
    num_drives: int = NUM_DRIVES,
    num_segments: int = NUM_SEGMENTS,
    seconds: int = SECONDS,
) -> None:
    """`num_drives` of `num_segments`, each of which lasts `seconds`."""
    stream = hevc(seconds)
    for drive in range(num_drives):
        mark, pose = ("|", "global_pose") if drive % 2 == 0 else ("_", "global_pos")
        name = f"b0c9d2329ad1606b{mark}2018-08-{drive + 1:02}--08-34-47"
        for k in range(num_segments):
            segment = folder / f"Chunk_{drive % 2 + 1}" / name / str(k)
            segment.mkdir(parents=True)
            (segment / "video.hevc").write_bytes(stream)
            time_s = np.arange(seconds * PER_SECOND) / PER_SECOND
            metres = START_METRES + (time_s[:, None] + 60 * k) * np.array(METRES_A_SECOND)
            boot_s = time_s + BOOT_S + 60 * k
            if (drive, k) not in (UNPOSED, UNPLACED):
                store(segment / pose / "frame_times", boot_s)
                store(segment / pose / "frame_positions", metres)
            if (drive, k) != UNPLACED:
                received(segment / "processed_log/GNSS/live_gnss_ublox", boot_s, metres)


def received(folder, boot_s, metres):
    """Ten fixes a second: lat, lon, speed, UTC in milliseconds, altitude, bearing."""
    boot_s, place = boot_s[::2] + RECEIVER_S, sphere.from_earth_centred(metres[::2])
    others = [16.1, UTC_MS, 2.1]
    value = np.column_stack([place[:, :2], *np.tile(others, (len(place), 1)).T, place[:, 2]])
    store(folder / "t", boot_s)
    store(folder / "value", value[:, [0, 1, 2, 3, 5, 4]])


def store(path, numbers):
    """A NumPy file under a name without a suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.save(file, numbers)


def hevc(seconds):
    """A raw stream whose k-th frame is k shades of grey brighter than black."""
    stored = io.BytesIO()
    with av.open(stored, "w", format="hevc") as container:
        stream = container.add_stream("libx265", rate=PER_SECOND)
        stream.height, stream.width = SIZE
        stream.pix_fmt = "yuv420p"
        stream.options = {"x265-params": "log-level=none:keyint=20"}
        for k in range(seconds * PER_SECOND):
            frame = av.VideoFrame.from_ndarray(np.full((*SIZE, 3), k, np.uint8), format="rgb24")
            frame.pts, frame.time_base = k, Fraction(1, PER_SECOND)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return stored.getvalue()


if __name__ == "__main__":
    make(Path(sys.argv[1]))
