"""Tests of vidtag_ml.metrics.places."""

import doctest

import pandas as pd
import pytest

from vidtag_ml.dataset import hierarchy
from vidtag_ml.metrics import places as place_metrics

PLACES = [
    ("Austin", "US.TX", "USA", "North America"),
    ("Dallas", "US.TX", "USA", "North America"),
    ("Memphis", "US.TN", "USA", "North America"),
    ("Kyoto", "JP.26", "Japan", "Asia"),
]


def table(rows):
    return pd.DataFrame(rows, columns=list(hierarchy.LEVELS), dtype="string")


AUSTIN, DALLAS, MEMPHIS, KYOTO = PLACES
TORN = ("Kyoto", "JP.26", "USA", "Asia")


def test_examples_in_docstrings_are_true():
    result = doctest.testmod(place_metrics)
    assert (result.failed, result.attempted) == (0, 1)


@pytest.mark.parametrize(
    ("frames", "similarity", "winner"),
    [
        ("aab", [0.1, 0.1, 0.9], "a"),
        ("abab", [0.1, 0.4, 0.2, 0.3], "b"),
        ("ab", [-0.1, -0.2], "a"),
        ("ba", [0.5, 0.5], "b"),
        ("c", [0.0], "c"),
    ],
    ids=["most frames", "tie by sum", "negative similarities", "all equal", "one frame"],
)
def test_most_frames_win_and_similarity_breaks_ties(frames, similarity, winner):
    assert place_metrics.majority(list(frames), similarity) == winner


@pytest.mark.parametrize("similarity", [[0.1], [0.1, float("nan")], 0.1])
def test_each_frame_needs_a_similarity(similarity):
    with pytest.raises(ValueError, match="2 labels need a finite similarity each"):
        place_metrics.majority(["a", "b"], similarity)


def test_a_video_without_frames_has_no_majority():
    with pytest.raises(ValueError, match="without frames"):
        place_metrics.majority([], [])


def test_figures_are_shares_of_videos_at_each_level():
    predicted = table([AUSTIN, DALLAS, MEMPHIS, TORN])
    true = table([AUSTIN, AUSTIN, AUSTIN, KYOTO])
    assert place_metrics.figures(predicted, true, table(PLACES)) == {
        "acc_city": 0.5,
        "acc_state": 0.75,
        "acc_country": 0.75,
        "acc_continent": 1.0,
        "consistency": 0.75,
    }


def test_every_video_can_be_judged_by_itself():
    right = place_metrics.correct(table([DALLAS, TORN]), table([AUSTIN, KYOTO]), table(PLACES))
    assert right["acc_city"].tolist() == [False, True]
    assert right["acc_state"].tolist() == [True, True]
    assert right["consistency"].tolist() == [True, False]


def test_a_place_that_is_not_in_the_hierarchy_is_inconsistent():
    found = place_metrics.figures(table([KYOTO]), table([KYOTO]), table([AUSTIN]))
    assert (found["acc_city"], found["consistency"]) == (1.0, 0.0)


def test_tables_of_different_videos_are_refused():
    with pytest.raises(ValueError, match="labels of 2 and 1 videos"):
        place_metrics.figures(table([AUSTIN, KYOTO]), table([AUSTIN]), table(PLACES))
    renamed = table([AUSTIN]).set_axis(["b"])
    with pytest.raises(ValueError, match="not the same"):
        place_metrics.figures(table([AUSTIN]).set_axis(["a"]), renamed, table(PLACES))


def test_missing_labels_are_refused():
    with pytest.raises(ValueError, match="row 1 of the table lacks a label"):
        place_metrics.figures(
            table([KYOTO, AUSTIN]), table([KYOTO, (None, *AUSTIN[1:])]), table(PLACES)
        )
    with pytest.raises(ValueError, match="no column 'state'"):
        place_metrics.figures(table([KYOTO]).drop(columns="state"), table([KYOTO]), table(PLACES))


def test_nothing_to_judge_is_an_error():
    with pytest.raises(ValueError, match="no video"):
        place_metrics.figures(table([]), table([]), table(PLACES))
