"""Answers that may tell nothing finer than a level: no file and no line tells more."""

import dataclasses
import io
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image

from vidtag_ml.cli import output
from vidtag_ml.earth.regions import Circle
from vidtag_ml.models import answers
from vidtag_ml.models.answers import Wanted
from vidtag_ml.models.asked import Asked
from vidtag_ml.models.given import ContradictionError, Given
from vidtag_ml.models.located import LocatedTrack
from vidtag_ml.workflow import progress

SCHEMA = json.loads(
    (Path(__file__).parents[3] / "docs" / "schema" / "answer.schema.json").read_text()
)
FACTS = {"model": "vidtag", "bundle": "b" * 32}
NAMES = {"continent": "Europe", "country": "France", "region": "the region of Lyon, France"}
PLACES = [{"level": level, "name": name, "mass": 0.95} for level, name in NAMES.items()]
RING = [[4.8, 45.7], [4.9, 45.7], [4.9, 45.8], [4.8, 45.7]]
SHAPE = {"type": "Polygon", "coordinates": [RING]}
AREA = {"type": "Feature", "geometry": SHAPE, "properties": {"mass": 0.9, "of": 0.9}}


@dataclasses.dataclass(frozen=True)
class InLyon:
    """Answers Lyon, and names that it is sure of; or that it cannot be."""

    places: list
    contradicts: str = ""

    def locate(self, _seen, _rate, _progress):
        if self.contradicts:
            raise ContradictionError(self.contradicts)
        latlon_T2 = np.array([(45.76789, 4.83456)])
        parts = ("a", np.zeros(1), latlon_T2, latlon_T2, np.ones(1))
        more = {"places": self.places, "areas": (AREA,), "unsure": ("near 45.76789",)}
        return LocatedTrack(*parts, mode="car", max_speed_kmh={"car": 200.0}, **more)


@pytest.fixture
def answer(tmp_path):
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (95.0, 46.0, 4.4), 3: "E", 4: (4.0, 50.0, 4.4)}
    Image.new("RGB", (64, 64)).save(tmp_path / "a.jpg", exif=exif)
    asked, silent = Asked(tmp_path, ("a.jpg",)), progress.Batch([1], io.StringIO())
    given = Given(near=Circle((45.76789, 4.83456), 9.0))

    def located(level, places=PLACES, contradicts="", **more):
        wanted = Wanted(tmp_path / "out", given=given, coarse=level, **more)
        locator = InLyon(list(places), contradicts)
        return next(answers.answers(locator, FACTS, [asked], [Path("a")], wanted, silent))

    return located


@pytest.mark.parametrize("level", ["continent", "country", "region"])
def test_only_the_level_that_was_asked_for_is_told(answer, tmp_path, capsys, level):
    row = answer(level)
    jsonschema.validate(row, SCHEMA)
    assert row["place"]["name"] == NAMES[level]
    (file,) = (tmp_path / "out").iterdir()
    written = json.loads(file.read_text())
    jsonschema.validate(written, SCHEMA)
    output.print_answer(row)
    for text in (file.read_text(), json.dumps(row), capsys.readouterr().out):
        assert NAMES[level] in text
        assert not any(said in text for said in ("45.7", "4.83", "jpg;base64", "time", "score"))
        if level != "region":
            assert "Lyon" not in text


def test_what_is_not_sure_is_told_coarser_or_not_at_all(answer, tmp_path):
    assert answer("city", PLACES[:2])["place"] == PLACES[1]
    (tmp_path / "out" / "a.json").unlink()
    row = answer("country", [])
    assert (row["answered"], row["files"]) == (False, [])
    assert row["why"] == "no country, and nothing coarser, holds 90 % of the probability"
    assert not list((tmp_path / "out").iterdir())


def test_what_is_noted_of_a_batch_tells_no_more_and_nothing_finer_stays(answer, tmp_path):
    note = tmp_path / "out" / ".located" / "a.json"
    note.parent.mkdir(parents=True)
    note.write_text('{"key": "", "files": {}, "row": {"track": [{"lat": 45.76789}]}}')
    answer("country", PLACES[:2], go_on=True)
    assert "France" in note.read_text()
    assert "45.7" not in note.read_text()


def test_contradictions_tell_no_degrees(answer):
    row = answer("country", contradicts="within 9 km of 45.76789")
    assert (row["answered"], "45.7" in json.dumps(row)) == (False, False)
    assert row["told"] == []
    assert row["origin"]["given"] == "--near"


def test_it_does_not_lie_beside_finer_files_of_the_same_name(answer, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.gpx").touch()
    assert "is of an earlier, finer answer" in answer("country")["error"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.gpx"]


def test_finer_answers_tell_the_finest_sure_name(answer, capsys):
    row = answer(None)
    assert row["place"] == PLACES[-1]
    output.print_answer(row)
    assert "in the region of Lyon, France (95 % of the probability)" in capsys.readouterr().out
