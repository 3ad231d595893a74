"""Stages that take recordings in: what makes them run again."""

import dataclasses

import pytest

from tests.conftest import ROOT
from tests.data.recordings import recording
from tests.vidtag_ml.ingest.own.conftest import HOW, SETTINGS
from vidtag_ml import config
from vidtag_ml.dataset import tables
from vidtag_ml.ingest import stages
from vidtag_ml.ingest.own import tables as own_tables


@pytest.fixture
def own():
    """Params that take own recordings."""
    return dataclasses.replace(config.load(ROOT / "params.yaml"), clips=SETTINGS)


def test_a_recording_leaves_the_clips_when_it_is_deleted_and_comes_back(tmp_path, own):
    gone, _ = (recording(tmp_path / "v", name, k) for k, name in enumerate("ab"))
    own_tables.ingest([str(tmp_path / "v")], tmp_path / "data" / "trip", HOW, SETTINGS)
    assert stages.ingest(tmp_path, own)
    assert not stages.ingest(tmp_path, own)
    gone.rename(tmp_path / "elsewhere.mp4")
    assert stages.ingest(tmp_path, own)
    (clip,) = tables.read(tmp_path / "data" / "recordings").clips["clip_id"]
    assert clip.startswith("b-")
    (tmp_path / "elsewhere.mp4").rename(gone)
    assert stages.ingest(tmp_path, own)


def test_without_a_recording_where_it_was_one_error_says_so(tmp_path, own):
    path = recording(tmp_path / "v")
    own_tables.ingest([str(path)], tmp_path / "data" / "trip", HOW, SETTINGS)
    assert stages.ingest(tmp_path, own)
    path.unlink()
    with pytest.raises(ValueError, match=r"none where they were; `vidtag ingest PATH --dataset"):
        stages.ingest(tmp_path, own)
    assert len(tables.read(tmp_path / "data" / "recordings").clips) == 1
