"""Automation is off, and would only touch what is cheap; failed runs leave a line."""

import json
import os
import time

import dagster as dg
import pytest

from orchestration.definitions import defs
from orchestration.jobs import take_in
from orchestration.sensors import arrivals, automation, inbox, launching, run_failure_log
from tests.conftest import ROOT
from vidtag_assets.workspace.resources import ParamsFile, Workspace
from vidtag_ml.models.registry import SYSTEMS


def test_automation_is_off_by_default():
    assert automation.default_status == dg.DefaultSensorStatus.STOPPED


def test_automation_would_only_make_what_is_cheap():
    graph = defs.resolve_asset_graph()
    automated = {
        key.to_user_string()
        for key in graph.get_all_asset_keys()
        if graph.get(key).automation_condition
    }
    assert automated == {"hierarchy", "leaderboard"}


def test_failed_run_leaves_a_line(tmp_path):
    @dg.op
    def breaks() -> None:
        raise ValueError("broken")

    @dg.job
    def doomed() -> None:
        breaks()

    with dg.DagsterInstance.ephemeral() as instance:
        result = doomed.execute_in_process(instance=instance, raise_on_error=False)
        context = dg.build_run_status_sensor_context(
            "run_failure_log",
            result.get_run_failure_event(),
            instance,
            result.dagster_run,
            resources={"workspace": Workspace(root=str(tmp_path))},
        ).for_run_failure()
        run_failure_log(context)
    line = json.loads((tmp_path / "out" / "run_failures.jsonl").read_text())
    assert (line["job"], line["run"]) == ("doomed", result.run_id)


retraining = launching(SYSTEMS["vidtag"])


def put(root, name, changed_s_ago=60.0):
    """A recording in the inbox."""
    folder = root / "data" / "inbox" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a.mp4").write_bytes(os.urandom(8))
    then = time.time() - changed_s_ago
    for path in (folder / "a.mp4", folder):
        os.utime(path, (then, then))


def look(root, cursor=None):
    """What the sensor asks for."""
    workspace = Workspace(root=str(root))
    return inbox(dg.build_sensor_context(cursor=cursor, resources={"workspace": workspace}))


def test_the_inbox_is_not_watched_by_default():
    assert inbox.default_status == dg.DefaultSensorStatus.STOPPED


def test_a_new_folder_is_taken_in_as_a_partition(tmp_path):
    put(tmp_path, "trip")
    asked = look(tmp_path)
    assert [request.partition_key for request in asked.run_requests] == ["trip"]
    (added,) = asked.dynamic_partitions_requests
    assert (added.partitions_def_name, added.partition_keys) == ("dataset", ["trip"])


def test_a_folder_is_asked_for_once_and_again_when_it_changed(tmp_path):
    put(tmp_path, "trip")
    first = look(tmp_path)
    assert not look(tmp_path, first.cursor).run_requests
    (tmp_path / "data" / "inbox" / "trip" / "a.mp4").unlink()
    put(tmp_path, "trip", changed_s_ago=50.0)
    again = look(tmp_path, first.cursor)
    assert [request.partition_key for request in again.run_requests] == ["trip"]
    assert again.run_requests[0].run_key != first.run_requests[0].run_key


def test_a_folder_that_is_still_being_copied_waits(tmp_path):
    put(tmp_path, "trip", changed_s_ago=5.0)
    assert not look(tmp_path).run_requests


def test_without_an_inbox_nothing_is_asked_for(tmp_path):
    assert not look(tmp_path).run_requests


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def decided(instance, *, retrain):
    """Tells Dagster what the policy has decided."""
    told = {"retrain": retrain, "why": dg.MetadataValue.md("recipe: code"), "identity": "abc"}
    instance.report_runless_asset_event(dg.AssetMaterialization("retraining_policy", metadata=told))


def watch(sensor, instance, cursor=None, **resources):
    """What a sensor answers."""
    return sensor(dg.build_sensor_context(instance, cursor=cursor, resources=resources))


def test_what_the_policy_asks_for_is_launched_once_and_says_why(instance):
    decided(instance, retrain=True)
    asked = watch(retraining, instance)
    (request,) = asked.run_requests
    assert request.tags == {"vidtag/identity": "abc", "vidtag/why": "recipe: code"}
    assert isinstance(watch(retraining, instance, asked.cursor), dg.SkipReason)
    decided(instance, retrain=True)
    (another,) = watch(retraining, instance, asked.cursor).run_requests
    assert another.run_key != request.run_key


def test_nothing_is_launched_if_the_policy_says_no_or_was_never_asked(instance):
    assert isinstance(watch(retraining, instance), dg.SkipReason)
    decided(instance, retrain=False)
    asked = watch(retraining, instance)
    assert asked.run_requests == []
    assert isinstance(watch(retraining, instance, asked.cursor), dg.SkipReason)


def test_each_system_is_retrained_by_the_job_that_makes_it():
    jobs = {sensor.name: sensor.job_name for sensor in defs.sensors if "retraining" in sensor.name}
    assert jobs == {"retraining": "retrain", "retraining_cityguessr": "name_places"}


def test_the_policy_is_heard_and_arrivals_are_noticed_by_default():
    assert {retraining.default_status, arrivals.default_status} == {dg.DefaultSensorStatus.RUNNING}


@pytest.fixture
def own(tmp_path):
    """Params of own recordings."""
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(text.replace("source: flyover", "source: recordings", 1))
    return ParamsFile(path=str(tmp_path / "params.yaml"))


def taken_in(instance):
    """Tells Dagster that a dataset was taken in."""
    instance.add_dynamic_partitions("dataset", ["trip"])
    instance.report_runless_asset_event(dg.AssetMaterialization("own_recordings", partition="trip"))


def test_once_recordings_were_taken_in_the_policy_is_asked(instance, own):
    assert isinstance(watch(arrivals, instance, params_file=own), dg.SkipReason)
    taken_in(instance)
    asked = watch(arrivals, instance, params_file=own)
    assert len(asked.run_requests) == 1
    assert isinstance(watch(arrivals, instance, asked.cursor, params_file=own), dg.SkipReason)


def test_the_policy_waits_for_the_last_dataset(instance, own):
    taken_in(instance)
    instance.add_run(dg.DagsterRun(take_in.name, status=dg.DagsterRunStatus.STARTED))
    assert "still" in watch(arrivals, instance, params_file=own).skip_message


def test_recordings_that_no_clip_is_made_of_ask_for_nothing(instance):
    taken_in(instance)
    flyover = ParamsFile(path=str(ROOT / "params.yaml"))
    assert "clips.source" in watch(arrivals, instance, params_file=flyover).skip_message
