import pytest
import torch

from vidtag_ml.models.gps_retrieval.windows import in_windows, windows


@pytest.mark.parametrize(("num", "limit"), [(1, 4), (4, 4), (5, 4), (7, 4), (8, 4), (33, 8)])
def test_every_frame_is_kept_once_from_a_window_that_reads_it(num, limit):
    parts = windows(num, limit)
    kept = [t for _, keep in parts for t in range(keep.start, keep.stop)]
    assert kept == list(range(num))
    for read, keep in parts:
        assert read.start <= keep.start < keep.stop <= read.stop <= num
        assert read.stop - read.start <= limit


def test_a_short_clip_is_one_window():
    assert windows(4, 8) == [(slice(0, 4), slice(0, 4))]


def test_consecutive_windows_share_at_least_half_of_their_frames():
    parts = windows(1000, 512)
    assert [read.start for read, _ in parts] == [0, 256, 488]


def test_results_of_windows_are_joined_in_order():
    values = torch.arange(20.0)[:, None]
    seen = []

    def double(part_BTX, valid_BT, time_BT):
        seen.append(part_BTX.shape[1])
        assert valid_BT.all()
        return 2 * part_BTX

    joined = in_windows(double, 8, torch.arange(20.0), values)
    torch.testing.assert_close(joined, 2 * values)
    assert max(seen) == 8
