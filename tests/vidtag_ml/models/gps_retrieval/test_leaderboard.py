"""Models side by side."""

import pandas as pd
import pytest

from vidtag_ml.models.gps_retrieval import leaderboard
from vidtag_ml.models.report import Report


def report(model, median_km):
    figures = {"acc_25km": 0.5, "acc_25km_lo": 0.4, "acc_city": 0.1, "median_km": median_km}
    summary = {"model": model, "decoding": "retrieval", **figures}
    return Report(summary, pd.DataFrame(), pd.DataFrame())


@pytest.fixture
def board():
    return leaderboard.table(
        {"geoclip": report("geoclip", 200.0), "vidtag": report("vidtag", 50.0)}
    )


def test_the_best_median_comes_first(board):
    assert board["model"].tolist() == ["vidtag", "geoclip"]


def test_ratios_are_of_a_model_to_its_rival(board):
    assert leaderboard.ratios(board, "vidtag", "geoclip", ["median_km"]) == {"median_km": 0.25}
