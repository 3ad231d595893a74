"""The identity of a version and of today: equal where nothing changed, part by part."""

import dataclasses
import json
import shutil

import pytest

from vidtag_assets.lineage import identity, provenance
from vidtag_assets.store import registry
from vidtag_ml import config
from vidtag_ml.models.registry import SYSTEMS
from vidtag_ml.retraining import changes
from vidtag_ml.workflow import layout

VIDTAG = SYSTEMS["vidtag"]


@pytest.fixture(scope="module")
def version(world, params):
    """The identity of the version in the world."""
    tracking = world.resources["tracking"]
    challenger = registry.resolve(tracking, "vidtag@challenger")
    return identity.of_version(tracking, challenger, VIDTAG, params)


def today(world, params):
    return identity.today(VIDTAG, layout.of(world.root, params), params, world.resources["dvc"])


def test_a_version_is_what_would_be_made_today(version, world, params):
    assert changes.between(version, today(world, params)) == ()


@pytest.mark.parametrize(
    "part",
    ["dvc.clips", "dvc.gallery", "hierarchy", "encoder.flyover_clip", "code.ingest_flyover",
     "code.phase_two", "code.bundle_vidtag", "package.torch", "param.phase_one.epochs",
     "param.evaluation.search.method"],
)  # fmt: skip
def test_an_identity_has_all_that_decides(part, version):
    assert version[part]


def test_an_identity_has_nothing_that_does_not(version):
    sections = {name.split(".")[1] for name in version if name.startswith("param.")}
    assert sections == {
        "clips", "gallery", "features", "model", "evaluation", "phase_one", "phase_two"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("system", "own"),
    [
        ("cityguessr", {"gallery", "features", "cityguessr"}),
        ("gama", {"aerial", "gama", "screening", "heading"}),
    ],
)
def test_a_recipe_has_the_sections_of_its_system(system, own, params):
    values = provenance.flat(config.as_dict(params))
    found = identity.settings(values, SYSTEMS[system], params)
    assert {name.split(".")[0] for name in found} == {"clips", "model", "evaluation", *own}


def test_another_setting_is_one_part(version, world, params):
    longer = dataclasses.replace(params.phase_one, epochs=9)
    (change,) = changes.between(
        version, today(world, dataclasses.replace(params, phase_one=longer))
    )
    assert (change.part, change.then, change.now) == ("param.phase_one.epochs", "1", "9")


def test_other_weights_of_an_encoder_are_one_part(version, world, params, tmp_path):
    shutil.copytree(world.root / "data" / "encoders", tmp_path / "data" / "encoders")
    with (tmp_path / "data" / "encoders" / "flyover_dino.safetensors").open("ab") as file:
        file.write(b"\0")
    at, dvc = layout.of(tmp_path, params), world.resources["dvc"]
    found = changes.between(version, identity.today(VIDTAG, at, params, dvc))
    assert [change.part for change in found] == ["encoder.flyover_dino"]


def test_tags_tell_by_which_code_a_stage_was_made(made, params, tmp_path):
    shutil.copytree(made / "out", tmp_path / "out")
    file = tmp_path / "out" / "phase_one.record.json"
    record = json.loads(file.read_text())
    record["key"] |= {"code": "older", "packages": {"torch": "2.0.0"}}
    file.write_text(json.dumps(record))
    (tmp_path / "out" / "phase_two.record.json").unlink()
    at = layout.of(tmp_path, params)
    tags = identity.tags(VIDTAG, at, params)
    assert tags["code.phase_one"] == "older"
    assert "code.phase_two" not in tags
