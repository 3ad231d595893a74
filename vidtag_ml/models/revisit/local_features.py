"""Local features: points of a frame that look the same from another place near by.

SIFT (Lowe, IJCV 2004), matches that are mutual and pass the ratio test, and the fundamental matrix
that most of them agree on (RANSAC), as OpenCV has them. Wherever two frames show one place, tens to
hundreds of points agree; of other places, hardly more than chance makes.

Belongs here: the features of one frame, how many agree between two. Does not belong here: which
frames are compared (search.py). Shape legend: H W pixels, P points, 3 = red, green, blue, 2 = (x,
y) in pixels, D = 128.
"""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LONGEST_SIDE = 640
"""Pixels of a frame's longer side when its features are taken."""
RATIO = 0.8
"""A match is this much nearer than the next best one."""
LEAST_MATCHES = 8
"""Fewer agree on anything."""
REACH_PX = 3.0
"""Distance from the epipolar line at which a match agrees."""
_CONFIDENCE, _MOST_DRAWS = 0.99, 500


@dataclass(frozen=True, eq=False)
class LocalFeatures:
    """What is remembered of a frame's details."""

    points_P2: NDArray[np.float32]
    """Where they are, in the frame at `LONGEST_SIDE`."""
    descriptors_PD: NDArray[np.uint8]
    """How they look."""


def of_frames(frames_NHW3: NDArray[np.uint8], num_keypoints: int) -> list[LocalFeatures]:
    """The local features of each frame, by a thread a core."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda frame: of_frame(frame, num_keypoints), frames_NHW3))


def of_frame(frame_HW3: NDArray[np.uint8], num_keypoints: int) -> LocalFeatures:
    """The strongest local features of a frame; none if it shows nothing."""
    cv2 = _cv2()
    grey = cv2.cvtColor(np.ascontiguousarray(frame_HW3), cv2.COLOR_RGB2GRAY)
    scale = LONGEST_SIDE / max(grey.shape)
    if scale < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    keypoints, found = cv2.SIFT_create(num_keypoints).detectAndCompute(grey, None)
    points = np.array([point.pt for point in keypoints], np.float32).reshape(-1, 2)
    descriptors = np.zeros((0, 128), np.uint8) if found is None else found.astype(np.uint8)
    return LocalFeatures(points[:num_keypoints], descriptors[:num_keypoints])


def inliers(a: LocalFeatures, b: LocalFeatures) -> int:
    """How many points of two frames match and agree on how the camera moved between them."""
    from_a, from_b = _matches(a.descriptors_PD, b.descriptors_PD)
    if len(from_a) < LEAST_MATCHES:
        return 0
    cv2 = _cv2()
    pairs = a.points_P2[from_a], b.points_P2[from_b]
    how = cv2.FM_RANSAC, REACH_PX, _CONFIDENCE, _MOST_DRAWS
    matrix, agreeing = cv2.findFundamentalMat(*pairs, *how)
    # Where there is no matrix, OpenCV leaves what is in memory as the mask (its issue 5551).
    return 0 if matrix is None else int(agreeing.sum())


def all_inliers(pairs: Iterable[tuple[LocalFeatures, LocalFeatures]]) -> Iterator[int]:
    """`inliers` of each pair, by a thread a core."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(lambda pair: inliers(*pair), pairs)


def _matches(
    a_PD: NDArray[np.uint8], b_PD: NDArray[np.uint8]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of the descriptors that are each other's nearest, and much nearer than the next."""
    if len(a_PD) < LEAST_MATCHES or len(b_PD) < LEAST_MATCHES:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    cosine = _unit(a_PD) @ _unit(b_PD).T
    nearest, back = cosine.argmax(1), cosine.argmax(0)
    second, first = np.sort(np.partition(cosine, -2, axis=1)[:, -2:], axis=1).T
    is_clear = 1 - first < RATIO**2 * (1 - second)
    kept = np.flatnonzero((back[nearest] == np.arange(len(nearest))) & is_clear)
    return kept, nearest[kept]


def _unit(descriptors_PD: NDArray[np.uint8]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(descriptors_PD.astype(np.float32), axis=1, keepdims=True)
    return np.asarray(descriptors_PD / np.maximum(lengths, 1e-6), np.float32)


def _cv2() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise ValueError(
            "local features need opencv-python, which is not there: "
            "pip install 'vidtag-geo[pretrained]'"
        ) from error
    return cv2
