"""The demo: what it tells of a run, and how it fails. The graph itself is test_pipeline's."""

import io
import os
import subprocess
import sys

import dagster as dg

from orchestration import demo
from orchestration.definitions import ROOT


@dg.asset
def first() -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"worked": False})


@dg.asset(deps=[first])
def second() -> None:
    raise ValueError("no bread")


@dg.asset_check(asset=first)
def first_is_fresh() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN, description="old")


def test_story_tells_what_was_made_and_what_failed(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    told = io.StringIO()
    everything = dg.define_asset_job("everything", dg.AssetSelection.all())
    defs = dg.Definitions(assets=[first, second], asset_checks=[first_is_fresh], jobs=[everything])
    assert demo.materialize(defs, told) == "second: ValueError: no bread"
    assert "[ 1/2] first                unchanged\n" in told.getvalue()
    assert "check first_is_fresh does not hold (warn): old\n" in told.getvalue()


def test_settings_of_another_workspace_are_one_line(tmp_path):
    env = {**os.environ, "DAGSTER_HOME": str(tmp_path / ".dagster"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "orchestration.demo"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"vidtag: DAGSTER_HOME is {tmp_path / '.dagster'}, of another")
    assert done.stderr.count("\n") == 1
