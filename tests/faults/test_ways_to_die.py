"""Every way to die while a model is trained: the next run ends whole, and nothing is left."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from tests.conftest import ROOT
from tests.faults import graph, whole
from vidtag_assets.execution.processes import Process
from vidtag_assets.store import registry_file
from vidtag_assets.workspace.resources import PROCESS, Tracking

pytestmark = pytest.mark.faults


def trainer(root, within_s=300.0):
    """Waits until a model is trained, and returns the id of the process that trains it."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if not registry_file.is_at_rest(registry_file.of(root)):
            tracking = Tracking(root=str(root))
            found = tracking.client().search_runs([tracking.experiment_id()], RUNNING)
            if found:
                return Process.parse(found[0].data.tags[PROCESS]).pid
        time.sleep(0.05)
    pytest.fail("no training began")


RUNNING = "attributes.status = 'RUNNING'"


def descendants(pid):
    """The processes that a process has begun, and theirs, nearest first."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    own = [child for child, parent in parents.items() if parent == pid]
    return [*own, *(below for child in own for below in descendants(child))]


def kill_all(run, _trainer):
    for pid in descendants(run):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


WAYS = {
    "the run": lambda run, _: os.kill(run, signal.SIGKILL),
    "its step": lambda _, trainer: os.kill(trainer, signal.SIGKILL),
    "all its children": kill_all,
    "SIGTERM": lambda run, _: os.kill(run, signal.SIGTERM),
    "Ctrl-C": lambda run, _: os.killpg(run, signal.SIGINT),
    "closed terminal": lambda run, _: os.killpg(run, signal.SIGHUP),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_run_with_steps_may_die_in_any_way(lasting, undisturbed, way):
    lasting.forget(f"step-{way.replace(' ', '-')}")
    process = lasting.begin(graph.execute)
    WAYS[way](process.pid, trainer(lasting.root))
    process.join(120)
    assert process.exitcode not in (None, 0)
    ends_whole(lasting, undisturbed)


def ends_whole(place, undisturbed):
    assert place.run(graph.demonstrate) == 0, place.said()
    assert whole.results(place.root) == undisturbed.results
    assert whole.wrongs(place.root) == []


DEFINITIONS = """
from pathlib import Path
from tests.faults import graph
defs = graph.definitions(Path.cwd())
"""
IN_PROCESS = '{"execution": {"config": {"in_process": {}}}}'


@contextlib.contextmanager
def daemon(root):
    """Dagster's daemon over a workspace."""
    (root / "defs.py").write_text(DEFINITIONS)
    env = {**os.environ, "DAGSTER_HOME": str(root / graph.HOME), "PYTHONPATH": str(ROOT)}
    bin_ = Path(sys.executable).parent
    launch = [bin_ / "dagster", "job", "launch", "-f", "defs.py", "-j", "everything"]
    with (root / "said").open("a") as said:
        out = {"cwd": root, "env": env, "stdout": said, "stderr": said}
        subprocess.run([*launch, "--config-json", IN_PROCESS], check=True, **out)
        begun = subprocess.Popen(
            [bin_ / "dagster-daemon", "run", "-f", "defs.py"], start_new_session=True, **out
        )
    try:
        yield begun
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(begun.pid, signal.SIGKILL)
        begun.wait()


def test_the_daemon_itself_clears_a_run_that_dies(lasting, undisturbed):
    lasting.forget("daemon")
    with daemon(lasting.root):
        os.kill(trainer(lasting.root), signal.SIGKILL)
        until = time.monotonic() + 180
        while (wrong := whole.in_progress(lasting.root)) and time.monotonic() < until:
            time.sleep(1)
        assert wrong == []
    ends_whole(lasting, undisturbed)


def test_the_daemon_may_be_killed_with_all_that_it_has_begun(lasting, undisturbed):
    lasting.forget("daemon-killed")
    with daemon(lasting.root) as begun:
        trainer(lasting.root)
        os.killpg(begun.pid, signal.SIGKILL)
    ends_whole(lasting, undisturbed)
    with dg.DagsterInstance.get() as instance:
        assert not instance.get_runs(dg.RunsFilter(statuses=whole.IN_PROGRESS))
