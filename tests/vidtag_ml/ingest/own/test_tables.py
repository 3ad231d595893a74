"""Recordings of one dataset or of many become its tables; nothing stops anything else."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from tests.data import telemetry
from tests.data.recordings import film, photos, recording, walked
from tests.vidtag_ml.ingest.own.conftest import HOW, SETTINGS, reasons, tables
from vidtag_ml.dataset import rules
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.ingest.own import inspection
from vidtag_ml.ingest.own import tables as own_tables
from vidtag_ml.media import encoding


def test_recordings_add_up_until_they_are_deleted(tmp_path, take):
    recording(tmp_path / "one", "a", 1)
    second = recording(tmp_path / "two", "b", 2, lat=48.0)
    take(tmp_path / "one")
    assert len(take(tmp_path / "two").accepted) == 1
    assert len(tables(tmp_path).clips) == 2
    second.unlink()
    take(tmp_path / "one")
    assert len(tables(tmp_path).clips) == 1


def test_the_same_bytes_are_taken_in_once(tmp_path, take):
    recording(tmp_path / "one", "a")
    take(tmp_path / "one")
    recording(tmp_path / "two", "b")
    outcome = take(tmp_path / "two")
    assert reasons(outcome) == {"b.mp4": "duplicate"}
    assert "a.mp4" in outcome.quarantined[0].advice
    assert len(tables(tmp_path).clips) == 1


def test_a_copy_encoded_anew_shares_the_group_of_its_original(tmp_path, take):
    recording(tmp_path / "v", "a")
    recording(tmp_path / "v", "other", seed=9, lat=60.0)
    copy = film(tmp_path / "v" / "copy.mp4", crf=26)
    walked(copy.with_suffix(".gpx"), lat=50.0)
    take(tmp_path / "v")
    group = tables(tmp_path).clips.assign(name=lambda t: t.clip_id.str[:-11])
    of = dict(zip(group["name"], group["group_id"], strict=True))
    assert of["a"] == of["copy"] != of["other"]


def stretch(path, start, crf=18, step=1):
    """A part of a longer film of a pattern that moves by half a picture a second."""
    pattern = np.random.default_rng(5).integers(0, 255, (12, 400, 3), np.uint8)
    pattern = pattern.repeat(8, 0).repeat(8, 1)
    frames = np.stack([pattern[:, 64 * k : 64 * k + 128] for k in range(start, start + 12)])
    path.parent.mkdir(parents=True, exist_ok=True)
    encoding.write(path, np.ascontiguousarray(frames[:, ::step, ::step]), 1.0, crf)
    walked(path.with_suffix(".gpx"), lat=47.0 + start)


def test_a_small_coarse_copy_is_recognised_and_another_stretch_is_none(tmp_path, take):
    stretch(tmp_path / "v" / "a.mp4", 0)
    stretch(tmp_path / "v" / "copy.mp4", 0, crf=34, step=2)
    stretch(tmp_path / "v" / "later.mp4", 12)
    found = take(tmp_path / "v").accepted
    name_of = {told.clip_id: Path(told.path).stem for told in found}
    rows = tables(tmp_path).clips
    group_of = dict(zip(rows["clip_id"].map(name_of), rows["group_id"].map(name_of), strict=True))
    assert group_of == {"a": "a", "copy": "a", "later": "later"}


def test_json_is_written_a_record_at_a_time(tmp_path, take):
    recording(tmp_path / "v", "a", 1)
    recording(tmp_path / "v", "b", 2, lat=48.0)
    outcome = take(tmp_path / "v")
    (tmp_path / "v" / "notes.txt").touch()
    outcome = take(tmp_path / "v")
    told = {"accepted": [record.as_json() for record in outcome.accepted], "quarantined": []}
    told["passed_over"] = [record.as_json() for record in outcome.passed_over]
    told["num_files"] = {"found": 5, "used": 4, "quarantined": 0, "passed_over": 1}
    assert "\n".join(outcome.json_lines()) == json.dumps(told, indent=1)


def test_datasets_are_merged_and_what_is_in_both_counts_once(tmp_path):
    recording(tmp_path / "v", "a", 1)
    recording(tmp_path / "v", "b", 2, lat=48.0)
    later = dataclasses.replace(HOW, time_offset_s=1.0)
    for name, asked, how in (("one", "a.mp4", HOW), ("two", "*.mp4", later)):
        own_tables.ingest([str(tmp_path / "v" / asked)], tmp_path / "data" / name, how, SETTINGS)
    merged = merge(tmp_path, "one", "two")
    assert merged.clips["dataset"].tolist() == ["one", "two"]
    assert merged.fixes.groupby("clip_id")["time_s"].min().tolist() == [0.0, 1.0]
    assert rules.problems(merged, HOW.max_speed_kmh) == []


def merge(tmp_path, *names):
    """The tables of datasets as one; their media exist."""
    folder = tmp_path / "data" / "recordings"
    own_tables.merge([tmp_path / "data" / name for name in names], SETTINGS, folder)
    merged = clip_tables.read(folder)
    assert all((folder / path).exists() for path in merged.clips["video_path"])
    return merged


def test_equal_fixes_of_a_sequence_survive_a_merge(tmp_path, take):
    (tmp_path / "w").mkdir()
    for k in range(4):
        telemetry.jpeg_with_position(tmp_path / "w" / f"{k}.jpg", 47.0, 8.0, seed=k)
    take(tmp_path / "w")
    assert len(merge(tmp_path, "trip").fixes) == 4


def test_copies_are_found_after_a_merge(tmp_path, take):
    copies = inspection.Copies(str(tmp_path / "data" / "trip" / "media"))
    take(recording(tmp_path / "v"), how=dataclasses.replace(HOW, copies=copies))
    assert "trip/media" in merge(tmp_path, "trip").clips["video_path"][0]


def test_copies_of_a_video_in_two_datasets_are_one_group_after_a_merge(tmp_path):
    recording(tmp_path / "v", "a")
    copy = film(tmp_path / "w" / "copy.mp4", crf=26)
    walked(copy.with_suffix(".gpx"), lat=50.0)
    for name, folder in (("one", "v"), ("two", "w")):
        own_tables.ingest([str(tmp_path / folder)], tmp_path / "data" / name, HOW, SETTINGS)
    assert len(set(merge(tmp_path, "one", "two").clips["group_id"])) == 1


def test_a_photo_that_was_deleted_takes_its_sequence_out_but_not_the_others(tmp_path, take):
    photos(tmp_path / "w")
    telemetry.jpeg_with_position(tmp_path / "w" / "far.jpg", 10.0, 10.0, camera="Other One", seed=9)
    other = recording(tmp_path / "v")
    take(tmp_path / "w", other)
    (tmp_path / "w" / "far.jpg").unlink()
    for _ in range(2):
        take(other)
        assert sorted(tables(tmp_path).clips["num_frames"]) == [4, 12]


def test_without_a_clip_there_are_no_tables_and_the_report_is_of_now(tmp_path):
    path, dataset = recording(tmp_path / "v"), tmp_path / "data" / "trip"
    own_tables.ingest([str(path)], dataset, HOW, SETTINGS)
    path.with_suffix(".gpx").unlink()
    told, whole = own_tables.ingest([str(path)], dataset, HOW, SETTINGS)
    assert reasons(told) == reasons(whole) == {"a.mp4": "no_position"}
    assert not (dataset / "clips.parquet").exists()


def test_without_a_dataset_there_is_nothing_to_merge(tmp_path):
    with pytest.raises(ValueError, match="vidtag ingest PATH --dataset NAME"):
        own_tables.merge([], SETTINGS, tmp_path / "recordings")
