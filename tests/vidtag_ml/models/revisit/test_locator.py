import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from vidtag_ml.cli import output
from vidtag_ml.models import registry
from vidtag_ml.models.answers import Wanted, answers
from vidtag_ml.models.asked import find
from vidtag_ml.models.measured import Measured
from vidtag_ml.models.revisit import locator
from vidtag_ml.models.revisit.evaluate import RevisitReport
from vidtag_ml.workflow import progress

FACTS = {"model": "revisit", "bundle": "b" * 32}


@pytest.fixture(scope="module")
def located(made_streets):
    """The bundle in memory, by way of the registry of systems."""
    return registry.load(made_streets / "out" / "revisit_bundle")


def drive(made_streets, name):
    return made_streets / "data" / "recordings" / name


def test_a_bundle_says_what_evaluation_says(located, made_streets):
    assert isinstance(located, locator.RevisitLocator)
    frames = RevisitReport.read(made_streets / "out" / "evaluation" / "revisit" / "val").frames
    wanted = frames[frames["clip"] == "oak_friday"]
    found = located.locate(drive(made_streets, "oak_friday"))
    assert found.latlon_T2 == pytest.approx(wanted[["lat", "lon"]].to_numpy(), abs=1e-6)
    assert found.score_T == pytest.approx(wanted["score"].to_numpy(), abs=1e-2)


def test_an_answer_names_radius_heading_and_the_references_that_speak_for_it(located, made_streets):
    found = located.locate(drive(made_streets, "oak_friday"))
    (first, *_), told = found.as_json()["track"], found.table()
    assert first["references"][0] in ("oak_monday at 0 s", "oak_monday at 1 s")
    assert first["radius_km"] >= 0.01
    assert first["heading_deg"] == pytest.approx(90.0, abs=0.1)
    assert told["reference"].str.startswith("oak_monday").all()
    assert not any("without a position" in sentence for sentence in found.told)


def test_a_place_that_is_unknown_gets_no_position_in_any_file(located, made_streets, tmp_path):
    found = located.locate(drive(made_streets, "ash_friday"))
    assert "8 of 8 frames are not at a place that was recorded before: without a position" in (
        found.told
    )
    files = found.write(tmp_path, "ash", FACTS)
    assert [file.suffix for file in files] == [
        *(".gpx", ".geojson", ".kml", ".csv", ".parquet", ".json"),
    ]
    assert "<trkpt" not in files[0].read_text()
    assert json.loads(files[1].read_text())["features"][0]["geometry"] is None
    assert pd.read_csv(files[3])[["lat", "lon"]].isna().all(axis=None)
    text = json.dumps(found.as_json(), allow_nan=False)
    assert {point["lat"] for point in json.loads(text)["track"]} == {None}


def test_it_is_answered_and_printed_as_every_system(located, made_streets, tmp_path, capsys):
    asked = find(
        [str(drive(made_streets, name)) for name in ("oak_friday", "ash_friday")], tmp_path
    )
    names = [one.shown.name for one in asked.asked]
    how = [tmp_path / name for name in names], Wanted(tmp_path), progress.Batch([1, 1])
    for row in answers(located, FACTS, asked.asked, *how):
        output.print_answer(row)
        json.dumps(row, allow_nan=False)
    told = capsys.readouterr().out
    assert "oak_friday: 48.00000, 11.00" in told
    assert "ash_friday: place unknown" in told


def test_a_track_known_in_part_is_drawn_where_it_is_known(located, made_streets, tmp_path):
    found = located.locate(drive(made_streets, "oak_friday"))
    lost_T2 = np.where(np.arange(8)[:, None] < 3, found.latlon_T2, np.nan)
    files = replace(found, latlon_T2=lost_T2).write(tmp_path, "oak", FACTS)
    assert files[-1].suffix == ".html"
    assert "oak_monday at " in files[-1].read_text()
    assert files[0].read_text().count("<trkpt") == 3


def test_a_receiver_is_compared_only_where_a_place_is_known(located, made_streets):
    found = located.locate(drive(made_streets, "ash_friday"))
    gps = Measured(np.full((8, 2), 48.0), "EXIF", 8, 0, ())
    told = replace(found, gps=gps).as_json()
    assert told["gps"]["num_fixes"] == 8
    assert "median_error_km" not in told
