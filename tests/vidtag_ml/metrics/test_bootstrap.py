"""Intervals over groups; those of clips are in test_tracks.py."""

import numpy as np
import pytest

from vidtag_ml.metrics import bootstrap

VALUES = np.random.default_rng(3).normal(size=40)


def test_groups_of_one_value_are_resampled_as_values():
    assert bootstrap.grouped_mean(VALUES, np.arange(40), 300, 0) == bootstrap.bootstrap(
        VALUES, 300, 0
    )


def test_values_of_one_group_alone_leave_nothing_to_resample():
    one = np.zeros(40, int)
    mean, middle = VALUES.mean(), np.median(VALUES)
    np.testing.assert_allclose(bootstrap.grouped_mean(VALUES, one, 50, 0), (mean, mean))
    assert bootstrap.grouped_median(VALUES, one, 50, 0) == (middle, middle)


def test_intervals_of_groups_of_alike_values_are_wider_than_of_values():
    values, groups = np.repeat(VALUES, 10), np.repeat(np.arange(40), 10)
    for interval in (bootstrap.grouped_mean, bootstrap.grouped_median):
        low, high = interval(values, groups, 300, 0)
        least, most = interval(values, np.arange(400), 300, 0)
        assert high - low > 2 * (most - least)


def test_together_intervals_of_one_subset_are_the_usual_ones():
    mean, low, high = bootstrap.together(VALUES, np.ones((40, 1)), 1000, 0)
    np.testing.assert_allclose(mean, VALUES.mean())
    np.testing.assert_allclose((low[0], high[0]), bootstrap.bootstrap(VALUES, 1000, 0), atol=0.04)


def test_twenty_subsets_together_are_seldom_wrong_where_each_alone_would_be():
    """Of values that are 0 on average: how often an interval of any subset leaves 0 out."""
    random, inside = np.random.default_rng(5), np.kron(np.eye(20), np.ones((20, 1)))
    together, alone = [], []
    for _ in range(60):
        values = random.normal(size=400)
        _, low, high = bootstrap.together(values, inside, 100, 0)
        together.append(bool(((low > 0) | (high < 0)).any()))
        ends = [bootstrap.bootstrap(part, 100, 0) for part in values.reshape(20, 20)]
        alone.append(any(low > 0 or high < 0 for low, high in ends))
    assert np.mean(together) < 0.25
    assert np.mean(alone) > 0.5


def test_subsets_that_are_the_same_count_once():
    inside = np.r_[np.ones(20), np.zeros(20)][:, None]
    once = bootstrap.together(VALUES, inside, 300, 0)
    thrice = bootstrap.together(VALUES, np.repeat(inside, 3, axis=1), 300, 0)
    np.testing.assert_allclose(thrice, np.repeat(once, 3, axis=1))


def test_a_subset_of_equal_values_has_no_width():
    mean, low, high = bootstrap.together(np.full(12, 0.1), np.ones((12, 1)), 50, 0)
    np.testing.assert_allclose((mean, low, high), 0.1)


def test_an_empty_subset_is_refused():
    with pytest.raises(ValueError, match="some in each subset"):
        bootstrap.together(VALUES, np.zeros((40, 1)), 50, 0)
