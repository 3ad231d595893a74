"""Claims about single numbers and times in text."""

import datetime as dt
import doctest
import math

import pytest

from vidtag_ml.ingest.telemetry import text


def test_examples_in_docstrings_hold():
    result = doctest.testmod(text)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("written", [None, "", "NA", "47.5N", "4,5", "nan"])
def test_what_is_no_number_is_nan(written):
    assert math.isnan(text.number(written))


@pytest.mark.parametrize(
    "written",
    ["2019-05-06T18:15:07.5Z", "2019-05-06 18:15:07.5", "20190506T201507.5+0200"],
)
def test_forms_of_a_time_are_one_moment(written):
    wanted = dt.datetime(2019, 5, 6, 18, 15, 7, 500_000, tzinfo=dt.UTC)
    assert text.utc_s(written) == wanted.timestamp()


@pytest.mark.parametrize("written", ["2016-12-31T23:59:60Z", "2017-01-01 00:59:60.0+01:00"])
def test_a_leap_second_is_the_first_of_the_next_day(written):
    assert text.utc_s(written) == dt.datetime(2017, 1, 1, tzinfo=dt.UTC).timestamp()


@pytest.mark.parametrize("written", [None, "", "today", "2019-13-01", "18:15:07"])
def test_what_is_no_time_is_nan(written):
    assert math.isnan(text.utc_s(written))
