"""Ray's workers: results in order, errors where they arise, lost workers replaced."""

import functools
import os
import signal
import time

import pytest

from vidtag_ml.workflow import ray_workers

pytestmark = pytest.mark.slow


def doubling(folder):
    """A function that dies once, in its third item, and cannot do the eighth."""

    def double(number):
        died = folder / "died"
        if number == 2 and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 7:
            raise ValueError("seven is too many")
        time.sleep(0.05 * (number % 3))
        return 2 * number, os.getpid()

    return double


def test_results_are_in_order_until_the_first_that_fails_though_a_worker_dies(tmp_path):
    pytest.importorskip("ray")
    made = ray_workers.mapped(range(10), functools.partial(doubling, tmp_path))
    found = [next(made) for _ in range(7)]
    with pytest.raises(ValueError, match="seven is too many"):
        next(made)
    assert [double for double, _ in found] == [0, 2, 4, 6, 8, 10, 12]
    assert (tmp_path / "died").exists()
    assert os.getpid() not in {pid for _, pid in found}


def test_of_nothing_nothing_is_made_and_no_cluster():
    assert list(ray_workers.mapped([], doubling)) == []
