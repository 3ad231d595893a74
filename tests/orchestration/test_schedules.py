"""When retraining fires, and when it does not."""

import dataclasses
import datetime as dt

import dagster as dg
import yaml

from orchestration.jobs import retrain
from orchestration.schedules import nightly_validation, weekly_retraining
from vidtag_assets import registry
from vidtag_assets.resources import ParamsFile
from vidtag_ml import config


def tick(world, **replaced):
    when = dt.datetime(2026, 1, 5, 3, tzinfo=dt.UTC)
    resources = {**world.resources, **replaced}
    with dg.build_schedule_context(
        instance=world.instance,
        scheduled_execution_time=when,
        resources={name: resources[name] for name in ("params_file", "dvc", "tracking")},
    ) as context:
        return weekly_retraining(context)


def test_unchanged_data_is_not_trained_on_again(world):
    skipped = tick(world)
    assert isinstance(skipped, dg.SkipReason)
    assert "same clips and gallery" in skipped.skip_message


def test_first_training_fires(world, params, tmp_path):
    trip = dataclasses.replace(params.registry, domain="trip")  # none of its models is registered
    other = config.as_dict(dataclasses.replace(params, registry=trip))
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(other))
    fresh = ParamsFile(path=str(tmp_path / "params.yaml"))
    assert isinstance(tick(world, params_file=fresh), dg.RunRequest)


def test_new_data_fires(world, tmp_path):
    other = type(world.resources["dvc"])(root=str(tmp_path))
    (tmp_path / "data" / "flyover").mkdir(parents=True)
    other.commit("clips")
    assert isinstance(tick(world, dvc=other), dg.RunRequest)
    assert registry.nothing_new(world.resources["tracking"], world.resources["dvc"], "vidtag")


def test_schedules_are_off_until_someone_wants_them():
    assert weekly_retraining.default_status == dg.DefaultScheduleStatus.STOPPED
    assert nightly_validation.default_status == dg.DefaultScheduleStatus.STOPPED
    assert weekly_retraining.job_name == retrain.name
