"""The way from answers to models, from models to data, and back."""

import json

import pytest

from vidtag_assets import cli
from vidtag_assets.lineage import tracing
from vidtag_assets.store import champions
from vidtag_ml.cli import app as ml
from vidtag_ml.dataset import tables


def test_trace_leads_from_the_model_to_its_data(world):
    tracking, dvc = world.resources["tracking"], world.resources["dvc"]
    (found,) = tracing.trace(tracking, dvc, "vidtag@challenger")
    assert found["dvc.clips"] == dvc.md5("clips")
    assert found["data_is_current"]
    assert set(found["training_runs"]) == {"phase_one", "phase_two"}
    assert {"val_median_km", "test_median_km"} <= set(found["metrics"])


@pytest.mark.parametrize("name", ["vidtag", "cityguessr"])
@pytest.mark.parametrize("identity", ["bundle", "mlflow_run"])
def test_trace_leads_from_any_identity_to_the_model(world, name, identity):
    tracking, dvc = world.resources["tracking"], world.resources["dvc"]
    (model,) = tracing.trace(tracking, dvc, f"{name}/1")
    assert model["model"] == name
    assert tracing.trace(tracking, dvc, model[identity][:12]) == [model]


@pytest.mark.parametrize("identity", ["dvc.clips", "dvc.gallery", "params"])
def test_trace_leads_from_what_models_share_to_all_of_them(world, identity):
    tracking, dvc = world.resources["tracking"], world.resources["dvc"]
    models = [tracing.trace(tracking, dvc, name)[0] for name in ("vidtag", "cityguessr")]
    assert tracing.trace(tracking, dvc, models[0][identity][:12]) == models


def test_trace_of_nothing_known_says_so(world):
    with pytest.raises(ValueError, match="no model is called 'abc'"):
        tracing.trace(world.resources["tracking"], world.resources["dvc"], "abc")


@pytest.fixture
def vidtag(world, monkeypatch, capsys):
    """The command, run in the tiny world with its champions: standard output."""
    for name in ("vidtag", "cityguessr"):
        champions.promote(world.resources["tracking"], name, 1, "for a test")
    monkeypatch.chdir(world.root)

    def run(*arguments, code=0):
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            ml.main(cli.app, [str(a) for a in arguments])
        assert stopped.value.code == code
        said = capsys.readouterr()
        return said.err if code else said.out

    return run


@pytest.fixture
def video(world):
    return min((world.root / "data" / "flyover" / "videos").glob("*.mp4"))


@pytest.mark.parametrize("name", ["vidtag", "cityguessr"])
def test_every_file_of_an_answer_leads_to_its_model_data_and_video(
    vidtag, world, video, name, tmp_path
):
    (row,) = json.loads(vidtag("locate", video, "--model", name, "--out", tmp_path, "--json"))
    (tmp_path / "rows.json").write_text(json.dumps([row]))
    clips = tables.read(video.parents[1]).clips.set_index("video_path")
    searched = world.resources["dvc"].md5("gallery") if name == "vidtag" else None
    for file in [*row["files"], tmp_path / "rows.json"]:
        (model,) = json.loads(vidtag("trace", file, "--json"))
        assert model.pop("answer") == {"file": str(file), **row["origin"]}
        assert [model] == json.loads(vidtag("trace", f"{name}/1", "--json"))
        assert row["origin"]["bundle"] == model["bundle"]
        assert row["origin"].get("gallery") == searched
        assert row["origin"]["video_md5"] == clips.loc[f"videos/{video.name}", "content_md5"]


def test_people_are_told_which_model_answered(vidtag, video, tmp_path):
    ask = ("locate", video, "--out", tmp_path)
    (said,) = (line for line in vidtag(*ask).splitlines() if line.startswith("  by "))
    assert said.startswith("  by vidtag/1, bundle ")
    assert said.removeprefix("  by ") in vidtag("trace", tmp_path / "track.gpx")


def test_an_answer_by_a_folder_leads_to_the_version_with_the_same_bytes(
    vidtag, world, video, tmp_path
):
    vidtag("locate", video, "--out", tmp_path, "--model", world.root / "out" / "bundle")
    (model,) = json.loads(vidtag("trace", tmp_path / "track.kml", "--json"))
    assert (model["model"], model["version"]) == ("vidtag", 1)
    assert "model_version" not in model["answer"]


def test_an_answer_by_a_model_that_is_not_registered_here_says_which(vidtag, tmp_path):
    (tmp_path / "a.csv").write_text(f"model,model_version,bundle\nvidtag,7,{'f' * 32}\n")
    said = vidtag("trace", tmp_path / "a.csv", code=1)
    assert "a.csv: located by vidtag/7, bundle ffffffffffff, and no model registered here" in said
    assert "no such file" in vidtag("trace", tmp_path / "b.csv", code=1)
