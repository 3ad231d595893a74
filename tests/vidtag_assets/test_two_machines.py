"""What one machine made and pushed, another pulls and believes."""

import shutil

import pytest

from vidtag_assets.workspace.resources import Dvc
from vidtag_ml import config
from vidtag_ml.models.stages import STAGES

DATA = ("ingest", "hierarchy", "gallery")


@pytest.fixture
def pulled(workspace, params, tmp_path):
    """A workspace that has nothing but the files in Git, and what `dvc pull` gives it."""
    other = shutil.copytree(workspace, tmp_path / "another machine", symlinks=True)
    for name in DATA:
        STAGES[name](workspace, params)
    mine, theirs = Dvc(root=str(workspace)), Dvc(root=str(other))
    mine.run("commit", "--force")
    shutil.copy(workspace / "dvc.lock", other)
    for dvc in (mine, theirs):
        dvc.run("remote", "add", "--local", "--default", "store", str(tmp_path / "store"))
    mine.run("push")
    theirs.run("pull")
    return other


def test_pulled_data_are_not_made_again(pulled):
    params = config.load(pulled / "params.yaml")
    assert [name for name in DATA if STAGES[name](pulled, params)] == []


def test_a_pulled_file_that_was_changed_is_made_again(pulled):
    params = config.load(pulled / "params.yaml")
    (pulled / "data" / "hierarchy.csv").write_text("city\n")
    assert STAGES["hierarchy"](pulled, params)
