"""What is known of a version beside its lineage: in what it was made, and who promoted it."""

import getpass
import json
import os
import platform
from importlib import metadata

import pytest
from mlflow.entities.model_registry import ModelVersion

from vidtag_assets.lineage import circumstances, tracing
from vidtag_assets.store import champions
from vidtag_ml.workflow import stage


@pytest.mark.parametrize("name", ["vidtag", "cityguessr"])
def test_trace_tells_in_what_a_model_was_made_and_who_promoted_it(world, name):
    tracking, dvc = world.resources["tracking"], world.resources["dvc"]
    champions.promote(tracking, name, 1, "for a test")
    (found,) = tracing.trace(tracking, dvc, f"{name}/1")
    assert found["hierarchy"] == dvc.md5("hierarchy")
    record = json.loads((world.root / "out" / "features.record.json").read_text())
    assert found["features"] == record["digest"]
    encoders = sorted((world.root / "data" / "encoders").glob("*.safetensors"))
    assert {e.stem: stage.digest(e) for e in encoders} == {
        encoder: digests.split()[1] for encoder, digests in found["encoders"].items()
    }
    assert f"torch {metadata.version('torch')}" in found["packages"]
    assert found["hardware"].startswith(f"{os.cpu_count()} x ")
    assert found["verdict"]
    assert found["promoter"].startswith(f"{getpass.getuser()} on {platform.node()}, 20")


def test_a_version_of_before_tells_no_circumstances():
    version = ModelVersion("vidtag", "1", 0)
    assert set(circumstances.told(version).values()) == {None}
