"""Comparisons of rows: over the same clips, and sure only where many leave no room for chance."""

import numpy as np
import pytest

from vidtag_ml.metrics import paired

RANDOM = np.random.default_rng(4)
SHARED, NOISE = RANDOM.normal(100, 50, 200), RANDOM.normal(1, 0.5, 200)


def test_pairing_removes_what_clips_share():
    found = paired.difference(SHARED + NOISE, SHARED, 500, 0)
    assert found.value == pytest.approx(NOISE.mean())
    assert 0.8 < found.low < found.value < found.high < 1.2
    assert found.p < 1e-9


def test_ratios_of_medians_are_of_all_values_of_a_group_together():
    groups, errors = np.repeat(np.arange(50), 4), np.exp(RANDOM.normal(4, 1, 200))
    found = paired.ratio(0.8 * errors, errors, groups, 300, 0)
    assert found[:3] == pytest.approx((0.8, 0.8, 0.8))
    other = paired.ratio(0.8 * errors[::-1], errors, groups, 300, 0)
    assert other.low < 0.8 < other.high
    mean = paired.ratio([1.0, 3.0], [1.0, 1.0], np.arange(2), 300, 0, np.mean)
    assert mean.value == 2.0


@pytest.mark.parametrize("apart", [0.0, 0.3])
def test_five_in_a_hundred_equal_rows_have_a_p_below_five_per_cent(apart):
    random, low = np.random.default_rng(1), 0
    for _ in range(300):
        values = random.normal(apart, 1.0, 100)
        low += paired.difference(values, np.zeros(100), 200, 0).p < 0.05
    assert (low / 300 == pytest.approx(0.05, abs=0.03)) == (apart == 0.0)


def test_equal_rows_are_no_different():
    assert paired.difference(SHARED, SHARED, 50, 0).p == 1.0
    assert paired.ratio(SHARED**2, SHARED**2, np.arange(200), 50, 0).p == 1.0
    assert paired.difference(SHARED + 1, SHARED, 50, 0).p < 1e-50


@pytest.mark.parametrize(("num", "p"), [(1, 1.0), (3, 0.25), (6, 2**-5)])
def test_few_clips_are_never_sure_however_they_agree(num, p):
    assert paired.difference(np.ones(num), np.zeros(num), 50, 0).p == p
    assert paired.ratio(np.full(num, 2.0), np.ones(num), np.arange(num), 50, 0).p == p
    one = paired.ratio([1.0, 2.0, 3.0], [2.0, 3.0, 4.0], np.zeros(3, int), 50, 0)
    assert one.p == 1.0


def test_figures_of_nothing_are_a_metre_in_ratios():
    found = paired.ratio([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], np.arange(3), 50, 0)
    assert found == (1.0, 1.0, 1.0, 1.0)
    assert paired.ratio([0.0] * 9, [2.0] * 9, np.arange(9), 50, 0).value == pytest.approx(5e-4)


def test_holm_sorts_and_stops_at_the_first_that_is_not_sure():
    assert paired.holm([0.01, 0.04, 0.03, 0.005]).tolist() == [True, False, False, True]
    assert paired.holm([0.04]).tolist() == [True]
    assert paired.holm([0.02, 0.02, 0.02]).tolist() == [False, False, False]
    assert paired.holm([]).tolist() == []


def test_values_without_a_pair_are_refused():
    for a, b in (([1.0, 2.0], [1.0]), ([], []), ([np.nan], [1.0])):
        with pytest.raises(ValueError, match="pairs"):
            paired.difference(a, b, 10, 0)
