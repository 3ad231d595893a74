"""One machine trains and promotes, another pulls and locates: they share nothing but servers."""

import json
import shutil
from pathlib import Path

import pytest

from vidtag_assets.workspace.resources import Dvc
from vidtag_ml import config
from vidtag_ml.models.stages import STAGES

pytestmark = pytest.mark.slow
WHOLE = "from pathlib import Path; from tests.faults import graph; graph.demonstrate(Path.cwd())"


@pytest.fixture
def locates(trains, tmp_path):
    """What Git has of a workspace that has trained."""
    other = tmp_path / "another machine"
    shutil.copytree(trains / "data" / "encoders", other / "data" / "encoders")
    (other / "vidtag_ml").symlink_to((trains / "vidtag_ml").resolve())
    for name in ("params.yaml", "dvc.yaml", "dvc.lock", ".dvc/config"):
        (other / name).parent.mkdir(exist_ok=True)
        shutil.copy(trains / name, other / name)
    return other


@pytest.fixture
def trained(services, trains, monkeypatch):
    """The workspace, once the whole graph has run, a version is champion and data are pushed."""
    process = services.begin(trains, WHOLE)
    process.communicate()
    assert process.returncode == 0, (trains / "said").read_text()[-6000:]
    services.vidtag(trains, "promote", "vidtag/1", "--reason", "for a test")
    for name, value in services.env.items():
        monkeypatch.setenv(name, value)
    dvc = Dvc(root=str(trains))
    dvc.run("remote", "add", "--default", "store", "s3://vidtag/dvc")
    dvc.run("push")
    return trains


def test_another_machine_believes_what_it_pulls_and_locates_with_the_champion(
    services, trained, locates
):
    Dvc(root=str(locates)).run("pull")
    params = config.load(locates / "params.yaml")
    assert [n for n in ("ingest", "hierarchy", "gallery") if STAGES[n](locates, params)] == []
    video = min((locates / "data" / "flyover" / "videos").glob("*.mp4"))
    said = services.vidtag(locates, "locate", str(video), "--out", "found", "--json")
    (answer,) = json.loads(said)
    assert (answer["origin"]["model"], int(answer["origin"]["model_version"])) == ("vidtag", 1)
    (model,) = json.loads(services.vidtag(locates, "trace", "vidtag/1", "--json"))
    assert "cannot_restore" not in model
    assert not any(Path(root, "mlflow.db").exists() for root in (trained, locates))
