"""GAMa's assets on a tiny flyover_gama world: from its gallery to a registered, judged model."""

import dataclasses
import json
import shutil

import dagster as dg
import mlflow
import pandas as pd
import pytest
import yaml

from orchestration.definitions import build_definitions
from tests.conftest import resources_of
from vidtag_assets import cli
from vidtag_assets.assets import aerial
from vidtag_assets.lineage import provenance, tracing
from vidtag_assets.release import registration
from vidtag_assets.store import registry
from vidtag_assets.workspace.resources import ParamsFile, Workspace
from vidtag_ml.aerial import gallery as aerial_gallery
from vidtag_ml.aerial import stages
from vidtag_ml.models import registry as bundle_registry
from vidtag_ml.models.gama.system import SYSTEM
from vidtag_ml.workflow import layout

NETWORKS = ("gama", "screening", "heading")
ASSETS = (
    "aerial_gallery",
    *(f"{name}_model" for name in NETWORKS),
    "gama_evaluation",
    "registered_gama",
    "champion_gama",
    "retraining_policy_gama",
)


@pytest.fixture(scope="module")
def crossed(made_gama, tmp_path_factory):
    """Workspace, resources and the run that made all of GAMa's assets behind its clips."""
    root = shutil.copytree(made_gama[0], tmp_path_factory.mktemp("crossed") / "a workspace")
    resources = resources_of(root)
    resources["dvc"].commit("clips")
    job = build_definitions(**resources).resolve_job_def("cross_view")
    with dg.DagsterInstance.ephemeral() as instance:
        keys = [dg.AssetKey(name) for name in ASSETS]
        yield root, resources, job.execute_in_process(instance=instance, asset_selection=keys)


def metadata(crossed, asset):
    (event,) = crossed[2].asset_materializations_for_node(asset)
    return {key: value.value for key, value in event.metadata.items()}


def test_every_asset_is_made_and_its_checks_pass(crossed):
    assert all(metadata(crossed, name) for name in ASSETS)
    checks = {e.check_name: e.passed for e in crossed[2].get_asset_check_evaluations()}
    promoted = metadata(crossed, "champion_gama")["verdict"] == "promoted"
    assert checks.pop("challenger_beats_champion") == promoted
    named = ("tiles_lie_in_bounds", "tiles_cover_the_fixes", "promotion_log_is_as_written")
    assert checks == dict.fromkeys(named, True)


def test_the_gallery_s_identity_is_what_dvc_recorded_beside_it(crossed):
    root, resources, _ = crossed
    shown = metadata(crossed, "aerial_gallery")
    recorded = yaml.safe_load((root / "data" / "aerial_gallery.dvc").read_text())
    assert shown["dvc_md5"] == recorded["outs"][0]["md5"] == resources["dvc"].md5("aerial_gallery")
    assert shown["tiles"].startswith("![picture](data:image/")


def test_evaluation_shows_every_search_with_its_gallery_s_size(crossed):
    shown = metadata(crossed, "gama_evaluation")
    for name in ("answers", "tracks"):
        assert f"**{name}**\n\n![picture](data:image/" in shown["pictures"]
    sizes = next(line for line in shown["pictures"].splitlines() if "| gallery_size" in line)
    searches = ("", "hierarchical_", "screening_", "path_", "turned_")
    assert [float(cell) for cell in sizes.split("|")[2:7]] == [
        shown["figures"][f"{p}gallery_size"] for p in searches
    ]
    assert shown["val_recall_at_1"] <= shown["val_recall_at_5"]


def test_the_version_is_traced_to_gallery_clips_and_runs(crossed):
    _, resources, _ = crossed
    (found,) = tracing.trace(resources["tracking"], resources["dvc"], "gama")
    assert found["dvc.gallery"] == resources["dvc"].md5("aerial_gallery")
    assert found["dvc.clips"] == resources["dvc"].md5("clips")
    assert set(found["training_runs"]) == set(NETWORKS)
    assert found["data_is_current"]
    by_gallery = tracing.trace(resources["tracking"], resources["dvc"], found["dvc.gallery"])
    assert by_gallery == [found]


def test_the_first_verdict_is_against_chance(crossed):
    shown = metadata(crossed, "champion_gama")
    assert shown["verdict"] in ("promoted", "rejected")
    assert "by chance" in shown["reason"]


def test_after_its_verdict_nothing_is_due(crossed):
    shown = metadata(crossed, "retraining_policy_gama")
    assert not shown["retrain"]
    assert "judged already: version 1" in shown["limits"]


def test_served_tracks_are_those_of_the_bundle(crossed):
    root, resources, _ = crossed
    resources["tracking"].client()
    video = min((root / "data" / "flyover_gama" / "videos").glob("*.mp4"))
    served = mlflow.pyfunc.load_model("models:/gama@challenger").predict([str(video)])
    located = bundle_registry.load(root / "out" / "aerial_bundle").locate(video).table()
    pd.testing.assert_frame_equal(served, located)


