"""The same function over many items, by the workers of a Ray cluster (the extra `ray`).

Results come in the order of their items and are what one process would have made of them. A worker
that is lost is replaced, and what it had in hand is done again.

Belongs here: Ray, all of it. Does not belong here: what is done (features/spread.py,
models/spread.py).
"""

import contextlib
import logging
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

Engine = Literal["here", "ray"]
"""Who works: this process alone, or Ray's workers: those of the cluster that RAY_ADDRESS names, or
as many as this machine has processors."""
MOST_BLOCKS = 4096
"""Parts into which items are divided at most; what a lost worker had in hand is one."""
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
"""No telemetry; a worker without a GPU leaves the variables of CUDA as they are."""
Item = TypeVar("Item")
Made = TypeVar("Made")


def mapped(items: Sequence[Item], begin: Callable[[], Callable[[Item], Made]]) -> Iterator[Made]:
    """What is made of each item, in their order, as soon as all before it are made.

    Args:
        items: that can be pickled; paths in them may begin at this process's folder.
        begin: called once by each worker; gives the function from an item to what is made of it.

    Raises:
        ValueError: Ray is not installed; or the function raised it, as of the first such item.
        OSError: the function raised it, likewise.
    """
    if not items:
        return
    with _cluster() as ray:
        blocks = min(len(items), MOST_BLOCKS)
        rows = ray.data.from_items(
            [{"item": pickle.dumps(item)} for item in items], override_num_blocks=blocks
        ).map(_Worker, fn_constructor_args=(begin, Path.cwd()), **_size(ray))
        for row in rows.iter_rows():
            made, error = pickle.loads(row["made"])  # noqa: S301 - our own workers wrote it
            if error is not None:
                raise error
            yield made


class _Worker:
    """What a worker holds between two items."""

    def __init__(self, begin: Callable[[], Callable[[Any], Any]], folder: Path) -> None:
        os.chdir(folder)
        self.make = begin()

    def __call__(self, row: dict[str, Any]) -> dict[str, bytes]:
        item = pickle.loads(row["item"])  # noqa: S301 - `mapped` wrote it
        try:
            made, error = self.make(item), None
        except (ValueError, OSError) as raised:
            made, error = None, raised
        return {"made": pickle.dumps((made, error))}


def _size(ray: Any) -> dict[str, Any]:
    """How many workers there are, and what each has: a GPU where there are any, else a core."""
    have = ray.cluster_resources()
    kind = "GPU" if have.get("GPU") else "CPU"
    pool = ray.data.ActorPoolStrategy(size=max(1, int(have.get(kind, 1))))
    return {"compute": pool, "num_gpus" if kind == "GPU" else "num_cpus": 1}


@contextlib.contextmanager
def _cluster() -> Iterator[Any]:
    """Ray, connected to a cluster; one that is made here ends with the block."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        raise ValueError("Ray is not installed: pip install 'vidtag-geo[ray]'") from error
    joined = not ray.is_initialized()
    if joined:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield ray
    finally:
        if joined:
            ray.shutdown()
