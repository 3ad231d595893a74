"""The command line, and miniatures of the published datasets, as fixtures."""

import functools
import runpy
from dataclasses import dataclass
from pathlib import Path

import pytest

from vidtag_ml.cli import app as cli_app

SCRIPTS = Path(__file__).parents[1] / "data"


@dataclass(frozen=True)
class Done:
    """What a command left on the screen."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def refusal(self):
        """The one line that a failed command says."""
        assert self.returncode in (1, 2), self
        assert self.stderr.count("\n") == 1, self.stderr
        assert self.stderr.startswith("vidtag: ")
        return self.stderr


@pytest.fixture
def vidtag(monkeypatch, capsys):
    """The command, run in a folder: `vidtag(folder, argument, ...)`."""

    def run(folder, *arguments):
        monkeypatch.chdir(folder)
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli_app.main(arguments=list(map(str, arguments)))
        return Done(stopped.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def two_workers(monkeypatch, tmp_path):
    """A cluster of Ray that has room for two workers, whose environment bears `VIDTAG_TEST`."""
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    monkeypatch.setenv("VIDTAG_TEST", str(tmp_path))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture(scope="session")
def make():
    """Writes a miniature: make("msls", folder)."""

    @functools.cache
    def script(name):
        return runpy.run_path(str(SCRIPTS / f"{name}.py"))["make"]

    return lambda name, folder, *args, **options: script(name)(folder, *args, **options)
