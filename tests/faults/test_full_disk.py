"""A disk that is full, with Dagster's and MLflow's databases on it: no run stays in progress."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

UNSHARED = ("unshare", "--mount", "--map-root-user")

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def unshared():
    """How a command gets mounts of its own."""
    try:
        tried = subprocess.run(
            [*UNSHARED, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no unshare (util-linux)")
    if tried.returncode:
        pytest.skip(f"no disk may be mounted here: {tried.stderr.decode().strip()}")
    return UNSHARED


@pytest.mark.parametrize("free_kb", [64, 512, 1024, 2048, 4096])
def test_after_a_full_disk_the_next_run_ends_whole(unshared, placed, undisturbed, free_kb):
    template = placed("template").root
    command = [*unshared, sys.executable, "-m", "tests.faults.full_disk", template, str(free_kb)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    codes, wrongs, results = json.loads(done.stdout.splitlines()[-1])
    assert codes == [1, 0]
    assert wrongs == []
    assert results == undisturbed.results
