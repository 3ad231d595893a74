"""Dead runs block nobody, waits are told and can be ended; with real processes, on a tiny job."""

import contextlib
import dataclasses
import io
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import dagster as dg
import pytest

from orchestration import demo, sensors
from vidtag_assets.execution import processes, runs
from vidtag_assets.workspace.resources import Tracking

ROOT = Path(__file__).parents[3]
TINY = '''
import os
import time
import uuid
from pathlib import Path

import dagster as dg

from vidtag_assets.execution import runs

HOME = Path(os.environ["DAGSTER_HOME"])

@dg.asset(pool="gpu")
def bread() -> None:
    """Takes its time, unless the file `quick` is there."""
    until = time.monotonic() + 60
    try:
        while time.monotonic() < until and not (HOME / "quick").exists():
            (HOME / "at_work").write_text(str(os.getpid()))
            time.sleep(0.05)
    finally:
        (HOME / "tidied").touch()

defs = dg.Definitions(
    assets=[bread], jobs=[dg.define_asset_job("everything")], executor=runs.executor
)
'''


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A Dagster instance's folder with a tiny job, `tiny.py`."""
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    (tmp_path / "tiny.py").write_text(TINY)
    return tmp_path


@pytest.fixture
def instance(home):
    with dg.DagsterInstance.get() as instance:
        yield instance


DEMO = (
    "-c",
    """
import sys
from pathlib import Path
from orchestration import demo
import tiny
demo.main(Path.cwd(), tiny.defs)
""",
)
JOB = ("-m", "dagster", "job", "execute", "-f", "tiny.py", "-j", "everything")


@contextlib.contextmanager
def started(home, *arguments):
    """Python in a group of processes of its own, as a terminal's; what it says is in `said`."""
    # A suite begun with nohup ignores SIGHUP, and so would what it starts.
    heard = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    with (home / "said").open("w") as said:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=home, stdout=said, stderr=said, start_new_session=True
        )
    signal.signal(signal.SIGHUP, heard)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def appears(found, within_s=60.0):
    """Waits until `found()` is true, and returns it."""
    until = time.monotonic() + within_s
    while not (value := found()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return value


def is_free(instance):
    info = instance.event_log_storage.get_concurrency_info("gpu")
    return not info.claimed_slots and not info.pending_steps


def latest(instance):
    return instance.get_runs(limit=1)[0]


def has_ended(pid):
    """Whether a process is gone, or waits to be collected by one that has not come to it yet."""
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] in "ZX"


def succeeds(home):
    """Runs the tiny job in this process; what it told."""
    (home / "quick").touch()
    told, names = io.StringIO(), {}
    exec(TINY, names)  # noqa: S102
    assert demo.materialize(names["defs"], told) is None
    return told.getvalue()


@pytest.mark.parametrize("arguments", [DEMO, JOB], ids=["demo", "job"])
def test_a_killed_run_is_cleared_by_the_next_and_its_step_ended(home, instance, arguments):
    with started(home, *arguments) as process:
        appears((home / "at_work").exists)
        process.kill()
        process.wait()
        worker = int((home / "at_work").read_text())
        dead = latest(instance)
        assert f"cleared run {dead.run_id} of everything" in succeeds(home)
        assert instance.get_run_by_id(dead.run_id).status == dg.DagsterRunStatus.FAILURE
        assert is_free(instance)
        assert worker == process.pid or has_ended(worker)


STOPS = [
    (DEMO, signal.SIGTERM, 130),
    (DEMO, signal.SIGHUP, 130),
    (JOB, signal.SIGHUP, 1),
]


@pytest.mark.parametrize(
    ("arguments", "number", "code"), STOPS, ids=["demo SIGTERM", "demo SIGHUP", "job SIGHUP"]
)
def test_a_stopped_run_ends_tidily(home, instance, arguments, number, code):
    with started(home, *arguments) as process:
        appears((home / "at_work").exists)
        os.killpg(process.pid, number)
        assert process.wait(30) == code
    assert (home / "tidied").exists()
    assert latest(instance).status == dg.DagsterRunStatus.FAILURE
    assert is_free(instance)
    assert ("a rerun goes on from there" in (home / "said").read_text()) == (code == 130)


def created(instance, process=None, status=dg.DagsterRunStatus.NOT_STARTED):
    """A run that a process has created."""
    names = {}
    exec(TINY, names)  # noqa: S102
    job = names["defs"].resolve_job_def("everything")
    run_id = str(uuid.uuid4())
    tags = {runs.TAG: f"{run_id}|{process}"} if process else None
    return instance.create_run_for_job(job, run_id=run_id, status=status, tags=tags)


def begun(instance, process=None):
    """A run that is in progress, in a process, and has the pool."""
    run = created(instance, process, dg.DagsterRunStatus.STARTED)
    instance.event_log_storage.initialize_concurrency_limit_to_default("gpu")
    instance.event_log_storage.claim_concurrency_slot("gpu", run.run_id, "bread")
    return run


