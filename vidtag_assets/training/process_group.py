"""Training by several processes: torchrun begins them, and they report through Dagster Pipes.

Belongs here: beginning the processes of a training from its asset, and ending them whatever becomes
of it. Does not belong here: what each of them does (trainer.py), how they share batches and losses
(vidtag_ml.models.fit).
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import yaml

from vidtag_assets.lineage import circumstances
from vidtag_assets.store import leftovers
from vidtag_assets.training import trainer
from vidtag_assets.workspace.resources import Tracking
from vidtag_ml import config
from vidtag_ml.models.system import System
from vidtag_ml.workflow import stage

VARIABLE = "VIDTAG_PROCESSES"
"""How many processes train, where Dagster is started."""
END_S = 15.0
"""Time that the processes have to end when they are asked to."""


def asked_for() -> int:
    """How many processes the environment asks for; one, if it says nothing.

    Raises:
        ValueError: what it says is no such number.
    """
    text = os.environ.get(VARIABLE, "1")
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{VARIABLE} is {text!r}; it must be a number of processes, 1 or more")
    return int(text)


@dataclass(frozen=True)
class Made:
    """What a training has come to."""

    worked: bool
    """Whether it had to be done."""
    run_id: str | None
    """Of the run of MLflow that it was logged to, if it was done now."""


class ProcessGroup(dg.ConfigurableResource):
    """The processes of a training: this one, or as many of torchrun's, one a GPU."""

    processes: int = 1

    def train(
        self,
        context: dg.AssetExecutionContext,
        system: System,
        name: str,
        root: Path,
        params: config.Params,
        tracking: Tracking,
    ) -> Made:
        """Trains, if that is due, with its losses in a run of MLflow.

        Raises:
            RuntimeError: one of several processes failed or was killed; says which, and why.
        """
        make = system.trainings[name].make
        if self.processes == 1:
            logger = tracking.logger(name, **circumstances.of_training(1))
            worked = make(root, params, logger)
            return Made(worked=worked, run_id=logger.run_id if worked else None)
        with stage.looking():
            due = make(root, params)
        if not due:
            return Made(worked=False, run_id=None)
        return self._launch(context, system, name, root, params, tracking)

    def _launch(
        self,
        context: dg.AssetExecutionContext,
        system: System,
        name: str,
        root: Path,
        params: config.Params,
        tracking: Tracking,
    ) -> Made:
        with (
            tempfile.TemporaryDirectory() as folder,
            dg.open_pipes_session(
                context.op_execution_context,  # of the other, Pipes asks for what is deprecated
                dg.PipesTempFileContextInjector(),
                dg.PipesTempFileMessageReader(),
            ) as session,
        ):
            order, failure = Path(folder) / "params.yaml", Path(folder) / "failure"
            order.write_text(yaml.safe_dump(config.as_dict(params)))
            asked = [system.name, name, str(root), tracking.root, str(order)]
            command = [str(self.processes), str(failure), *asked]
            code = _run(command, session.get_bootstrap_env_vars())
            why = failure.read_text() if failure.exists() else _how(code)
        if code == 0:
            return Made(**session.get_custom_messages()[-1])  # all are read when the session ends
        leftovers.clear(tracking)
        raise RuntimeError(f"{name} was trained by {self.processes} processes; {why}")


def _run(arguments: Sequence[str], variables: Mapping[str, str]) -> int:
    """Begins the processes, in a session of their own, and waits for their end; its code.

    Whatever ends this process ends them, too: they look after it (trainer.py).
    """
    command = [sys.executable, "-m", trainer.__name__, *arguments]
    environment = {**os.environ, **variables, trainer.PARENT: str(os.getpid())}
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        return process.wait()
    finally:
        _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Asks a process to end, if it still runs, and ends it if it does not."""
    process.terminate()
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_S)
    finally:
        process.kill()
        process.wait()


def _how(code: int) -> str:
    """How the process ended that looked after the others, which did not say why."""
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
    return f"the one that began them {how}: see what they wrote to standard error"
