"""The real `dvc` command, in a folder with a space, with and without Git."""

import json
import pathlib
import subprocess

import pytest
import yaml

from vidtag_assets.workspace.resources import Dvc, Tracking

STAGES = {"stages": {"gallery": {"cmd": "vidtag gallery", "outs": ["data/gallery"]}}}


@pytest.fixture
def dvc(tmp_path):
    root = tmp_path / "a workspace"
    (root / "data" / "gallery").mkdir(parents=True)
    (root / "data" / "gallery" / "points").write_text("1, 2")
    (root / "dvc.yaml").write_text(yaml.safe_dump(STAGES))
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text("[core]\n    analytics = false\n")
    return Dvc(root=str(root))


def status(dvc):
    """What differs from dvc.lock, by stage."""
    return json.loads(dvc.run("status", "--json"))


def test_md5_is_unknown_before_the_first_commit(dvc):
    assert dvc.md5("gallery") is None


def test_commit_without_git_gives_the_identity_and_a_clean_status(dvc):
    md5 = dvc.commit("gallery")
    assert len(md5) == 36
    assert md5.endswith(".dir")
    assert dvc.md5("gallery") == md5
    assert status(dvc) == {}


def test_commit_in_a_repository_leaves_git_in_use(dvc):
    subprocess.run(["git", "init", "-q"], cwd=dvc.root, check=True)
    dvc.commit("gallery")
    with pathlib.Path(f"{dvc.root}/data/.gitignore").open() as ignored:
        assert "/gallery" in ignored.read()


def test_changed_bytes_change_the_status_and_the_identity(dvc):
    md5 = dvc.commit("gallery")
    with pathlib.Path(f"{dvc.root}/data/gallery/points").open("a") as points:
        points.write("3, 4")
    assert "gallery" in status(dvc)
    assert dvc.commit("gallery") != md5


def test_unknown_stage_fails_with_what_dvc_said(dvc):
    with pytest.raises(RuntimeError, match="nothing_of_ours"):
        dvc.commit("nothing_of_ours")


def test_stages_that_could_not_be_recorded_are_told_and_nothing_is_written(dvc):
    dvc.require(["gallery"])
    with pytest.raises(RuntimeError, match=r"has no stage nothing_of_ours$"):
        dvc.require(["gallery", "nothing_of_ours"])
    assert not pathlib.Path(dvc.root, "dvc.lock").exists()


def test_what_no_stage_makes_is_recorded_beside_it_and_leaves_a_clean_status(dvc):
    dvc.commit("gallery")
    folder = pathlib.Path(f"{dvc.root}/data/tiles")
    folder.mkdir()
    (folder / "table").write_text("a, b")
    folder.with_name("tiles.record.json").write_text("{}")
    assert dvc.md5("tiles") is None
    md5 = dvc.add("tiles")
    assert dvc.md5("tiles") == md5 != dvc.md5("gallery")
    assert status(dvc) == {}
    (folder / "table").write_text("b, c")
    assert dvc.add("tiles") != md5


def test_bytes_on_disk_have_the_identity_that_dvc_gives_them(dvc):
    points = pathlib.Path(f"{dvc.root}/data/gallery/points")
    md5 = dvc.commit("gallery")
    assert dvc.md5_on_disk("gallery") == md5
    points.chmod(0o644)
    points.write_text("1, 3")
    assert dvc.md5_on_disk("gallery") != dvc.md5("gallery") == md5
    assert dvc.commit("gallery") == dvc.md5_on_disk("gallery")
    assert (dvc.md5_on_disk("clips"), dvc.md5("clips")) == (None, None)


@pytest.mark.parametrize("place", [None, "a cache elsewhere"])
def test_the_cache_holds_what_was_committed_until_a_file_of_it_is_gone(dvc, tmp_path, place):
    if place:
        dvc.run("cache", "dir", "--local", str(tmp_path / place))
    md5 = dvc.commit("gallery")
    assert dvc.cache() == (tmp_path / place if place else pathlib.Path(f"{dvc.root}/.dvc/cache"))
    assert dvc.holds(md5)
    assert not dvc.holds("0" * 32)
    files = [path for path in dvc.cache().rglob("*") if path.is_file()]
    next(path for path in files if path.suffix != ".dir").unlink()
    assert not dvc.holds(md5)


@pytest.mark.parametrize("name", ["dvc.lock", "data/clips.dvc"])
@pytest.mark.parametrize("left", [b"\0" * 64, b"stages: {", b"caf\xe9: 1"])
def test_a_record_that_was_cut_off_is_named(tmp_path, name, left):
    (tmp_path / "data").mkdir()
    (tmp_path / name).write_bytes(left)
    with pytest.raises(ValueError, match=name):
        Dvc(root=str(tmp_path)).md5("clips")


class Known(Tracking):
    def experiment_id(self):
        return "1"


@pytest.mark.parametrize(
    ("server", "link"),
    [
        ("http://ann:secret@mlflow:5000/", "http://mlflow:5000/#/experiments/1/runs/r"),
        ("https://mlflow/team", "https://mlflow/team/#/experiments/1/runs/r"),
        ("postgresql://ann:secret@db/mlflow", "http://127.0.0.1:5000/#/experiments/1/runs/r"),
    ],
)
def test_links_to_runs_show_no_password(tmp_path, monkeypatch, server, link):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    assert Known(root=str(tmp_path)).url("r") == link
