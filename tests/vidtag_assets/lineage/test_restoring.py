"""A version made again elsewhere: its code, data, parameters and model, and the same digits."""

import dataclasses
import functools
import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import forget_decisions
from vidtag_assets.lineage import provenance, restoring, stored
from vidtag_assets.release import registration
from vidtag_assets.store import registry
from vidtag_assets.workspace import home, source
from vidtag_assets.workspace.resources import Dvc, Tracking
from vidtag_ml import config
from vidtag_ml.dataset import tables
from vidtag_ml.models.vidtag.system import SYSTEM
from vidtag_ml.workflow import layout, stage


@pytest.fixture
def copied(world, tmp_path):
    """A copy of the tiny world in which nothing was decided yet."""
    root = shutil.copytree(world.root, tmp_path / "a copy")
    forget_decisions(Tracking(root=str(root)), "vidtag")
    yield root
    world.resources["tracking"].client()


@pytest.fixture
def vidtag(vidtag, copied):
    """The command in the copy."""
    return functools.partial(vidtag, copied)


def change_data(root):
    """Today's gallery and parameters are others than those of the model, and DVC knows it not."""
    (root / "data" / "gallery" / "gallery.json").write_text("{}")
    (root / "params.yaml").write_text(
        (root / "params.yaml").read_text().replace("seed: 7", "seed: 8")
    )


def lose(root, name):
    """DVC's cache no longer has a part of some data."""
    dvc = Dvc(root=str(root))
    md5 = dvc.md5(name)
    (dvc.cache() / "files" / "md5" / md5[:2] / md5[2:]).unlink()


def version_of(root):
    return registry.resolve(Tracking(root=str(root)), "vidtag/1")


def stored_of(root):
    return stored.of(Tracking(root=str(root)), version_of(root))


def test_code_data_params_and_model_are_put_back_as_they_were(vidtag, copied, tmp_path):
    change_data(copied)
    there, tags = tmp_path / "there", version_of(copied).tags
    (tmp_path / ".there.part" / "vidtag_ml").mkdir(parents=True)  # an earlier try was killed
    (tmp_path / ".there.part" / "vidtag_ml" / "half.py").touch()
    code, said, _ = vidtag("trace", "vidtag/1", "--restore", there)
    assert (code, f"restored in {there}" in said) == (0, True)
    assert source.digest(there) == tags["source"]
    params = config.load(there / "params.yaml")
    assert provenance.params_digest(params) == tags["params"]
    dvc, at = Dvc(root=str(there)), layout.of(there, params)
    for name in ("clips", "gallery"):
        assert dvc.md5_on_disk(name) == tags[f"dvc.{name}"]
    assert stage.digest(at.bundle) == tags["bundle"]
    assert (at.model("vidtag") / "model.safetensors").is_file()
    assert "dagster==" in (there / "installed-constraints.txt").read_text()
    assert not list(tmp_path.glob(".there*"))


def test_todays_data_are_current_as_long_as_their_bytes_are(vidtag, copied):
    assert json.loads(vidtag("trace", "vidtag/1", "--json")[1])[0]["data_is_current"]
    change_data(copied)
    (model,) = json.loads(vidtag("trace", "vidtag/1", "--json")[1])
    assert not model["data_is_current"]
    assert model["restore"] == "vidtag trace vidtag/1 --restore DIR"


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_nothing_is_restored_where_something_is(vidtag, tmp_path, kind):
    there = tmp_path / "there"
    there.mkdir() if kind == "folder" else there.touch()
    if kind == "folder":
        (there / "mine").touch()
    code, _, said = vidtag("trace", "vidtag/1", "--restore", there)
    assert (code, "there is something already" in said) == (1, True)
    assert [p.name for p in there.glob("*")] == (["mine"] if kind == "folder" else [])


def test_several_versions_are_not_restored_at_once(vidtag, tmp_path, copied):
    data = version_of(copied).tags["dvc.clips"]
    code, _, said = vidtag("trace", data, "--restore", tmp_path / "there")
    assert (code, "leads to 2 versions; name one" in said) == (1, True)


def damage_code(root):
    (stored_of(root) / stored.CODE).write_bytes(b"other")


def lose_code(root):
    shutil.rmtree(stored_of(root))


def older(root):
    tracking = Tracking(root=str(root))
    tracking.client().delete_model_version_tag("vidtag", "1", stored.DIGEST)


