"""Runs and their processes: what a killed run left behind is cleared, and waits are told.

Belongs here: which process executes a run, what is done about runs whose process is gone, and how
a run waits for its pools. Does not belong here: processes themselves (processes.py), what runs do
(the assets), when they are started (orchestration), what they left in MLflow (store/leftovers.py).
"""

import contextlib
import dataclasses
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from vidtag_assets.execution.processes import Process, is_worker, lives_since, why_gone

TAG = "vidtag/process"
"""Tag of a run that says which process executes it."""
EXECUTOR, LOCAL = "VIDTAG_EXECUTOR", "local"
"""Variable that names the executor; the one whose processes are this machine's."""
GRACE_S = 60.0
"""After which a run without the tag is judged by the last process id among its events."""
LOOK_S = 2.0
"""Between two looks at what a run waits for."""
TELL_S = 300.0
"""After which a wait is told again."""
END_S = 10.0
"""Time that the step processes of a dead run have to end."""
_IN_PROGRESS = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
UNFINISHED = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, *_IN_PROGRESS]
"""Of runs that will go on, or may."""


def tags(run_id: str) -> dict[str, str]:
    """This process as a tag of a run that it executes."""
    return {TAG: f"{run_id}|{Process.own()}"}


def process_of(run: dg.DagsterRun) -> Process | None:
    """The process in the run's tag; None if it has none, or that of the run it repeats."""
    run_id, _, text = run.tags.get(TAG, "").partition("|")
    return Process.parse(text) if run_id == run.run_id else None


def sweep(instance: dg.DagsterInstance) -> list[str]:
    """Clears what dead runs left: fails those in progress, and frees their places in pools.

    So are those that a process was to begin that is gone; what waits for another to begin it stays.
    Step processes that outlived their run are ended first, since nobody would take their results.

    Returns:
        a sentence for each run.
    """
    holding = list(instance.event_log_storage.get_concurrency_run_ids())
    found = list(instance.get_runs(dg.RunsFilter(statuses=_IN_PROGRESS)))
    created = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.NOT_STARTED]))
    found += [run for run in created if process_of(run)]
    found += instance.get_runs(dg.RunsFilter(run_ids=holding)) if holding else []
    runs = {run.run_id: run for run in found}
    for run_id in set(holding) - set(runs):  # the run was deleted
        instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    return [_clear(instance, run) for run in runs.values() if _is_dead(instance, run)]


