"""Champions, evaluations and the policy may become so old, and then Dagster calls them stale."""

import contextlib
import dataclasses
import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import StepMaterializationData

from orchestration.definitions import defs
from tests.conftest import ROOT
from vidtag_assets.watching import freshness
from vidtag_ml import config

DAY = dt.timedelta(days=1)
DAEMON_S = 120


def policy(asset):
    """The freshness policy of an asset as the UI gets it."""
    return defs.resolve_asset_graph().get(dg.AssetKey(asset)).freshness_policy


@pytest.mark.parametrize(
    "asset",
    ["champion_model", "champion_cityguessr", "vidtag_evaluation", "geoclip_evaluation"],
)
def test_champions_and_evaluations_warn_when_a_new_model_is_asked_for(asset):
    age = config.load(ROOT / "params.yaml").retraining.age_days * DAY
    window = policy(asset)
    assert window.warn_window.to_timedelta() == age
    assert window.fail_window.to_timedelta() == age + 30 * DAY


def test_the_policy_is_asked_each_week():
    assert policy("retraining_policy").fail_window.to_timedelta() == 8 * DAY


@pytest.mark.parametrize("asset", ["clips", "gps_gallery", "registered_model", "leaderboard"])
def test_nothing_else_is_stale_so_that_one_cause_is_no_dozen_alerts(asset):
    assert policy(asset) is None


def test_ages_come_from_the_params():
    settings = config.load(ROOT / "params.yaml").retraining
    spec = dg.AssetSpec("champion_model", group_name="registry")
    young = freshness.kept_fresh(spec, dataclasses.replace(settings, age_days=2.0))
    assert young.freshness_policy.warn_window.to_timedelta() == 2 * DAY
    least = freshness.kept_fresh(spec, dataclasses.replace(settings, age_days=1e-6))
    assert least.freshness_policy.warn_window.to_timedelta() == dt.timedelta(minutes=1)


DEFINITIONS = """
from pathlib import Path

import dagster as dg
from vidtag_assets.watching import freshness
from orchestration.sensors import alerts
from vidtag_assets.watching import freshness
from vidtag_assets.workspace.resources import Workspace
from vidtag_ml import config

@dg.asset
def champion_model(): ...

@dg.asset
def vidtag_evaluation(): ...

settings = config.load(Path("params.yaml")).retraining
assets = [champion_model, vidtag_evaluation]
defs = dg.Definitions(
    dg.map_asset_specs(lambda spec: freshness.kept_fresh(spec, settings), assets),
    sensors=[alerts],
    resources={"workspace": Workspace(root=".")},
)
"""


@contextlib.contextmanager
def daemon(folder, home):
    """Dagster's daemon over the definitions, which looks each second."""
    env = {**os.environ, "DAGSTER_HOME": str(home), "FRESHNESS_DAEMON_INTERVAL_SECONDS": "1"}
    command = [Path(sys.executable).with_name("dagster-daemon"), "run", "-f", "defs.py"]
    with (folder / "daemon.log").open("w") as log:
        begun = subprocess.Popen(
            command, cwd=folder, env={**env, "PYTHONPATH": str(ROOT)}, stdout=log, stderr=log
        )
        try:
            yield
        finally:
            begun.send_signal(signal.SIGINT)
            begun.wait(60)


def materialize(instance, asset, age):
    """Tells Dagster that an asset was made so long ago."""
    made = StepMaterializationData(dg.AssetMaterialization(asset))
    event = dg.DagsterEvent("ASSET_MATERIALIZATION", "a job", event_specific_data=made)
    then = (dt.datetime.now(dt.UTC) - age).timestamp()
    instance.store_event(dg.EventLogEntry(None, "debug", "", "", then, dagster_event=event))


@pytest.mark.slow
def test_dagster_calls_old_champions_stale_and_tells_of_them(tmp_path, hook):
    (tmp_path / "defs.py").write_text(DEFINITIONS)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copy(ROOT / "dagster.yaml", home)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        materialize(instance, "champion_model", 121 * DAY)
        materialize(instance, "vidtag_evaluation", 119 * DAY)
        keys = [dg.AssetKey("champion_model"), dg.AssetKey("vidtag_evaluation")]
        until = time.monotonic() + DAEMON_S
        with daemon(tmp_path, home):
            while not hook.got:
                assert time.monotonic() < until, (tmp_path / "daemon.log").read_text()
                time.sleep(0.5)
        found = instance.get_freshness_state_records(keys)
    assert [found[key].freshness_state.value for key in keys] == ["FAIL", "WARN"]
    assert [(told["kind"], told["about"]) for told in hook.got] == [("stale", "champion_model")]
