"""Claims about BDD100K with GAMa's lists: clock, lists and splits; on a miniature of its layout."""

import json
import shutil

import numpy as np
import pytest

from vidtag_ml.dataset import hierarchy, rules
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.media import video
from vidtag_ml.workflow import stage


@pytest.fixture(scope="module")
def made(make, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bdd100k")
    make("bdd100k", folder / "pictures")
    make("bdd100k", folder / "videos", videos=True)
    return folder


@pytest.fixture
def recordings(made, tmp_path):
    """A copy of the lists and info files, with links to the folders of pictures."""
    copy, media = tmp_path / "recordings", made / "pictures" / "video_data"
    shutil.copytree(made / "pictures", copy, ignore=shutil.ignore_patterns("video_data"))
    for folder in media.glob("*/*"):
        link = copy / folder.relative_to(made / "pictures")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(folder)
    return copy


def first(recordings, split="train"):
    (path,) = (recordings / "info" / split).glob("*-00000000.json")
    return path


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def listed(recordings, name):
    return {line.split()[0] for line in (recordings / name).read_text().splitlines()}


def test_listed_videos_with_positions_are_clips(recordings, ingest, caplog):
    tables = ingest("bdd100k", recordings)
    names = listed(recordings, "train.list") | listed(recordings, "val_day_vid.list")
    assert set(tables.clips["clip_id"]) < names
    assert len(tables.clips) == len(names) - 1 == 11
    assert "bdd100k: 1 of 12 left out; first: " in caplog.text
    assert "has no position within the video's time" in caplog.text
    assert rules.problems(tables, {"car": 200.0}) == []


def test_the_day_list_serves_where_the_whole_list_is_absent(recordings, ingest):
    (recordings / "train.list").unlink()
    table = ingest("bdd100k", recordings).clips
    train = set(table.loc[table["split"] != "test", "clip_id"])
    assert train == listed(recordings, "train_day.list")


def test_without_lists_all_videos_are_clips(recordings, ingest):
    for path in recordings.glob("*.list"):
        path.unlink()
    assert len(ingest("bdd100k", recordings).clips) == 12


def test_published_val_is_our_test_and_our_val_is_of_train(recordings, ingest):
    table = ingest("bdd100k", recordings).clips
    val = listed(recordings, "val_day_vid.list")
    assert set(table.loc[table["split"] == "test", "clip_id"]) == val
    assert table["split"].value_counts().to_dict() == {"train": 5, "val": 3, "test": 3}


def test_names_that_begin_alike_stay_together(recordings, ingest):
    names = sorted(listed(recordings, "train.list"))
    for name in names:
        new = f"0000f77c-{name[-8:]}"
        for path in recordings.glob(f"*/train/{name}.*"):
            path.rename(path.with_name(path.name.replace(name, new)))
    (recordings / "train.list").unlink()
    (recordings / "train_day.list").unlink()
    table = ingest("bdd100k", recordings).clips
    assert table[table["group_id"] == "train/0000f77c"]["split"].nunique() == 1


def test_milliseconds_become_seconds_from_the_start(recordings, ingest):
    fixes = ingest("bdd100k", recordings).fixes_of(first(recordings).stem)
    assert fixes["time_s"].tolist() == [-0.2, 0.8, 1.8, 2.8, 3.8, 4.8]
    points = json.loads(first(recordings).read_text())["locations"]
    assert fixes["lat"].tolist() == [point["latitude"] for point in points]
    assert set(fixes["fix_source"]) == {"phone"}


def test_times_in_seconds_are_understood_too(recordings, ingest):
    path = first(recordings)
    info = json.loads(path.read_text())
    change(path, startTime=info["startTime"] / 1000, endTime=info["endTime"] / 1000)
    fixes = ingest("bdd100k", recordings).fixes_of(path.stem)
    assert fixes["time_s"].tolist() == [-0.2, 0.8, 1.8, 2.8, 3.8, 4.8]


def test_frames_are_the_first_picture_of_each_second(recordings, ingest):
    tables = ingest("bdd100k", recordings)
    frames = tables.frames[tables.frames["clip_id"] == first(recordings).stem]
    names = frames["file"].str.rsplit("/", n=1).str[1]
    assert names.tolist() == ["0000.png", "0030.png", "0060.png", "0090.png"]
    assert frames["time_s"].tolist() == [0, 1, 2, 3]
    assert tables.clip(first(recordings).stem)["duration_s"] == 4.0


def test_positions_lie_between_fixes_and_nowhere_else(recordings, ingest):
    tables, name = ingest("bdd100k", recordings), first(recordings).stem
    times = [0.3, 3.8, 6.0, 30.0]
    latlon, valid = clip_tables.clip_positions(tables, name, times, max_gap_s=2.0)
    known = tables.fixes_of(name)[["lat", "lon"]].to_numpy()
    assert valid.tolist() == [True, True, False, False]
    assert latlon[:2] == pytest.approx(np.stack([known[:2].mean(0), known[4]]), abs=1e-7)


def test_a_video_file_serves_as_well_as_its_pictures(made, ingest):
    tables = ingest("bdd100k", made / "videos")
    assert set(tables.clips["kind"]) == {"video"}
    assert tables.frames is None
    path = made / "videos" / "video_data" / "val" / f"{first(made / 'videos', 'val').stem}.mov"
    row = tables.clip(path.stem)
    assert row["content_md5"] == stage.digest(path)
    assert row["num_frames"] == video.probe(path).num_frames == 120


def test_the_package_s_own_folders_are_found(recordings, ingest):
    for name in ("info", "video_data"):
        (recordings / "bdd100k").mkdir(exist_ok=True)
        new = {"info": "info/100k", "video_data": "videos"}[name]
        (recordings / "bdd100k" / new).parent.mkdir(exist_ok=True)
        (recordings / name).rename(recordings / "bdd100k" / new)
    assert len(ingest("bdd100k", recordings).clips) == 11


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"startTime": None}, "has no startTime"),
        ({"locations": None, "gps": None}, "has no position within"),
        ({"startTime": 1, "endTime": 2}, "has no position within"),
        (
            {"locations": [{"timestamp": 1_506_800_844_000, "latitude": 0, "longitude": 0}]},
            "has no",
        ),
        ({"locations": ["nonsense", {"timestamp": {}}]}, "has no position within"),
    ],
)
def test_a_broken_info_file_is_left_out_and_told(recordings, ingest, caplog, values, reason):
    path = first(recordings)
    change(path, **values)
    assert path.stem not in set(ingest("bdd100k", recordings).clips["clip_id"])
    assert f"bdd100k: 2 of 12 left out; first: {path}: {reason}" in caplog.text


