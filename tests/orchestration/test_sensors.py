"""Automation is off, and would only touch what is cheap; failed runs leave a line."""

import json

import dagster as dg

from orchestration.definitions import defs
from orchestration.sensors import automation, run_failure_log
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
