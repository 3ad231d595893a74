"""The report on what was left out."""

import pandas as pd

from vidtag_ml.ingest.own import report as rejected_report
from vidtag_ml.ingest.own.records import Rejected


def lines(folder):
    return pd.read_csv(folder / "report.csv", keep_default_na=False).to_dict("records")


def test_each_file_has_reason_and_advice(tmp_path):
    record = Rejected("NA.mp4", "no_position", "put its track beside it", [])
    rejected_report.write(tmp_path, "trip", [record])
    assert lines(tmp_path) == [{"dataset": "trip", **record.as_json()}]


def test_a_new_run_replaces_the_lines_of_its_dataset_only(tmp_path):
    record = Rejected("a.mp4", "unreadable", "copy it again", [])
    rejected_report.write(tmp_path, "trip", [record])
    rejected_report.write(tmp_path, "walk", [record])
    rejected_report.write(tmp_path, "trip", [])
    assert [line["dataset"] for line in lines(tmp_path)] == ["walk"]


def test_the_page_shows_names_as_text(tmp_path):
    record = Rejected("<script>.mp4", "unreadable", "copy it & again", [])
    rejected_report.write(tmp_path, "trip", [record])
    page = (tmp_path / "report.html").read_text()
    assert "&lt;script&gt;.mp4" in page
    assert "copy it &amp; again" in page
    assert rejected_report.REASONS["unreadable"] in page


def test_an_empty_report_says_so(tmp_path):
    rejected_report.write(tmp_path, "trip", [])
    assert "Nothing was left out" in (tmp_path / "report.html").read_text()
