"""A system of one folder and one line: trained, judged and used, by commands and by Dagster."""

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from orchestration.definitions import build_definitions
from tests.conftest import resources_of
from tests.fifth_system.system import SYSTEM
from vidtag_assets.release import by_command
from vidtag_assets.store import registry
from vidtag_ml import config
from vidtag_ml.models.registry import SYSTEMS

ROOT = Path(__file__).parents[1]
ASSETS = ("toy_model", "toy_evaluation", "registered_toy", "champion_toy")
RUN = """
import sys
from tests.fifth_system.system import SYSTEM
from vidtag_ml.models import registry

registry.SYSTEMS["toy"] = SYSTEM  # the one line
from vidtag_assets import cli
from vidtag_ml.cli import app

app.main(cli.app, arguments=sys.argv[1:])
"""


@pytest.fixture(scope="module")
def asked(made, tmp_path_factory):
    """A workspace whose clips are there, and the commands of a vidtag that has a fifth system."""
    root = shutil.copytree(made, tmp_path_factory.mktemp("fifth") / "a workspace")

    def run(*arguments):
        command = [sys.executable, "-c", RUN, *map(str, arguments)]
        return subprocess.run(
            command, cwd=root, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
            check=False,
        )  # fmt: skip

    return root, run


@pytest.fixture
def graph(asked, monkeypatch):
    """Definitions and resources of the workspace, with the fifth system in the one list.

    Its code is of no commit, so that what is being changed here bars no version.
    """
    monkeypatch.setitem(SYSTEMS, "toy", SYSTEM)
    monkeypatch.setenv("GIT_DIR", str(asked[0] / "no repository"))
    resources = resources_of(asked[0])
    for stage in ("clips", "gallery"):
        resources["dvc"].commit(stage)
    return build_definitions(**resources), resources


def test_the_commands_know_a_fifth_system(asked):
    _, ask = asked
    assert ask("train", "toy").stdout.startswith("out/toy: made in")
    assert ask("train", "toy").stdout == "out/toy: unchanged, nothing to do\n"
    assert "0%" in ask("evaluate", "toy").stdout
    assert "vidtag locate VIDEO --model out/toy_bundle" in ask("bundle", "toy").stdout


def test_its_bundle_locates_and_refuses_options_that_do_not_fit(asked, tiny_world):
    root, ask = asked
    for command in ("train", "bundle"):
        ask(command, "toy")
    video = min((tiny_world / "videos").glob("*.mp4"))
    found = ask("locate", video, "--model", "out/toy_bundle", "--out", "found")
    assert "El Dorado" in found.stdout
    assert "nobody has seen it" in found.stdout
    assert [path.suffix for path in (root / "found").rglob("*.*")] == [".txt"]
    refused = ask("locate", video, "--model", "out/toy_bundle", "--start-time", "2024-05-06T07:08")
    assert refused.returncode == 1
    assert "this model gives legends, which have no times" in refused.stderr


def test_dagster_trains_judges_and_promotes_it_and_its_champion_locates(asked, graph, tiny_world):
    root, ask = asked
    params = root / "params.yaml"
    assert "seed: 7" in params.read_text()
    params.write_text(params.read_text().replace("seed: 7", "seed: 8", 1))
    definitions, resources = graph
    with dg.DagsterInstance.ephemeral() as instance:
        job = definitions.resolve_job_def("everything")
        keys = [dg.AssetKey(name) for name in ASSETS]
        done = job.execute_in_process(instance=instance, asset_selection=keys)
        made = {e.asset_key.to_user_string(): e for e in done.get_asset_materialization_events()}
        checks = {e.asset_key.to_user_string(): e for e in done.get_asset_check_evaluations()}
    assert set(made) == set(ASSETS)
    assert checks["champion_toy"].passed
    shown = made["champion_toy"].step_materialization_data.materialization.metadata
    assert (shown["verdict"].value, shown["champion"].value) == ("promoted", 1)
    assert registry.aliases(resources["tracking"], "toy") == {"challenger": 1, "champion": 1}
    video = min((tiny_world / "videos").glob("*.mp4"))
    assert "Atlantis" in ask("locate", video, "--model", "toy").stdout
    assert "toy/1 @challenger @champion" in ask("trace", "toy").stdout.replace("\n", " ")


def test_a_worse_version_is_rejected_through_the_commands_functions(asked, graph):
    root, _ = asked
    _, resources = graph
    params = config.load(root / "params.yaml")
    worse = dataclasses.replace(params, clips=dataclasses.replace(params.clips, seed=9))
    assert SYSTEM.trainings["toy"].make(root, worse)
    by_command.prepare(root, worse, resources["dvc"], "toy")
    tracking = resources["tracking"]
    version, new, entry = by_command.register(root, worse, resources["dvc"], tracking, "toy")
    assert (int(version.version), new, entry.action) == (2, True, "rejected")
    assert registry.aliases(tracking, "toy") == {"challenger": 2, "champion": 1}
