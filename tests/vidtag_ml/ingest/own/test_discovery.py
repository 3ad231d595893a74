"""What is found under files, folders and globs, and what is passed over."""

import os
import random
from pathlib import Path

import pytest

from tests.data import telemetry
from tests.data.recordings import film, photos, recording, walked
from tests.vidtag_ml.ingest.own.conftest import reasons
from vidtag_ml.ingest.own import discovery
from vidtag_ml.ingest.own import report as ingest_report


def test_names_need_not_be_ascii_and_hidden_files_are_not_looked_at(tmp_path, take):
    recording(tmp_path / "Ausflug nach Zürich", "großer Weg")
    (tmp_path / "Ausflug nach Zürich" / "._großer Weg.mp4").write_bytes(b"from a Mac")
    outcome = take(tmp_path / "Ausflug nach Zürich")
    assert len(outcome.accepted) == 1
    assert not outcome.quarantined


def test_globs_and_files_may_be_mixed(tmp_path, take):
    recording(tmp_path / "v", "a1", 1)
    recording(tmp_path / "v", "a2", 2, lat=48.0)
    outcome = take(tmp_path / "v" / "a*.mp4", tmp_path / "v" / "a1.mp4")
    assert len(outcome.accepted) == 2


@pytest.mark.parametrize(
    ("name", "why"), [("absent", "no such file"), ("v/*.mov", "no such file"), ("v", "no video")]
)
def test_nothing_found_is_one_clear_error(tmp_path, take, name, why):
    (tmp_path / "v").mkdir()
    (tmp_path / "v" / "a.txt").touch()
    with pytest.raises(ValueError, match=why):
        take(tmp_path / name)
    assert not (tmp_path / "data").exists()


def test_photos_named_one_by_one_are_still_a_sequence(tmp_path, take):
    photos(tmp_path / "w")
    (tmp_path / "w" / "notes.txt").touch()
    outcome = take(*sorted((tmp_path / "w").iterdir()))
    assert [told.num_frames for told in outcome.accepted] == [4]
    assert not outcome.quarantined
    assert reasons(take(tmp_path / "w")) == {"w": "duplicate"}


def passed_over(outcome):
    return {Path(p.path).name: p.reason for p in outcome.passed_over}


def adds_up(outcome):
    num = dict(outcome.num_files)
    return num.pop("found") == sum(num.values())


def test_whatever_lies_beside_recordings_is_told_with_its_reason(tmp_path, take):
    folder = recording(tmp_path / "v").parent
    recording(folder, "b", 1, lat=48.0)
    walked(folder / "other day.gpx")
    (folder / "b.csv").write_text("lat,lon\n1,2\n")
    for name in ("notes.txt", "THUMB.THM", ".DS_Store", ".git/config"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    (folder / "away").symlink_to(tmp_path / "nowhere")
    outcome = take(folder)
    assert passed_over(outcome) == {
        "notes.txt": "unknown_type", "THUMB.THM": "unknown_type", ".DS_Store": "hidden",
        ".git": "hidden", "away": "no_file", "other day.gpx": "no_recording", "b.csv": "not_needed",
    }  # fmt: skip
    assert outcome.num_files == {"found": 11, "used": 4, "quarantined": 0, "passed_over": 7}


def test_a_pipe_that_is_called_a_photo_is_told_and_not_waited_for(tmp_path, take):
    photos(tmp_path / "w")
    os.mkfifo(tmp_path / "w" / "pipe.jpg")
    outcome = take(tmp_path / "w")
    assert passed_over(outcome) == {"pipe.jpg": "no_file"}
    assert adds_up(outcome)


def test_a_hidden_table_places_no_photo(tmp_path, take):
    folder = tmp_path / "w"
    folder.mkdir()
    telemetry.jpeg_with_position(folder / "x.jpg", None, None)
    (folder / ".places.csv").write_text("file,lat,lon\nx.jpg,1,2\n")
    outcome = take(folder)
    assert reasons(outcome) == {"x.jpg": "no_position"}
    assert passed_over(outcome) == {".places.csv": "hidden"}


def test_folders_behind_links_are_looked_at_once_and_circles_are_told(tmp_path, take):
    recording(tmp_path / "card", "b", 1)
    inner = recording(tmp_path / "v" / "day").parent
    (tmp_path / "v" / "card").symlink_to(tmp_path / "card")
    (tmp_path / "card" / "round").symlink_to(tmp_path / "v")
    (tmp_path / "v" / "again").symlink_to(inner)
    outcome = take(tmp_path / "v")
    assert sorted(Path(told.path).name for told in outcome.accepted) == ["a.mp4", "b.mp4"]
    assert passed_over(outcome) == {"round": "again", "again": "again"}
    assert adds_up(outcome)


def test_what_is_reached_twice_is_taken_once_and_told(tmp_path, take):
    path = recording(tmp_path / "v")
    photos(tmp_path / "v" / "w")
    outcome = take(tmp_path / "v", tmp_path / "v" / "w", path, tmp_path / "v" / "w" / "8.jpg")
    assert (len(outcome.accepted), len(outcome.quarantined)) == (2, 0)
    assert passed_over(outcome) == dict.fromkeys(("w", "a.mp4", "8.jpg"), "again")
    assert adds_up(outcome)


def test_a_track_that_a_glob_finds_is_no_recording(tmp_path, take):
    recording(tmp_path / "v")
    (tmp_path / "v" / "notes.txt").touch()
    outcome = take(tmp_path / "v" / "*")
    assert passed_over(outcome) == {"notes.txt": "unknown_type"}
    assert outcome.num_files == {"found": 3, "used": 2, "quarantined": 0, "passed_over": 1}


def test_tracks_count_as_used_only_where_they_place_something(tmp_path, take):
    photos(tmp_path / "v" / "w")
    (tmp_path / "v" / "w" / "places.csv").write_text("file,lat,lon\n8.jpg,1,2\n")
    film(tmp_path / "v" / "short.mp4")
    walked(tmp_path / "v" / "short.gpx", num=60)
    outcome = take(tmp_path / "v")
    assert reasons(outcome) == {"short.mp4": "clock"}
    assert passed_over(outcome) == {"places.csv": "not_needed", "short.gpx": "not_needed"}
    assert adds_up(outcome)


@pytest.mark.parametrize("seed", range(20))
def test_every_file_of_any_tree_is_found_once(tmp_path, seed):
    rng, folders = random.Random(seed), [tmp_path / "v"]
    folders[0].mkdir()
    (tmp_path / "v" / "a.mp4").touch()
    names = ("a.mp4", "b.MOV", "a.gpx", "x.csv", "1.jpg", ".h.mp4", "c.txt", "no suffix")
    for k in range(rng.randrange(40)):
        parent = rng.choice(folders)
        if rng.random() < 0.3:
            folders.append(parent / f"f{k}")
            folders[-1].mkdir()
        elif rng.random() < 0.2:
            (parent / f"link{k}").symlink_to(rng.choice(folders))
        else:
            (parent / rng.choice(names)).touch()
    found = discovery.find([str(tmp_path / "v")])
    files = sum(len(candidate.files) for candidate in found.candidates)
    num = sum(not path.is_dir() or path.is_symlink() for path in (tmp_path / "v").rglob("*"))
    assert files + len(found.tracks) + len(found.passed_over) == found.num_files == num
    assert {passed.reason for passed in found.passed_over} <= ingest_report.PASSED_OVER.keys()
