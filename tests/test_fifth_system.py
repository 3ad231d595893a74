"""A system of one folder and one line: the commands train, measure, bundle and locate with it."""

import subprocess
import sys
from pathlib import Path

import pytest

RUN = """
import sys
from tests.fifth_system.system import SYSTEM
from vidtag_ml.models import registry

registry.SYSTEMS["toy"] = SYSTEM  # the one line
from vidtag_ml.cli import app

app.main(arguments=sys.argv[1:])
"""


@pytest.fixture
def ask(workspace):
    """The command of a vidtag that has a fifth system, in an empty workspace."""

    def run(*arguments):
        command = [sys.executable, "-c", RUN, *map(str, arguments)]
        root = str(Path(__file__).parents[1])
        return subprocess.run(
            command, cwd=workspace, env={"PYTHONPATH": root}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    return run


def test_the_commands_know_a_fifth_system(ask):
    assert ask("train", "toy").stdout.startswith("out/toy: made in")
    assert ask("train", "toy").stdout == "out/toy: unchanged, nothing to do\n"
    assert "50%" in ask("evaluate", "toy").stdout
    assert "vidtag locate VIDEO --model out/toy_bundle" in ask("bundle", "toy").stdout


def test_its_bundle_locates_and_refuses_options_that_do_not_fit(ask, workspace, tiny_world):
    ask("bundle", "toy")
    video = min((tiny_world / "videos").glob("*.mp4"))
    found = ask("locate", video, "--model", "out/toy_bundle", "--out", "found")
    assert "Atlantis" in found.stdout
    assert "nobody has seen it" in found.stdout
    assert [path.suffix for path in (workspace / "found").rglob("*.*")] == [".txt"]
    refused = ask("locate", video, "--model", "out/toy_bundle", "--start-time", "2024-05-06")
    assert refused.returncode == 1
    assert "this model gives legends, which have no times" in refused.stderr
