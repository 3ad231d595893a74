"""Writes a miniature of BDD100K with GAMa's lists: `python tests/data/bdd100k.py FOLDER`.

Info files with times in milliseconds, -1 where speed or course is missing; videos as folders of
pictures from 0000.png at 30 a second, or as video files. One listed video has no position, and one
video is on no list. If asked for, GAMa's aerial images too, of a scene that is the same in all of
them: centred tiles, the 49 uncentred tiles and the large image of each video that has positions.
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from vidtag_ml.earth import slippy
from vidtag_ml.media import encoding

NUM_TRAIN, NUM_VAL, SECONDS = 8, 3, 4
PER_SECOND, START_MS = 30, 1_506_800_843_701
SIZE = (18, 32)
ZOOM, TILE, ACROSS = 19, 32, 7
PLACES = ((40.75, -73.98), (37.77, -122.42), (32.08, 34.78))


def make(
    folder: Path,
    *,
    videos: bool = False,
    aerial: bool = False,
    num_train: int = NUM_TRAIN,
    seconds: int = SECONDS,
) -> None:
    """With `videos` each video is a file, else a folder with a picture for each of its frames."""
    rng = np.random.default_rng(0)
    lists = {"train": [], "val": []}
    for split, num in (("train", num_train + 2), ("val", NUM_VAL)):
        for k in range(num):
            name = "".join(rng.choice(list("0123456789abcdef"), 8)) + f"-{k:08x}"
            unknown = split == "train" and k == num_train
            path = folder / "info" / split / f"{name}.json"
            points = info(path, rng, name, PLACES[k % 3], unknown, seconds)
            if aerial and points:
                as_seen_from_above(folder / "satelite_data", split, name, points)
            media = folder / "video_data" / split / f"{name}.mov"
            (as_video if videos else as_pictures)(media, rng, seconds)
            lists[split].append(name)
    num_frames = seconds * PER_SECOND
    train = "".join(f"{name} {num_frames}\n" for name in lists["train"][:-1])
    (folder / "train.list").write_text(train)
    (folder / "train_day.list").write_text(train.splitlines(keepends=True)[0])
    (folder / "val_day_vid.list").write_text("".join(f"{name}\n" for name in lists["val"]))


def info(path, rng, name, place, unknown, seconds):
    """The info file of one video: a fix a second, from 0.2 s before its start."""
    start = np.array(place) + rng.normal(0, 0.01, 2)
    step = np.array([1.0, 0.5]) * 1e-4
    points = []
    for k in range(0 if unknown else seconds + 2):
        lat, lon = start + k * step
        time_ms = START_MS - 200 + 1000 * k
        moves = {"speed": 11.2, "course": 26.5} if k else {"speed": -1, "course": -1}
        points.append({"timestamp": time_ms, "latitude": lat, "longitude": lon, **moves})
    turn = {"x": 0.01, "y": -0.98, "z": 0.1, "timestamp": START_MS}
    content = {
        "id": name,
        "rideID": name,
        "filename": f"{name}.mov",
        "startTime": START_MS,
        "endTime": START_MS + 1000 * seconds,
        "timelapse": False,
        "locations": points,
        "gps": [],
        "accelerometer": [turn] * 3,
        "gyro": [turn] * 3,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return [(point["latitude"], point["longitude"]) for point in points]


def as_seen_from_above(folder, split, name, points):
    """A centred tile for each point, the tiles of the video's region, and the region as a whole."""
    latlon = np.array(points)
    for k, xy in enumerate(slippy.plane(latlon) * 2**ZOOM):
        save(folder / f"{split}_gps" / name / f"{k:02d}.jpeg", ground(xy - 0.5, 1))
    numbers = slippy.square(slippy.middle(latlon, ZOOM), ACROSS, ZOOM)
    for x, y in numbers:
        save(folder / split / name / f"{x}_{y}.jpeg", ground((x, y), 1))
    save(folder / f"{split}_hr" / f"{name}.jpeg", ground(numbers[0], ACROSS))


def ground(first, across):
    """Colours that change slowly with the place, of a square of tiles from its north-west on."""
    steps = (np.arange(across * TILE) + 0.5) / TILE
    x, y = np.meshgrid(first[0] % 1000 + steps, first[1] % 1000 + steps)
    waves = [np.sin(x * 1.1) * np.cos(y * 0.7), np.sin(x * 0.3 + y * 0.9), np.cos(x * 0.5 - y)]
    return (127.5 + 100 * np.stack(waves, -1)).astype(np.uint8)


def save(path, pixels):
    """A JPEG of high quality."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=95)


def as_pictures(folder, rng, seconds):
    """A numbered picture for each frame."""
    folder.mkdir(parents=True)
    for k, pixels in enumerate(frames(rng, seconds)):
        Image.fromarray(pixels).save(folder / f"{k:04d}.png", compress_level=1)


def as_video(path, rng, seconds):
    """A video file of the same frames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    encoding.write(path, frames(rng, seconds), PER_SECOND)


def frames(rng, seconds):
    """Frames that drift from one random picture to another."""
    first, last = rng.integers(0, 255, (2, *SIZE, 3)).astype(float)
    part = np.linspace(0, 1, seconds * PER_SECOND)[:, None, None, None]
    return ((1 - part) * first + part * last).astype(np.uint8)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
