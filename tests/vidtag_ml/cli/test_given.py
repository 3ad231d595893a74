"""`vidtag locate`, told beforehand: what it makes of it, what it says of it, what it refuses."""

import datetime as dt
import json
from pathlib import Path

import jsonschema
import pytest

from vidtag_ml.cli import given
from vidtag_ml.earth import sphere

SCHEMA = json.loads(
    (Path(__file__).parents[3] / "docs" / "schema" / "answer.schema.json").read_text()
)
NONE = dict.fromkeys(("within", "near", "start", "end", "after", "before", "mode"))


@pytest.fixture(scope="module")
def bundle(made):
    return made / "out" / "bundle"


@pytest.fixture(scope="module")
def video(made):
    return next((made / "data" / "flyover" / "videos").glob("*.mp4"))


@pytest.fixture
def located(vidtag, bundle, video, tmp_path):
    def ask(*options):
        done = vidtag(
            tmp_path, "locate", video, "--model", bundle, "--out", ".", "--json", *options
        )
        assert done.returncode == 0, done.stderr
        (row,) = json.loads(done.stdout)
        jsonschema.validate(row, SCHEMA)
        return row

    return ask


def test_what_is_given_is_kept_and_told_in_every_file(located, tmp_path):
    alone = located()["track"][0]
    place = (alone["lat"], alone["lon"] + (20 if alone["lon"] < 0 else -20))
    near = f"{place[0]},{place[1]},900"
    row = located("--near", near, "--anyway")
    away_km = [sphere.great_circle_km(place, (p["lat"], p["lon"])) for p in row["track"]]
    assert max(away_km) < 900 + 2 * 400
    words = f"within 900 km of {place[0]:g}, {place[1]:g}"
    assert row["given"]["words"] == [words]
    assert row["given"]["areas_before"]
    assert any(f"before that was given: {words}" in told for told in row["told"])
    for kind in ("gpx", "geojson", "kml", "csv", "json"):
        assert words in (tmp_path / f"track.{kind}").read_text()


def test_what_holds_everything_changes_nothing(located):
    alone, row = located(), located("--within", "-90,-180,90,180")
    assert row["track"] == alone["track"]
    assert row["given"]["probability_before"] == row["given"]["share_of_gallery"] == 1.0
    assert row["radius_km"] is alone["radius_km"] is None


def test_what_leaves_no_place_gets_no_position(located, tmp_path):
    row = located("--start", "10,10", "--end", "-10,-170", "--anyway")
    assert (row["answered"], row["files"]) == (False, [])
    assert "no place is left" in row["why"]
    assert not list(tmp_path.glob("track.*"))


def test_photos_without_times_bound_no_way_from_the_start(
    vidtag, bundle, video, photographed, tmp_path
):
    photographed(video, tmp_path / "trip")
    done = vidtag(tmp_path, "locate", "trip", "--model", bundle, "--start", "10,10")
    assert "--start: the photos do not all tell their times" in done.refusal


def test_models_that_cannot_use_it_say_so(vidtag, made, video, tmp_path):
    ask = ("locate", video, "--model", made / "out" / "guess_bundle", "--within", "FR")
    refusal = "vidtag: --within: this model cannot use what is known already"
    assert vidtag(tmp_path, *ask).refusal.startswith(refusal)


def test_a_mode_without_a_speed_limit_is_refused(vidtag, bundle, video, tmp_path):
    done = vidtag(tmp_path, "locate", video, "--model", bundle, "--mode", "rocket")
    assert done.refusal.startswith("vidtag: --mode is 'rocket'; this model knows ")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("within", "Atlantis"),
        ("near", "48.85,2.35"),
        ("near", "48.85,2.35,0"),
        ("near", "2.35,148.85,nan"),
        ("start", "98.85,2.35"),
        ("end", "48.85"),
        ("start", "here"),
        ("after", "noon"),
        ("before", "0001-01-01T00:00+05:00"),
    ],
)
def test_what_cannot_be_is_refused_by_name(option, value):
    with pytest.raises(ValueError, match=f"^--{option}"):
        given.read(**{**NONE, option: value})


def test_days_count_from_their_beginning_to_their_end():
    found = given.read(**{**NONE, "after": "2024-05-06", "before": "2024-05-06"})
    assert found.before - found.after == dt.timedelta(days=1)
    with pytest.raises(ValueError, match="--after 2024-05-07 is not before --before 2024-05-06"):
        given.read(**{**NONE, "after": "2024-05-07", "before": "2024-05-06"})
