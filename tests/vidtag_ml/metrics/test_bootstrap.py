"""Intervals over groups; those of clips are in test_tracks.py."""

import numpy as np

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
