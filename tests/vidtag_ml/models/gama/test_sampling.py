"""Claims about what training and evaluation of GAMa see."""

import doctest

import numpy as np
import pytest
import torch

from vidtag_ml.models.gama import sampling as samples

PUBLISHED = samples.ClipShape(fps=30.0, num_frames=8, stride=2)


def rngs(num):
    return (np.random.default_rng(seed) for seed in range(num))


def test_examples_in_docstrings_are_true():
    result = doctest.testmod(samples)
    assert (result.failed, result.attempted) == (0, 4)


def test_the_first_frame_lies_up_to_half_a_second_before_the_fix():
    drawn = [samples.draw_first(7.2, 1200, PUBLISHED, rng) for rng in rngs(300)]
    assert set(drawn) == set(range(30 * 7 - 15, 30 * 7))


@pytest.mark.parametrize(
    ("time_s", "low", "high"),
    [(0.2, 0, 0), (-3.0, 0, 0), (39.0, 38 * 30 - 15, 38 * 30 - 1), (1.0, 15, 29)],
    ids=["at once", "before the video", "at its end", "after a second"],
)
def test_clips_stay_within_the_video_as_published(time_s, low, high):
    drawn = [samples.draw_first(time_s, 1200, PUBLISHED, rng) for rng in rngs(200)]
    assert (min(drawn), max(drawn)) == (low, high)


@pytest.mark.parametrize("fps", [1.0, 2.0, 10.0, 29.97, 60.0])
def test_at_any_frame_rate_a_clip_reaches_to_its_fix(fps):
    shape, total = samples.ClipShape(fps, 4, 2), round(60 * fps)
    for second, rng in enumerate(rngs(57)):
        frames = shape.frames_from(samples.draw_first(second, total, shape, rng))
        assert 0 <= frames[0] <= round(second * fps) <= frames[-1] + 1
        assert frames[-1] < total


@pytest.mark.parametrize(("center", "wanted"), [(False, 120), (True, 113)])
def test_evaluation_begins_at_the_second_or_centres_there(center, wanted):
    assert samples.first_at(4, 900, PUBLISHED, center_test_clip=center) == wanted


def test_clips_of_the_last_second_are_moved_into_the_video():
    assert PUBLISHED.frames_from(samples.first_at(30, 900, PUBLISHED))[-1] == 899
    with pytest.raises(ValueError, match="14 frames holds no clip of 15"):
        samples.first_at(0, 14, PUBLISHED)


def test_fixes_are_neither_the_first_nor_the_last():
    drawn = {samples.draw_fixes(np.arange(20.0), rng)[0] for rng in rngs(500)}
    assert drawn == set(range(1, 19))


def test_the_hard_partner_comes_from_the_other_half_of_the_drive():
    pairs = [samples.draw_fixes(np.arange(40.0), rng) for rng in rngs(800)]
    late = {partner for fix, partner in pairs if fix >= 20}
    early = {partner for fix, partner in pairs if fix < 20}
    assert late == set(range(1, 15))
    assert early == set(range(23, 39))


def test_the_partner_in_a_short_drive_is_at_its_end():
    pairs = {samples.draw_fixes(np.arange(5.0), rng) for rng in rngs(100)}
    assert pairs == {(1, 3), (2, 1), (3, 1)}


def test_fixes_before_the_video_are_not_drawn():
    pairs = [samples.draw_fixes(np.arange(20.0) - 4.5, rng) for rng in rngs(300)]
    assert min(min(pair) for pair in pairs) == 5
    with pytest.raises(ValueError, match="of 3 fixes none"):
        samples.draw_fixes([-3.0, -2.0, -1.0], np.random.default_rng(0))


@pytest.mark.parametrize("num", [0, 1, 2])
def test_too_few_fixes_are_refused(num):
    with pytest.raises(ValueError, match=f"of {num} fixes none"):
        samples.draw_fixes(np.arange(float(num)), np.random.default_rng(0))


def test_sequences_begin_near_the_beginning_and_repeat_the_last_tile():
    drawn = {tuple(samples.draw_sequence(6, 4, rng)) for rng in rngs(200)}
    assert drawn == {(0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (3, 4, 5, 5), (4, 5, 5, 5)}
    assert samples.draw_sequence(1, 3, np.random.default_rng(0)).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="without tiles"):
        samples.draw_sequence(0, 4, np.random.default_rng(0))


def numbered(*shape):
    """Pixels that say where they were."""
    return torch.arange(int(np.prod(shape))).reshape(shape)


def test_all_frames_of_a_clip_share_crop_and_mirror():
    picture, offsets, mirrored = numbered(9, 12), set(), set()
    for rng in rngs(300):
        crop = samples.augment_clip(picture.expand(3, 4, -1, -1), (7, 8), rng)
        assert torch.equal(crop, crop[:1, :1].expand(3, 4, 7, 8))
        flip = bool(crop[0, 0, 0, 0] > crop[0, 0, 0, -1])
        one = (crop.flip(-1) if flip else crop)[0, 0]
        top, left = divmod(int(one[0, 0]), 12)
        assert torch.equal(one, picture[top : top + 7, left : left + 8])
        offsets.add((top, left))
        mirrored.add(flip)
    assert (len(offsets), mirrored) == (3 * 5, {False, True})


def test_tiles_come_in_eight_positions_and_any_crop():
    picture, corners, offsets = numbered(5, 5), set(), set()
    for rng in rngs(400):
        crop = samples.augment_tile(picture.expand(3, -1, -1), 4, rng)[0]
        least = int(crop.min())
        corners.add((int(crop[0, 0]) - least, int(crop[0, -1]) - least))
        offsets.add(divmod(least, 5))
    assert offsets == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert len(corners) == 8


def test_each_tile_of_a_sequence_has_draws_of_its_own():
    tiles = numbered(6, 6).expand(10, 3, -1, -1)
    varied = samples.augment_tiles(tiles, 4, np.random.default_rng(0))
    assert varied.shape == (10, 3, 4, 4)
    assert len({tuple(tile[0].flatten().tolist()) for tile in varied}) > 5


def test_the_same_generator_gives_the_same_draws():
    tile = numbered(3, 9, 9)
    there, back = (samples.augment_tile(tile, 4, np.random.default_rng(5)) for _ in range(2))
    assert torch.equal(there, back)


def test_evaluation_crops_the_middle():
    crop = samples.centre_crop(numbered(1, 144, 256), (112, 224))
    assert crop.shape == (1, 112, 224)
    assert divmod(int(crop[0, 0, 0]), 256) == (16, 16)


@pytest.mark.parametrize("size", [(10, 4), (4, 10)])
def test_crops_larger_than_the_picture_are_refused(size):
    with pytest.raises(ValueError, match="larger than a picture of 9 x 9"):
        samples.centre_crop(numbered(9, 9), size)
    with pytest.raises(ValueError, match="larger than a picture of 9 x 9"):
        samples.augment_clip(numbered(9, 9), size, np.random.default_rng(0))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_pixels_are_scaled_alike_from_any_type(dtype):
    scaled = samples.scale(torch.tensor([0, 127.5, 255]).to(dtype))
    assert scaled.dtype == torch.float32
    assert scaled.tolist() == pytest.approx([-1, 0 if dtype == torch.float32 else -1 / 255, 1])
