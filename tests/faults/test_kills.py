"""The whole graph, killed at random moments: the next run ends as if nothing had happened."""

import contextlib
import os
import random
import signal
import time

import pytest

from tests.faults import graph, whole

NUM_KILLS = int(os.environ.get("VIDTAG_KILLS", "100"))
LATEST = 0.9
"""Of the time that an undisturbed run takes: some are quicker, and would have ended."""
SIGNALS = [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP]

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("number", range(NUM_KILLS))
def test_after_a_kill_at_any_moment_the_next_run_ends_whole(lasting, undisturbed, number):
    moment = random.Random(number).uniform(0.0, LATEST * undisturbed.seconds)
    lasting.forget(f"kill-{number}")
    process = lasting.begin(graph.demonstrate)
    time.sleep(moment)
    with contextlib.suppress(ProcessLookupError):  # now and then one is done before
        os.kill(process.pid, SIGNALS[number % len(SIGNALS)])
    process.join()
    assert lasting.run(graph.demonstrate) == 0, lasting.said()
    assert whole.results(lasting.root) == undisturbed.results
    assert whole.wrongs(lasting.root) == []
