"""A workspace that lives on from kill to kill, and what undisturbed runs make of it."""

import dataclasses
import multiprocessing
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from tests.conftest import ROOT, lay_out
from vidtag_ml import config

MEMORY, ROOM_BYTES = Path("/dev/shm"), 4_000_000_000  # noqa: S108 (folders of a name of their own)
"""Linux's disk in memory, and what must be free there: two workers fill a quarter of it."""
LONGEST_S = 400.0
"""For which a run may take; else it is blocked."""


@dataclasses.dataclass
class Place:
    """A workspace with Dagster's instance, in which the graph is run by processes."""

    root: Path
    forking: multiprocessing.context.ForkServerContext

    def begin(self, body: Callable[[Path], None]) -> multiprocessing.process.BaseProcess:
        """A process that runs the graph."""
        process = self.forking.Process(target=body, args=(self.root,))
        process.start()
        return process

    def run(self, body: Callable[[Path], None]) -> int | None:
        """Exit code of an undisturbed run; None if it did not end."""
        process = self.begin(body)
        process.join(LONGEST_S)
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
        return process.exitcode

    def forget(self, domain: str) -> None:
        """Makes all that stages made be made anew, and registered under another name."""
        for top in ("data", "out"):
            for path in (self.root / top).iterdir():
                if path.name != "encoders" and not path.name.startswith("promotions"):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        file = self.root / "params.yaml"
        values = yaml.safe_load(file.read_text())
        values["registry"]["domain"] = domain
        file.write_text(yaml.safe_dump(values, sort_keys=False))

    def said(self) -> str:
        """The end of what its processes said."""
        return (self.root / "said").read_text(errors="replace")[-6000:]


@pytest.fixture(scope="session")
def forking() -> Iterator[multiprocessing.context.ForkServerContext]:
    """Processes that begin with all packages imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.syspath_prepend(ROOT)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.faults.graph"])
        yield context


@pytest.fixture(scope="session")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder, in memory where there is room for it.

    Kills do the same there: what a process had written stays. But nothing waits for a disk, as
    databases do hundreds of times a run.
    """
    if not MEMORY.is_dir() or shutil.disk_usage(MEMORY).free < ROOM_BYTES:
        yield tmp_path_factory.mktemp("disk")
        return
    with tempfile.TemporaryDirectory(dir=MEMORY, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def placed(
    forking: multiprocessing.context.ForkServerContext,
    params: config.Params,
    tiny_encoders: Path,
    disk: Path,
) -> Callable[[str], Place]:
    """Makes places in which nothing has run yet."""

    def make(name: str) -> Place:
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=disk))
        root = lay_out(folder / "tiny world", params, tiny_encoders)
        (root / "dagster").mkdir()
        (root / "out").mkdir()
        shutil.copy(ROOT / "dagster.yaml", root / "dagster")
        with pytest.MonkeyPatch.context() as patch:  # as set-up does
            patch.setenv("DAGSTER_HOME", str(root / "dagster"))
            dg.DagsterInstance.get().dispose()
        return Place(root, forking)

    return make


@dataclasses.dataclass(frozen=True)
class Undisturbed:
    """What runs make that nobody disturbs."""

    place: Place
    results: dict[str, str]
    seconds: float


@pytest.fixture(scope="session")
def undisturbed(placed: Callable[[str], Place]) -> Undisturbed:
    """The graph, run once; and once more, so that what it takes is known without its imports."""
    from tests.faults import graph, whole

    place = placed("undisturbed")
    assert place.run(graph.demonstrate) == 0, place.said()
    place.forget("again")
    began = time.monotonic()
    assert place.run(graph.demonstrate) == 0, place.said()
    seconds = time.monotonic() - began
    assert whole.wrongs(place.root) == []
    return Undisturbed(place, whole.results(place.root), seconds)


@pytest.fixture(scope="session")
def lasting(placed: Callable[[str], Place]) -> Place:
    """A place that lives on, with its instance, its registry and its log."""
    return placed("lasting")
