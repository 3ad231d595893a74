import pandas as pd
import pytest

from vidtag_ml.models.revisit import figures, judging
from vidtag_ml.models.revisit.evaluate import RevisitReport, answered, area
from vidtag_ml.models.revisit.system import fits
from vidtag_ml.workflow import layout


@pytest.fixture(scope="module")
def report(made_streets):
    return RevisitReport.read(made_streets / "out" / "evaluation" / "revisit" / "val")


def test_a_street_that_is_driven_again_is_found_and_another_is_not(report):
    frames = report.frames.groupby("clip")
    assert frames["error_m"].max()["oak_friday"] < 10.0
    assert frames["lat"].count().to_dict() == {"ash_friday": 0, "oak_friday": 8}
    assert report.per_clip["right"].tolist() == [1.0, 1.0]


def test_figures_are_of_known_and_unknown_frames(report):
    found = report.summary
    assert (found["num_known"], found["num_unknown"], found["num_references"]) == (8, 8, 16)
    assert (found["recall_15m"], found["silent"], found["area"]) == (1.0, 1.0, 1.0)
    assert found["heading_median_deg"] < 1.0
    assert found["right_never"] == 0.5
    assert found["right_middle"] < 0.5


def test_baselines_stand_beside_it(report):
    found, frames = report.summary, report.frames
    known = frames[frames["is_known"]]
    for name in ("features", "thumbnail", "middle", "random"):
        assert found[f"recall_25m_{name}"] == (known[f"error_m_{name}"] <= 25).mean()
        # To place always is right of none of the unknown frames, which are half of all.
        assert found[f"right_{name}"] == found[f"recall_25m_{name}"] / 2
    assert (known["error_m_thumbnail"] <= 10).mean() > (known["error_m_middle"] <= 10).mean()
    head, *rows = figures.sheet(found).rows
    assert figures.sheet(found).columns[1:3] == ("features", "thumbnail")
    assert head == ("known frames", "8", "", "", "", "", "")
    assert {len(row) for row in rows} == {7}
    assert figures.headline(found)["right_never"] == 0.5


def test_as_many_are_answered_as_scores_allow(report):
    assert report.summary["answered_at_1"] == 1.0
    score, is_off, is_known = [0.9, 0.9, 0.5, 0.2], [0, 1, 0, 0], [1, 0, 1, 1]
    assert answered(score, is_off, is_known, 4, 1) == 0.0  # 0.9 is right and wrong
    assert answered(score, is_off, is_known, 4, 25) == 0.75
    assert answered(score, is_off, is_known, 0, 25) is None
    assert answered([], [], [], 3, 5) == 0.0


def test_where_nothing_is_unknown_nothing_is_said_of_it(made_streets):
    found = RevisitReport.read(made_streets / "out" / "evaluation" / "revisit" / "test").summary
    assert found["silent"] is None
    assert found["area"] is None
    rows = {row[0]: row[1] for row in figures.sheet(found).rows}
    assert rows["no position"] == "none"
    assert "silent" not in figures.headline(found)


def test_area_is_a_chance():
    assert area([1.0, 2.0], [0.0, 0.5]) == 1.0
    assert area([0.0], [1.0]) == 0.0
    assert area([1.0, 1.0], [1.0]) == 0.5
    assert area([], [1.0]) is None


def test_it_is_judged_against_whoever_looks_at_nothing(report, made_streets, street_params):
    at = layout.of(made_streets, street_params)
    said = judging.JUDGING.floor(report, at, street_params)
    assert [name for _, text in said for name in ("middle", "random", "never") if name in text] == [
        "middle", "random", "never",
    ]  # fmt: skip
    assert judging.RULE.incomparable(report, report) is None
    fewer = RevisitReport(report.summary, report.per_clip, report.frames.iloc[1:])
    assert judging.RULE.incomparable(report, fewer) == "another val split"
    assert isinstance(judging.RULE.scores(report), pd.Series)


def test_it_is_there_where_its_encoder_is(params, street_params):
    assert fits(street_params)
    assert not fits(params)
