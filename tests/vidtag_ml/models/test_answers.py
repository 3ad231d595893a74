"""Recordings of a kind that a model does not know: no position, or one that says so."""

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vidtag_ml.cli import output
from vidtag_ml.models import answers
from vidtag_ml.models.answers import Wanted
from vidtag_ml.models.asked import Asked
from vidtag_ml.models.located import LocatedTrack
from vidtag_ml.workflow import progress

FACTS = {"model": "vidtag", "model_version": 3, "bundle": "b" * 32}
WHY = "this is not the kind of video that vidtag/3 knows: drives (own)"


@dataclasses.dataclass(frozen=True)
class Everywhere:
    """Answers one place, and says what it knows if that is something else."""

    foreign: str

    def locate(self, _seen, _rate, _progress):
        latlon_T2 = np.array([(48.0, 2.0)])
        parts = ("a", np.zeros(1), latlon_T2, latlon_T2, np.ones(1))
        sure = {"radius_km_T": np.array([7.0]), "track_radius_km": 9.0, "foreign": self.foreign}
        return LocatedTrack(*parts, mode="car", max_speed_kmh={"car": 200.0}, **sure)


@pytest.fixture
def answer(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    asked, silent = Asked(tmp_path, ("a.png",)), progress.Batch([1], io.StringIO())

    def located(foreign, *, anyway=False):
        wanted = Wanted(tmp_path / "out", anyway=anyway)
        found = answers.answers(Everywhere(foreign), FACTS, [asked], [Path("a")], wanted, silent)
        return next(iter(found))

    return located


def test_what_is_foreign_gets_no_position_and_no_file(answer, tmp_path, capsys):
    row = answer("drives (own)")
    assert (row["answered"], row["why"], row["files"]) == (False, WHY, [])
    assert "track" not in row
    assert not (tmp_path / "out").exists()
    output.print_answer(row)
    assert f"a.png: no position: {WHY}\n" in capsys.readouterr().out


def test_whoever_insists_gets_a_position_that_says_so_in_every_file(answer, tmp_path):
    row = answer("drives (own)", anyway=True)
    assert (row["answered"], row["told"][0]) == (True, WHY)
    files = {path.suffix: path for path in tmp_path.glob("out/a.*")}
    assert all(WHY in files[kind].read_text() for kind in (".gpx", ".geojson", ".kml", ".csv"))
    with Image.open(files[".png"]) as picture:
        assert json.loads(picture.info["vidtag"])["foreign"] == WHY


def test_radii_are_told_of_each_position_and_of_the_track(answer, capsys):
    row = answer("")
    assert (row["answered"], row["radius_km"], row["track"][0]["radius_km"]) == (True, 9.0, 7.0)
    output.print_answer(row)
    assert "within 9 km all along (90 %)" in capsys.readouterr().out
