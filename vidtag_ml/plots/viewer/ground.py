"""What lies under the tracks of the page: Blue Marble, coasts, borders, names of places.

Belongs here: pieces of it for a box of degrees, as JSON has them. Does not belong here: reading
them (vidtag_ml.earth), drawing them (view.js). Shape legend: N points, 2 = (lat, lon) in degrees.
"""

import base64
import functools
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidtag_ml.earth import blue_marble, borders, geonames
from vidtag_ml.earth.borders import Box

Floats = NDArray[np.float64]

WORLD: Box = (-90.0, -180.0, 90.0, 180.0)
_WORLD_PX, _REGION_PX = 1800, 1400
"""Widths, at most."""
_WORLD_NAMES, _REGION_NAMES = 80, 60
_LEAST_DEG = 6.0
"""A region is so high at least: a pixel of Blue Marble is 0.07 degrees."""
_AROUND = 2.5
"""So much larger than its tracks is a region."""
_LEAST_UNITS = 20


@functools.cache
def world() -> dict[str, Any]:
    """The whole Earth, coarsely."""
    return _of(WORLD, _WORLD_PX, 60, 0.4, _WORLD_NAMES)


def region(latlon_N2: Floats) -> dict[str, Any]:
    """What lies around points, whose lons may leave +-180, as finely as it is known."""
    box = around(latlon_N2)
    return _of(box, _REGION_PX, 78, max(0.005, (box[3] - box[1]) / 900), _REGION_NAMES)


def around(latlon_N2: Floats) -> Box:
    """The box that is shown with points, whose lons may leave +-180."""
    low, high = latlon_N2.min(0), latlon_N2.max(0)
    middle, span = (low + high) / 2, (high - low) * _AROUND
    stretch = 1 / max(np.cos(np.radians(middle[0])), 0.1)
    half = np.maximum(span, _LEAST_DEG * np.array([1.0, 1.5 * stretch])) / 2
    half = np.minimum(half, (90.0, 180.0))
    south, north = np.clip([middle[0] - half[0], middle[0] + half[0]], -90, 90)
    return float(south), float(middle[1] - half[1]), float(north), float(middle[1] + half[1])


def _of(box: Box, most_px: int, quality: int, tolerance_deg: float, most: int) -> dict[str, Any]:
    picture, bounds = _picture(box, most_px, quality)
    units = max(_LEAST_UNITS, round(5 / tolerance_deg))
    kinds: tuple[borders.Kind, ...] = ("coasts", "countries")
    return {
        "picture": picture,
        "bounds": bounds,
        "lines": {kind: _packed(borders.lines(kind, box, tolerance_deg), units) for kind in kinds},
        "unitsADegree": units,
        "names": [
            [name, round(lat, 3), round(lon, 3)]
            for name, lat, lon in geonames.largest(*box, most=most)
        ],
    }


def _picture(box: Box, most_px: int, quality: int) -> tuple[str, list[list[float]]]:
    """Blue Marble of a box as a data URL, and the corners of what it shows exactly."""
    texture = blue_marble.blue_marble()
    columns = texture.shape[1]
    cell = 360.0 / columns
    top, bottom = (round((90.0 - lat) / cell) for lat in (box[2], box[0]))
    left, right = (round((lon + 180.0) / cell) for lon in (box[1], box[3]))
    step = -(-(right - left) // most_px)
    bottom, right = (low + max(1, (high - low) // step) * step
                     for low, high in ((top, bottom), (left, right)))  # fmt: skip
    inside = left >= 0 and right <= columns
    across = slice(left, right) if inside else np.arange(left, right) % columns
    words = texture[top:bottom, across]
    corners = [[90.0 - bottom * cell, left * cell - 180.0], [90.0 - top * cell, right * cell - 180]]
    return jpeg(_rgb(words), step, quality), corners


def _rgb(words: NDArray[np.uint32]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(words).view(np.uint8).reshape(*words.shape, 4)[..., :3]


def jpeg(pixels: NDArray[np.uint8], step: int, quality: int) -> str:
    """Pixels (H, W, 3), of which `step` x `step` become one, as a data URL of a JPEG."""
    from PIL import Image

    buffer = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(pixels)).reduce(step)
    image.save(buffer, "JPEG", quality=quality, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _packed(lines: Sequence[Floats], units: int) -> list[list[int]]:
    """Lines in units of a degree: lat, lon, lat, lon ..., each pair less the one before."""
    whole = [np.round(line * units).astype(int) for line in lines]
    return [np.diff(line, axis=0, prepend=[[0, 0]]).ravel().tolist() for line in whole]
