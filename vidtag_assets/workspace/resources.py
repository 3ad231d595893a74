"""Resources: the workspace, its parameters, the `dvc` command and MLflow's store.

Belongs here: how assets reach what lies outside Python. Each resource is a few paths and a handful
of verbs, so that tests can put a fake in its place. Does not belong here: what is logged or
committed, and why (the assets, release/registration.py).
"""

import contextlib
import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from vidtag_assets.execution.processes import Process
from vidtag_assets.workspace import data_docs, home
from vidtag_ml import config
from vidtag_ml.config import strict_yaml
from vidtag_ml.workflow import layout, stage, sums
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from pytorch_lightning.loggers import MLFlowLogger


PROCESS = "vidtag.process"
"""Tag of a run of MLflow: the process that makes it."""
HARDWARE = "hardware"
"""Tag of a training's run: the machine that it ran on."""
PROCESSES = "processes"
"""Tag of a training's run: how many processes it had."""


class Workspace(dg.ConfigurableResource):
    """The folder in which everything lies: `data/`, `out/`, `params.yaml`, `mlflow.db`."""

    root: str
    docs: str = data_docs.ADDRESS
    """Where `make dev` serves the data docs; only for links."""

    @property
    def path(self) -> Path:
        """The workspace's folder."""
        return Path(self.root)

    def layout(self, params: config.Params) -> Layout:
        """Where each stage's output lies."""
        return layout.of(self.path, params)

    def note_failure(self, run_id: str, job: str, message: str) -> None:
        """Adds a failed run to `out/run_failures.jsonl`."""
        time = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        line = {"time": time, "run": run_id, "job": job, "message": message}
        path = self.path / "out" / "run_failures.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as log:
            log.write(json.dumps(line) + "\n")


class ParamsFile(dg.ConfigurableResource):
    """The params file, read anew by each asset, so that an edit needs no reload."""

    path: str

    def load(self) -> config.Params:
        """The parsed parameters; `ValueError` names a wrong key."""
        return config.load(Path(self.path))


