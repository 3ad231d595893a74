"""What is stored of a version comes back from any store as the bytes that went in."""

import mimetypes

import pytest

from vidtag_assets.lineage import stored
from vidtag_assets.workspace import home, source


def test_no_file_is_taken_for_one_that_is_to_be_decompressed(params, tmp_path):
    stored.write(tmp_path, home.CODE, params, ["clips"])
    names = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert stored.CODE in names
    assert {mimetypes.guess_type(name)[1] for name in names} == {None}


@pytest.mark.parametrize("name", ["code.tar", "code.tar.gz"])
def test_code_of_older_versions_is_found_too(tmp_path, name):
    (tmp_path / "code" / "vidtag_ml").mkdir(parents=True)
    (tmp_path / "code" / "vidtag_ml" / "a.py").write_text("n = 1\n")
    (tmp_path / "kept").mkdir()
    source.pack(tmp_path / "code", tmp_path / "kept" / name)
    source.unpack(stored.code_of(tmp_path / "kept"), tmp_path / "there")
    assert source.digest(tmp_path / "there") == source.digest(tmp_path / "code")
