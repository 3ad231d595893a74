import sys

import numpy as np
import pytest

from tests.data.streets import frame
from vidtag_ml.models.revisit import local_features
from vidtag_ml.models.revisit.local_features import LocalFeatures


def seen(name, step):
    return local_features.of_frame(frame(name, step), 150)


def test_points_of_one_street_agree_and_those_of_two_do_not():
    here = seen("oak", 1.0)
    assert len(here.points_P2) == len(here.descriptors_PD) == 150
    assert local_features.inliers(here, seen("oak", 1.5)) > 60
    assert local_features.inliers(here, seen("elm", 1.5)) < 10


def test_a_frame_that_shows_nothing_has_no_points_and_agrees_with_none():
    empty = local_features.of_frame(np.zeros((90, 160, 3), np.uint8), 50)
    assert empty.points_P2.shape == (0, 2)
    assert local_features.inliers(empty, seen("oak", 0.0)) == 0


def test_matches_that_fix_no_geometry_count_for_nothing():
    """OpenCV's mask of agreeing matches is then whatever lay in memory."""
    descriptors = np.eye(12, 128, dtype=np.uint8) * 200
    at_one_point = LocalFeatures(np.full((12, 2), 5.0, np.float32), descriptors)
    assert [local_features.inliers(at_one_point, at_one_point) for _ in range(5)] == [0] * 5


def test_large_frames_are_looked_at_scaled_down():
    large = np.kron(frame("oak", 0.0), np.ones((8, 8, 1), np.uint8))
    assert local_features.of_frame(large, 50).points_P2.max() < local_features.LONGEST_SIDE


def test_without_opencv_the_way_to_get_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ValueError, match=r"opencv-python.*vidtag-geo\[pretrained\]"):
        local_features.of_frame(np.zeros((9, 9, 3), np.uint8), 5)
