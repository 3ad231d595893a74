"""Great Expectations suites, and the checks made of them, on tables right and wrong in one way."""

import dataclasses
import html
import urllib.request

import dagster as dg
import pandas as pd
import pytest
import yaml

from vidtag_assets.assets import dataset
from vidtag_assets.assets.expectations import (
    CONSEQUENCES,
    NUM_EXAMPLES,
    clips_suite,
    fixes_suite,
    validate,
)
from vidtag_assets.workspace import data_docs
from vidtag_assets.workspace.resources import ParamsFile, Workspace
from vidtag_ml import config
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.earth import sphere

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
        "dop": [None, 1.5, 10.0],
        "fix_type": ["3d", "2d", None],
        "fix_source": "gps5",
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


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("accuracy_m", 500.0),
        ("dop", 10.5),
        ("fix_type", "rtk"),
        ("fix_source", None),
        ("time_s", 0.0),
    ],
)
def test_a_bad_receiver_is_only_a_warning(column, value):
    verdict = validate(FIXES.assign(**{column: value}), fixes_suite)
    assert not verdict.passed
    assert not verdict.critical
    assert column in " ".join(verdict.table()["examples"])


def test_of_many_bad_rows_a_few_are_examples():
    many = pd.concat([FIXES, FIXES.loc[[2] * 20].assign(lat=91.0, time_s=range(1, 21))])
    (failure,) = validate(many, fixes_suite).failures
    assert failure.num_rows == 20
    assert failure.examples == ("lat 91.0, clip_id b",) * NUM_EXAMPLES


@pytest.mark.parametrize("column", ["clip_id", "split", "content_md5", "num_frames"])
def test_a_clip_column_gone_wrong_is_critical(column):
    wrong = {"clip_id": "a", "split": "practice", "content_md5": "?", "num_frames": 0}
    assert validate(CLIPS.assign(**{column: wrong[column]}), clips_suite).critical


def test_a_missing_column_is_critical_and_says_so():
    verdict = validate(CLIPS.drop(columns="mode"), clips_suite)
    assert verdict.critical
    assert "mode" in " ".join(verdict.table()["examples"])


def test_data_docs_are_pages_of_the_last_verdict(tmp_path):
    for wrong in (91.0, 92.0):
        verdict = validate(FIXES.assign(lat=wrong), fixes_suite, tmp_path / "docs")
        assert verdict == validate(FIXES.assign(lat=wrong), fixes_suite)
    (page,) = (tmp_path / "docs" / "validations").rglob("*.html")
    assert page.name in (tmp_path / "docs" / "index.html").read_text()
    assert "92.0" in page.read_text()


def test_data_docs_need_nothing_from_the_internet(tmp_path):
    for _ in range(2):
        validate(FIXES.assign(lat=91.0), fixes_suite, tmp_path / "docs")
    pages = [page.read_text() for page in (tmp_path / "docs").rglob("*.html")]
    assert {page.count(".text-danger::before { content") for page in pages} == {1}
    (page,) = (tmp_path / "docs" / "validations").rglob("*.html")
    assert "https://" not in page.read_text()
    assert '.text-danger::before { content: "' in page.read_text()  # the mark of what fails
    assert 'class="fas fa-times text-danger"' in page.read_text()


def _checked(check, tables, params, folder, **settings):
    """The result of a check of the asset clips on tables, in a workspace of their own."""
    changed = dataclasses.replace(params, clips=dataclasses.replace(params.clips, **settings))
    (folder / "params.yaml").write_text(yaml.safe_dump(config.as_dict(changed)))
    clip_tables.write(folder / "data" / "flyover", tables)
    workspace = Workspace(root=str(folder))
    return check(workspace=workspace, params_file=ParamsFile(path=str(folder / "params.yaml")))


@pytest.mark.parametrize("check", [dataset.clips_have_valid_metadata, dataset.fixes_have_valid_gps])
def test_links_of_checks_lead_to_what_they_found(check, tables, params, tmp_path):
    result = _checked(check, tables, params, tmp_path)
    assert result.passed
    link = result.metadata["data_docs"]
    assert isinstance(link, dg.UrlMetadataValue)
    with data_docs.served(data_docs.folder(tmp_path), "http://127.0.0.1:0") as address:
        found = link.url.replace(data_docs.ADDRESS, address)
        page = urllib.request.urlopen(found).read().decode()  # noqa: S310
    assert page.startswith("<!DOCTYPE html>")
    assert "clip_id is known" in page


