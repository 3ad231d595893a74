"""Three made-up streets: two were recorded and are driven again, the third is driven alone."""

import dataclasses
import zlib

import numpy as np
import pandas as pd
from PIL import Image
from scipy.ndimage import gaussian_filter

from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.earth import sphere

STEP_M, STEP_PX, HEIGHT, WIDTH = 10.0, 24, 120, 160
STARTS = {"oak": (48.0, 11.0), "elm": (48.05, 11.0), "ash": (48.1, 11.0)}
DRIVES = {
    "oak_monday": ("oak", "train", 0.0), "elm_monday": ("elm", "train", 0.0),
    "oak_friday": ("oak", "val", 0.5), "ash_friday": ("ash", "val", 0.5),
    "elm_friday": ("elm", "test", 0.3),
}  # fmt: skip
"""Drive -> its street, its split, and by which share of a step its frames lie further on."""
FRAMES = 8


def street(name):
    """What is seen along a street, from its first metre to its last."""
    noise = np.random.default_rng(zlib.crc32(name.encode())).normal(size=(HEIGHT, 500, 3))
    smooth = gaussian_filter(noise, (1.5, 1.5, 0))
    return np.uint8(np.clip(128 + 60 * smooth / smooth.std(), 0, 255))


def frame(name, step):
    """The view after some steps along a street."""
    left = round(step * STEP_PX)
    return street(name)[:, left : left + WIDTH]


def position(name, step):
    """Streets lead east."""
    return sphere.destination(STARTS[name], 90.0, step * STEP_M / 1000)


def write(folder):
    """Their frames as pictures, with the tables of own recordings."""
    clips, fixes, frames = [], [], []
    for clip, (name, split, shift) in DRIVES.items():
        (folder / clip).mkdir(parents=True)
        for k in range(FRAMES):
            file = f"{clip}/{k}.png"
            Image.fromarray(frame(name, k + shift)).save(folder / file)
            frames.append({"clip_id": clip, "frame_index": k, "file": file, "time_s": float(k)})
            lat, lon = position(name, k + shift)
            fix = {"clip_id": clip, "time_s": float(k), "lat": lat, "lon": lon}
            fixes.append(fix | {"fix_source": "exif", "fix_type": "3d", "status": "measured"})
        about = {"clip_id": clip, "video_path": clip, "kind": "frames", "num_frames": FRAMES}
        about |= {"mode": "car", "split": split, "group_id": clip, "content_md5": clip}
        clips.append({"dataset": "streets", "duration_s": float(FRAMES), "fps": 1.0} | about)
    made = [
        pd.DataFrame(rows, columns=list(columns))
        for rows, columns in (
            (clips, clip_tables.CLIP_COLUMNS),
            (fixes, clip_tables.FIX_COLUMNS),
            (frames, clip_tables.FRAME_COLUMNS),
        )
    ]
    made[0][["width", "height"]] = WIDTH, HEIGHT
    clip_tables.write(folder, clip_tables.Tables(*made))


def adapted(params):
    """Params of own recordings with one small encoder."""
    return dataclasses.replace(
        params,
        clips=dataclasses.replace(params.clips, source="recordings"),
        features=dataclasses.replace(params.features, encoders=("small",)),
        revisit=dataclasses.replace(params.revisit, encoder="small", num_keypoints=150),
    )