class Dvc(dg.ConfigurableResource):
    """The `dvc` command in a workspace; where there is no Git, DVC is told to do without."""

    root: str

    def require(self, stages: Sequence[str]) -> None:
        """Checks, in a second, that `commit` knows these stages.

        Raises:
            RuntimeError: there is no repository of DVC here, or no such stage in its dvc.yaml.
        """
        known = self.run("stage", "list", "--name-only").split()
        unknown = [name for name in stages if name not in known]
        if unknown:
            raise RuntimeError(f"dvc.yaml in {self.root} has no stage {', '.join(unknown)}")

    def commit(self, name: str) -> str:
        """Records a stage's output as it lies on disk; returns its md5 (`….dir` for a folder)."""
        self.run("commit", "--force", name)
        md5 = self.md5(name)
        if md5 is None:
            raise RuntimeError(f"dvc.lock in {self.root} has no output of stage {name!r}")
        return md5

    def add(self, name: str) -> str:
        """Records `data/NAME`, which no stage of DVC makes, in `data/NAME.dvc`; returns its md5.

        The record of what it was made from is added with it.
        """
        self.run("add", f"data/{name}", f"data/{name}{stage.RECORD}")
        md5 = self.md5(name)
        if md5 is None:
            raise RuntimeError(f"data/{name}.dvc in {self.root} records nothing")
        return md5

    def md5(self, name: str) -> str | None:
        """Identity of a stage's output, or of what was added by name; None before its first.

        Raises:
            ValueError: the file that records it is no YAML; names it.
        """
        recorded = self._recorded(name)
        return recorded and recorded[1]

    def md5_on_disk(self, name: str) -> str | None:
        """Identity of the bytes that lie now where `md5` is of; None if nothing does."""
        recorded = self._recorded(name)
        if recorded is None or not recorded[0].exists():
            return None
        path, _ = recorded
        return sums.dvc_md5(sums.take(path)) if path.is_dir() else stage.digest(path)

    def holds(self, md5: str) -> bool:
        """Whether DVC's cache has all that an identity is of, so that it can be put back."""
        files = self.cache() / "files" / "md5"
        whole = files / md5[:2] / md5[2:]
        if not whole.is_file() or not md5.endswith(".dir"):
            return whole.is_file()
        parts = (entry["md5"] for entry in json.loads(whole.read_text()))
        return all((files / part[:2] / part[2:]).is_file() for part in parts)

    def cache(self) -> Path:
        """Where DVC's cache lies; the command is asked only where it may lie elsewhere."""
        usual = Path(self.root).resolve() / ".dvc" / "cache"
        settings = [usual.with_name(name) for name in ("config", "config.local")]
        told = "".join(file.read_text() for file in settings if file.is_file())
        elsewhere = "[cache]" in told or (told and not usual.is_dir())
        return Path(self.run("cache", "dir").strip()) if elsewhere else usual

    def _recorded(self, name: str) -> tuple[Path, str] | None:
        """Where an output lies, and its identity."""
        root = Path(self.root)
        lock, added = root / "dvc.lock", root / "data" / f"{name}.dvc"
        if added.exists():
            folder, recorded = added.parent, strict_yaml.read(added)
        elif lock.exists():
            stages = (strict_yaml.read(lock) or {}).get("stages", {})
            folder, recorded = root, stages.get(name, {})
        else:
            return None
        outs = recorded.get("outs", [])
        found = [(folder / out["path"], out["md5"]) for out in outs if "md5" in out]
        return next((each for each in found if not each[0].name.endswith(stage.RECORD)), None)

    def run(self, *arguments: str) -> str:
        """Standard output of `dvc ARGUMENTS`.

        Raises:
            RuntimeError: the command is missing or fails; carries what it said.
        """
        beside = Path(sys.executable).parent
        command = shutil.which("dvc", path=f"{beside}{os.pathsep}{os.environ.get('PATH', '')}")
        if command is None:
            raise RuntimeError("there is no dvc command: `make setup` installs it in .venv-dvc")
        self._allow_no_git(command)
        return self._call(command, *arguments)

    def _allow_no_git(self, command: str) -> None:
        root = Path(self.root).resolve()
        config_local = root / ".dvc" / "config.local"
        has_git = any((folder / ".git").exists() for folder in (root, *root.parents))
        if not has_git and not (config_local.exists() and "no_scm" in config_local.read_text()):
            self._call(command, "config", "--local", "core.no_scm", "true")

    def _call(self, *command: str) -> str:
        env = {**os.environ, "DVC_NO_ANALYTICS": "1"}
        done = subprocess.run(
            command, cwd=self.root, env=env, capture_output=True, text=True, check=False
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            raise RuntimeError(f"dvc {' '.join(command[1:])} failed in {self.root}: {said}")
        return done.stdout


class Tracking(dg.ConfigurableResource):
    """MLflow in the workspace: `mlflow.db`, and artifacts under `mlartifacts/`.

    Or, where MLFLOW_TRACKING_URI names one, a server's or database that workspaces share.
    """

    root: str
    ui: str = "http://127.0.0.1:5000"
    """Where `make mlflow` serves the UI; only for links."""

    @property
    def server(self) -> str | None:
        """Address of a store beyond the workspace; None = it keeps its own."""
        return home.server(Path(self.root))

    @property
    def uri(self) -> str:
        """Address of the store."""
        return self.server or home.own_store(Path(self.root))

    @property
    def _store(self) -> Path:
        return Path(self.root).resolve() / "mlflow.db"

    def client(self) -> "MlflowClient":
        """MLflow's client for this store, which becomes the process's default one.

        A store that was moved or copied with its workspace first learns where it is.
        """
        if self.server is None:
            home.follow(Path(self.root))
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        import mlflow

        uri = self.uri
        if self.server is None and not self._store.exists():
            self._make()
        with _unchanged(home.URI):
            mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        return mlflow.MlflowClient(uri, uri)

    def _make(self) -> None:
        """Makes the store in one step: one that MLflow was killed over could never be opened."""
        import mlflow

        with home.locked(self._store.parent), tempfile.TemporaryDirectory() as folder:
            if self._store.exists():  # another process was faster
                return
            made = Path(folder) / "mlflow.db"
            mlflow.MlflowClient(f"sqlite:///{made}").search_experiments()
            with stage.replacing(self._store) as aside:
                shutil.copyfile(made, aside)

    def experiment_id(self) -> str:
        """Id of the experiment, made on first use with its artifacts in the workspace."""
        client = self.client()
        found = client.get_experiment_by_name(home.EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        own = (Path(self.root).resolve() / home.ARTIFACTS).as_uri()
        artifacts = own if self.server is None else None
        return str(client.create_experiment(home.EXPERIMENT, artifact_location=artifacts))

    def find(self, *, finished: bool = True, **tags: str) -> "Run | None":
        """The newest run that bears all these tags and was finished, or was not."""
        status = f"attributes.status {'=' if finished else '!='} 'FINISHED'"
        wanted = " and ".join(
            [status, *(f"tags.`{key}` = '{value}'" for key, value in tags.items())]
        )
        runs = self.client().search_runs([self.experiment_id()], wanted, max_results=1)
        return runs[0] if runs else None

    @contextlib.contextmanager
    def open(
        self, name: str, tags: Mapping[str, str], run_id: str | None = None
    ) -> Iterator["Run"]:
        """A run as MLflow's active one; a new one, or `run_id` taken up again.

        What it is made in and by is known before it is in progress.
        """
        import mlflow

        experiment, known = self.experiment_id(), {**tags, PROCESS: str(Process.own())}
        if run_id is None:
            active = mlflow.start_run(experiment_id=experiment, run_name=name, tags=known)
        else:
            for key, value in known.items():
                self.client().set_tag(run_id, key, value)
            active = mlflow.start_run(run_id, experiment)
        with active as run:
            yield run

    def logger(self, name: str, **tags: str) -> "MLFlowLogger":
        """Lightning's logger for a training run; the run begins with the first thing logged."""
        from pytorch_lightning.loggers import MLFlowLogger

        self.experiment_id()
        known = {**tags, PROCESS: str(Process.own())}
        return MLFlowLogger(home.EXPERIMENT, run_name=name, tracking_uri=self.uri, tags=known)

    def url(self, run_id: str) -> str:
        """Page of a run in the UI; no link shows the password that a server's address may hold."""
        server = urllib.parse.urlsplit(self.server or "")
        shown = server._replace(netloc=server.netloc.rpartition("@")[2]).geturl()
        ui = shown.rstrip("/") if server.scheme.startswith("http") else self.ui
        return f"{ui}/#/experiments/{self.experiment_id()}/runs/{run_id}"


@contextlib.contextmanager
def _unchanged(variable: str) -> Iterator[None]:
    """Leaves an environment variable as it is: MLflow sets its own to what it was told last."""
    before = os.environ.get(variable)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(variable, None)
        else:
            os.environ[variable] = before
