"""Claims about pictures: each kind is opened upright; what is damaged or too large."""

import numpy as np
import pytest
from PIL import Image

from tests.data.heic import heic_with_position
from vidtag_ml.media import pictures


def test_a_heic_that_is_turned_is_turned_once(tmp_path):
    for turned in (False, True):
        heic_with_position(tmp_path / f"{turned}.heic", 47.5, 8.5, turned=turned)
    plain, turned = (pictures.picture(tmp_path / f"{t}.heic") for t in (False, True))
    assert plain.shape == (48, 64, 3)
    np.testing.assert_allclose(np.rot90(plain, -1).astype(int), turned, atol=8)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_picture_is_opened_whatever_its_name_says(tmp_path, kind):
    Image.new("RGB", (20, 10), (200, 0, 0)).save(tmp_path / "a.jpg", kind)
    with pictures.opened(tmp_path / "a.jpg") as image:
        assert (image.format, image.size) == (kind, (20, 10))


def test_a_heic_by_another_name_is_opened(tmp_path):
    heic_with_position(tmp_path / "a.heic", 47.5, 8.5)
    (tmp_path / "a.heic").rename(tmp_path / "a.jpg")
    with pictures.opened(tmp_path / "a.jpg") as image:
        assert image.format == "HEIF"


def test_a_heic_whose_list_of_items_is_damaged_is_an_error_and_no_crash(tmp_path):
    heic_with_position(tmp_path / "a.heic", 47.5, 8.5)
    content = (tmp_path / "a.heic").read_bytes()
    (tmp_path / "a.heic").write_bytes(content.replace(b"Exif", b"\xf0xif", 1))
    with pytest.raises(OSError, match="damaged"):
        pictures.opened(tmp_path / "a.heic")


def test_other_kinds_of_files_are_no_pictures(tmp_path):
    Image.new("RGB", (20, 10)).save(tmp_path / "a.gif")
    with pytest.raises(OSError, match="cannot identify"):
        pictures.opened(tmp_path / "a.gif")


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
