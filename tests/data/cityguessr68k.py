"""Writes a miniature of CityGuessr68k: `python tests/data/cityguessr68k.py FOLDER`.

All 166 labels with four real ones and no gazetteer's, videos of five cities, pictures numbered from
1 without padding, lists whose first field is the video; the folder of one city is spelt otherwise.
The train list may carry what the published one does: text vectors and soft scene labels.
"""

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from vidtag_ml.ingest.published import cityguessr68k

FOLDERS = {
    "Abu_Dhabi": "Abu_Dhabi",
    "Malm": "Malmö",
    "Washington_DC": "Washington_DC",
    "Bogota": "Bogota",
    "Yaounde": "Yaounde",
}
NUM_TRAIN, NUM_VAL, NUM_FRAMES = 4, 2, 11


def make(
    folder: Path,
    num_train: int = NUM_TRAIN,
    num_frames: int = NUM_FRAMES,
    *,
    scenes: bool = False,
) -> None:
    """Each city has `num_train` train videos and two val videos of `num_frames` pictures."""
    rng = np.random.default_rng(0)
    (folder / "meta").mkdir(parents=True)
    with (folder / "meta" / "labels_list.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["City", "State", "Country", "Continent"])
        for city, row in cityguessr68k.centres().iterrows():
            writer.writerow([city, row["state"], row["country"], continent(row["continent"])])
    for split, first, num in (("train", 0, num_train), ("val", num_train, NUM_VAL)):
        names = [f"{city}_{k:04d}" for city in FOLDERS for k in range(first, first + num)]
        for name in names:
            city = FOLDERS[name.rpartition("_")[0]]
            pictures(folder / split / city / name, rng, num_frames)
        lines = [f"{name},{k},{k},{k},{k}" for k, name in enumerate(names)]
        if scenes and split == "train":
            lines = [f"{line},{text_and_scenes(k)}" for k, line in enumerate(lines)]
        (folder / "meta" / f"{split}_labels_w_scenes.txt").write_text("\n".join([*lines, ""]))


def continent(name):
    """Codes of two letters: North America is "NA"."""
    return "".join(word[0] for word in name.split()) if " " in name else name


def text_and_scenes(k):
    """512 values of a text vector and 16 probabilities of scenes, as a line's fields."""
    rng = np.random.default_rng(k)
    values = [*rng.normal(0, 0.05, 512), *rng.dirichlet(np.full(16, 0.3))]
    return ",".join(f"{value:.6f}" for value in values)


def pictures(folder, rng, num):
    """Pictures 1.jpg, 2.jpg ... which get brighter."""
    folder.mkdir(parents=True)
    tint = rng.integers(0, 100, 3)
    for k in range(1, num + 1):
        pixels = np.full((36, 64, 3), tint + 8 * k, np.uint8)
        Image.fromarray(pixels).save(folder / f"{k}.jpg")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