@pytest.mark.parametrize(("arguments", "code"), [(DEMO, 130), (JOB, 1)], ids=["demo", "job"])
def test_a_wait_is_told_and_can_be_ended(home, instance, arguments, code):
    holder = begun(instance, processes.Process.own())
    with started(home, *arguments) as process:
        whom = f"bread of run {holder.run_id} (job everything, process {os.getpid()}) has it"
        appears(lambda: whom in (home / "said").read_text())
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(10) == code
    said = (home / "said").read_text()
    assert "bread waits for the pool gpu since" in said
    assert arguments is JOB or "Traceback" not in said
    assert latest(instance).status == dg.DagsterRunStatus.FAILURE
    assert instance.get_run_by_id(holder.run_id).status == dg.DagsterRunStatus.STARTED
    pool = instance.event_log_storage.get_concurrency_info("gpu")
    assert {each.run_id for each in [*pool.pending_steps, *pool.claimed_slots]} == {holder.run_id}


def test_a_wait_ends_when_the_run_waited_for_dies(home, instance):
    with started(home, "-c", "import time; time.sleep(600)") as other:
        process = dataclasses.replace(
            processes.Process.own(), pid=other.pid, born=processes._born(other.pid)
        )
        holder = begun(instance, process)
        threading.Timer(3.0, other.kill).start()
        assert f"cleared run {holder.run_id}" in succeeds(home)


OWN = processes.Process.own()
GONE = dataclasses.replace(OWN, born=OWN.born - 1.0)  # the id is another process's by now


@pytest.mark.parametrize(
    ("process", "ends"),
    [
        (OWN, False),
        (GONE, True),
        (dataclasses.replace(GONE, host="elsewhere"), False),
        (dataclasses.replace(GONE, boot=OWN.boot.split()[0] + " another container"), False),
        (dataclasses.replace(OWN, boot="before pid:[1]"), True),
    ],
    ids=["alive", "gone", "another host", "another container", "before a restart"],
)
def test_the_sensor_clears_only_what_is_certainly_dead(home, instance, process, ends):
    run = begun(instance, process)
    context = dg.build_sensor_context(instance)
    told = sensors.dead_runs(context, tracking=Tracking(root=str(home))).skip_message
    assert (run.run_id in told) == is_free(instance) == ends
    assert instance.get_run_by_id(run.run_id).is_failure == ends


@pytest.mark.parametrize(("process", "ends"), [(GONE, True), (OWN, False), (None, False)])
def test_a_run_whose_process_died_before_it_began_is_cleared(instance, process, ends):
    run = created(instance, process)
    assert bool(runs.sweep(instance)) == instance.get_run_by_id(run.run_id).is_failure == ends


@pytest.mark.parametrize(("ago_s", "ends"), [(0, False), (1e7, True)])
def test_a_run_without_a_tag_is_judged_by_its_last_process(home, instance, ago_s, ends):
    succeeds(home)
    entries = instance.all_logs(latest(instance).run_id, dg.DagsterEventType.ENGINE_EVENT)
    run = begun(instance)
    when = time.time() - ago_s  # long before the process of that id began
    instance.report_dagster_event(entries[0].dagster_event, run.run_id, timestamp=when)
    assert bool(runs.sweep(instance)) == is_free(instance) == ends


def test_a_run_without_a_tag_is_not_judged_by_the_process_of_a_pod(home, instance, monkeypatch):
    succeeds(home)
    entries = instance.all_logs(latest(instance).run_id, dg.DagsterEventType.ENGINE_EVENT)
    run = begun(instance)
    instance.report_dagster_event(entries[0].dagster_event, run.run_id, timestamp=1e9)
    monkeypatch.setenv(runs.EXECUTOR, "k8s")
    assert runs.sweep(instance) == []


def test_a_repeated_run_is_not_judged_by_the_tag_that_it_took_over(instance):
    died = begun(instance, GONE)
    again = begun(instance)
    instance.add_run_tags(again.run_id, died.tags)
    runs.sweep(instance)
    assert instance.get_run_by_id(died.run_id).is_failure
    assert not instance.get_run_by_id(again.run_id).is_finished


def test_a_run_that_is_being_canceled_ends_as_canceled(instance):
    run = begun(instance, GONE)
    instance.report_run_canceling(run)
    runs.sweep(instance)
    assert instance.get_run_by_id(run.run_id).status == dg.DagsterRunStatus.CANCELED


def test_places_of_deleted_and_ended_runs_are_freed(instance):
    ended, deleted = begun(instance, GONE), begun(instance, GONE)
    instance.report_run_failed(ended)
    instance.delete_run(deleted.run_id)
    runs.sweep(instance)
    assert is_free(instance)
