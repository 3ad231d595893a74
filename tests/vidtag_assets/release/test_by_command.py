"""Registration without Dagster: evaluated, recorded and judged as the assets do it."""

import dataclasses
import shutil

import pytest

from tests.conftest import FakeDvc
from vidtag_assets.release import by_command
from vidtag_assets.store import promotions
from vidtag_assets.workspace import resources
from vidtag_assets.workspace.resources import Tracking
from vidtag_ml.models.geoclip import stages as geoclip_stages
from vidtag_ml.models.report import Report
from vidtag_ml.workflow import layout


@pytest.fixture
def copied(made, tmp_path):
    """A copy of a workspace in which every stage has run, its DVC and its MLflow."""
    root = shutil.copytree(made, tmp_path / "a copy")
    return root, FakeDvc(root=str(root)), Tracking(root=str(root))


def test_places_are_registered_with_the_data_that_they_are_made_from(copied, params):
    root, dvc, tracking = copied
    by_command.prepare(root, params, dvc, "cityguessr")
    version, new, entry = by_command.register(root, params, dvc, tracking, "cityguessr")
    assert new
    assert version.tags["dvc.hierarchy"] == dvc.md5("hierarchy")
    assert version.tags["dvc.clips"] == dvc.md5("clips")
    assert version.tags["dagster.run"] == "command-line"
    assert entry == promotions.history(root)[-1]


def test_the_report_on_an_earlier_model_is_made_anew(copied, params):
    root, dvc, _ = copied
    folder = layout.of(root, params).evaluation("geoclip", "test")
    before = Report.read(folder).summary
    seeded = dataclasses.replace(params.geoclip, seed=99)
    geoclip_stages.geoclip(root, dataclasses.replace(params, geoclip=seeded))
    by_command.prepare(root, params, dvc, "vidtag")
    assert Report.read(folder).summary != before


def test_a_model_that_was_never_trained_changes_nothing(copied, params):
    root, dvc, _ = copied
    with pytest.raises(ValueError, match="`vidtag aerial` makes it"):
        by_command.prepare(root, params, dvc, "gama")
    assert not (root / "dvc.lock").exists()
    assert not (root / "mlflow.db").exists()


def test_what_dvc_says_is_one_error_of_the_user(copied, params):
    root, _, _ = copied
    with pytest.raises(ValueError, match="Not inside a DVC repo"):
        by_command.prepare(root, params, resources.Dvc(root=str(root)), "vidtag")


def test_where_dvc_cannot_record_nothing_is_evaluated(copied, params):
    root, _, _ = copied
    shutil.rmtree(root / "out" / "evaluation")
    with pytest.raises(ValueError, match="where `dvc init` was called once"):
        by_command.prepare(root, params, resources.Dvc(root=str(root)), "vidtag", "cityguessr")
    assert not (root / "out" / "evaluation").exists()
