"""The report on what became of recordings."""

import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from tests.data.recordings import film, photos, recording, walked
from vidtag_ml.ingest.own import report as ingest_report
from vidtag_ml.ingest.own.disk_list import Shelf
from vidtag_ml.ingest.own.records import PassedOver, Rejected
from vidtag_ml.ingest.own.tables import Outcome


def shelf(*values):
    made = Shelf()
    for value in values:
        made.append(value)
    return made


def write(folder, dataset="trip", *, left_out=(), **outcome):
    whole = Outcome(quarantined=shelf(*left_out))
    return ingest_report.write(folder, folder / dataset, Outcome(**outcome), whole)


def lines(folder):
    return pd.read_csv(folder / "report.csv", keep_default_na=False).to_dict("records")


@pytest.fixture
def page(tmp_path, take):
    """Takes a folder in and gives the page."""

    def shown(folder):
        outcome = take(folder)
        made = ingest_report.write(tmp_path, tmp_path / "data" / "trip", outcome, outcome)
        return made[1].read_text()

    return shown


def test_each_file_has_reason_and_advice(tmp_path):
    record = Rejected("NA.mp4", "no_position", "put its track beside it", [])
    write(tmp_path, left_out=[record])
    assert lines(tmp_path) == [{"dataset": "trip", **record.as_json()}]


def test_a_new_run_replaces_what_is_said_of_its_dataset_only(tmp_path):
    record = Rejected("a.mp4", "unreadable", "copy it again", [])
    write(tmp_path, "trip", left_out=[record], num_found=1)
    write(tmp_path, "walk", left_out=[record], num_found=2)
    write(tmp_path, "trip", num_found=3)
    assert [line["dataset"] for line in lines(tmp_path)] == ["walk"]
    told = re.findall(r"found <b>(\d)</b>", (tmp_path / "report.html").read_text())
    assert told == ["3", "2"]


def test_the_page_shows_names_as_text(tmp_path):
    record = Rejected("<script>.mp4", "unreadable", "copy it & again", [])
    passed = PassedOver("<b>.txt", "unknown_type", "")
    write(tmp_path, left_out=[record], passed_over=shelf(passed))
    page = (tmp_path / "report.html").read_text()
    assert "&lt;script&gt;.mp4" in page
    assert "copy it &amp; again" in page
    assert "&lt;b&gt;.txt" in page
    assert "It cannot be decoded" in page


def test_an_empty_report_says_so(tmp_path):
    write(tmp_path)
    assert "Nothing was left out" in (tmp_path / "report.html").read_text()


def test_a_recording_is_shown_with_its_map_its_place_and_a_sum_that_holds(tmp_path, page):
    film(tmp_path / "v" / "a.mp4")
    walked(tmp_path / "v" / "a.gpx")
    text = (tmp_path / "v" / "a.gpx").read_text()
    (tmp_path / "v" / "a.gpx").write_text(text.replace('lat="47.0000', 'lat="17.0000', 1))
    shown = page(tmp_path / "v")
    (card,) = re.findall(r"<article.*?</article>", shown)
    assert "Switzerland" in card
    assert '<path class="way"' in card
    assert "<b>12</b> fixes = <b>11</b> used + " in card
    assert "<b>1</b> out of reach at 200 km/h" in card
    assert "<li>1 of 12 fixes dropped: out of reach at 200 km/h" in card


def test_the_page_is_whole_and_fetches_nothing(tmp_path, page):
    recording(tmp_path / "v")
    photos(tmp_path / "v" / "w")
    shown = page(tmp_path / "v")
    opened = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: opened.append((tag, dict(attributes)))
    parser.feed(shown)
    tags = [tag for tag, _ in opened]
    assert tags.count("article") == 2
    assert not {"script", "link", "img", "iframe"} & set(tags)
    assert {href for _, at in opened if (href := at.get("href"))} == {"#world"}
    assert "url(" not in shown


def test_of_very_many_recordings_those_that_were_repaired_are_shown(tmp_path, page, monkeypatch):
    monkeypatch.setattr(ingest_report, "SHOWN", 2)
    for k, name in enumerate("abc"):
        recording(tmp_path / "v", name, k, lat=47.0 + k)
    shown = page(tmp_path / "v")
    assert shown.count("<article") == 2
    assert "2 are shown, repaired ones first" in shown
