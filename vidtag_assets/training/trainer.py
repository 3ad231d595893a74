"""One process of a training: `python -m vidtag_assets.training.trainer PROCESSES FAILURE ORDER...`.

It begins as many processes of its own kind by torchrun and looks after them; these train, and the
first of them tells the asset through Dagster Pipes. Whichever of all these dies, the others end.

Belongs here: what these processes do. Does not belong here: beginning them from an asset
(process_group.py), training itself (vidtag_ml.models).
"""

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagster_pipes import PipesContext
    from pytorch_lightning.loggers import Logger, MLFlowLogger
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

PARENT = "VIDTAG_PARENT"
"""Variable: id of the process without which this one is to end."""
LOOK_S = 0.5
"""Between two looks whether that is there."""
ENDED = 143
"""Exit code of a process that was asked to end, as shells have it."""


def main(arguments: Sequence[str]) -> None:
    """Begins the processes, or is one of them."""
    _end_with(int(os.environ[PARENT]))
    processes, failure, *order = arguments
    if "RANK" in os.environ:
        _take_part(int(processes), *order)
    else:
        _begin(processes, Path(failure), arguments)


def _end_with(parent: int) -> None:
    """Ends this process, in whatever state, as soon as its parent has ended."""

    def look() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_S)
        os._exit(ENDED)

    threading.Thread(target=look, daemon=True).start()


def _begin(processes: str, failure: Path, arguments: Sequence[str]) -> None:
    """Runs the processes until all have ended; writes why, if one of them failed."""
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    os.environ[PARENT] = str(os.getpid())
    group = ["--standalone", f"--nproc-per-node={processes}", "-m", f"{__package__}.trainer"]
    try:
        run.main([*group, *arguments])
    except ChildFailedError as error:
        failure.write_text(_why(error))
        sys.exit(1)
    except SignalException:
        sys.exit(ENDED)


def _why(error: "ChildFailedError") -> str:
    """Which process is the cause, and how it ended.

    Processes that lose another one fail, too, and torchrun ends the rest by SIGTERM: so one that
    was killed otherwise comes first, and then the first that failed.
    """

    def order(found: tuple[int, "ProcessFailure"]) -> tuple[bool, bool, int]:
        code = found[1].exitcode
        return code == -signal.SIGTERM, code > 0, found[1].timestamp

    rank, first = min(error.failures.items(), key=order)
    if first.exitcode < 0:
        return f"process {rank} was killed by {first.signal_name()}"
    return f"process {rank} failed: {_said(first)}"


def _said(failure: "ProcessFailure") -> str:
    """The message of the exception that ended a process."""
    said: Any = failure.error_file_data["message"]
    return " ".join(str(said["message"] if isinstance(said, dict) else said).split())


def _take_part(processes: int, system: str, training: str, *folders: str) -> None:
    """Trains as one of several processes.

    Args:
        processes: how many there are.
        system: by its name, as its training.
        training: what is made.
        folders: the workspace, that of MLflow's store, and the file of params.
    """
    from torch.distributed.elastic.multiprocessing.errors import record

    from vidtag_ml import config
    from vidtag_ml.models.registry import SYSTEMS

    root, store, params = map(Path, folders)
    values, make = config.load(params), SYSTEMS[system].trainings[training].make

    @record
    def train() -> None:
        if os.environ["RANK"] != "0":
            make(root, values)
            return
        with _telling() as pipes:
            logger, kept = _logger(training, store, processes, pipes)
            worked = make(root, values, logger)
            run_id = kept.run_id if worked else None
            pipes.report_custom_message({"worked": worked, "run_id": run_id})

    train()


@contextlib.contextmanager
def _telling() -> Iterator["PipesContext"]:
    """The way to the asset, on which what is logged goes, too."""
    from dagster_pipes import open_dagster_pipes

    with open_dagster_pipes() as pipes:
        log = logging.getLogger("vidtag_ml")
        log.setLevel(logging.INFO)
        for handler in pipes.log.handlers:
            log.addHandler(handler)
        yield pipes


def _logger(
    training: str, store: Path, processes: int, pipes: "PipesContext"
) -> tuple["Logger", "MLFlowLogger"]:
    """A logger of each epoch, to MLflow and to the asset, and the part of it that is MLflow's."""
    from pytorch_lightning.loggers import Logger

    from vidtag_assets.lineage import circumstances
    from vidtag_assets.workspace.resources import Tracking

    kept = Tracking(root=str(store)).logger(training, **circumstances.of_training(processes))

    class Told(Logger):
        """MLflow's logger, whose figures the asset is told."""

        name, version = kept.name, None

        def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
            kept.log_hyperparams(params, *args, **kwargs)

        def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
            kept.log_metrics(metrics, step)
            figures = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
            pipes.log.info(f"{training}, step {step}: {figures}")
            pipes.report_custom_message({"step": step, **metrics})

        def finalize(self, status: str) -> None:
            kept.finalize(status)

    return Told(), kept


if __name__ == "__main__":
    main(sys.argv[1:])
