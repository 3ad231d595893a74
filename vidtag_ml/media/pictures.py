"""Picture files as arrays.

Belongs here: reading one upright. Does not belong here: videos (video.py), blurring (privacy.py).
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image


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


def picture(path: Path) -> NDArray[np.uint8]:
    """A photo (H, W, 3), turned upright as its EXIF says; at half its size if that is very large.

    Raises:
        ValueError: it is very large and no JPEG.
    """
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        opened = Image.open(path)
    with opened as image:
        halve(image)
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))
