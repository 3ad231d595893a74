"""A disk that is full, with Dagster's and MLflow's databases on it: no run stays in progress."""

import functools
import json

import pytest

from tests.faults import full_disk

pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def mounting(forking):
    """What it takes to give a process a disk of its own."""
    process = forking.Process(target=full_disk.may_mount)
    process.start()
    process.join()
    if process.exitcode:
        pytest.skip("no process may have a disk of its own here")


@pytest.mark.parametrize("free_kb", [64, 512, 1024, 2048, 4096])
def test_after_a_full_disk_the_next_run_ends_whole(mounting, placed, undisturbed, free_kb):
    template = placed("template")
    assert template.run(functools.partial(full_disk.run_twice, free_kb=free_kb)) == 0
    codes, wrongs, results = json.loads((template.root / "told.json").read_text())
    assert codes == [1, 0], template.said()
    assert wrongs == []
    assert results == undisturbed.results
