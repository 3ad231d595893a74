"""Picture files as arrays.

Belongs here: reading one upright. Does not belong here: videos (video.py), blurring (privacy.py).
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def picture(path: Path) -> NDArray[np.uint8]:
    """A photo (H, W, 3), turned upright as its EXIF says."""
    from PIL import Image, ImageOps

    with Image.open(path) as image:
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))
