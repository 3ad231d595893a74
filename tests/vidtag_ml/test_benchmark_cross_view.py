"""Rows of cross-view search: what they change, and which figures they take over."""

from pathlib import Path

import pandas as pd
import pytest

from vidtag_ml import benchmark_cross_view, benchmark_table, config

ROOT = Path(__file__).parents[2]
SUMMARY = {
    "gallery": "flyover, centred", "gallery_md5": "m", "num_clips": 3, "tile_km": 130.0,
    "near_km": 170.0, "recall_at_1": 0.5, "recall_at_1_lo": 0.4, "recall_at_1_hi": 0.6,
    "recall_at_5": 0.7, "gallery_size": 100.0, "top1_at_27tiles": 0.8, "top1_mean_km": 9.0,
    "top10_recall_at_1": 0.6, "top10_recall_at_1_lo": 0.5, "top10_recall_at_1_hi": 0.7,
    "top10_gallery_size": 10.0, "top10_top1_at_27tiles": 0.9, "top10_top1_mean_km": 8.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    return benchmark_cross_view.rows(config.load(ROOT / "params" / "flyover_gama.yaml"))


def test_each_model_is_trained_once_and_gama_net_is_the_params_own(rows):
    models = [row for row in rows if row.group == benchmark_cross_view.MODELS]
    assert len({row.variant for row in models}) == len(models) == 7
    (own,) = (row for row in rows if row.name == benchmark_cross_view.GAMA)
    assert own.variant == ""
    assert all(row.params == own.params for row in rows if row.group != own.group)


def test_the_baseline_differs_by_its_single_frame_alone(rows):
    ours, own = rows[0].params.gama, rows[6].params.gama
    assert (ours.ground, own.ground) == ("image", "video")
    assert config.as_dict(ours) | {"ground": "video"} == config.as_dict(own)


def test_a_row_has_the_figures_of_its_prefix(rows):
    (top10,) = (row for row in rows if row.prefix == "top10_")
    record = benchmark_cross_view._record(top10, "test", SUMMARY)
    assert (record["recall_at_1"], record["gallery_size"]) == (0.6, 10.0)
    assert record["top1_at_1mile"] == record["top1_at_27tiles"] == 0.9
    assert "recall_at_5" not in record


def test_the_table_gives_each_figure_its_gallery(rows):
    chosen = [row for row in rows if row.prefix in ("", "top10_")][-2:]
    table = pd.DataFrame([benchmark_cross_view._record(row, "test", SUMMARY) for row in chosen])
    text = benchmark_table.markdown(table)
    assert f"| {benchmark_cross_view.GAMA} | 100 | 50.0 [40.0, 60.0] | 70.0 |" in text
    assert "| top 10 regions | 10 | 60.0 [50.0, 70.0] |" in text
