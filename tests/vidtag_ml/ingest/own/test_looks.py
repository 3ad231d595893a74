"""Folders of many photos are looked at piece by piece, and no piece twice."""

import os

import pytest

from tests.data.recordings import photos
from tests.vidtag_ml.ingest.own.conftest import HOW, SETTINGS, reasons
from vidtag_ml.ingest.own import looks
from vidtag_ml.ingest.own import tables as own_tables

NUM = 2 * looks.SIZE + 3


@pytest.fixture
def walk(tmp_path):
    """A folder of three pieces."""
    photos(tmp_path / "w", NUM, step_s=1.0)
    return tmp_path / "w"


def pieces(tmp_path):
    return sorted((tmp_path / "data" / "trip" / "journal").glob("*/*.json"))


def stopped(tmp_path):
    """A run that was killed when all photos had been looked at, but not all together."""
    (entry,) = (tmp_path / "data" / "trip" / "journal").glob("*.json")
    entry.unlink()
    for piece in pieces(tmp_path):
        os.utime(piece, (1, 1))


def test_a_run_that_was_stopped_looks_at_no_piece_again(tmp_path, take, walk):
    first = list(take(walk).accepted)
    stopped(tmp_path)
    pieces(tmp_path)[0].unlink()
    assert list(take(walk).accepted) == first
    assert sorted(piece.stat().st_mtime == 1 for piece in pieces(tmp_path)) == [False, True, True]


def test_a_folder_that_grows_keeps_its_other_pieces_and_no_old_one(tmp_path, take, walk):
    take(walk)
    before = pieces(tmp_path)
    photos(tmp_path / "more", 1, lat=47.0, seed=NUM)
    (tmp_path / "more" / "8.jpg").rename(walk / f"{NUM + 8}.jpg")
    assert sum(told.num_frames for told in take(walk).accepted) == NUM + 1
    after = pieces(tmp_path)
    assert (len(after), len({*before} & {*after})) == (3, 2)


def test_a_damaged_piece_is_as_if_it_were_not_there(tmp_path, take, walk):
    first = list(take(walk).accepted)
    stopped(tmp_path)
    pieces(tmp_path)[0].write_text('{"8.jpg": {"lat"')
    pieces(tmp_path)[1].write_text('{"9.jpg": {"lat": 47.0}}')
    assert list(take(walk).accepted) == first


def test_a_bad_photo_of_many_is_told_and_stops_no_other(take, walk):
    (walk / "100.jpg").write_bytes(b"no picture")
    outcome = take(walk)
    assert reasons(outcome) == {"100.jpg": "unreadable"}
    assert outcome.num_files == {"found": NUM, "used": NUM - 1, "quarantined": 1, "passed_over": 0}


def test_progress_counts_the_photos_of_a_large_folder(tmp_path, walk):
    told = []
    dataset = tmp_path / "data" / "trip"
    own_tables.ingest([str(walk)], dataset, HOW, SETTINGS, lambda *step: told.append(step))
    assert told[0] == (0, NUM + 1)
    assert told[-1] == (NUM + 1, NUM + 1)
    assert len(told) == 5
