"""Stages: what makes them run again, and what does not."""

import dataclasses
import json
import shutil

import pytest

from vidtag_ml import config
from vidtag_ml.dataset import stages as dataset_stages
from vidtag_ml.features import stages as features_stages
from vidtag_ml.ingest import stages as ingest_stages
from vidtag_ml.models.cityguessr import stages as cityguessr_stages
from vidtag_ml.models.registry import RANKED, SYSTEMS
from vidtag_ml.models.stages import STAGES
from vidtag_ml.models.vidtag import stages as vidtag_stages
from vidtag_ml.retrieval import stages as retrieval_stages
from vidtag_ml.workflow import code_key, layout, progress

TRAINED = ("phase_one", "phase_two", "geoclip", "classifier", "cityguessr")


def load(root):
    return config.load(root / "params.yaml")


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made, tmp_path / "copy")


def test_second_run_of_every_stage_does_nothing(made):
    trained = ("phase_one", "phase_two", "geoclip", "classifier")
    names = ("ingest", "hierarchy", "gallery", "features", *trained, "bundle_vidtag")
    assert [n for n in names if STAGES[n](made, load(made))] == []
    assert not any(SYSTEMS[name].evaluate(made, load(made)) for name in RANKED)


def test_each_record_tells_the_code_of_its_stage(made):
    data, out = made / "data", made / "out"
    records = {
        **{path: path.name for path in (data / "gallery", *map(out.joinpath, TRAINED))},
        data / "flyover": "ingest_flyover",
        data / "hierarchy.csv": "hierarchy",
        out / "bundle": "bundle_vidtag",
        out / "guess_bundle": "bundle_cityguessr",
        **{path: f"evaluate_{path.parent.name}" for path in out.glob("evaluation/*/test")},
    }
    assert len(records) == 14
    for path, name in records.items():
        record = json.loads(path.with_name(f"{path.name}.record.json").read_text())
        assert code_key.of(name).items() <= record["key"].items(), name


def test_removed_output_is_made_again(copy):
    (copy / "data" / "hierarchy.csv").unlink()
    assert dataset_stages.hierarchy(copy, load(copy))


def test_changed_bytes_are_noticed(copy):
    with (copy / "data" / "gallery" / "gallery.parquet").open("ab") as file:
        file.write(b"x")
    assert retrieval_stages.gallery(copy, load(copy))


def test_an_encoders_card_is_part_of_bundles(copy):
    card = copy / "data" / "encoders" / "flyover_clip.json"
    card.write_text(card.read_text() + "\n")
    assert vidtag_stages.bundle_vidtag(copy, load(copy))
    assert cityguessr_stages.bundle_cityguessr(copy, load(copy))


def test_changed_parameter_reaches_only_what_depends_on_it(copy):
    params = load(copy)
    evaluation = dataclasses.replace(params.evaluation, num_candidates=3)
    params = dataclasses.replace(params, evaluation=evaluation)
    assert not vidtag_stages.phase_two(copy, params)
    assert vidtag_stages.bundle_vidtag(copy, params)


@pytest.mark.parametrize("name", ["geoclip", "classifier"])
def test_models_that_know_no_tracks_are_decoded_frame_by_frame(made, name):
    folder = layout.of(made, load(made)).evaluation(name)
    assert json.loads((folder / "summary.json").read_text())["decoding"] == "initial"


def test_the_classifier_answers_with_its_own_cells(made):
    at = layout.of(made, load(made))
    summary = json.loads((at.evaluation("classifier") / "summary.json").read_text())
    cells = json.loads((at.model("classifier") / "model.json").read_text())["config"]["num_cells"]
    assert (summary["gallery"], summary["gallery_size"]) == ("cells", cells)


def test_missing_input_names_the_command_that_makes_it(workspace):
    with pytest.raises(ValueError, match=r"flyover.*vidtag ingest"):
        dataset_stages.hierarchy(workspace, load(workspace))
    with pytest.raises(ValueError, match=r"clips\.parquet.*vidtag ingest"):
        vidtag_stages.phase_one(workspace, load(workspace))


def test_an_unknown_split_is_refused(made):
    with pytest.raises(ValueError, match="'train'"):
        SYSTEMS["vidtag"].evaluate(made, load(made), "train")


def test_features_of_known_videos_are_not_computed_again(copy, monkeypatch):
    """New params change the dataset's tables, but most videos stay: only new ones are decoded."""
    at, before = layout.of(copy, load(copy)), load(copy)
    old = {path.name for path in at.features.glob("shard-*")}
    clips = dataclasses.replace(before.clips, num_test=before.clips.num_test + 1)
    params = dataclasses.replace(before, clips=clips)
    assert ingest_stages.ingest(copy, params)
    assert features_stages.features(copy, params)
    assert old < {path.name for path in at.features.glob("shard-*")}


def test_progress_is_logged_as_text_and_numbers(caplog):
    report = progress.reporter("counting")
    with caplog.at_level("INFO", "vidtag_ml.progress"):
        report(3, 3)
    assert caplog.records[0].progress == ("counting", 3, 3)
    assert caplog.messages == ["counting: 3 of 3"]
