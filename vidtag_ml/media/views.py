"""Views: the squares of a picture that an encoder sees.

Belongs here: which squares there are, and their pixels. Does not belong here: an encoder's size and
statistics (encoders/frames.py), what is made of several views (models/gps_retrieval/locate.py).
Shape legend: N pictures, V views, H W pixels, S pixels of a side, 3 = red, green, blue.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Views = Literal["whole", "centre", "ten"]

NUM = {"whole": 1, "centre": 1, "ten": 10}
"""Views a picture."""
_TEN_CROP = 256 / 224
"""Ten crops: shortest side of the resized picture, in sides of a crop (docs/specs/geoclip.md,
section 7)."""


def squares(frames_NHW3: Tensor, size: int, views: Views) -> Tensor:
    """Views (N, V, 3, S, S) of uint8 pictures (N, H, W, 3): 0 to 255, S = `size`.

    whole: the picture, squeezed to a square. centre: its shortest side is resized to S, the middle
    square is taken. ten: its shortest side is resized to 256/224 S; the middle square, the four
    corners (upper ones first, left before right), then the mirror images of these five.
    Pictures are resized by bicubic interpolation with antialiasing.
    """
    if views == "whole":
        return _resized(frames_NHW3, size, size)[:, None]
    height, width = frames_NHW3.shape[1:3]
    shortest = round(size * _TEN_CROP) if views == "ten" else size
    scale = shortest / min(height, width)
    pictures = _resized(frames_NHW3, *(max(shortest, int(s * scale)) for s in (height, width)))
    down, right = pictures.shape[-2] - size, pictures.shape[-1] - size
    corners = [(round(down / 2), round(right / 2))]
    if views == "ten":
        corners += [(0, 0), (0, right), (down, 0), (down, right)]
    crops = torch.stack([pictures[..., y : y + size, x : x + size] for y, x in corners], 1)
    return torch.cat([crops, crops.flip(-1)], 1) if views == "ten" else crops


def _resized(frames_NHW3: Tensor, height: int, width: int) -> Tensor:
    """Pictures (N, 3, height, width) in bytes, with channels last in memory.

    A CPU resizes bytes, as Pillow does and nine times faster than floats; an accelerator cannot.
    """
    pictures = frames_NHW3.permute(0, 3, 1, 2)
    if pictures.shape[-2:] == (height, width):
        return pictures
    if pictures.is_cuda:
        pictures = pictures.float()
    resized = functional.interpolate(pictures, (height, width), mode="bicubic", antialias=True)
    return resized.round_().clamp_(0, 255).byte() if resized.is_cuda else resized
