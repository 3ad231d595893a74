"""Alerts arrive at a webhook: of each kind, once, in spite of it being down, and when over."""

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange

from orchestration.sensors import alerts
from vidtag_assets.watching import webhook
from vidtag_assets.workspace.resources import Workspace


@dg.asset
def champion_model() -> None: ...


@dg.asset
def retraining_policy() -> None: ...


@dg.asset_check(asset=champion_model)
def holds() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


@dg.op(config_schema={"breaks": dg.Field(bool, default_value=True)})
def step(context: dg.OpExecutionContext) -> None:
    if context.op_config["breaks"]:
        raise ValueError("no <disk>")


@dg.job
def retrain() -> None:
    step()


@dg.asset(config_schema={"breaks": dg.Field(bool, default_value=True)})
def a_model(context: dg.AssetExecutionContext) -> None:
    if context.op_execution_context.op_config["breaks"]:
        raise ValueError("no disk")


@dg.asset
def another() -> None: ...


DEFS = dg.Definitions([champion_model, retraining_policy], asset_checks=[holds], jobs=[retrain])


class Watched:
    """An instance of Dagster's, and the sensor's cursor."""

    def __init__(self, instance, root):
        self.instance, self.root, self.cursor = instance, root, None

    def tick(self):
        """One evaluation of the sensor; what it says."""
        resources = {"workspace": Workspace(root=str(self.root))}
        context = dg.build_sensor_context(
            self.instance, self.cursor, resources=resources, definitions=DEFS
        )
        result = alerts(context)
        assert not result.run_requests
        self.cursor = result.cursor
        return result.skip_reason.skip_message

    def run(self, *, breaks, **tags):
        config = {"ops": {"step": {"config": {"breaks": breaks}}}}
        return retrain.execute_in_process(config, self.instance, raise_on_error=False, tags=tags)

    def checked(self, *, passed, description="rows are missing", warns=False):
        severity = dg.AssetCheckSeverity.WARN if warns else dg.AssetCheckSeverity.ERROR
        event = dg.AssetCheckEvaluation(
            asset_key=champion_model.key,
            check_name="holds",
            passed=passed,
            metadata={},
            severity=severity,
            description=description,
        )
        self.instance.report_runless_asset_event(event)

    def is_stale(self, *, stale):
        """As Dagster's daemon reports it (test_freshness.py runs the daemon itself)."""
        self.instance.report_runless_asset_event(dg.AssetMaterialization("champion_model"))
        states = [FreshnessState.PASS, FreshnessState.FAIL]
        change = FreshnessStateChange(
            key=champion_model.key,
            previous_state=states[not stale],
            new_state=states[stale],
            state_change_timestamp=1e9,
        )
        self.instance._report_runless_asset_event(change)

    def policy_warns(self, **warnings):
        told = {"warnings": dg.MetadataValue.json(warnings)}
        event = dg.AssetMaterialization("retraining_policy", metadata=told)
        self.instance.report_runless_asset_event(event)


@pytest.fixture
def watched(tmp_path):
    with dg.DagsterInstance.ephemeral() as instance:
        yield Watched(instance, tmp_path)


def test_a_run_a_check_an_old_asset_and_drift_are_told(watched, hook):
    watched.tick()
    run_id = watched.run(breaks=True).run_id
    watched.checked(passed=False)
    watched.is_stale(stale=True)
    watched.policy_warns(drift="position 0.51 (p 1e-05)", stale="champion 3 is 99 days old")
    watched.tick()
    told = {(alert["kind"], alert["about"]): alert for alert in hook.got}
    policy = "champion (retraining_policy)"
    assert list(told) == [
        ("run_failure", "retrain"),
        ("failed_check", "holds of champion_model"),
        ("stale", "champion_model"),
        ("drift", policy),
        ("stale", policy),
    ]
    assert {alert["state"] for alert in hook.got} == {"open"}
    assert told["run_failure", "retrain"]["link"] == f"http://dagster:3000/runs/{run_id}"
    assert "no <disk>" in told["run_failure", "retrain"]["message"]
    assert "no &lt;disk&gt;" in told["run_failure", "retrain"]["text"]
    assert told["drift", policy]["message"] == "position 0.51 (p 1e-05)"


def test_what_stays_wrong_is_told_once_and_again_if_it_changes_or_is_over(watched, hook):
    watched.checked(passed=False, description="2 rows are missing")
    for _ in range(3):
        watched.tick()
        watched.checked(passed=False, description="2 rows are missing")
    watched.checked(passed=False, description="9 rows are missing", warns=True)
    watched.tick()
    watched.checked(passed=True)
    watched.tick()
    watched.tick()
    told = [(alert["state"], alert["message"][0], alert["severity"]) for alert in hook.got]
    assert told == [("open", "2", "error"), ("open", "9", "warning"), ("over", "9", "warning")]


