"""Claims about the squares of a picture: which pixels they hold, and in what order."""

import numpy as np
import pytest
import torch
from PIL import Image

from vidtag_ml.media import views


def picture(height: int, width: int) -> torch.Tensor:
    """One picture whose red is the row, green the column, both times two."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([rows * 2, columns * 2, rows * 0], -1).to(torch.uint8)[None]


def middle(squares: torch.Tensor, channel: int) -> list[float]:
    return squares[0, :, channel].float().mean((1, 2)).tolist()


@pytest.mark.parametrize(("kind", "num"), views.NUM.items())
@pytest.mark.parametrize("shape", [(40, 90), (90, 40), (37, 37), (5, 120)])
def test_there_are_as_many_squares_as_views(kind, num, shape):
    assert views.squares(picture(*shape), 14, kind).shape == (1, num, 3, 14, 14)


def test_the_whole_picture_is_resized_as_pillow_does_it():
    frames = torch.randint(0, 256, (2, 20, 30, 3), dtype=torch.uint8)
    resized = [Image.fromarray(f.numpy()).resize((8, 8), Image.Resampling.BICUBIC) for f in frames]
    expected = torch.from_numpy(np.stack([np.array(each) for each in resized])).permute(0, 3, 1, 2)
    apart = views.squares(frames, 8, "whole")[:, 0].int() - expected.int()
    assert apart.abs().max() <= 1


def test_a_picture_of_the_right_size_keeps_its_pixels():
    assert torch.equal(
        views.squares(picture(20, 20), 20, "centre")[0, 0], picture(20, 20)[0].permute(2, 0, 1)
    )


def test_the_centre_is_the_middle_square_of_the_picture():
    centre = views.squares(picture(28, 84), 14, "centre")
    assert middle(centre, 0) == pytest.approx([27.0], abs=0.1)
    assert middle(centre, 1) == pytest.approx([83.0], abs=0.1)
    assert centre[0, 0, 1, 0].float().diff().mean() == pytest.approx(4.0, abs=0.05)


def test_ten_crops_are_centre_corners_and_their_mirror_images():
    ten = views.squares(picture(64, 128), 56, "ten")
    rows, columns = middle(ten, 0), middle(ten, 1)
    assert rows[:5] == pytest.approx([63, 55, 55, 71, 71], abs=0.2)
    assert columns[:5] == pytest.approx([127, 55, 199, 55, 199], abs=0.2)
    assert torch.equal(ten[:, 5:], ten[:, :5].flip(-1))


def test_values_stay_in_the_range_of_pixels():
    frames = torch.zeros(1, 30, 30, 3, dtype=torch.uint8)
    frames[:, 15:] = 255
    squares = views.squares(frames, 21, "ten")
    assert (squares.min(), squares.max()) == (0, 255)