LACKING = [
    (damage_code, "is not as it was stored"),
    (lose_code, "its stored code is gone"),
    (older, "is of an older vidtag, which stored no code"),
    (lambda root: lose(root, "gallery"), "DVC's cache lacks gallery ("),
]


@pytest.mark.parametrize(("harm", "said"), LACKING)
def test_a_version_that_cannot_be_made_again_says_so_and_becomes_no_champion(
    vidtag, copied, params, tmp_path, harm, said
):
    harm(copied)
    tracking = Tracking(root=str(copied))
    (model,) = json.loads(vidtag("trace", "vidtag/1", "--json")[1])
    assert (model["restore"], said in model["cannot_restore"]) == (None, True)
    assert said in vidtag("trace", "vidtag/1")[1]
    assert vidtag("trace", "vidtag/1", "--restore", tmp_path / "there")[0] == 1
    assert list(tmp_path.iterdir()) == [copied]
    entry, verdict = registration.decide(SYSTEM, tracking, layout.of(copied, params), params)
    assert (entry.action, verdict.promoted) == ("rejected", False)
    assert (f"cannot be made again: {said}" in entry.reason) or said in entry.reason
    code, _, told = vidtag("promote", "vidtag/1", "--reason", "I want it")
    assert (code, said in told) == (1, True)
    assert "champion" not in registry.aliases(tracking, "vidtag")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vidtag", "cityguessr"])
def test_verification_measures_the_same_digits_with_the_stored_code(vidtag, copied, tmp_path, name):
    change_data(copied)
    shutil.rmtree(copied / "out" / "features")
    code, said, _ = vidtag("trace", f"{name}/1", "--verify", "--json")
    assert code == 0
    told = json.loads(said)[0]["verified"]
    assert told.pop("evaluation.val") == told.pop("evaluation.test")
    assert set(told.values()) == {"as registered"}
    assert list(tmp_path.iterdir()) == [copied]


@pytest.mark.slow
def test_verification_names_figures_that_differ(vidtag, copied, tmp_path, monkeypatch):
    """As if the code that was stored had measured otherwise."""
    kept, tracking = stored_of(copied), Tracking(root=str(copied))
    there = tmp_path / "code"
    source.unpack(kept / stored.CODE, there)
    module = there / "vidtag_ml" / "earth" / "sphere.py"
    module.write_text(module.read_text().replace("6371.0088", "6400.0"))
    source.pack(there, kept / stored.CODE)
    for tag, value in ((stored.DIGEST, stage.digest(kept)), ("source", source.digest(there))):
        tracking.client().set_model_version_tag("vidtag", "1", tag, value)
    code, _, told = vidtag("trace", "vidtag/1", "--verify")
    assert code == 1
    assert "evaluation.val" in told
    assert ", not " in told
    assert source.digest(there) != source.digest(home.CODE)


@pytest.fixture
def filmed(tiny_world, tmp_path, params):
    """A workspace whose tables name recordings in it and outside, and its data put back beside."""
    here, there = tmp_path / "here", tmp_path / "there"
    own = dataclasses.replace(params, clips=dataclasses.replace(params.clips, source="recordings"))
    known = tables.read(tiny_world)
    clips = known.clips.iloc[:2].copy()
    names = [Path(name).name for name in clips["video_path"]]
    for folder, name in ((here / "trip", names[0]), (tmp_path / "outside", names[1])):
        folder.mkdir(parents=True)
        shutil.copy(tiny_world / "videos" / name, folder)
    clips["video_path"] = [f"../../trip/{names[0]}", f"../../../outside/{names[1]}"]
    for root in (here, there):
        tables.write(root / "data" / "recordings", dataclasses.replace(known, clips=clips))
    restoring._find_recordings(here, there, own)
    return restoring.Restored(there, None, SYSTEM, own), tmp_path / "outside" / names[1]


def test_recordings_in_a_workspace_and_outside_are_found_from_a_folder_beside_it(filmed):
    restored, _ = filmed
    assert restoring._recordings(restored).passed
    assert [path.is_symlink() for path in (restored.folder / "trip").iterdir()] == [True]


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"other")])
def test_recordings_that_are_gone_or_others_are_named(filmed, harm):
    restored, outside = filmed
    harm(outside)
    check = restoring._recordings(restored)
    assert (check.passed, check.said) == (False, f"1 of 2 are gone or others, such as {outside}")