def test_each_failed_run_is_told_and_one_that_goes_well_ends_it(watched, hook):
    watched.tick()
    runs = [watched.run(breaks=True).run_id for _ in range(2)]
    watched.tick()
    watched.run(breaks=False)
    watched.tick()
    assert [(a["state"], a["link"][-36:]) for a in hook.got] == [
        ("open", runs[0]),
        ("open", runs[1]),
        ("over", runs[1]),
    ]


def test_a_run_of_other_assets_does_not_end_a_failure(watched, hook):
    whole = dg.Definitions([a_model, another]).resolve_implicit_global_asset_job_def()

    def run(*assets, **config):
        whole.execute_in_process(
            {"ops": {"a_model": {"config": config}}} if config else {}, watched.instance,
            asset_selection=[asset.key for asset in assets], raise_on_error=False,
        )  # fmt: skip
        watched.tick()

    watched.tick()
    run(a_model, breaks=True)
    run(another)
    assert [(alert["about"], alert["state"]) for alert in hook.got] == [("a_model", "open")]
    run(a_model, another, breaks=False)
    assert [alert["state"] for alert in hook.got] == ["open", "over"]


def test_one_partition_does_not_end_the_failure_of_another(watched, hook):
    watched.tick()
    for name, breaks in (("a", True), ("b", True), ("b", False)):
        watched.run(breaks=breaks, **{"dagster/partition": name})
        watched.tick()
    told = [(alert["about"], alert["state"]) for alert in hook.got]
    assert told == [("retrain (a)", "open"), ("retrain (b)", "open"), ("retrain (b)", "over")]


def test_a_content_that_is_refused_is_told_by_its_title_and_blocks_no_other(watched, hook):
    hook.longest = 700
    watched.checked(passed=False, description="rows are missing " * 50)
    watched.policy_warns(drift="far")
    watched.tick()
    first, second = hook.got
    assert first == {"text": "*check does not hold: holds of champion_model*"}
    assert second["kind"] == "drift"


def test_an_asset_made_again_and_a_policy_that_warns_no_more_end_it(watched, hook):
    watched.is_stale(stale=True)
    watched.policy_warns(drift="far")
    watched.tick()
    watched.is_stale(stale=False)
    watched.policy_warns()
    watched.tick()
    assert [alert["state"] for alert in hook.got] == ["open", "open", "over", "over"]


def test_what_a_webhook_does_not_take_waits_is_told_and_comes_in_order(watched, hook):
    watched.tick()
    hook.status = 503
    watched.run(breaks=True)
    assert "HTTP Error 503" in watched.tick()
    with pytest.raises(RuntimeError, match=r"127\.0\.0\.1 takes no alert: .* 503: .*; 1 alert"):
        watched.tick()
    watched.run(breaks=False)  # it is over before anybody could be told
    watched.tick()
    hook.status = 200
    assert "2 alerts sent" in watched.tick()
    assert [alert["state"] for alert in hook.got] == ["open", "over"]


def test_a_webhook_that_has_moved_took_nothing(watched, hook):
    hook.status = 302  # browsers, and urllib, would then fetch what is there, without the alert
    watched.checked(passed=False)
    assert "takes no alert: HTTP Error 302" in watched.tick()


def test_a_webhook_that_is_not_there_is_told_without_its_secret(watched, hook):
    watched.checked(passed=False)
    hook.shutdown()
    hook.server_close()
    told = watched.tick()
    assert "takes no alert" in told
    assert "secret" not in told


def test_without_an_address_nothing_is_sent_and_nothing_fails(watched, hook, monkeypatch):
    monkeypatch.delenv(webhook.URL)
    watched.tick()
    watched.run(breaks=True)
    watched.checked(passed=False)
    told = watched.tick()
    assert "is not set: nobody is told. Open: failed_check holds of champion_model; run_f" in told
    monkeypatch.setenv(webhook.URL, f"http://127.0.0.1:{hook.server_port}")
    watched.tick()
    # What is wrong still, but not what failed while nobody was to be told.
    assert [alert["kind"] for alert in hook.got] == ["failed_check"]


def test_an_address_that_is_none_is_told(watched, monkeypatch):
    monkeypatch.setenv(webhook.URL, "hooks.example/secret")
    with pytest.raises(ValueError, match="must begin with http"):
        watched.tick()


def test_a_killed_run_is_told_by_what_dagster_says(watched, hook):
    watched.tick()
    run = watched.instance.create_run_for_job(retrain, status=dg.DagsterRunStatus.STARTED)
    watched.instance.report_run_failed(run, "Failed, since process 7 is gone.")
    watched.tick()
    assert "process 7 is gone" in hook.got[0]["message"]
    assert hook.got[0]["about"] == "retrain"


def test_without_the_address_of_the_ui_there_is_no_link(watched, hook, monkeypatch):
    monkeypatch.delenv(webhook.UI)
    watched.checked(passed=False)
    watched.tick()
    assert hook.got[0]["link"] is None
    assert str(watched.root) in hook.got[0]["text"]
