"""What the demo locates, leaves and tells, in a workspace in which all assets are made."""

import dataclasses
import datetime as dt
import json
import shutil

import pytest
import yaml

from tests.conftest import forget_decisions
from vidtag_assets import demonstration
from vidtag_assets.store import champions, promotions, registry
from vidtag_assets.workspace.resources import Tracking
from vidtag_ml import config
from vidtag_ml.ingest import stages as ingest_stages


@pytest.fixture
def root(world):
    champions.promote(world.resources["tracking"], "vidtag", 1, "for a test")
    return world.root


def test_test_video_is_located_with_the_champion(root):
    files = demonstration.locate(root)
    assert {path.name for path in files} == {
        f"track.{kind}"
        for kind in ("gpx", "geojson", "kml", "csv", "parquet", "json", "png", "html")
    }
    assert all(path.parent == root / "out" / "demo" for path in files)


def test_photos_of_ones_own_are_located_with_the_champion(root, params, photographed, tmp_path):
    place = shutil.copytree(root, tmp_path / "workspace", symlinks=True)
    filmed = min((root / "data" / "flyover" / "videos").glob("*.mp4"))
    folder = photographed(filmed, tmp_path / "trip", dt.datetime(2024, 6, 1, tzinfo=dt.UTC))
    names = sorted(path.name for path in folder.iterdir())
    rows = "".join(f"{name},{47 + k / 2000},8\n" for k, name in enumerate(reversed(names)))
    (folder / "places.csv").write_text(f"file,lat,lon\n{rows}")
    own = dataclasses.replace(params, clips=dataclasses.replace(params.clips, source="recordings"))
    own = dataclasses.replace(own, clips=dataclasses.replace(own.clips, num_train=0, num_val=0))
    (place / "params.yaml").write_text(yaml.safe_dump(config.as_dict(own), sort_keys=False))
    ingest_stages.recordings(place, own, [str(folder)], "trip", None, 0.0)
    ingest_stages.ingest(place, own)
    name = registry.name_of("vidtag", own)
    Tracking(root=str(place)).client().rename_registered_model("vidtag", name)
    files = demonstration.locate(place)
    assert len((place / "out" / "demo" / "track.csv").read_text().splitlines()) == 9
    assert all(path.parent == place / "out" / "demo" for path in files)


def test_summary_holds_the_figures_of_both_models(root, params):
    summary = demonstration.summarise(root, 12.34)
    assert summary == json.loads((root / "out" / "demo" / "summary.json").read_text())
    assert list(summary["models"]) == ["vidtag", "geoclip", "classifier"]
    accuracies = {f"acc_{km:g}km" for km in params.evaluation.accuracy_km}
    wanted = {*demonstration.FIGURES, *accuracies}
    assert all(set(figures) == wanted for figures in summary["models"].values())
    assert summary["champion_version"] == 1
    assert (summary["num_test_clips"], summary["num_test_frames"]) == (2, 16)


@pytest.fixture
def rejected(root, world, tmp_path):
    """A copy of the workspace whose only version the gate has rejected."""
    place = shutil.copytree(root, tmp_path / "workspace", symlinks=True)
    tracking = Tracking(root=str(place))
    forget_decisions(tracking, "vidtag")
    entry = ("rejected", "vidtag", 1, None, None, "no significant gain")
    promotions.append(place, promotions.Promotion(promotions.now(), *entry), {})
    yield place
    world.resources["tracking"].client()


def test_a_rejected_challenger_locates_and_the_verdict_is_told(rejected):
    assert all(
        path.is_relative_to(rejected / "out" / "demo") for path in demonstration.locate(rejected)
    )
    summary = demonstration.summarise(rejected, 1.0)
    assert summary["champion_version"] is None
    told = demonstration.verdict(rejected, summary)
    assert "the gate rejected vidtag, version 1: no significant gain" in told
    assert demonstration.asked(summary) == " --model vidtag@challenger"
