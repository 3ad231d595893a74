"""What is asked for: which files are recordings, what their results are called."""

from pathlib import Path

import pytest

from vidtag_ml.models import asked
from vidtag_ml.models.asked import Asked


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(folder, *texts):
    """Paths below a folder that are recordings, and what is passed over."""
    whole = asked.find([str(folder / text) for text in texts], folder / "out")
    paths = [(str(one.path.relative_to(folder)), one.pictures) for one in whole.asked]
    return paths, dict(+whole.passed_over)


def test_folders_give_their_videos_or_else_their_photos(tmp_path):
    touch(tmp_path, "a/2.MP4", "a/10.mp4", "a/2.gpx", "a/x.jpg", "a/notes.txt", "a/.mp4")
    touch(tmp_path, "a/b/2.jpg", "a/b/10.jpg", "a/b/list.pdf", "out/track.png", "out/old.mp4")
    paths, passed_over = found(tmp_path, ".")
    assert paths == [("a/2.MP4", ()), ("a/10.mp4", ()), ("a/b", ("2.jpg", "10.jpg"))]
    assert passed_over == {"photos beside videos": 1, "other files": 2}


def test_globs_and_repeated_names_give_each_recording_once(tmp_path):
    touch(tmp_path, "a/1.mp4", "b/1.mp4", "b/2.jpg", "b/3.jpg")
    assert found(tmp_path, "*/1.mp4", "a/1.mp4", "a")[0] == [("a/1.mp4", ()), ("b/1.mp4", ())]
    assert found(tmp_path, "b/*.jpg")[0] == [("b", ("2.jpg", "3.jpg"))]


def test_what_is_not_there_is_a_recording_that_is_missing(tmp_path):
    (tmp_path / "empty").mkdir()
    for text, why in (("no.mp4", "no such file"), ("*.mp4", "no such file"), ("empty", "no video")):
        (one,) = asked.find([str(tmp_path / text)], tmp_path / "out").asked
        with pytest.raises(ValueError, match=why):
            one.opened()


def test_a_folder_of_photos_does_not_receive_its_own_results(tmp_path):
    touch(tmp_path, "1.jpg")
    (one,) = asked.find([str(tmp_path)], tmp_path).asked
    with pytest.raises(ValueError, match="choose another"):
        one.opened()


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["a/1.mp4"], ["track"]),
        (["a/1.mp4", "b/2.mp4"], ["1", "2"]),
        (["a/1.mp4", "b/1.mp4", "b/2.mp4"], ["a/1", "b/1", "b/2"]),
        (["a/1.mp4", "a/1.mov"], ["1.mp4", "1.mov"]),
        (["a/1.mp4", "a/1.mov", "a/b/1.mp4"], ["1.mp4", "1.mov", "b/1"]),
    ],
)
def test_results_have_names_that_differ(tmp_path, names, wanted):
    recordings = [Asked(tmp_path / name) for name in names]
    assert asked.results(recordings, "track") == list(map(Path, wanted))


def test_results_of_photos_are_called_as_their_folder(tmp_path):
    recordings = [Asked(tmp_path / "trip", ("1.jpg", "2.jpg")), Asked(tmp_path, ("3.jpg",))]
    assert asked.results(recordings, "track") == [Path("trip"), Path("3")]
