"""Two workspaces and a real MLflow server between them, on loopback."""

import contextlib
import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest
import requests

from tests.conftest import FakeDvc
from vidtag_assets import cli
from vidtag_assets.execution.processes import Process
from vidtag_assets.release import registration
from vidtag_assets.store import champions, leftovers, registry
from vidtag_assets.workspace import home
from vidtag_assets.workspace.resources import PROCESS, Tracking
from vidtag_ml import config
from vidtag_ml.cli import app as ml
from vidtag_ml.models.registry import SYSTEMS


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Address of an MLflow server that keeps runs and artifacts in a folder of its own."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/store.db"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log) as process,
    ):
        address, until = f"http://127.0.0.1:{port}", time.monotonic() + 60
        while not answers(f"{address}/health"):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.2)
        yield address
        process.terminate()


def answers(url):
    with contextlib.suppress(requests.ConnectionError, requests.Timeout):
        return requests.get(url, timeout=1).ok
    return False


@pytest.fixture(scope="module")
def shared(made, server, tmp_path_factory):
    """A workspace that registered a champion on the server, and one that has nothing but params."""
    folder = tmp_path_factory.mktemp("shared")
    mine, theirs = shutil.copytree(made, folder / "trains"), folder / "locates"
    theirs.mkdir()
    shutil.copy(mine / "params.yaml", theirs)
    params, tracking = config.load(mine / "params.yaml"), Tracking(root=str(mine))
    dvc = FakeDvc(root=str(mine))
    for stage in ("clips", "gallery", "hierarchy"):
        dvc.commit(stage)
    SYSTEMS["vidtag"].evaluate(mine, params, "val")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(home.URI, server)
        registration.bundle_and_register(SYSTEMS["vidtag"], mine, params, dvc, tracking, "run")
        champions.promote(tracking, "vidtag", 1, "for a test")
        yield mine, theirs


def test_what_one_workspace_registers_another_locates_with(shared, monkeypatch, capsys):
    mine, theirs = shared
    video = min((mine / "data" / "flyover" / "videos").glob("*.mp4"))
    monkeypatch.chdir(theirs)
    with pytest.raises(SystemExit) as stopped:
        ml.main(cli.app, ["locate", str(video), "--out", str(theirs / "found"), "--json"])
    assert stopped.value.code == 0
    assert json.loads(capsys.readouterr().out)
    assert not any((folder / "mlflow.db").exists() for folder in shared)


def test_what_was_fetched_is_not_fetched_again(shared):
    tracking = Tracking(root=str(shared[1]))
    first = registry.bundle_path(tracking, "vidtag@champion")
    inode = (first / "bundle.json").stat().st_ino
    assert registry.bundle_path(tracking, "vidtag@champion") == first
    assert (first / "bundle.json").stat().st_ino == inode


def test_runs_of_killed_processes_are_closed_on_a_server_too(shared):
    tracking, own = Tracking(root=str(shared[0])), Process.own()
    gone = dataclasses.replace(own, born=own.born - 1.0)
    begun = [
        tracking.client().create_run(tracking.experiment_id(), tags={PROCESS: str(process)})
        for process in (gone, dataclasses.replace(gone, host="elsewhere"))
    ]
    (told,) = leftovers.clear(tracking)
    assert begun[0].info.run_id in told
    states = [tracking.client().get_run(run.info.run_id).info.status for run in begun]
    assert states == ["KILLED", "RUNNING"]


def test_the_process_is_not_told_another_store_than_the_user_did(tmp_path, monkeypatch):
    monkeypatch.delenv(home.URI, raising=False)
    Tracking(root=str(tmp_path)).client()
    assert home.URI not in os.environ


@pytest.mark.parametrize("uri", ["sqlite:///elsewhere/mlflow.db", "file:///tmp/mlruns", "mlruns"])
def test_a_file_of_another_workspace_is_refused(tmp_path, monkeypatch, uri):
    monkeypatch.setenv(home.URI, uri)
    with pytest.raises(ValueError, match=r"URI is .*, a file outside the workspace"):
        Tracking(root=str(tmp_path)).client()
