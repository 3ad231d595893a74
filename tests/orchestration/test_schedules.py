"""What is asked for by the clock, and where nothing is."""

import dagster as dg
import pytest

from orchestration.jobs import reconsider, validate_data
from orchestration.schedules import nightly_validation, weekly_retraining
from tests.conftest import ROOT
from vidtag_assets.workspace.resources import ParamsFile, Workspace

SCHEDULES = [weekly_retraining, nightly_validation]


def tick(schedule, root):
    resources = {
        "workspace": Workspace(root=str(root)),
        "params_file": ParamsFile(path=str(ROOT / "params.yaml")),
    }
    with dg.build_schedule_context(resources=resources) as context:
        return schedule(context)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda each: each.name)
def test_where_nothing_was_ever_made_nothing_begins(schedule, tmp_path):
    skipped = tick(schedule, tmp_path)
    assert isinstance(skipped, dg.SkipReason)
    assert "the job everything makes it" in skipped.skip_message


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda each: each.name)
def test_where_there_are_data_they_are_looked_at(schedule, tmp_path):
    for file in ("flyover/clips.parquet", "gallery/gallery.parquet"):
        (tmp_path / "data" / file).parent.mkdir(parents=True)
        (tmp_path / "data" / file).touch()
    assert isinstance(tick(schedule, tmp_path), dg.RunRequest)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda each: each.name)
def test_schedules_are_on(schedule):
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING


def test_the_week_asks_the_policy_and_trains_nothing():
    assert weekly_retraining.job_name == reconsider.name
    assert nightly_validation.job_name == validate_data.name
