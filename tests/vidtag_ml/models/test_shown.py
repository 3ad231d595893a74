"""Answers as the page shows them, and read back from their files."""

import json
import shutil
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from vidtag_ml.models import recording, shown
from vidtag_ml.models.located import LocatedTrack

FACTS = {"model": "vidtag", "bundle": "b" * 32, "video_md5": "a" * 32}
SCHEMA = json.loads(
    (Path(__file__).parents[3] / "docs" / "schema" / "answer.schema.json").read_text()
)


@pytest.fixture
def video(tiny_world, tmp_path):
    (tmp_path / "videos").mkdir()
    return Path(shutil.copy(min((tiny_world / "videos").glob("*.mp4")), tmp_path / "videos"))


LATLON = [(48.0, 2.0), (48.1, 2.1), (48.2, 2.2)]
NOWHERE = (np.nan, np.nan)


def read(path):
    (found,), _ = shown.on_map([path])
    return found


def write(seen, folder, name="track", facts=FACTS, latlon=LATLON):
    """Files of a track of three frames, by suffix."""
    time_T, latlon_T2 = np.arange(3.0), np.array(latlon)
    track = LocatedTrack(
        seen.name, time_T, latlon_T2, latlon_T2, time_T / 9, mode="walk", max_speed_kmh={"walk": 10}
    )
    return {path.suffix: path for path in track.beside(seen, None).write(folder, name, facts)}


def test_what_is_written_keeps_to_the_published_schema(video, photographed, tmp_path):
    photos = photographed(video, tmp_path / "photos")
    for seen in (recording.Video(video), recording.opened(photos)):
        told = json.loads(write(seen, tmp_path / "out")[".json"].read_text())
        jsonschema.Draft202012Validator(SCHEMA).validate(told)


def test_the_schema_takes_what_has_no_position():
    check = jsonschema.Draft202012Validator(SCHEMA)
    check.validate({"video": "a.mp4", "error": "a.mp4: not a video"})
    check.validate({"video": "a.mp4", "origin": FACTS, "answered": False, "why": "no flight"})
    assert not check.is_valid({"video": "a.mp4", "origin": FACTS, "answered": True})


def test_a_model_that_was_made_to_answer_says_so_first(video, tmp_path):
    facts = {**FACTS, "foreign": "this is no flight"}
    files = write(recording.Video(video), tmp_path, facts=facts)
    found = read(files[".json"])
    assert (found.row["told"][0], found.row["origin"]) == ("this is no flight", facts)


def test_a_track_known_in_part_has_a_page_and_keeps_to_the_schema(video, tmp_path):
    files = write(recording.Video(video), tmp_path, latlon=[NOWHERE, *LATLON[1:]])
    assert ".html" in files
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(files[".json"].read_text()))
    assert read(files[".json"]).num_known == 2


def test_where_no_position_is_known_there_is_no_map_and_none_of_before(video, tmp_path):
    before = write(recording.Video(video), tmp_path)
    files = write(recording.Video(video), tmp_path, latlon=[NOWHERE] * 3)
    assert not before[".html"].exists()
    assert not before[".png"].exists()
    with pytest.raises(ValueError, match=r"track\.json: no position is known, so there is no map"):
        read(files[".json"])


def test_answers_without_a_known_position_are_passed_over_beside_others(video, tmp_path):
    one = write(recording.Video(video), tmp_path, "one")[".json"]
    two = write(recording.Video(video), tmp_path, "two", latlon=[NOWHERE] * 3)[".json"]
    found, nowhere = shown.on_map([two, one])
    assert [each.num_known for each in found] == [3]
    assert nowhere == [two]


def test_the_schema_refuses_what_is_no_answer(video, tmp_path):
    told = json.loads(write(recording.Video(video), tmp_path)[".json"].read_text())
    check = jsonschema.Draft202012Validator(SCHEMA)
    for wrong in ({"lat": 91.0}, {"lon": "9.5"}, {"score": 2}, {"radius_km": -1.0}):
        broken = {**told, "track": [{**told["track"][0], **wrong}]}
        assert not check.is_valid(broken), wrong


def test_an_answer_finds_its_video_wherever_both_are_moved(video, tmp_path):
    files = write(recording.Video(video), tmp_path / "out")
    assert json.loads(files[".json"].read_text())["video"] == f"../videos/{video.name}"
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for folder in ("out", "videos"):
        (tmp_path / folder).rename(moved / folder)
    found = read(moved / "out" / "track.json")
    assert found.video.resolve() == (moved / "videos" / video.name).resolve()
    assert [time_s for time_s, _ in found.thumbnails] == [0.0, 1.0, 2.0]


def test_photos_are_found_again_one_each_position(video, photographed, tmp_path):
    photographed(video, tmp_path / "photos")
    written = write(recording.opened(tmp_path / "photos"), tmp_path / "out")
    found = read(written[".json"])
    assert len(found.pictures) == 8
    assert all(path.is_file() for path in found.pictures)


def test_a_lost_recording_is_told_and_the_map_is_shown_all_the_same(video, tmp_path):
    files = write(recording.Video(video), tmp_path / "out")
    video.unlink()
    found = read(files[".json"])
    assert (found.video, found.thumbnails) == (None, [])
    assert f"not where it was when it was located (../videos/{video.name})" in found.row["told"][-1]


def test_answers_are_found_by_any_of_their_files_and_by_folders(video, tmp_path):
    one = write(recording.Video(video), tmp_path / "out", "one")
    two = write(recording.Video(video), tmp_path / "out" / "deep", "two")
    (tmp_path / "out" / "other.json").write_text("{}")
    assert shown.files([one[".gpx"], one[".html"]]) == [one[".json"]]
    assert shown.files([tmp_path / "out"]) == [two[".json"], one[".json"]]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[", "this is no JSON"),
        ("[]", "no file that `vidtag locate` wrote"),
        ('{"origin": {}, "place": {}}', "this answer has no track"),
    ],
)
def test_other_files_are_refused_in_a_sentence(tmp_path, content, said):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=said):
        read(tmp_path / "a.json")
    with pytest.raises(ValueError, match="no answer there that `vidtag locate` wrote"):
        shown.files([tmp_path / "b.gpx"])