def test_the_name_locates_and_writes_the_files_of_a_track(crossed, monkeypatch, capsys):
    root, _, _ = crossed
    monkeypatch.chdir(root)
    video = min((root / "data" / "flyover_gama" / "videos").glob("*.mp4"))
    asked = ["locate", str(video), "--model", "gama@challenger", "--json"]
    cli.app(asked, standalone_mode=False)
    (row,) = json.loads(capsys.readouterr().out)
    assert len(row["track"]) == len(row["measured"]) == 3
    suffixes = {name.rpartition(".")[2] for name in row["files"]}
    assert suffixes == {"gpx", "geojson", "kml", "csv", "parquet", "json", "png", "html"}


def test_registered_bytes_are_not_registered_again(crossed, gama_params):
    root, resources, _ = crossed
    at = layout.of(root, gama_params)
    lineage = provenance.Lineage("commit", "c.dir", "g.dir", "params", "run")
    version, new = registration.register(
        SYSTEM, resources["tracking"], at, gama_params, lineage, {}
    )
    assert (int(version.version), new) == (1, False)
    lost = dataclasses.replace(lineage, gallery=None)
    with pytest.raises(ValueError, match=r"no data/aerial_gallery\.dvc"):
        registration.register(SYSTEM, resources["tracking"], at, gama_params, lost, {})


def test_a_champion_of_another_gallery_is_evaluated_anew(crossed, gama_params):
    root, resources, _ = crossed
    tracking, at = resources["tracking"], layout.of(root, gama_params)
    ours = registry.report(tracking, registry.resolve(tracking, "gama/1"), "val", "gama")
    same = registration.champion_report(SYSTEM, tracking, at, gama_params, ours, 1)
    assert same.summary["model"] == "gama"
    other = dataclasses.replace(ours, summary={**ours.summary, "gallery_md5": "other"})
    anew = registration.champion_report(SYSTEM, tracking, at, gama_params, other, 1)
    assert anew.summary["model"] == "gama/1"
    columns = ["clip", "time_s", "top1", "hierarchical_top1", "hierarchical_recall_at_1"]
    pd.testing.assert_frame_equal(anew.frames[columns], ours.frames[columns])
    faster = dataclasses.replace(gama_params.gama, frames_per_second=4.0)
    changed = dataclasses.replace(gama_params, gama=faster)
    kept = registration.champion_report(SYSTEM, tracking, at, changed, other, 1)
    assert kept.summary["model"] == "gama"


@pytest.fixture
def gallery(made_gama, tmp_path):
    """Tiles and regions in a copy of the workspace, and what the checks of that copy take."""
    root = shutil.copytree(made_gama[0], tmp_path / "copy")
    at = layout.of(*made_gama)
    files = ParamsFile(path=str(root / "params.yaml"))
    return root, aerial_gallery.read(at.aerial_gallery), (Workspace(root=str(root)), files)


def test_a_tile_outside_its_bounds_fails_the_check(gallery):
    root, (tiles, regions), asked = gallery
    assert aerial.tiles_lie_in_bounds(*asked).passed
    table = tiles.table.assign(lat=tiles.table["lat"].where(tiles.table.index > 0, 89.0))
    moved = dataclasses.replace(tiles, table=table)
    aerial_gallery.write(root / "data" / "aerial_gallery", moved, regions)
    found = aerial.tiles_lie_in_bounds(*asked)
    assert not found.passed
    assert str(tiles.ids[0]) in found.metadata["problems"].value


def test_fixes_outside_all_tiles_are_warned_of(gallery):
    root, (tiles, regions), asked = gallery
    assert aerial.tiles_cover_the_fixes(*asked).passed
    few = dataclasses.replace(tiles, table=tiles.table.head(1))
    aerial_gallery.write(root / "data" / "aerial_gallery", few, regions)
    found = aerial.tiles_cover_the_fixes(*asked)
    assert (found.passed, found.severity.value) == (False, "WARN")


@pytest.mark.parametrize(
    ("clips", "imagery", "fitting"),
    [
        ("flyover", "flyover", False),
        ("flyover_gama", "flyover", True),
        ("bdd100k", "published", True),
        ("msls", "published", False),
        ("recordings", "slippy", True),
    ],
)
def test_assets_are_there_where_imagery_and_videos_show_the_same_ground(
    gama_params, clips, imagery, fitting
):
    changed = dataclasses.replace(
        gama_params,
        clips=dataclasses.replace(gama_params.clips, source=clips),
        aerial=dataclasses.replace(gama_params.aerial, source=imagery),
    )
    assert stages.fits(changed) == fitting


@pytest.mark.slow
def test_verification_measures_the_same_digits(crossed, monkeypatch, capsys):
    monkeypatch.chdir(crossed[0])
    cli.app(["trace", "gama/1", "--verify", "--json"], standalone_mode=False)
    told = json.loads(capsys.readouterr().out)[0]["verified"]
    assert told.pop("evaluation.val").startswith("the same ")
    assert told.pop("evaluation.test").startswith("the same ")
    assert set(told.values()) == {"as registered"}
