"""Claims about the benchmark: its rows, their reuse, and the table that comes of them."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pandas as pd
import pytest

from vidtag_ml.cli import benchmark_table
from vidtag_ml.models.vidtag import ablations, benchmark
from vidtag_ml.workflow import measuring

CHOSEN = (
    "GeoCLIP fine-tuned",
    "CLIP classifier",
    ablations.TEMPGEO,
    ablations.COARSE,
    ablations.COARSER,
    ablations.FINEST,
)


@pytest.fixture(scope="module")
def root(made, tmp_path_factory):
    """A workspace in which every stage has run, to be added to."""
    return shutil.copytree(made, tmp_path_factory.mktemp("benchmark") / "tiny world")


@pytest.fixture(scope="module")
def table(root, params):
    """All rows, of which only one was measured in a process of its own: each starts for 15 s."""
    benchmark.run(root, params, "test", lambda row: row.name == CHOSEN[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measuring, "ProcessPoolExecutor", lambda num, **_: ThreadPoolExecutor(num))
        return benchmark.run(root, params, "test", lambda row: row.name in CHOSEN)


def test_rows_have_names_and_places_of_their_own(params):
    rows = ablations.rows(params)
    assert len({row.name for row in rows}) == len({measuring.slug(row.name) for row in rows})
    for row in rows:
        twins = [r for r in rows if (r.made_by, r.variant) == (row.made_by, row.variant)]
        section = {"geoclip": "geoclip", "classifier": "classifier"}.get(row.made_by, "phase_one")
        for name in (section, "phase_two", "model"):
            assert len({repr(getattr(twin.params, name)) for twin in twins}) == 1, row.name


def test_every_comparison_is_with_a_row_above(params):
    seen = set()
    for row in ablations.rows(params):
        later = row.against in (ablations.TEMPGEO, ablations.VITERBI)
        assert row.against is None or row.against in seen or later, row.name
        seen.add(row.name)


def test_a_params_file_with_one_encoder_is_refused(params):
    one = replace(params.phase_one, encoders=("flyover_clip",))
    with pytest.raises(ValueError, match=r"phase_one\.encoders are flyover_clip"):
        ablations.rows(replace(params, phase_one=one))


def test_every_row_has_the_figures_of_a_report(table):
    assert set(table["row"]) == set(CHOSEN)
    wanted = {"dataset", "split", "gallery", "gallery_md5", "oracle_median_km", "leak_frames"}
    figures = {"acc_200km", "video_acc_200km", "median_km", "median_km_lo", "dfd_km", "dfd_deg"}
    costs = {"mrd_km", "mrd_deg", "parameters", "seconds_per_frame", "peak_memory_mb"}
    assert wanted | figures | costs <= set(table.columns)
    assert table[list(figures | costs)].notna().all().all()
    assert (table["seconds_per_frame"] > table["encoder_seconds_per_frame"]).all()


def test_a_classifier_searches_its_own_cells(table):
    rows = table.set_index("row")
    assert rows.loc["CLIP classifier", "gallery"] == "cells"
    assert rows.loc["CLIP classifier", "gallery_size"] != rows["gallery_size"].iloc[0]


def test_rows_are_compared_clip_by_clip(table):
    rows = table.set_index("row")
    row = rows.loc[ablations.COARSE]
    assert row["diff_acc_200km_lo"] <= row["diff_acc_200km"] <= row["diff_acc_200km_hi"]
    difference = row["acc_200km"] - rows.loc[ablations.TEMPGEO, "acc_200km"]
    assert row["diff_acc_200km"] == pytest.approx(difference, abs=1e-9)
    for name in ("median_km", "dfd_km"):
        ratio = row[name] / rows.loc[ablations.TEMPGEO, name]
        assert row[f"ratio_{name}"] == pytest.approx(ratio)
        assert row[f"ratio_{name}_lo"] <= ratio <= row[f"ratio_{name}_hi"]
        assert 0 <= row[f"p_{name}"] <= 1


def test_coarse_to_fine_is_held_against_all_points_it_could_reach(table):
    rows = table.set_index("row")
    coarse, finest = rows.loc[ablations.COARSER], rows.loc[ablations.FINEST]
    assert finest["gallery_size"] == coarse["gallery_size"] * 4**ablations.LEVELS
    assert finest["gallery_spacing_km"] == pytest.approx(coarse["search_finest_km"])
    # The tiny world's model is hardly sure of anything: a cell's middle says little of its rest.
    assert 0.1 < finest["same_answer"] <= 1.0


def test_the_split_is_audited(table):
    assert set(table["shared_groups"]) == set(table["shared_contents"]) == {0}
    assert table["near_train_1km"].between(0, 1).all()


def test_released_geoclip_has_a_row_where_its_encoder_is(params):
    encoders = (*params.features.encoders, ablations.ZERO_SHOT)
    more = replace(params, features=replace(params.features, encoders=encoders))
    (row,) = [row for row in ablations.rows(more) if row.name == "GeoCLIP zero-shot"]
    assert row.params.geoclip.epochs == 0
    assert row.params.geoclip.image_start == "geoclip_image"
    assert row.params.model.embed_dim == 512
    assert "GeoCLIP zero-shot" not in {row.name for row in ablations.rows(params)}


def test_what_is_finished_is_not_made_again(root, params, table):
    folder = root / "out" / "benchmark" / "rows" / "test"
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}
    again = benchmark.run(root, params, "test", lambda row: row.name in CHOSEN)
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()} == before
    pd.testing.assert_frame_equal(again, table)


def test_the_table_is_written_for_people_and_programs(root, params, table, tmp_path):
    paths = benchmark_table.write(root, params, table, tmp_path)
    names = {path.name for path in paths}
    assert names >= {f"benchmark.{kind}" for kind in ("json", "csv", "md")}
    assert names >= {"errors.png", "distance.png", "tracks.png"}
    records = json.loads((tmp_path / "benchmark.json").read_text())
    assert [record["row"] for record in records] == table["row"].tolist()
    assert 0 <= records[0]["acc_200km"] <= 1
    text = (tmp_path / "benchmark.md").read_text()
    assert all(f"| {name} |" in text for name in CHOSEN)


def test_headline_rows_are_trained_with_three_seeds(params):
    rows = {row.name: row for row in ablations.rows(params)}
    for headline in (ablations.TEMPGEO, ablations.MOTION, ablations.GEOCLIP_MOTION):
        again = [row for row in rows.values() if row.seed_of == headline]
        section = "geoclip" if rows[headline].made_by == "geoclip" else "phase_one"
        seeds = {getattr(row.params, section).seed for row in (rows[headline], *again)}
        assert len(seeds) == 3
        for row in again:
            assert (row.decoding, row.gallery) == (rows[headline].decoding, rows[headline].gallery)


def test_seeds_are_shown_together():
    figures = {"acc_200km": [0.9, 0.92, 0.5], "median_km": [47.0, 49.0, 80.0], "p95_km": 9.0}
    rows = pd.DataFrame({"row": ["a", "a, seed 2", "b"], **figures, "dfd_km": 300.0})
    text = benchmark_table._over_seeds(rows.assign(seed_of=[None, "a", None]), ["acc_200km"])
    assert text[-1].startswith("| a | 2 | 91.0 [90.0, 92.0] | 48.0 [47.0, 49.0] |")
    assert benchmark_table._over_seeds(rows.assign(seed_of=None), ["acc_200km"]) == []


def test_only_what_is_sure_among_all_of_a_part_is_marked():
    rows = pd.DataFrame(
        {"row": ["a", "b", "c"], "ratio_median_km": [0.5, 2.0, 0.9], "p_median_km": [0, 1e-9, 0.04]}
    )
    rows = rows.assign(diff_acc_200km=[0.1, 0.1, float("nan")], p_acc_200km=[0.03, 1e-9, None])
    first, second, third = benchmark_table._marked(rows).to_dict("records")
    marks = [benchmark_table._difference(row, "median_km") for row in (first, second, third)]
    assert marks == [" ▲", " ▼", ""]
    assert benchmark_table._difference(first, "acc_200km") == ""
    assert benchmark_table._difference(second, "acc_200km") == " ▲"
    assert benchmark_table._difference(third, "acc_200km") == ""
