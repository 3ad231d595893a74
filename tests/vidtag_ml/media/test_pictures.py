"""Claims about pictures as arrays: their size, and what is too large."""

import pytest
from PIL import Image

from vidtag_ml.media import pictures


def saved(path):
    Image.new("RGB", (40, 20), "red").save(path)
    return path


def test_a_jpeg_of_very_many_pixels_is_decoded_at_half_its_size(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.jpg")
    assert pictures.picture(path).shape == (20, 40, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    assert pictures.picture(path).shape == (10, 20, 3)


def test_another_picture_of_very_many_pixels_is_refused(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    with pytest.raises(ValueError, match="it has 0 megapixels: save it smaller, or as JPEG"):
        pictures.picture(path)
