"""Bars of work on files."""

import io

import pytest

from vidtag_ml.workflow import progress


class Terminal(io.StringIO):
    """A stream that says that a person looks at it."""

    def isatty(self):
        return True


def work(stream, *sizes):
    batch = progress.Batch(sizes, stream)
    for size in sizes:
        with batch.file(f"{size}.mp4", size) as report:
            if report:
                report(3, 4)
                batch._bars.refresh()
    return stream.getvalue()


def test_bars_show_frames_of_a_file_and_all_files_with_the_time_left():
    shown = work(Terminal(), 1, 3)
    assert "3/4 frames" in shown
    assert "81%" in shown  # a quarter is done, and three quarters of the rest
    assert "1/2 files" in shown
    assert ":" in shown


def test_one_file_has_one_bar():
    assert "files" not in work(Terminal(), 5)


def test_nothing_is_written_where_nobody_looks():
    assert work(io.StringIO(), 1, 3) == ""


def test_bars_are_gone_when_a_file_fails():
    batch = progress.Batch([1], Terminal())
    with pytest.raises(ValueError, match="bad"), batch.file("a.mp4", 1):
        raise ValueError("bad")
    assert not batch._bars.live.is_started
