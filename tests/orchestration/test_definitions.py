"""The definitions as Dagster loads them."""

import subprocess
import sys

import dagster as dg
import pytest

from orchestration.definitions import ROOT, build_definitions, defs
from vidtag_assets.workspace.resources import ParamsFile

GRAPH = defs.resolve_asset_graph()
KEYS = sorted(key.to_user_string() for key in GRAPH.get_all_asset_keys())
PARENTS = {
    "own_recordings": set(),
    "clips": set(),
    "hierarchy": {"clips"},
    "gps_gallery": {"clips"},
    "frame_features": {"clips"},
    "phase_one_model": {"frame_features", "gps_gallery"},
    "phase_two_model": {"phase_one_model"},
    "geoclip_model": {"frame_features", "gps_gallery"},
    "classifier_model": {"frame_features", "gps_gallery"},
    "vidtag_evaluation": {"phase_two_model"},
    "geoclip_evaluation": {"geoclip_model"},
    "classifier_evaluation": {"classifier_model"},
    "cityguessr_model": {"clips", "hierarchy", "frame_features"},
    "cityguessr_evaluation": {"cityguessr_model"},
    "registered_cityguessr": {"cityguessr_model", "cityguessr_evaluation"},
    "champion_cityguessr": {"registered_cityguessr"},
    "leaderboard": {"vidtag_evaluation", "geoclip_evaluation", "classifier_evaluation"},
    "registered_model": {"phase_two_model", "vidtag_evaluation", "gps_gallery"},
    "champion_model": {"registered_model", "geoclip_evaluation"},
    "retraining_policy": {"clips", "hierarchy", "gps_gallery", "frame_features", "champion_model"},
    "retraining_policy_cityguessr": {"clips", "hierarchy", "frame_features", "champion_cityguessr"},
}


def test_definitions_load():
    dg.Definitions.validate_loadable(defs)


def test_no_key_changed_unnoticed():
    assert sorted(PARENTS) == KEYS


@pytest.mark.parametrize("key", KEYS)
def test_every_asset_is_described_for_the_person_on_call(key):
    node = GRAPH.get(dg.AssetKey(key))
    assert node.group_name in {
        "ingest", "dataset", "gallery", "features", "training", "evaluation", "registry"
    }  # fmt: skip
    assert node.owners == ["team:vidtag"]
    assert node.kinds
    assert "**When it fails:**" in node.description
    assert {parent.to_user_string() for parent in node.parent_keys} == PARENTS[key]


@pytest.mark.parametrize(
    ("key", "pool"),
    [("clips", "dvc"), ("gps_gallery", "dvc"), ("frame_features", "gpu"), ("geoclip_model", "gpu")],
)
def test_scarce_things_are_used_by_one_asset_at_a_time(key, pool):
    assert GRAPH.get(dg.AssetKey(key)).pools == {pool}


def test_who_encodes_frames_is_chosen_when_a_run_is_launched():
    job = defs.resolve_job_def("everything")
    of = lambda engine: {"ops": {"frame_features": {"config": {"engine": engine}}}}  # noqa: E731
    assert dg.validate_run_config(job, of("ray"))
    with pytest.raises(dg.DagsterInvalidConfigError, match="engine"):
        dg.validate_run_config(job, of("spark"))


@pytest.mark.parametrize(
    "check",
    [
        "clips_have_valid_metadata",
        "fixes_have_valid_gps",
        "clips_are_plausible",
        "clips_lie_where_their_labels_say",
        "gallery_reaches_the_clips",
        "gallery_holds_no_evaluation_fix",
    ],
)
def test_checks_on_data_block(check):
    specs = {spec.name: spec for each in defs.asset_checks for spec in each.check_specs}
    assert specs[check].blocking


def test_clips_come_from_own_recordings_where_the_params_say_so(tmp_path):
    text = (ROOT / "params.yaml").read_text()
    own = text.replace("source: flyover", "source: recordings", 1)
    (tmp_path / "params.yaml").write_text(own)
    params = ParamsFile(path=str(tmp_path / "params.yaml"))
    graph = build_definitions(params_file=params).resolve_asset_graph()
    assert graph.get(dg.AssetKey("clips")).parent_keys == {dg.AssetKey("own_recordings")}


CROSSING = {
    "aerial_gallery": {"clips"},
    "gama_model": {"aerial_gallery"},
    "screening_model": {"gama_model"},
    "heading_model": {"gama_model"},
    "gama_evaluation": {"screening_model", "heading_model"},
    "registered_gama": {"screening_model", "heading_model", "gama_evaluation", "aerial_gallery"},
    "champion_gama": {"registered_gama"},
    "retraining_policy_gama": {"clips", "aerial_gallery", "champion_gama"},
}


@pytest.fixture(scope="module")
def crossing():
    """The definitions where params fly the flights that the Blue Marble shows."""
    params = ParamsFile(path=str(ROOT / "params" / "flyover_gama.yaml"))
    return build_definitions(params_file=params)


def test_gama_is_there_where_imagery_and_videos_fit(crossing):
    dg.Definitions.validate_loadable(crossing)
    graph = crossing.resolve_asset_graph()
    found = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert found == set(PARENTS) | set(CROSSING)
    for key, parents in CROSSING.items():
        node = graph.get(dg.AssetKey(key))
        assert {parent.to_user_string() for parent in node.parent_keys} == parents
        assert "**When it fails:**" in node.description
    assert graph.get(dg.AssetKey("gama_model")).pools == {"gpu"}


def test_gama_has_a_job_of_its_own_where_it_is_there(crossing):
    def made_by(job):
        layer = crossing.resolve_job_def(job).asset_layer
        return {key.to_user_string() for key in layer.executable_asset_keys}

    assert made_by("cross_view") == {"clips", *CROSSING}
    assert set(CROSSING) <= made_by("everything")
    assert "cross_view" not in {job.name for job in defs.jobs}


def test_bounds_of_tiles_block_and_their_coverage_warns(crossing):
    specs = {spec.name: spec for each in crossing.asset_checks for spec in each.check_specs}
    assert specs["tiles_lie_in_bounds"].blocking
    assert not specs["tiles_cover_the_fixes"].blocking


def test_only_ingest_is_partitioned():
    assert [key for key in KEYS if GRAPH.get(dg.AssetKey(key)).is_partitioned] == ["own_recordings"]


def test_loading_imports_nothing_heavy():
    code = "import sys, orchestration.definitions; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    heavy = {"torch", "mlflow", "great_expectations", "matplotlib", "pytorch_lightning", "av"}
    assert not heavy & set(done.stdout.split())
