"""Automation is off, and would only touch what is cheap; failed runs leave a line."""

import json
import os
import time

import dagster as dg

from orchestration.definitions import defs
from orchestration.sensors import automation, inbox, run_failure_log
from vidtag_assets.resources import Workspace


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
