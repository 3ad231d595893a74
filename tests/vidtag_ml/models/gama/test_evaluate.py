"""Tests of vidtag_ml.models.gama.evaluate; tests/test_gama_preset.py has the whole way."""

import numpy as np
import pandas as pd
import pytest

from vidtag_ml.models.gama import evaluate as gama_evaluate


def judged(right):
    shares = {"recall_at_1": right, "top1_at_1mile": right}
    return pd.DataFrame({**shares, "top1_km": 3.0, "gallery_size": 7})


def test_intervals_are_over_videos_not_clips():
    alike = gama_evaluate._figures(judged([True] * 50 + [False] * 50), np.repeat([0, 1], 50), 200)
    apart = gama_evaluate._figures(judged([True] * 50 + [False] * 50), np.arange(100), 200)
    assert alike["recall_at_1"] == apart["recall_at_1"] == 0.5
    assert (alike["recall_at_1_lo"], alike["recall_at_1_hi"]) == (0.0, 1.0)
    assert 0.3 < apart["recall_at_1_lo"] < 0.45 < 0.55 < apart["recall_at_1_hi"] < 0.7


def test_videos_of_more_clips_weigh_more():
    found = gama_evaluate._figures(judged([True, True, True, False]), np.array([0, 0, 0, 1]), 5)
    assert found["recall_at_1"] == 0.75
    assert set(found) - {"recall_at_1", "top1_at_1mile"} == {
        "num_queries",
        "gallery_size",
        "top1_mean_km",
        *(f"{name}_{end}" for name in ("recall_at_1", "top1_at_1mile") for end in ("lo", "hi")),
    }


def test_distances_are_told_in_widths_of_a_tile():
    found = gama_evaluate._in_tiles({"top1_mean_km": 3.0}, 1.5)
    assert found == {"top1_mean_km": 3.0, "top1_mean_tiles": 2.0}


def test_the_earth_has_the_protocols_radius():
    assert pytest.approx(6366.565, abs=1e-3) == gama_evaluate.RADIUS_KM
