"""Sums of folders: as md5sum keeps them, as stages and as DVC call a folder."""

import shutil
import subprocess

import pytest

from vidtag_ml.workflow import stage, sums


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "within").mkdir()
    for name, text in (("b", "1"), ("a b", "2"), ("within/c", "")):
        (tmp_path / name).write_text(text)
    return tmp_path


def test_sums_of_a_folder_add_up_to_its_digest(folder):
    assert list(sums.take(folder)) == ["a b", "b", "within/c"]
    assert sums.digest(sums.take(folder)) == stage.digest(folder)
    assert sums.within(sums.take(folder), "within") == sums.take(folder / "within")


def test_sums_that_are_kept_are_those_that_were_taken(folder):
    before = sums.take(folder)
    for _ in range(2):
        sums.write(folder)
        assert sums.kept(folder) == before
    assert sums.difference(sums.take(folder), before) is None


@pytest.mark.skipif(shutil.which("md5sum") is None, reason="there is no md5sum here")
def test_kept_sums_are_read_by_md5sum(folder):
    sums.write(folder)
    subprocess.run(["md5sum", "--strict", "-c", sums.FILE], cwd=folder, check=True)


def test_a_folder_is_called_as_dvc_calls_it(folder):
    """As DVC 3.67 called such a folder."""
    assert sums.dvc_md5(sums.take(folder)) == "c34c143b5e897431717016879c38d450.dir"


def test_what_differs_is_named_but_not_at_length():
    found, recorded = dict.fromkeys("abcdef", "x"), dict.fromkeys("abcdeg", "y")
    assert sums.difference(found, recorded) == "a, b, c and 2 more changed; g missing; f added"


def test_a_list_that_is_none_is_refused(folder):
    (folder / sums.FILE).write_text("none\n")
    with pytest.raises(ValueError, match="not a list of md5 sums"):
        sums.kept(folder)
    assert sums.kept(folder / "within") is None
