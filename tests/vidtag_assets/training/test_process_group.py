"""A training by two of torchrun's processes, through its asset."""

import contextlib
import dataclasses
import multiprocessing
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import dagster as dg
import filelock
import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file

from tests.conftest import lay_out, resources_of
from vidtag_assets.assets import factory
from vidtag_assets.training import process_group
from vidtag_assets.training.process_group import ProcessGroup
from vidtag_ml import config
from vidtag_ml.models.registry import SYSTEMS
from vidtag_ml.models.stages import STAGES

MODEL = factory.assets_of(SYSTEMS["vidtag"])[0]
LASTING = 1000
"""Epochs of a training that is not over before it is killed."""


@pytest.fixture(scope="module")
def prepared(params, tiny_encoders, tmp_path_factory):
    """A workspace in which Phase I can be trained."""
    root = lay_out(tmp_path_factory.mktemp("group") / "a workspace", params, tiny_encoders)
    for stage in ("ingest", "gallery", "features"):
        STAGES[stage](root, params)
    dvc = resources_of(root)["dvc"]
    for name in ("clips", "gallery"):
        dvc.commit(name)
    return root


def with_epochs(root, epochs):
    """The workspace with a Phase I of so many epochs, of which nothing is done yet."""
    for old in root.glob("out/.phase_one.*"):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    values = config.load(root / "params.yaml")
    phase = dataclasses.replace(values.phase_one, epochs=epochs)
    values = dataclasses.replace(values, phase_one=phase)
    (root / "params.yaml").write_text(yaml.safe_dump(config.as_dict(values), sort_keys=False))
    return root


def trained(root, processes, instance=None):
    """The result of materializing Phase I."""
    resources = {**resources_of(root), "process_group": ProcessGroup(processes=processes)}
    return dg.materialize([MODEL], resources=resources, instance=instance, raise_on_error=False)


def metadata(result):
    (made,) = result.asset_materializations_for_node("phase_one_model")
    return {name: value.value for name, value in made.metadata.items()}


def ours(tags):
    """The tags that MLflow does not set itself, from what was started how."""
    return {name for name in tags if not name.startswith("mlflow.")}


def members(root):
    """The processes that train in a workspace: id -> rank, or None of the one that began them."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if b"vidtag_assets.training.trainer" in words and str(root).encode() in words:
                pairs = (folder / "environ").read_bytes().split(b"\0")
                ranks = [p.partition(b"=")[2] for p in pairs if p.startswith(b"RANK=")]
                found[int(folder.name)] = int(ranks[0]) if ranks else None
    return found


def wait_for(what, longest_s=120.0):
    """What a function says, as soon as it says something."""
    until = time.monotonic() + longest_s
    while not (said := what()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.1)
    return said


def at_work(root):
    """The processes, as soon as they have trained for an epoch."""
    return wait_for(lambda: list(root.glob("out/.phase_one.*/losses.csv")) and members(root))


def assert_nothing_is_left(root):
    """No process trains, and whoever comes next need not wait."""
    wait_for(lambda: not members(root), 30.0)
    # A process that ends has no command line any more a moment before its files are closed.
    with filelock.FileLock(root / "out" / ".phase_one.lock", timeout=5):
        pass


@pytest.mark.slow
def test_two_processes_make_what_one_makes_and_tell_it_as_they_go(prepared, tmp_path):
    runs, weights = [], []
    for processes in (1, 2):
        root = with_epochs(prepared, 3)
        for old in root.glob("out/phase_one*"):
            old.rename(tmp_path / f"{processes} {old.name}")
        with dg.DagsterInstance.ephemeral() as instance:
            result = trained(root, processes, instance)
            logs = [entry.user_message for entry in instance.all_logs(result.run_id)]
        shown = metadata(result)
        told = [line for line in logs if line.startswith("phase_one, step")]
        assert [line.split(":")[0] for line in told] == [
            f"phase_one, step {k}" for k in (3, 6, 9) if processes == 2
        ]
        assert shown["worked"]
        assert np.isfinite([shown["loss"], shown["val_loss"]]).all()
        tracking = resources_of(root)["tracking"]
        runs.append(tracking.client().get_run(shown["mlflow_run"].rpartition("/")[2]))
        weights.append(load_file(root / "out" / "phase_one" / "model.safetensors"))
        assert not metadata(trained(root, processes))["worked"]
    one, two = runs
    assert (one.info.status, two.info.status) == ("FINISHED", "FINISHED")
    assert one.data.params == two.data.params
    assert ours(one.data.tags) == ours(two.data.tags)
    assert (one.data.tags["processes"], two.data.tags["processes"]) == ("1", "2")
    for name, value in one.data.metrics.items():
        assert two.data.metrics[name] == pytest.approx(value, rel=0.05), name
    assert all(np.allclose(weights[0][k], weights[1][k], atol=0.02) for k in weights[0])


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1, None])
def test_a_process_that_is_killed_fails_the_asset_with_one_reason(prepared, rank):
    root = with_epochs(prepared, LASTING)

    def kill():
        (process,) = (pid for pid, found in at_work(root).items() if found == rank)
        os.kill(process, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    result = trained(root, 2)
    killer.join()
    assert not result.success
    error = result.failure_data_for_node("phase_one_model").error
    who = "the one that began them" if rank is None else f"process {rank}"
    assert f"phase_one was trained by 2 processes; {who} was killed by SIGKILL" in str(error)
    assert_nothing_is_left(root)
    tracking = resources_of(root)["tracking"]
    running = tracking.client().search_runs(
        [tracking.experiment_id()], "attributes.status = 'RUNNING'"
    )
    assert running == []


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_the_run_ends_all_its_processes(prepared, how):
    root = with_epochs(prepared, LASTING)
    run = multiprocessing.get_context("fork").Process(target=trained, args=(root, 2))
    run.start()
    assert len(at_work(root)) == 3
    os.kill(run.pid, how)
    run.join(60)
    assert run.exitcode is not None
    assert_nothing_is_left(root)


@pytest.mark.slow
def test_what_is_wrong_with_a_training_is_the_reason(prepared):
    root = with_epochs(prepared, 2)
    result = trained(root, 3)
    error = str(result.failure_data_for_node("phase_one_model").error)
    assert "failed: ValueError: batches of 2 clips for 3 processes" in error


@pytest.mark.parametrize("text", ["0", "two", "-1", "1.5"])
def test_a_number_of_processes_is_one_or_more(monkeypatch, text):
    monkeypatch.setenv(process_group.VARIABLE, text)
    with pytest.raises(ValueError, match=f"VIDTAG_PROCESSES is '{text}'; it must be a number"):
        process_group.asked_for()
