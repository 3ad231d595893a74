"""Two of everything at once: two whole runs, two registrations, on one workspace."""

import pytest

from tests.faults import graph, whole

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("bodies", [("demonstrate", "demonstrate"), ("demonstrate", "execute")])
def test_two_runs_at_once_end_whole(lasting, undisturbed, bodies):
    lasting.forget(f"two-{'-'.join(bodies)}")
    processes = [lasting.begin(getattr(graph, body)) for body in bodies]
    for process in processes:
        process.join(600)
    assert [process.exitcode for process in processes] == [0, 0], lasting.said()
    assert whole.results(lasting.root) == undisturbed.results
    assert whole.wrongs(lasting.root) == []
