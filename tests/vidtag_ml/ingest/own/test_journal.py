"""What is known of a recording holds until something changes on which it depends."""

import dataclasses
import json
import os
import shutil

import pytest

from tests.data.recordings import film, recording, walked
from tests.vidtag_ml.ingest.own.conftest import HOW, reasons, tables
from vidtag_ml.ingest.own import inspection, journal
from vidtag_ml.ingest.own.discovery import Candidate
from vidtag_ml.media import privacy


def test_a_known_recording_is_not_looked_at_again(tmp_path, take):
    recording(tmp_path / "v")
    first = take(tmp_path / "v")
    (entry,) = (tmp_path / "data" / "trip" / "journal").glob("*.json")
    os.utime(entry, (1, 1))
    assert list(take(tmp_path / "v").accepted) == list(first.accepted)
    assert entry.stat().st_mtime == 1


def test_a_track_that_changes_is_read_again(tmp_path, take):
    path = recording(tmp_path / "v")
    take(tmp_path / "v")
    walked(path.with_suffix(".gpx"), lat=48.0)
    assert take(tmp_path / "v").accepted[0].lat_min == pytest.approx(48.0)


def test_what_cannot_be_read_is_tried_again(tmp_path, take):
    path = recording(tmp_path / "v")
    content, times = path.read_bytes(), path.stat()
    path.write_bytes(bytes(len(content)))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert reasons(take(path)) == {"a.mp4": "unreadable"}
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert len(take(path).accepted) == 1


def test_a_damaged_or_half_written_entry_is_as_if_it_were_not_there(tmp_path, take):
    path = recording(tmp_path / "v")
    take(path)
    (entry,) = (tmp_path / "data" / "trip" / "journal").glob("*.json")
    entry.with_name(f".{entry.stem}.part.json").write_text(entry.read_text())
    entry.write_text("")
    assert len(take(path).accepted) == 1
    assert len(tables(tmp_path).clips) == 1


@pytest.mark.parametrize(("part", "gone"), [("clip", "fps"), ("told", "num_fixes")])
def test_an_entry_of_another_layout_is_looked_at_again(tmp_path, take, part, gone):
    path = recording(tmp_path / "v")
    first = list(take(path).accepted)
    (entry,) = (tmp_path / "data" / "trip" / "journal").glob("*.json")
    known = json.loads(entry.read_text())
    del known["found"][0][part][gone]
    entry.write_text(json.dumps(known))
    assert list(take(path).accepted) == first
    assert gone in json.loads(entry.read_text())["found"][0][part]


def test_copies_never_give_way_to_the_recordings_untold(tmp_path, take):
    path = recording(tmp_path / "v")
    copies = inspection.Copies(str(tmp_path / "data" / "trip" / "media"))
    take(path, how=dataclasses.replace(HOW, copies=copies))
    with pytest.raises(ValueError, match="in the same way"):
        take(path)


def test_copies_that_were_deleted_are_made_again(tmp_path, take):
    path, media = recording(tmp_path / "v"), tmp_path / "data" / "trip" / "media"
    copied = dataclasses.replace(HOW, copies=inspection.Copies(str(media)))
    take(path, how=copied)
    shutil.rmtree(media)
    assert len(take(path, how=copied).accepted) == 1
    assert len(list(media.glob("*.mp4"))) == 1


def test_other_weights_that_find_plates_are_another_key_wherever_they_lie(tmp_path):
    def key(folder, content):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / privacy.PLATES).write_bytes(content)
        copies = inspection.Copies("media", ("plates",), str(tmp_path / folder))
        how = dataclasses.replace(HOW, copies=copies)
        return journal.key_of(Candidate(tmp_path / "a.mp4"), how, {})

    assert key("a", b"1") == key("b", b"1") != key("b", b"2")


FOUND = {"Doc1:A:GPSLatitude": 47.0, "Doc1:A:GPSLongitude": 8.0, "Doc1:A:SampleTime": 0.0}


def entry(tmp_path, candidate):
    """What is known of a recording that is looked at now."""
    key, file = journal.key_of(candidate, HOW, {}), tmp_path / "entry.json"
    journal.write(file, key, candidate.path, inspection.inspect(candidate, HOW), 0)
    return journal.read(file)


def test_a_video_without_a_track_is_looked_at_again_once_exiftool_is_there(tmp_path, exiftool_says):
    candidate = Candidate(film(tmp_path / "a.mp4"))
    exiftool_says(None)
    before = entry(tmp_path, candidate)
    assert before.holds(journal.key_of(candidate, HOW, {}))
    exiftool_says(FOUND)
    assert not before.holds(journal.key_of(candidate, HOW, {}))
    after = entry(tmp_path, candidate)
    assert after.found[0].summary.fix_source == "exiftool"
    exiftool_says(FOUND, version="10")
    assert not after.holds(journal.key_of(candidate, HOW, {}))


def test_a_video_with_a_track_is_not_looked_at_again_for_exiftool(tmp_path, exiftool_says):
    candidate = Candidate(recording(tmp_path))
    exiftool_says(None)
    before = entry(tmp_path, candidate)
    exiftool_says(FOUND)
    assert before.holds(journal.key_of(candidate, HOW, {}))
