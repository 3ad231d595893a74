"""The stages of GAMa: what their keys hold."""

import dataclasses
import json
import shutil

import pytest

from vidtag_ml.models.gama import stages as gama_stages
from vidtag_ml.models.stages import STAGES
from vidtag_ml.workflow import code_key, layout


def append(path):
    with path.open("ab") as file:
        file.write(b"x")


@pytest.fixture
def fused(made_gama, tmp_path):
    """A workspace of GAMa whose params ask a bundle of VidTAG, and these params."""
    root, params = made_gama
    place = shutil.copytree(root, tmp_path / "copy")
    (place / "vidtag").mkdir()
    (place / "vidtag" / "weights").write_bytes(b"weights")
    fusion = dataclasses.replace(params.fusion, bundle="vidtag")
    return place, dataclasses.replace(params, fusion=fusion)


def test_what_judges_answers_trains_nothing_again(made_gama):
    root, params = made_gama
    judged = {"near_km": 1.0, "top1_km": {"a": 1.0}, "kept": "top10"}
    gama = dataclasses.replace(params.gama, **judged)
    heading = dataclasses.replace(params.heading, num_candidates=7)
    changed = dataclasses.replace(params, gama=gama, heading=heading)
    assert not any(STAGES[name](root, changed) for name in ("gama", "screening", "heading"))


@pytest.mark.parametrize("field", ["width", "learning_rate", "center_test_clip"])
def test_networks_and_what_they_learn_are_in_the_key_of_training(made_gama, field):
    root, params = made_gama
    at, old = layout.of(root, params), getattr(params.gama, field)
    gama = dataclasses.replace(params.gama, **{field: not old if field[0] == "c" else 2 * old})
    changed = dataclasses.replace(params, gama=gama)
    assert gama_stages._gama_key(at, changed) != gama_stages._gama_key(at, params)


@pytest.mark.parametrize("file", ["vidtag/weights", "out/aerial_pixels/extra"])
def test_what_an_evaluation_looks_at_is_part_of_its_key(fused, file):
    root, params = fused
    (root / "out" / "aerial_pixels" / "extra").write_bytes(b"pixels")

    def key():
        at = layout.of(root, params)
        return gama_stages.evaluation_key(at, params, "val")

    before = key()
    append(root / file)
    assert key() != before


def test_each_record_tells_the_code_of_its_stage(made_gama):
    root, params = made_gama
    at = layout.of(root, params)
    named = {
        at.evaluation("gama"): "evaluate_gama",
        at.dataset: "ingest_flyover_gama",
        at.aerial_bundle: "bundle_gama",
    }
    paths = [at.aerial_gallery, at.aerial_pixels]
    paths += [at.model(name) for name in ("gama", "screening", "heading")]
    for path, name in {**named, **{path: path.name for path in paths}}.items():
        record = json.loads(path.with_name(f"{path.name}.record.json").read_text())
        assert code_key.of(name).items() <= record["key"].items(), name
