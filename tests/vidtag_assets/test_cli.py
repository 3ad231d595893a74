"""`vidtag`: the commands that need the registry, run over the tiny world."""

import json
import shutil

import pytest

from vidtag_assets.store import champions, registry
from vidtag_assets.workspace.resources import Tracking


@pytest.fixture
def registered(world):
    """The workspace of the tiny world with version 1 as champion, whatever the gate said."""
    tracking = world.resources["tracking"]
    champions.promote(tracking, "vidtag", 1, "for a test")
    return world.root


def test_every_command_is_there(vidtag, tmp_path):
    code, shown, _ = vidtag(tmp_path, "--help")
    assert code == 0
    names = (
        "ingest hierarchy gallery features train train-encoders evaluate bundle locate weights "
        "register trace compare promote rollback"
    )
    assert all(f" {name} " in shown for name in names.split())


def test_champion_locates_as_its_bundle_does(vidtag, registered, tmp_path):
    video = next((registered / "data" / "flyover" / "videos").glob("*.mp4"))
    ask = ("locate", video, "--out", tmp_path, "--json")
    (by_name,) = json.loads(vidtag(registered, *ask)[1])
    (by_folder,) = json.loads(vidtag(registered, *ask, "--model", registered / "out" / "bundle")[1])
    assert by_name["origin"].pop("model_version") == 1
    assert by_name == by_folder


def test_trace_prints_the_card_of_a_model_and_no_more(vidtag, registered):
    code, shown, _ = vidtag(registered, "trace", "vidtag/1", "--card")
    assert code == 0
    tracking = Tracking(root=str(registered))
    assert shown.strip() == registry.resolve(tracking, "vidtag/1").description.strip()
    code, shown, error = vidtag(registered, "trace", "vidtag/1", "--card", "--json")
    assert (code, shown) == (1, "")
    assert "leave out the other options" in error


def test_trace_walks_from_model_to_data_and_back(vidtag, registered):
    (model,) = json.loads(vidtag(registered, "trace", "--json")[1])
    assert "champion" in model["aliases"]
    back = json.loads(vidtag(registered, "trace", model["dvc.clips"][:8], "--json")[1])
    assert model in back
    assert model["dvc.clips"] in vidtag(registered, "trace")[1]


def test_champion_of_places_locates_and_is_traced_by_its_name(vidtag, registered, world, tmp_path):
    champions.promote(world.resources["tracking"], "cityguessr", 1, "for a test")
    video = next((registered / "data" / "flyover" / "videos").glob("*.mp4"))
    ask = ("locate", video, "--out", tmp_path, "--json", "--model")
    (by_name,) = json.loads(vidtag(registered, *ask, "cityguessr")[1])
    (by_folder,) = json.loads(vidtag(registered, *ask, registered / "out" / "guess_bundle")[1])
    assert by_name["origin"].pop("model_version") == 1
    assert by_name == by_folder
    (model,) = json.loads(vidtag(registered, "trace", "cityguessr", "--json")[1])
    assert (model["model"], model["aliases"]) == ("cityguessr", ["challenger", "champion"])
    assert set(model["training_runs"]) == {"cityguessr"}
    back = json.loads(vidtag(registered, "trace", model["bundle"][:12], "--json")[1])
    assert back == [model]
    assert "val_acc_city" in vidtag(registered, "trace", "cityguessr@champion")[1]


def test_promotion_is_printed(vidtag, registered):
    code, shown, _ = vidtag(registered, "promote", "vidtag/1", "--reason", "better", "--json")
    assert code == 0
    assert json.loads(shown)["champion"] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("locate", "VIDEO", "--model", "vidtag@nobody"),
        ("locate", "VIDEO", "--model", "vidtag/99"),
        ("locate", "VIDEO", "--model", "other@champion"),
        ("trace", "ffffffffffff"),
        ("promote", "vidtag@"),
        ("promote", "vidtag/1", "--reason", " "),
    ],
)
def test_names_that_lead_nowhere_are_one_line(vidtag, registered, arguments):
    video = next((registered / "data" / "flyover" / "videos").glob("*.mp4"))
    code, shown, said = vidtag(registered, *(video if a == "VIDEO" else a for a in arguments))
    assert (code, shown) == (1, "")
    assert said.startswith("vidtag: ")
    assert said.count("\n") == 1


def test_absent_registry_is_one_line_and_is_not_created(vidtag, registered, tmp_path):
    video = next((registered / "data" / "flyover" / "videos").glob("*.mp4"))
    here = shutil.copy(video, tmp_path)
    code, _, said = vidtag(tmp_path, "locate", here)
    assert code == 1
    assert "no model is registered here" in said
    assert [path.name for path in tmp_path.iterdir()] == [video.name]
