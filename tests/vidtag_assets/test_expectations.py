"""Great Expectations suites on tables that are right, and on tables that are wrong in one way."""

import pandas as pd
import pytest

from vidtag_assets.expectations import clips_suite, fixes_suite, validate

CLIPS = pd.DataFrame(
    {
        "clip_id": ["a", "b", "c"],
        "video_path": ["videos/a.mp4", "videos/b.mp4", "videos/c.mp4"],
        "kind": "video",
        "num_frames": [8, 9, 10],
        "duration_s": [8.0, 9.0, 10.0],
        "width": 96,
        "height": 96,
        "mode": "flyover",
        "split": ["train", "val", "test"],
        "group_id": ["1", "2", "3"],
        "city": "Paris",
        "country": "France",
        "continent": "Europe",
        "licence": "public domain",
        "content_md5": ["a" * 32, "b" * 32, "c" * 32],
    }
).convert_dtypes()
FIXES = pd.DataFrame(
    {
        "clip_id": ["a", "a", "b"],
        "time_s": [0.0, 1.0, 0.0],
        "lat": [48.8, 48.9, -33.0],
        "lon": [2.3, 2.4, 151.0],
        "altitude_m": [None, 100.0, 100.0],
        "accuracy_m": [None, 5.0, 5.0],
        "status": "measured",
    }
)


def test_tables_in_order_pass():
    assert validate(CLIPS, clips_suite).passed
    assert validate(FIXES, fixes_suite).passed


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        ("lat", 91.0, "lat is at least -90, at most 90"),
        ("lon", -181.0, "lon is at least -180, at most 180"),
        ("lat", None, "lat is known"),
        ("status", "guessed", "status is measured or interpolated or dropped"),
    ],
)
def test_a_wrong_fix_is_critical_and_names_its_clip(column, value, sentence):
    fixes = FIXES.copy()
    fixes.loc[2, column] = value
    verdict = validate(fixes, fixes_suite)
    assert verdict.critical
    assert [f.expectation for f in verdict.failures] == [sentence]
    assert "clip_id b" in verdict.failures[0].examples[0]


def test_a_bad_receiver_is_only_a_warning():
    verdict = validate(FIXES.assign(accuracy_m=500.0), fixes_suite)
    assert not verdict.passed
    assert not verdict.critical


@pytest.mark.parametrize("column", ["clip_id", "split", "content_md5", "num_frames"])
def test_a_clip_column_gone_wrong_is_critical(column):
    wrong = {"clip_id": "a", "split": "practice", "content_md5": "?", "num_frames": 0}
    assert validate(CLIPS.assign(**{column: wrong[column]}), clips_suite).critical


def test_a_missing_column_is_critical_and_says_so():
    verdict = validate(CLIPS.drop(columns="mode"), clips_suite)
    assert verdict.critical
    assert "mode" in " ".join(verdict.table()["examples"])
