"""Writes a miniature of MSLS in its published layout: `python tests/data/msls.py FOLDER`.

Two train cities, a val city and a test city without coordinates; tables in the published columns,
rows in no order of frames, one city with the README's name of the sequence column.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image

CITIES = {
    "zurich": (47.37, 8.54),
    "tokyo": (35.68, 139.76),
    "sf": (37.77, -122.42),
}
TEST_CITIES = ("miami",)
SIDES = ("query", "database")
NUM_SEQUENCES, NUM_FRAMES = 4, 6
SUBTASKS = ("all", "s2w", "w2s", "o2n", "n2o", "d2n", "n2d")


def make(folder: Path, num_sequences: int = NUM_SEQUENCES, num_frames: int = NUM_FRAMES) -> None:
    """Each side of a city has `num_sequences`; each of them `num_frames` and a panorama."""
    rng = np.random.default_rng(0)
    for city, place in CITIES.items():
        column = "sequence_id" if city == "tokyo" else "sequence_key"
        for side in SIDES:
            rows = photos(rng, np.array(place), num_sequences, num_frames)
            side_of(folder / "train_val" / city / side, rng, rows, column)
    for city in TEST_CITIES:
        for side in SIDES:
            rows = photos(rng, np.zeros(2), 1, num_frames)
            side_of(folder / "test" / city / side, rng, rows, None)


def photos(rng, place, num_sequences, num_frames):
    """Rows of (key, sequence, frame number, lat, lon, panorama), shuffled."""
    rows = []
    for _ in range(num_sequences):
        sequence, first = key(rng), int(rng.integers(1, 100))
        start, step = place + rng.normal(0, 0.01, 2), rng.normal(0, 1e-4, 2)
        for k in range(num_frames + 1):
            lat, lon = start + k * step
            rows.append((key(rng), sequence, first + k, lat, lon, k == num_frames // 2))
    return [rows[k] for k in rng.permutation(len(rows))]


def key(rng):
    """A random key in Mapillary's alphabet of that time."""
    letters = list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
    return "".join(rng.choice(letters, 22))


def side_of(folder, rng, rows, column):
    """Pictures and tables of one side of a city; without `column` those of a test city."""
    (folder / "images").mkdir(parents=True)
    for name, *_ in rows:
        pixels = rng.integers(0, 255, (24, 32, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{name}.jpg")
    sequences = [(r[0], r[1], r[2]) for r in rows]
    table(folder / "seq_info.csv", ["key", column or "sequence_key", "frame_number"], sequences)
    flags = [(True, *[False] * (len(SUBTASKS) - 1)) for _ in rows]
    table(folder / "subtask_index.csv", list(SUBTASKS), flags)
    if column is None:
        return
    raw = [(r[0], f"{r[4]:.7f}", f"{r[3]:.7f}", 90.0, "2019-05-01", r[5]) for r in rows]
    table(folder / "raw.csv", ["key", "lon", "lat", "ca", "captured_at", "pano"], raw)
    utm = ["key", "easting", "northing", "unique_cluster", "night", "control_panel"]
    processed = [
        (r[0], 465000.0, 5247000.0, k, False, False, "Forward") for k, r in enumerate(rows)
    ]
    table(folder / "postprocessed.csv", [*utm, "view_direction"], processed)


def table(path, header, rows):
    """A CSV file with an unnamed first column that counts rows, as published."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["", *header])
        writer.writerows([k, *row] for k, row in enumerate(rows))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