@pytest.mark.parametrize(("suite", "table"), [(clips_suite, CLIPS), (fixes_suite, FIXES)])
def test_a_suite_says_in_words_what_it_expects_and_what_follows(suite, table, tmp_path):
    verdict = validate(table, suite, tmp_path)
    page = (tmp_path / "expectations" / f"{verdict.suite}.html").read_text()
    for one in verdict.expected:
        assert one.met == "yes"
        assert one.meaning.endswith(".")
        assert one.meaning in html.unescape(page)
        assert CONSEQUENCES[one.severity] in page


def test_a_table_without_words_says_what_it_is():
    verdict = validate(CLIPS, clips_suite)
    assert next(
        one.meaning for one in verdict.expected if one.expectation == "there are clips"
    ) == ("clips.parquet: one row a clip, whichever source it is from.")


def test_the_severest_expectations_come_first():
    severities = [one.severity for one in validate(FIXES, fixes_suite).expected]
    assert severities == sorted(severities)
    assert {"critical", "warning"} == set(severities)


@pytest.mark.parametrize(
    ("column", "value", "severity"),
    [("lat", 91.0, dg.AssetCheckSeverity.ERROR), ("dop", 11.0, dg.AssetCheckSeverity.WARN)],
)
def test_a_check_fails_by_severity_unless_the_fix_is_dropped(
    column, value, severity, tables, params, tmp_path
):
    fixes = tables.fixes.copy()
    fixes.loc[0, column] = value
    wrong = dataclasses.replace(tables, fixes=fixes)
    result = _checked(dataset.fixes_have_valid_gps, wrong, params, tmp_path)
    assert not result.passed
    assert result.severity == severity
    fixes.loc[0, "status"] = "dropped"
    assert _checked(dataset.fixes_have_valid_gps, wrong, params, tmp_path).passed


def test_splits_that_meet_are_implausible_if_params_say_so(tables, params, tmp_path):
    fixes = tables.fixes.copy()
    train, test = ((tables.clips["split"] == split).idxmax() for split in ("train", "test"))
    train, test = tables.clips["clip_id"][[train, test]]
    rows = fixes["clip_id"] == test
    beside = fixes.loc[fixes["clip_id"] == train, ["lat", "lon"]]
    fixes.loc[rows, ["lat", "lon"]] = sphere.destination(beside, 0.0, 0.5)
    near = dataclasses.replace(tables, fixes=fixes)
    assert _checked(dataset.clips_are_plausible, near, params, tmp_path, min_split_km=0.0).passed
    result = _checked(dataset.clips_are_plausible, near, params, tmp_path, min_split_km=1.0)
    assert not result.passed
    assert f"0.5 km from {train}" in result.metadata["problems"].value


@pytest.fixture
def madrid(tables):
    """The tiny world with its first clip in Madrid, as it says; and where its fixes are."""
    clip = tables.clips["clip_id"][0]
    labels = {"city": "Madrid", "country": "Spain", "continent": "Europe"}
    clips, fixes = tables.clips.copy(), tables.fixes.copy()
    clips.loc[0, list(labels)] = list(labels.values())
    rows = fixes["clip_id"] == clip
    fixes.loc[rows, ["lat", "lon"]] = (40.4, -3.7)
    return dataclasses.replace(tables, clips=clips, fixes=fixes), rows


def test_a_swapped_clip_blocks_and_one_in_another_place_warns(madrid, params, tmp_path):
    tables, rows = madrid
    check = dataset.clips_lie_where_their_labels_say
    assert _checked(check, tables, params, tmp_path).passed
    for where, severity in (((-3.7, 40.4), "ERROR"), ((52.5, 13.4), "WARN")):
        moved = tables.fixes.copy()
        moved.loc[rows, ["lat", "lon"]] = where
        result = _checked(check, dataclasses.replace(tables, fixes=moved), params, tmp_path)
        assert (result.passed, result.severity.value) == (False, severity)
        assert tables.clips["clip_id"][0] in result.metadata["clips"].value
    assert "nothing known fits (1)" in result.description
