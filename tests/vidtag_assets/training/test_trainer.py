"""Which of several processes that ended is the cause, and what one does without its parent."""

import json
import os
import signal
import subprocess
import sys

import pytest
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from vidtag_assets.training import trainer


def failed(tmp_path, rank, said, at):
    """A process that ended with an exception."""
    path = tmp_path / f"{rank}.json"
    path.write_text(json.dumps({"message": {"message": said, "extraInfo": {"timestamp": str(at)}}}))
    return ProcessFailure(rank, 100 + rank, 1, str(path))


def killed(rank, number):
    """A process that a signal ended."""
    return ProcessFailure(rank, 100 + rank, -number, "")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_the_process_that_was_killed_is_the_cause_of_what_the_others_say(tmp_path, order):
    lost = failed(tmp_path, 0, "RuntimeError: connection\nreset", 1)
    found = {0: lost, 1: killed(1, signal.SIGKILL), 2: killed(2, signal.SIGTERM)}
    error = ChildFailedError("train", {rank: found[rank] for rank in order})
    assert trainer._why(error) == "process 1 was killed by SIGKILL"


def test_the_first_exception_is_the_cause_of_later_ones_and_of_sigterm(tmp_path):
    found = {
        0: killed(0, signal.SIGTERM),
        1: failed(tmp_path, 1, "RuntimeError: later", 9),
        2: failed(tmp_path, 2, "ValueError: too\nfew", 3),
    }
    assert trainer._why(ChildFailedError("train", found)) == "process 2 failed: ValueError: too few"


def test_a_process_ends_with_its_parent():
    begin = "from vidtag_assets.training import trainer; trainer._end_with({})"
    begin += "; import time; time.sleep(60)"
    other = [sys.executable, "-c", begin.format(os.getpid() + 1)]
    assert subprocess.run(other, timeout=30, check=False).returncode == trainer.ENDED
