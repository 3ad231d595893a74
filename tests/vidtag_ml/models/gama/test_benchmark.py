"""Rows of cross-view search: what they change, and which figures they take over."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from vidtag_ml import config
from vidtag_ml.cli import benchmark_table
from vidtag_ml.models.gama import benchmark as gama_benchmark

ROOT = Path(__file__).parents[4]
SUMMARY = {
    "gallery": "flyover, centred", "gallery_md5": "m", "num_clips": 3, "tile_km": 130.0,
    "near_km": 170.0, "recall_at_1": 0.5, "recall_at_1_lo": 0.4, "recall_at_1_hi": 0.6,
    "recall_at_5": 0.7, "gallery_size": 100.0, "top1_at_27tiles": 0.8, "top1_mean_km": 9.0,
    "top10_recall_at_1": 0.6, "top10_recall_at_1_lo": 0.5, "top10_recall_at_1_hi": 0.7,
    "top10_gallery_size": 10.0, "top10_top1_at_27tiles": 0.9, "top10_top1_mean_km": 8.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    return gama_benchmark.rows(config.load(ROOT / "params" / "flyover_gama.yaml"))


def test_each_model_is_trained_once_and_gama_net_is_the_params_own(rows):
    models = [row for row in rows if row.group == gama_benchmark.MODELS]
    assert len({row.variant for row in models}) == len(models) == 7
    (own,) = (row for row in rows if row.name == gama_benchmark.GAMA)
    assert own.variant == ""
    assert all(row.params == own.params for row in rows if not row.variant)


def test_the_baseline_differs_by_its_single_frame_alone(rows):
    ours, own = rows[0].params.gama, rows[6].params.gama
    assert (ours.ground, own.ground) == ("image", "video")
    assert config.as_dict(ours) | {"ground": "video"} == config.as_dict(own)


def test_a_row_has_the_figures_of_its_search(rows):
    (top10,) = (row for row in rows if row.search == "top10")
    record = gama_benchmark._record(top10, "test", SUMMARY)
    assert (record["recall_at_1"], record["gallery_size"]) == (0.6, 10.0)
    assert record["top1_at_1mile"] == record["top1_at_27tiles"] == 0.9
    assert "recall_at_5" not in record


def test_the_table_gives_each_figure_its_gallery(rows):
    chosen = [row for row in rows if row.search in ("flat", "top10")][-2:]
    table = pd.DataFrame([gama_benchmark._record(row, "test", SUMMARY) for row in chosen])
    text = benchmark_table.markdown(table)
    assert f"| {gama_benchmark.GAMA} | 100 | 50.0 [40.0, 60.0] | 70.0 |" in text
    assert "| top 10 regions | 10 | 60.0 [50.0, 70.0] |" in text


def test_each_screening_network_is_trained_once_for_the_same_gama_net(rows):
    regions = [row for row in rows if row.group == gama_benchmark.REGIONS]
    own = [row for row in regions if not row.variant]
    others = {row.variant: row.params for row in regions if row.variant}
    assert len(own) == 2
    assert len(others) == 2
    assert all(params.gama == own[0].params.gama for params in others.values())
    assert {p.screening.frames_per_clip for p in others.values()} == {8, 24}


def test_tracks_are_compared_with_what_they_build_on(rows):
    tracks = {row.name: row for row in rows if row.group == gama_benchmark.TRACKS}
    names = {row.name for row in rows}
    assert {row.against for row in tracks.values()} - {None} <= names
    assert tracks[gama_benchmark.FUSED].against == gama_benchmark.PATH


def test_without_vidtag_no_way_asks_it():
    params = config.load(ROOT / "params" / "flyover_gama.yaml")
    alone = dataclasses.replace(params, fusion=dataclasses.replace(params.fusion, bundle=None))
    found = {row.search for row in gama_benchmark.rows(alone)}
    assert {"path", "turned"} <= found
    assert not found & {"vidtag", "near", "fused", "fused_turned"}


def test_differences_are_of_the_same_videos():
    ours = pd.Series([1.0, 0.5, 1.0], ["a", "b", "c"])
    theirs = pd.Series([0.5, 0.0, 0.5], ["a", "b", "c"])
    found = gama_benchmark._difference(ours, theirs, 50)
    assert found["diff_recall_at_1"] == found["diff_recall_at_1_lo"] == 0.5
    with pytest.raises(ValueError, match="not of the same videos"):
        gama_benchmark._difference(ours, theirs.rename({"c": "d"}), 50)


def test_a_row_without_tiles_has_its_error_alone(rows):
    (vidtag,) = (row for row in rows if row.search == "vidtag")
    summary = {**SUMMARY, "vidtag_median_km": 156.0}
    record = gama_benchmark._record(vidtag, "test", summary)
    assert record["median_km"] == 156.0
    assert "recall_at_1" not in record
    table = pd.DataFrame([gama_benchmark._record(rows[6], "test", SUMMARY), record])
    (line,) = (k for k in benchmark_table.markdown(table).splitlines() if "VidTAG alone" in k)
    assert line.endswith("| 156 |")
