"""Reports on places: figures are those of their tables, and sure answers are right where said."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from vidtag_ml.dataset.hierarchy import LEVELS, Hierarchy
from vidtag_ml.earth import sphere
from vidtag_ml.models import networks
from vidtag_ml.models.cityguessr import data as cityguessr_data
from vidtag_ml.models.cityguessr import evaluate as cityguessr_evaluate
from vidtag_ml.models.cityguessr import inference as cityguessr_inference
from vidtag_ml.models.cityguessr.evaluate import PlaceReport
from vidtag_ml.retrieval.gallery import Gallery

ROWS = (
    ("Austin", "Texas", "USA", "America"),
    ("Dallas", "Texas", "USA", "America"),
    ("Kyoto", "Kyoto", "Japan", "Asia"),
    ("Nara", "Nara", "Japan", "Asia"),
)
HIERARCHY = Hierarchy(ROWS)
TRUE = [ROWS[0], ROWS[0], ROWS[3], ("Lyon", "Rhône", "France", "Europe")]
"""Labels of four clips; the last is none of the classes."""
CITY = np.log([[0.9, 0.04, 0.03, 0.03], [0.3, 0.3, 0.35, 0.05], [0.05, 0.05, 0.5, 0.4], [0.25] * 4])
"""Logits of the city head: sure and right; torn; a wrong city of the right country; no idea."""


@pytest.fixture
def report(monkeypatch):
    """Gives the report on the four clips by an inference, of a model with those logits."""
    heads = [CITY, *(np.zeros((4, size)) for size in HIERARCHY.sizes[1:])]
    monkeypatch.setattr(cityguessr_data, "logits", lambda *_: heads)
    model = SimpleNamespace(
        sizes=SimpleNamespace(places=ROWS),
        temperatures=torch.ones(len(cityguessr_inference.INFERENCES), 4),
    )
    table = pd.DataFrame(TRUE, columns=list(LEVELS)).assign(clip_id=list("abcd"))
    clips = SimpleNamespace(classes_C4=torch.from_numpy(HIERARCHY.ids(table)))
    train = HIERARCHY.ids(pd.DataFrame([ROWS[3], ROWS[3], ROWS[0]], columns=list(LEVELS)))

    def report(inference="codependent", least_probability=0.55, temperature=1.0):
        model.temperatures.fill_(temperature)
        return cityguessr_evaluate.evaluate_places(
            model, clips, table.set_index(pd.Index([7, 3, 9, 1])), train, inference=inference,
            least_probability=least_probability, draws=50, batch_size=2, split="test",
        )  # fmt: skip

    return report


@pytest.fixture(scope="module")
def made_report(made):
    return PlaceReport.read(made / "out" / "evaluation" / "cityguessr" / "test")


def test_sure_answers_go_down_as_far_as_they_are_probable(report):
    table = report().per_clip
    assert table["answer"].tolist() == [
        "Austin, Texas, USA, America",
        "Texas, USA, city unknown",
        "Japan, city unknown",
        "nothing is sure",
    ]
    assert table["depth"].tolist() == [4, 3, 2, 0]


def test_sure_answers_are_right_if_all_that_they_say_is(report):
    found = report()
    assert found.per_clip["answer_right"].tolist() == [True, True, True, True]
    assert found.summary["answer_right"] == 1.0
    deep = report(least_probability=0.28)
    assert deep.per_clip["answer"].iloc[2] == "Kyoto, Japan, Asia"
    assert not deep.per_clip["answer_right"].iloc[2]


def test_shares_of_sure_answers_are_those_of_their_depths(report):
    summary = report().summary
    shares = [summary[f"answered_{level}"] for level in LEVELS]
    assert shares == [0.25, 0.5, 0.75, 0.75]


def test_if_nothing_is_sure_no_answer_is_right_or_wrong(report, tmp_path):
    found = report(least_probability=1.0)
    assert (found.per_clip["depth"] == 0).all()
    assert "answer_right" not in found.summary
    found.write(tmp_path)


def test_clips_of_no_class_are_counted_and_wrong(report):
    found = report()
    assert found.summary["num_of_no_class"] == 1
    assert found.per_clip["acc_continent"].tolist() == [1, 0, 1, 0]
    assert found.summary["acc_city"] == 0.25


def test_the_baseline_is_the_most_frequent_class_of_the_train_clips(report):
    summary = report().summary
    assert [summary[f"prior_acc_{level}"] for level in LEVELS] == [0.25] * 4


def test_confidences_are_calibrated_by_the_models_temperatures(report):
    cold, warm = report(temperature=1.0).per_clip, report(temperature=4.0).per_clip
    scaled = torch.softmax(torch.from_numpy(CITY) / 4.0, 1).amax(1)
    np.testing.assert_allclose(warm["confidence_city"], scaled)
    assert (warm["confidence_city"] <= cold["confidence_city"] + 1e-9).all()
    assert report(temperature=4.0).summary["ece_uncalibrated"] == report().summary["ece"]


def test_other_inferences_stand_beside_the_one_that_is_asked_for(report):
    by = {how: report(how).summary for how in cityguessr_inference.INFERENCES}
    for how in cityguessr_inference.INFERENCES:
        assert by["tree"][f"{how}_acc_country"] == by[how]["acc_country"]
        assert by["tree"][f"{how}_ece"] == by[how]["ece"]
    assert by["independent"]["acc_state"] != by["codependent"]["acc_state"]


def test_the_figures_of_a_report_are_those_of_its_table(made_report):
    summary, table = made_report.summary, made_report.per_clip
    assert summary["num_clips"] == len(table) == 2
    for name in (*cityguessr_evaluate.SHARES, *(f"top5_{level}" for level in LEVELS)):
        assert summary[name] == pytest.approx(table[name].mean())
    for k, level in enumerate(LEVELS):
        above = LEVELS[k:]
        predicted = table[[f"predicted_{name}" for name in above]].to_numpy()
        right = (table[list(above)].to_numpy() == predicted).all(1).astype(float)
        assert table[f"acc_{level}"].tolist() == right.tolist()
        error = cityguessr_inference.calibration_error(table[f"confidence_{level}"], right)
        assert summary[f"ece_{level}"] == pytest.approx(error)


def test_intervals_hold_their_figures(made_report):
    summary = made_report.summary
    for name in cityguessr_evaluate.SHARES:
        assert 0 <= summary[f"{name}_lo"] <= summary[name] <= summary[f"{name}_hi"] <= 1


def test_reliability_counts_every_clip_at_every_level(made_report):
    counts = made_report.reliability.groupby("level")["num_clips"].sum()
    assert counts.to_dict() == dict.fromkeys(LEVELS, 2)


def test_the_report_knows_the_stored_temperatures(made, made_report):
    model = networks.read(made / "out" / "cityguessr")
    row = cityguessr_inference.INFERENCES.index(made_report.summary["inference"])
    assert made_report.summary["temperatures"] == model.temperatures[row].tolist()


def test_a_report_comes_back_from_its_files(made_report, tmp_path):
    made_report.write(tmp_path)
    back = PlaceReport.read(tmp_path)
    assert back.summary == made_report.summary
    pd.testing.assert_frame_equal(back.per_clip, made_report.per_clip)
    (tmp_path / "per_clip.parquet").unlink()
    with pytest.raises(ValueError, match=r"per_clip\.parquet is missing; `vidtag evaluate"):
        PlaceReport.read(tmp_path)


@dataclass
class Track:
    """What `nearest_city` reads of a track."""

    clip: str
    latlon_T2: np.ndarray
    score_T: np.ndarray


def test_the_city_nearest_to_most_frames_names_the_place():
    cities = np.array([[30.3, -97.7], [32.8, -96.8], [35.0, 135.8], [34.7, 135.8]])
    labels = pd.DataFrame(ROWS, columns=list(LEVELS))
    near = sphere.destination(cities[[0, 2, 2]], 90.0, 10.0)
    track = Track("a", near, np.array([0.5, 0.5, 0.5]))
    found = cityguessr_evaluate.nearest_city(
        SimpleNamespace(tracks=[track]), Gallery(cities, {}, "", labels)
    )
    assert found.to_dict("records") == [{"clip_id": "a", **dict(zip(LEVELS, ROWS[2], strict=True))}]


def test_cities_without_labels_name_no_place():
    with pytest.raises(ValueError, match="the cities have no labels"):
        cityguessr_evaluate.nearest_city(
            SimpleNamespace(tracks=[]), Gallery(np.zeros((1, 2)), {}, "")
        )
