"""What is found under files, folders and globs, and what is passed over."""

import pytest

from tests.data.recordings import photos, recording
from tests.vidtag_ml.ingest.own.conftest import reasons


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
