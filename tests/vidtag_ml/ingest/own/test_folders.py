"""A folder is listed once, and anew once it changes."""

import os

from vidtag_ml.ingest.own import folders


def test_a_folder_lists_its_files_by_name_and_nothing_hidden_or_without_bytes(tmp_path):
    for name in ("b.CSV", "a.gpx", "A.srt", ".c.csv", "._a.gpx"):
        (tmp_path / name).touch()
    (tmp_path / "d.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "link.csv").symlink_to("b.CSV")
    (tmp_path / "dead.csv").symlink_to("nowhere")
    found = folders.listing(tmp_path)
    assert [file.name for file in found.files] == ["A.srt", "a.gpx", "b.CSV", "link.csv"]
    assert found.by_name["b.csv"].name == "b.CSV"
    assert [file.name for file in found.by_stem["a"]] == ["A.srt", "a.gpx"]


def test_a_folder_is_listed_anew_once_it_changes(tmp_path):
    first = folders.listing(tmp_path)
    assert folders.listing(tmp_path) is first
    (tmp_path / "a.csv").touch()
    os.utime(tmp_path, ns=(1, 1))
    assert len(folders.listing(tmp_path).files) == 1
