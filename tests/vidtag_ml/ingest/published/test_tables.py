"""What holds for all published datasets: broken recordings, and all the way to frames."""

import dataclasses
import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.features import extraction
from vidtag_ml.features import store as feature_store
from vidtag_ml.features.batches import Frames
from vidtag_ml.ingest import stages as ingest_stages
from vidtag_ml.ingest.published import tables as published
from vidtag_ml.workflow import layout, stage

SOURCES = ("msls", "bdd100k", "cityguessr68k", "images", "comma2k19")


def workspace(make, params, root, source):
    """Params of a workspace with the miniature of a source."""
    make(source, root / "recordings")
    changes = {"source": source, "folder": "recordings", "min_frames": 2}
    return dataclasses.replace(params, clips=dataclasses.replace(params.clips, **changes))


@pytest.mark.parametrize("source", SOURCES)
def test_recordings_become_frames_with_features_and_places(
    make, params, tiny_encoders, tmp_path, source
):
    params = workspace(make, params, tmp_path, source)
    assert ingest_stages.ingest(tmp_path, params)
    folder, store = layout.of(tmp_path, params).dataset, tmp_path / "store"
    tables = clip_tables.read(folder)
    encoders = extraction.load_encoders(params.features, tiny_encoders)
    extraction.extract(tables, folder, encoders, params.features, store)
    for split in sorted(set(tables.clips["split"])):
        frames = Frames.load(feature_store.FeatureStore.open(store), tables, split, max_gap_s=2.0)
        rows = tables.clips[tables.clips["split"] == split]
        # Of a video one frame a second, of pictures all.
        seconds = np.ceil(rows["duration_s"])
        num_frames = seconds.where(rows["kind"] == "video", rows["num_frames"]).astype(int)
        assert frames.num_C.tolist() == num_frames.tolist()
        assert frames.features_FD.shape == (num_frames.sum(), 64 + 96)


@pytest.mark.parametrize("source", SOURCES)
def test_equal_recordings_give_equal_tables_and_no_second_run(make, params, tmp_path, source):
    params = workspace(make, params, tmp_path, source)
    assert ingest_stages.ingest(tmp_path, params)
    folder = layout.of(tmp_path, params).dataset
    before = stage.digest(folder)
    assert not ingest_stages.ingest(tmp_path, params)
    shutil.rmtree(folder)
    assert ingest_stages.ingest(tmp_path, params)
    assert stage.digest(folder) == before


def test_files_are_found_from_the_folder_wherever_recordings_lie(make, ingest, tmp_path):
    make("images", tmp_path / "elsewhere" / "disk")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "disk")
    tables = ingest("images", tmp_path / "link")
    for file in tables.frames["file"]:
        assert not Path(file).is_absolute()
        assert (tmp_path / "data" / "images" / file).is_file()


def test_the_digest_of_a_clip_is_that_of_its_pictures_in_order(make, ingest, tmp_path):
    make("cityguessr68k", tmp_path / "recordings")
    tables = ingest("cityguessr68k", tmp_path / "recordings")
    folder = tmp_path / "recordings" / "train" / "Bogota" / "Bogota_0000"
    content = b"".join((folder / f"{k}.jpg").read_bytes() for k in range(1, 12))
    wanted = hashlib.md5(content, usedforsecurity=False).hexdigest()
    assert tables.clip("Bogota_0000")["content_md5"] == wanted


def test_a_file_that_is_no_picture_leaves_its_clip_out(make, ingest, tmp_path, caplog):
    make("cityguessr68k", tmp_path / "recordings")
    folder = tmp_path / "recordings" / "train" / "Bogota" / "Bogota_0000"
    (folder / "4.jpg").write_bytes(b"no picture")
    seen = []
    tables = ingest(
        "cityguessr68k", tmp_path / "recordings", lambda done, num: seen.append((done, num))
    )
    assert "Bogota_0000" not in set(tables.clips["clip_id"])
    assert "4.jpg: not a picture; copy it again" in caplog.text
    assert seen == [(k, 30) for k in range(1, 31)]


def test_nothing_usable_is_an_error_with_the_first_reason(make, ingest, tmp_path):
    make("images", tmp_path / "recordings", "gws15k")
    for path in (tmp_path / "recordings").glob("*.jpg"):
        path.unlink()
    with pytest.raises(ValueError, match=r"none of 5 recordings is a clip; the first: .*gsv_0"):
        ingest("images", tmp_path / "recordings")


def test_ingest_says_what_is_missing(params, tmp_path):
    changed = dataclasses.replace(params.clips, source="msls", folder=None)
    with pytest.raises(ValueError, match=r"clips\.folder is null; it must say where msls lies"):
        ingest_stages.ingest(tmp_path, dataclasses.replace(params, clips=changed))
    changed = dataclasses.replace(changed, folder="nowhere")
    with pytest.raises(ValueError, match="nowhere: there is no such folder"):
        ingest_stages.ingest(tmp_path, dataclasses.replace(params, clips=changed))


def test_new_and_changed_files_change_the_fingerprint(make, tmp_path):
    make("images", tmp_path)
    seen = {published.fingerprint(tmp_path)}
    assert published.fingerprint(tmp_path) in seen
    shutil.copy(tmp_path / "im2gps3ktest" / "NA.jpg", tmp_path / "im2gps3ktest" / "b.jpg")
    seen.add(published.fingerprint(tmp_path))
    with (tmp_path / "im2gps3k_places365.csv").open("a") as file:
        file.write("\n")
    seen.add(published.fingerprint(tmp_path))
    assert len(seen) == 3


def test_positions_of_no_receiver_are_not_on_earth():
    points = [(0.0, 0.0), (0.0, 1.0), (90.1, 0.0), (1.0, 180.5), (np.nan, 1.0), (-90.0, 180.0)]
    assert published.on_earth(points).tolist() == [False, True, False, False, False, True]


def test_labels_are_those_of_the_nearest_place_across_the_date_line():
    fiji, windhoek = published.labels_at([(-17.0, -179.9), (-22.56, 17.07)])
    assert (fiji["country"], fiji["continent"]) == ("Fiji", "Oceania")
    assert windhoek["state"] == "NA.21"
