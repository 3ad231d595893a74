"""The demo: what it tells, what it leaves, how it fails. The graph itself is test_pipeline's."""

import io
import json

import dagster as dg
import pytest

from orchestration import demo
from vidtag_assets import registry


@pytest.fixture
def root(world):
    registry.promote(world.resources["tracking"], "vidtag", 1, "for a test")
    return world.root


def test_test_video_is_located_with_the_champion(root):
    files = demo.locate(root)
    assert {path.name for path in files} == {
        f"track.{kind}" for kind in ("gpx", "geojson", "kml", "csv", "png")
    }
    assert all(path.parent == root / "out" / "demo" for path in files)


def test_summary_holds_the_figures_of_both_models(root):
    summary = demo.summarise(root, 12.34)
    assert summary == json.loads((root / "out" / "demo" / "summary.json").read_text())
    assert list(summary["models"]) == ["vidtag", "geoclip"]
    assert all(set(figures) == set(demo.FIGURES) for figures in summary["models"].values())
    assert summary["champion_version"] == 1
    assert (summary["num_test_clips"], summary["num_test_frames"]) == (2, 16)


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
