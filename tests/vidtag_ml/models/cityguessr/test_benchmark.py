"""Rows of places: their order, what they change, and the table they stand in."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from vidtag_ml import config
from vidtag_ml.cli import benchmark_table
from vidtag_ml.models.cityguessr import benchmark as cityguessr_benchmark
from vidtag_ml.models.vidtag import ablations
from vidtag_ml.workflow import measuring

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def published():
    return config.load(ROOT / "params.yaml")


def test_modules_come_in_the_papers_order_and_end_with_the_params_own(published):
    rows = cityguessr_benchmark.rows(published)
    settings = [row.params.cityguessr for row in rows[:5]]
    assert [s.attention for s in settings] == [False, True, True, True, True]
    assert [s.scenes for s in settings] == ["none", "majority", "soft", "soft", "soft"]
    assert [s.text is None for s in settings] == [True, True, True, False, False]
    assert [s.text_levels for s in settings[3:]] == ["city", "all"]
    assert [row.variant for row in rows[4:8]] == [""] * 4
    assert len({row.variant for row in rows[:5]}) == 5


def test_vidtag_stands_on_the_rows_of_the_main_table(published):
    cities, tracks = (
        cityguessr_benchmark._vidtag(published, frame_by_frame=f) for f in (True, False)
    )
    assert (cities.name, cities.decoding) == (ablations.TEMPGEO, "initial")
    assert (tracks.name, tracks.decoding) == (ablations.VITERBI, "viterbi")


def clips(right, num=10):
    shares = dict.fromkeys(("acc_city", "acc_state", "acc_country", "acc_continent"), right)
    return pd.DataFrame({"clip_id": list(range(num)), **shares, "consistency": 1.0})


def test_a_row_is_compared_clip_by_clip_and_marked(published):
    heads, *_, full = cityguessr_benchmark.rows(published)[:5]
    found = {heads.name: clips(0.0), full.name: clips(1.0)}
    figures = dict.fromkeys(("acc_city", "acc_state", "acc_country", "acc_continent"), 1.0)
    figures |= {f"{n}_{end}": 1.0 for n in figures for end in ("lo", "hi")} | {"consistency": 1.0}
    record = cityguessr_benchmark._record(full, "test", found, figures)
    assert (record["diff_acc_city"], record["against"]) == (1.0, heads.name)
    text = benchmark_table.markdown(pd.DataFrame([record]))
    assert f"| {full.name} | 100.0 ▲ [100, 100] |" in text


def test_centres_are_those_of_the_classes(published):
    known = pd.DataFrame(
        [["Tokyo", "JP.40", "Japan", "Asia"], ["Atlantis", "XX.1", "Nowhere", "Oceania"]],
        columns=["city", "state", "country", "continent"],
    )
    centres = cityguessr_benchmark._centres(known)
    assert centres.labels["city"].tolist() == ["Tokyo"]
    assert abs(centres.latlon_G2[0] - [35.69, 139.69]).max() < 0.1


def test_a_row_is_measured_anew_when_places_or_draws_change(made, tmp_path, monkeypatch):
    monkeypatch.setattr(measuring, "ProcessPoolExecutor", lambda num, **_: ThreadPoolExecutor(num))
    root = shutil.copytree(made, tmp_path / "copy")
    rows = cityguessr_benchmark.rows(config.load(root / "params.yaml"))
    (prior,) = (row for row in rows if row.name == cityguessr_benchmark.PRIOR)

    def record(row):
        folder = cityguessr_benchmark.measure(root, row, "test")
        return folder.with_name(f"{folder.name}.record.json").read_text()

    first = record(prior)
    assert record(prior) == first
    fewer = replace(prior.params.evaluation, bootstrap_draws=7)
    assert record(replace(prior, params=replace(prior.params, evaluation=fewer))) != first
    again = record(prior)
    with (root / "data" / "hierarchy.csv").open("a") as file:
        file.write("Atlantis,XX.1,Nowhere,Oceania\n")
    assert record(prior) != again
