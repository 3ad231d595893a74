"""Writes a miniature of an image benchmark: `python tests/data/images.py FOLDER [LAYOUT]`.

Layouts: im2gps3k (headers LON and LAT swapped, as in one published version), yfcc4k (info.txt with
tabs and no header) and gws15k (path, lat, lon beside the pictures).
"""

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image

LAYOUTS = ("im2gps3k", "yfcc4k", "gws15k")
PLACES = (
    (32.325436, -64.764404),
    (-33.8568, 151.2153),
    (48.8584, 2.2945),
    (-22.5609, 17.0658),
    (21.3069, -157.8583),
)


def make(folder: Path, layout: str = "im2gps3k") -> None:
    """A picture for each of the `PLACES`; the name of one reads like a missing value."""
    {"im2gps3k": im2gps3k, "yfcc4k": yfcc4k, "gws15k": gws15k}[layout](folder)


def im2gps3k(folder):
    """A table whose columns LON and LAT hold latitudes and longitudes."""
    names = pictures(folder / "im2gps3ktest", [*(f"{k}_6df0.jpg" for k in range(4)), "NA.jpg"])
    header = ["IMG_ID", "AUTHOR", "LON", "LAT", "S3_Label", "Prob_indoor"]
    rows = [(name, "NA", *place, 1, 0.1) for name, place in zip(names, PLACES, strict=True)]
    table(folder / "im2gps3k_places365.csv", [header, *rows])


def yfcc4k(folder):
    """A table with tabs, 15 columns and no header; free text has quotes."""
    ids = [str(4_000_000_000 + k) for k in range(len(PLACES))]
    pictures(folder / "images", [f"{photo}.jpg" for photo in ids])
    lines = []
    for photo, (lat, lon) in zip(ids, PLACES, strict=True):
        texts = ["x"] * 7 + ['a "quoted', "NA", "", ""]
        lines.append("\t".join(["0", photo, *texts[1:], str(lon), str(lat), "16"]))
    (folder / "info.txt").write_text("\n".join(lines) + "\n")


def gws15k(folder):
    """A table beside its pictures."""
    names = pictures(folder, [f"gsv_{k}.jpg" for k in range(len(PLACES))])
    rows = [(name, *place) for name, place in zip(names, PLACES, strict=True)]
    table(folder / "metadata.csv", [("path", "lat", "lon"), *rows])


def pictures(folder, names):
    """Random pictures of these names."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(rng.integers(0, 255, (24, 32, 3), np.uint8)).save(folder / name)
    return names


def table(path, rows):
    """A CSV file."""
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    make(Path(sys.argv[1]), *sys.argv[2:3])
