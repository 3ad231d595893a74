"""Own data by the command line: from files on a disk to a located video and the gate's verdict."""

import contextlib
import dataclasses
import datetime as dt
import io
import re
import shlex
import shutil

import pytest
import yaml

from tests.conftest import ROOT
from tests.data import recordings
from vidtag_assets import cli
from vidtag_assets.store import registry
from vidtag_assets.workspace.resources import Dvc, Tracking
from vidtag_ml import config
from vidtag_ml.cli import app as ml
from vidtag_ml.dataset import tables

TOO_EARLY = {
    ("ingest",): "`vidtag ingest` makes it",
    ("gallery",): "`vidtag gallery` makes it",
    ("train", "phase-one"): "`vidtag train phase-two` makes it",
}
"""What `vidtag bundle` names where it is asked just before these commands."""


def vidtag(folder, *arguments):
    """Runs the command in a folder: exit code, and what it said."""
    said = io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
        pytest.raises(SystemExit) as stopped,
    ):
        ml.main(cli.app, list(map(str, arguments)))
    return stopped.value.code, said.getvalue()


def walk(number):
    """Where and when a walk began: each on a day and at a place of its own."""
    return {"lat": 40.0 + number, "began": recordings.NOON + dt.timedelta(days=number)}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home whose folder Videos/trip holds six walks and three of photos; beside it new ones."""
    home = tmp_path_factory.mktemp("home")
    trip = home / "Videos" / "trip"
    trip.mkdir(parents=True)
    for number in range(6):
        recordings.recording(trip, f"walk {number}", number, **walk(number))
        recordings.photos(trip / f"photos {number}", seed=100 * number, **walk(10 + number))
    recordings.recording(home, "new", 7, **walk(7))
    recordings.photos(home / "new photos", seed=700, **walk(17))
    return home


@pytest.fixture(scope="module")
def workspace(params, tiny_encoders, tmp_path_factory):
    """A workspace whose params take own recordings; DVC works in it, without Git."""
    root = tmp_path_factory.mktemp("own") / "a workspace"
    shutil.copytree(tiny_encoders, root / "data" / "encoders")
    own = dataclasses.replace(params, clips=dataclasses.replace(params.clips, source="recordings"))
    (root / "params.yaml").write_text(yaml.safe_dump(config.as_dict(own), sort_keys=False))
    shutil.copy(ROOT / "dvc.yaml", root)
    (root / ".dvc").mkdir()
    (root / ".dvc" / "config").write_text("[core]\n    no_scm = true\n    analytics = false\n")
    for package in ("vidtag_ml", "vidtag_assets"):
        (root / package).symlink_to(ROOT / package)
    return root


def readme():
    """The commands of the README's path for own data, in order."""
    section = (ROOT / "README.md").read_text().partition("## Your own recordings")[2]
    lines = re.findall(r"^ {4}(.*?)(?:  #.*)?$", section.partition("\n## ")[0], re.MULTILINE)
    return [tuple(shlex.split(part)[1:]) for line in lines for part in line.split("&&")]


@pytest.fixture(scope="module")
def said(workspace, home):
    """What each command of the README's path said, in order, and `bundle` when it was too early."""
    named = {"~/Videos/trip": home / "Videos" / "trip", "VIDEO": home / "new.mp4"}
    done = {}
    for command in readme():
        if command in TOO_EARLY:
            _, done["too early", *command] = vidtag(workspace, "bundle")
        code, done[command] = vidtag(workspace, *(named.get(word, word) for word in command))
        assert code == 0, (command, done)
    return done


def test_the_path_of_the_readme_has_every_stage(said):
    firsts = [command[0] for command in said if command[0] != "too early"]
    assert firsts == [
        "ingest", "ingest", "hierarchy", "gallery", "features", "train", "train", "train",
        "evaluate", "bundle", "locate", "register",
    ]  # fmt: skip


@pytest.mark.parametrize(("before", "named"), TOO_EARLY.items())
def test_a_bundle_too_early_names_the_command_that_is_missing(said, before, named):
    assert said["too early", *before].count("\n") == 1
    assert named in said["too early", *before]


def test_own_recordings_and_photos_are_in_every_split(said, workspace):
    table = tables.read(workspace / "data" / "recordings").clips
    assert set(table["split"]) == {"train", "val", "test"}
    assert table["kind"].value_counts().to_dict() == {"video": 6, "frames": 6}


def test_bundle_says_how_to_locate_with_it(said):
    assert said["bundle",].endswith("\nvidtag locate VIDEO --model out/bundle\n")
    assert "out/bundle: made in" in said["bundle",]


def test_a_new_video_is_located_by_the_own_model(said, workspace):
    located = said["locate", "VIDEO", "--model", "out/bundle"]
    assert "new.mp4: " in located
    assert "its own GPS says" in located
    assert (workspace / "out" / "located" / "track.gpx").is_file()


def test_new_photos_are_located_by_the_own_model(said, workspace, home):
    ask = ("locate", home / "new photos", "--model", "out/bundle", "--out", "photos")
    code, located = vidtag(workspace, *ask)
    assert code == 0, located
    assert "new photos: " in located
    assert (workspace / "photos" / "track.gpx").is_file()


def test_register_tells_the_version_and_the_verdict(said, workspace):
    tracking, dvc = Tracking(root=str(workspace)), Dvc(root=str(workspace))
    (name,) = re.findall(r"^(\S+)/1: registered, @challenger$", said["register",], re.MULTILINE)
    version = registry.resolve(tracking, f"{name}@challenger")
    assert f"the gate: rejected: {version.tags['verdict']}" in said["register",]
    assert f"\n  vidtag locate VIDEO --model {name}@challenger\n" in said["register",]
    assert version.tags["dvc.clips"] == dvc.md5("clips")
    assert version.tags["dvc.gallery"] == dvc.md5("gallery")
    assert "dagster.run      command-line" in vidtag(workspace, "trace", f"{name}/1")[1]


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (("ingest",), "`vidtag ingest PATH --dataset NAME`"),
        (("train", "phase-two"), "`vidtag ingest`"),
        (("register",), "`vidtag ingest`"),
        (("register", "gama"), "`vidtag ingest`"),
        (("locate", "VIDEO", "--model", "out/bundle"), "`vidtag bundle`"),
    ],
)
def test_what_comes_too_early_is_one_line_and_leaves_nothing(command, named, bare, home):
    ask = (home / "new.mp4" if word == "VIDEO" else word for word in command)
    code, refusal = vidtag(bare, *ask)
    assert (code, refusal.count("\n")) == (1, 1)
    assert named in refusal
    assert {path.name for path in bare.iterdir()} <= {"data", "params.yaml"}


@pytest.fixture
def bare(workspace, tmp_path):
    """A workspace of params alone."""
    shutil.copy(workspace / "params.yaml", tmp_path)
    return tmp_path