def _is_dead(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether nothing executes the run any more; if in doubt, it lives."""
    process = process_of(run)
    if process:
        return process.is_gone()
    if os.environ.get(EXECUTOR, LOCAL) != LOCAL:  # its processes may be another pod's
        return False
    seen = _seen(instance, run.run_id, dg.DagsterEventType.ENGINE_EVENT)[-1:]
    return any(time.time() - when > GRACE_S and not lives_since(pid, when) for pid, when in seen)


def _clear(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    name = f"run {run.run_id} of {run.job_name}"
    left = _end(_workers(instance, run.run_id))
    if left:
        return f"{name} is dead, but its step processes {left} do not end: kill them"
    why = why_gone(_pid(instance, run))
    now = instance.get_run_by_id(run.run_id)
    if now and now.status == dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, f"Canceled, since {why}.")
    elif now and not now.is_finished:
        instance.report_run_failed(run, f"Failed, since {why}.")
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    return f"cleared {name}, since {why}"


def _end(pids: list[tuple[int, float]]) -> list[int]:
    """Asks the processes to end, and waits a while; the ids of those that are still there."""
    for pid, _ in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)
    until = time.monotonic() + END_S
    while any(lives_since(*each) for each in pids) and time.monotonic() < until:
        time.sleep(0.1)
    return [pid for pid, since in pids if lives_since(pid, since)]


def _workers(instance: dg.DagsterInstance, run_id: str) -> list[tuple[int, float]]:
    """The step processes of the run that are alive, each with a time at which it ran."""
    seen = _seen(instance, run_id, dg.DagsterEventType.STEP_WORKER_STARTED)
    return [each for each in seen if lives_since(*each) and is_worker(each[0])]


def _seen(
    instance: dg.DagsterInstance, run_id: str, kind: dg.DagsterEventType
) -> list[tuple[int, float]]:
    """The process ids that the run's events name, with the times of the events."""
    entries: Any = instance.all_logs(run_id, kind)
    data = [(entry.dagster_event.engine_event_data.metadata, entry.timestamp) for entry in entries]
    return [(int(named["pid"].value), when) for named, when in data if "pid" in named]


def _pid(instance: dg.DagsterInstance, run: dg.DagsterRun) -> int | str:
    """The id of the process that executes the run, or did."""
    process = process_of(run)
    seen = _seen(instance, run.run_id, dg.DagsterEventType.ENGINE_EVENT)
    return process.pid if process else seen[-1][0] if seen else "unknown"


@contextlib.contextmanager
def attended(
    instance: dg.DagsterInstance,
    run_id: str,
    tell: Callable[[str], object],
    *,
    shields: bool = False,
) -> Iterator[None]:
    """Stands by a run of this process while it is executed.

    Dead runs are cleared at the start and whenever the run waits for a pool, and it is told for
    whom it waits. A closed terminal ends it as SIGTERM does. It leaves no place in a pool taken.

    Args:
        instance: Dagster's.
        run_id: of the run, which need not have been created yet.
        tell: is given sentences, also from another thread.
        shields: whether step processes, which get a closed terminal's SIGHUP as well, are left to
            their executor to end, as with SIGTERM.
    """
    for sentence in sweep(instance):
        tell(sentence)
    over = threading.Event()
    # Begun before SIGHUP is shut out of the main thread, so that this one receives it.
    thread = threading.Thread(target=_stand_by, args=(instance, run_id, tell, over), daemon=True)
    thread.start()
    try:
        with _hangup_terminates(shields=shields):
            yield
    finally:
        over.set()
        thread.join()
        if not _workers(instance, run_id):
            instance.event_log_storage.free_concurrency_slots_for_run(run_id)


@dataclasses.dataclass
class Listener:
    """Lets signals end the wait for a pool, to which Dagster's in-process executor alone is deaf.

    It is to be told each event of the run, in the main thread.
    """

    _blocked: set[str] = dataclasses.field(default_factory=set)
    _handlers: dict[signal.Signals, Any] = dataclasses.field(default_factory=dict)

    def notice(self, event: dg.DagsterEvent) -> None:
        """Listens from an event that says that a step waits until one that says that it began."""
        if event.is_engine_event and "pool" in event.engine_event_data.metadata:
            self._blocked.add(event.step_key or "")
        elif event.event_type_value == "STEP_START":
            self._blocked.discard(event.step_key or "")
        if self._blocked and not self._handlers:
            ends = (signal.SIGINT, signal.SIGTERM)
            self._handlers = {number: signal.signal(number, self._end) for number in ends}
        elif not self._blocked:
            self._listen_no_more()

    def _end(self, *_: object) -> None:
        self._blocked.clear()
        self._listen_no_more()
        raise KeyboardInterrupt

    def _listen_no_more(self) -> None:
        while self._handlers:
            signal.signal(*self._handlers.popitem())


def _stand_by(
    instance: dg.DagsterInstance,
    run_id: str,
    tell: Callable[[str], object],
    over: threading.Event,
) -> None:
    """Looks, until the run is over, what it waits for."""
    told: dict[str, float] = {}
    while not over.wait(LOOK_S):
        waits = _waits(instance, run_id)
        cleared = sweep(instance) if waits else []
        for sentence in cleared or waits:
            if time.monotonic() - told.get(sentence, -TELL_S) >= TELL_S:
                told[sentence] = time.monotonic()
                tell(sentence)


@contextlib.contextmanager
def _hangup_terminates(*, shields: bool) -> Iterator[None]:
    """Takes SIGHUP for SIGTERM, unless it is ignored (nohup) or handled already."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGHUP) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    shut_out = {signal.SIGHUP} if shields else set()  # processes begun from now on inherit it
    signal.pthread_sigmask(signal.SIG_BLOCK, shut_out)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, shut_out)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _waits(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """A sentence for each step of the run that waits for a pool which another run has."""
    storage = instance.event_log_storage
    return [
        sentence
        for pool in sorted(storage.get_concurrency_keys())
        for sentence in _waits_for(instance, run_id, storage.get_concurrency_info(pool))
    ]


def _waits_for(instance: dg.DagsterInstance, run_id: str, pool: Any) -> list[str]:
    assigned = [step for step in pool.pending_steps if step.assigned_timestamp]
    taken = {(each.run_id, each.step_key) for each in [*pool.claimed_slots, *assigned]}
    others = sorted(each for each in taken if each[0] != run_id)
    whom = "; ".join(_holder(instance, *other) for other in others)
    return [
        f"{step.step_key} waits for the pool {pool.concurrency_key} "
        f"since {step.enqueued_timestamp.astimezone():%H:%M:%S}: {whom}"
        for step in pool.pending_steps
        if whom and step.run_id == run_id and not step.assigned_timestamp
    ]


def _holder(instance: dg.DagsterInstance, run_id: str, step_key: str) -> str:
    """Who has a place in a pool."""
    run = instance.get_run_by_id(run_id)
    who = f"job {run.job_name}, process {_pid(instance, run)}" if run else "deleted"
    return f"{step_key} of run {run_id} ({who}) has it"


class _Attended(dg.Executor):
    """Dagster's own executor, with its runs attended."""

    def __init__(self, inner: dg.Executor, *, in_process: bool) -> None:
        self.inner, self.in_process = inner, in_process

    @property
    def retries(self) -> Any:
        return self.inner.retries

    @property
    def step_dependency_config(self) -> Any:
        return self.inner.step_dependency_config

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[dg.DagsterEvent]:
        instance, run_id = plan_context.instance, plan_context.run_id
        instance.add_run_tags(run_id, tags(run_id))
        listener = Listener() if self.in_process else None
        with attended(instance, run_id, plan_context.log.info, shields=not self.in_process):
            for event in self.inner.execute(plan_context, execution_plan):
                if listener:
                    listener.notice(event)
                yield event


_DEFAULT: Any = dg.multi_or_in_process_executor


@dg.executor("attended", _DEFAULT.config_schema, _DEFAULT.get_requirements)
def executor(context: dg.InitExecutorContext) -> dg.Executor:
    """Dagster's default executor, whose runs clear what dead ones left and can be stopped."""
    in_process = "in_process" in context.executor_config
    return _Attended(_DEFAULT.executor_creation_fn(context), in_process=in_process)