def test_repeated_times_and_places_of_no_fix_are_dropped(recordings, ingest):
    path = first(recordings)
    points = json.loads(path.read_text())["locations"]
    nowhere = {**points[1], "timestamp": points[1]["timestamp"] + 500, "latitude": 99.0}
    change(path, locations=[*points[::-1], points[2], nowhere])
    fixes = ingest("bdd100k", recordings).fixes_of(path.stem)
    assert fixes["time_s"].tolist() == [-0.2, 0.8, 1.8, 2.8, 3.8, 4.8]


def test_dense_gps_serves_where_locations_are_absent(recordings, ingest):
    path = first(recordings)
    points = json.loads(path.read_text())["locations"]
    change(path, locations=[], gps=[{**point, "accuracy": 5.0} for point in points])
    fixes = ingest("bdd100k", recordings).fixes_of(path.stem)
    assert fixes["accuracy_m"].tolist() == [5.0] * 6


def test_labels_are_those_of_the_nearest_place(recordings, ingest):
    table = hierarchy.build(ingest("bdd100k", recordings).clips)
    assert set(table["country"]) == {"United States", "Israel"}


def test_another_folder_is_refused(tmp_path, ingest):
    with pytest.raises(ValueError, match="has no info/train with a JSON file a video"):
        ingest("bdd100k", tmp_path)
