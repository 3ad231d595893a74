"""Picture files as arrays.

Belongs here: which kinds are opened, reading one upright. Does not belong here: videos (video.py),
blurring (privacy.py).
"""

import functools
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF")
"""Kinds of pictures, as Pillow names them."""
_HEAD_BYTES = 65536
_HEIF_ITEM = re.compile(rb"infe\x02.{7}(.{4})", re.DOTALL)
"""The kind of an item, on which pi-heif 1.4 crashes where it is damaged."""


def opened(path: Path) -> "Image.Image":
    """A picture of one of `FORMATS`, whatever its name says; Pillow decodes it when it is asked.

    Raises:
        OSError: it is no such picture.
    """
    from PIL import Image

    _learn_heif()
    with path.open("rb") as file:
        kinds = _HEIF_ITEM.findall(file.read(_HEAD_BYTES))
    if not all(kind.isascii() for kind in kinds):
        raise OSError("the list of what is in it is damaged")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(path, formats=FORMATS)


def halve(image: "Image.Image") -> bool:
    """Has an opened JPEG of very many pixels decoded at half its size; says whether it is so.

    Very many are those from which Pillow warns, 89 million.

    Raises:
        ValueError: a picture of so many pixels is no JPEG; says what to do.
    """
    from PIL import Image

    if image.width * image.height <= (Image.MAX_IMAGE_PIXELS or np.inf):
        return False
    image.draft(None, (image.width // 2, image.height // 2))
    if image.width * image.height > (Image.MAX_IMAGE_PIXELS or np.inf):
        megapixels = f"{image.width * image.height / 1e6:.0f} megapixels"
        raise ValueError(f"it has {megapixels}: save it smaller, or as JPEG")
    return True


@functools.cache
def _learn_heif() -> None:
    """Lets Pillow open HEIC, which iPhones write."""
    import pi_heif

    pi_heif.register_heif_opener()


def picture(path: Path) -> NDArray[np.uint8]:
    """A photo (H, W, 3), turned upright as its EXIF says; at half its size if that is very large.

    Raises:
        ValueError: it is very large and no JPEG.
    """
    from PIL import ImageOps

    with opened(path) as image:
        halve(image)
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))
