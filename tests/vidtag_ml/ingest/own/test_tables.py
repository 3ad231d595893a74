"""Own recordings become clips, or a reason why not; nothing stops anything else."""

import dataclasses
import datetime as dt
import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path, PosixPath
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from vidtag_ml import config
from vidtag_ml.dataset import rules
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.earth import sphere, track_files, tracks
from vidtag_ml.ingest.own import inspection
from vidtag_ml.ingest.own import tables as own_tables
from vidtag_ml.ingest.own.discovery import Candidate
from vidtag_ml.ingest.telemetry import exif
from vidtag_ml.media import encoding

SETTINGS = config.Clips("recordings", None, 7, 2, 1, 1, 1, 16, 2.0, 0.0)
HOW = inspection.Intake(
    None, 0.0, 1.0, 2.0, {"walk": 10.0, "ride": 60.0, "car": 200.0, "photos": 1e3}
)
NOON = dt.datetime(2024, 6, 1, 12, tzinfo=dt.UTC)


@pytest.fixture(scope="session")
def made():
    script = Path(__file__).parents[3] / "data" / "telemetry.py"
    return SimpleNamespace(**runpy.run_path(str(script)))


def film(path, seed=0, num=12, crf=18):
    """A video of a slowly moving pattern, one frame a second."""
    rng = np.random.default_rng(seed)
    pattern = rng.integers(0, 255, (12, 16 + num, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    frames = np.stack([pattern[:, 8 * k : 8 * k + 128] for k in range(num)])
    path.parent.mkdir(parents=True, exist_ok=True)
    encoding.write(path, frames, 1.0, crf)
    return path


def walked(path, num=12, lat=47.0):
    """A GPX track beside a video: a walk to the north."""
    latlon = np.stack([lat + np.arange(num) / 111_195, np.full(num, 8.0)], -1)
    whole = np.arange(num, dtype=float)
    track_files.write_gpx(tracks.Track(path.stem, whole, latlon, latlon, whole / num, NOON), path)


def recording(folder, name="a", seed=0, lat=47.0):
    path = film(folder / f"{name}.mp4", seed)
    walked(path.with_suffix(".gpx"), lat=lat)
    return path


@pytest.fixture
def take(tmp_path):
    """Takes recordings into tmp_path/data/trip."""

    def run(*asked, how=HOW):
        dataset = tmp_path / "data" / "trip"
        return own_tables.ingest([str(a) for a in asked], dataset, how, SETTINGS)[0]

    return run


def tables(tmp_path):
    return clip_tables.read(tmp_path / "data" / "trip")


def reasons(outcome):
    return {Path(r.path).name: r.reason for r in outcome.quarantined}


def test_a_video_with_a_track_beside_it_is_a_clip(tmp_path, take):
    path = recording(tmp_path / "my videos")
    outcome = take(tmp_path / "my videos")
    (told,) = outcome.accepted
    assert (told.path, told.fix_source, told.num_frames) == (str(path), "gpx", 12)
    assert told.num_fixes == 12
    assert told.lat_min == pytest.approx(47.0)
    (row,) = tables(tmp_path).clips.to_dict("records")
    assert (tmp_path / "data" / "trip" / row["video_path"]).samefile(path)
    assert (row["mode"], row["country"], row["kind"]) == ("walk", "Switzerland", "video")


def test_positions_of_frames_are_those_of_the_track(tmp_path, take):
    recording(tmp_path / "videos")
    take(tmp_path / "videos")
    found = tables(tmp_path)
    latlon, valid = clip_tables.clip_positions(found, found.clips["clip_id"][0], [0.0, 5.5], 2.0)
    assert valid.all()
    assert sphere.great_circle_km(latlon[0], latlon[1]) == pytest.approx(0.0055, rel=0.01)


def test_a_bad_recording_does_not_stop_a_good_one(tmp_path, take):
    recording(tmp_path / "v")
    (tmp_path / "v" / "b.mp4").write_bytes(b"not a video at all")
    film(tmp_path / "v" / "c.mp4", seed=2)
    outcome = take(tmp_path / "v")
    assert len(outcome.accepted) == 1
    assert reasons(outcome) == {"b.mp4": "unreadable", "c.mp4": "no_position"}
    assert all(record.advice for record in outcome.quarantined)


def test_a_known_recording_is_not_looked_at_again(tmp_path, take):
    recording(tmp_path / "v")
    first = take(tmp_path / "v")
    (entry,) = (tmp_path / "data" / "trip" / "journal").glob("*.json")
    os.utime(entry, (1, 1))
    assert list(take(tmp_path / "v").accepted) == list(first.accepted)
    assert entry.stat().st_mtime == 1


def test_a_track_that_changes_is_read_again(tmp_path, take):
    path = recording(tmp_path / "v")
    take(tmp_path / "v")
    walked(path.with_suffix(".gpx"), lat=48.0)
    assert take(tmp_path / "v").accepted[0].lat_min == pytest.approx(48.0)


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
    told = {"accepted": [record.as_json() for record in outcome.accepted], "quarantined": []}
    assert "\n".join(outcome.json_lines()) == json.dumps(told, indent=1)


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


def test_a_fix_that_is_dropped_stays_in_the_table_and_is_told(tmp_path, take):
    path = film(tmp_path / "v" / "a.mp4")
    walked(path.with_suffix(".gpx"))
    gpx = path.with_suffix(".gpx")
    text = gpx.read_text().replace('lat="47.0000', 'lat="17.0000', 1)
    gpx.write_text(text)
    (told,) = take(tmp_path / "v").accepted
    assert told.num_fixes == 11
    assert "1 of 12 fixes dropped" in told.repairs[-1]
    assert tables(tmp_path).fixes["status"].value_counts()["dropped"] == 1


class _Deadly(PosixPath):
    """A path that kills the process which receives it, as a decoder does that crashes."""

    def __reduce__(self):
        return os._exit, (3,)


def test_a_recording_that_crashes_its_process_stops_no_other(tmp_path):
    good = [recording(tmp_path / "v", f"g{k}", k) for k in range(3)]
    bad = _Deadly(tmp_path / "v" / "bad.mp4")
    jobs = [own_tables.Job(Candidate(p), tmp_path / f"{p.stem}.json", {}, 0) for p in (*good, bad)]
    done = []
    own_tables.in_parallel(jobs, HOW, 4, lambda *progress: done.append(progress))
    assert done[-1] == (4, 4)
    assert "the decoder crashed" in (tmp_path / "bad.json").read_text()
    assert all("num_fixes" in (tmp_path / f"g{k}.json").read_text() for k in range(3))


def test_a_mistake_of_ours_stops_no_other_recording(tmp_path):
    path = recording(tmp_path / "v")
    broken = dataclasses.replace(HOW, max_speed_kmh=None)
    own_tables.in_parallel([own_tables.Job(Candidate(path), tmp_path / "a.json", {}, 0)], broken, 1)
    (found,) = json.loads((tmp_path / "a.json").read_text())["found"]
    assert found["told"]["reason"] == "error"
    assert "TypeError" in found["told"]["advice"]


def photos(folder, made, num=4, step_s=5.0, **options):
    """Photos of a walk to the north."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(num):
        time = NOON + dt.timedelta(seconds=k * step_s)
        path = folder / f"{k + 8}.jpg"
        made.jpeg_with_position(path, 47.0 + 1e-5 * k, 8.0, time, seed=k, **options)


def test_photos_that_follow_each_other_are_one_clip(tmp_path, take, made):
    photos(tmp_path / "walk", made)
    (told,) = take(tmp_path / "walk").accepted
    assert (told.num_frames, told.fix_source, told.duration_s) == (4, "exif", 15.0)
    frames = tables(tmp_path).frames
    assert [Path(file).name for file in frames["file"]] == ["8.jpg", "9.jpg", "10.jpg", "11.jpg"]
    assert frames["time_s"].tolist() == [0.0, 5.0, 10.0, 15.0]


def test_photos_without_times_each_have_their_own_fix(tmp_path, take, made):
    (tmp_path / "w").mkdir()
    for k in range(3):
        made.jpeg_with_position(tmp_path / "w" / f"{k}.jpg", 47.0 + 1e-5 * k, 8.0, seed=k)
    take(tmp_path / "w")
    found = tables(tmp_path)
    latlon, valid = clip_tables.clip_positions(
        found, found.clips["clip_id"][0], np.arange(3.0), 2.0
    )
    assert valid.all()
    assert latlon[2, 0] == pytest.approx(47.00002)


def test_a_photo_between_two_others_is_interpolated_and_told(tmp_path, take, made):
    photos(tmp_path / "w", made)
    made.jpeg_with_position(
        tmp_path / "w" / "9.jpg", None, None, NOON + dt.timedelta(seconds=5), seed=1
    )
    (told,) = take(tmp_path / "w").accepted
    assert "lie between others" in told.repairs[0]
    fixes = tables(tmp_path).fixes
    assert fixes["status"].tolist() == ["measured", "interpolated", "measured", "measured"]
    assert fixes["lat"][1] == pytest.approx(47.00001)


def test_far_photos_are_clips_of_one_frame(tmp_path, take, made):
    photos(tmp_path / "w", made, step_s=3600.0)
    outcome = take(tmp_path / "w")
    assert [told.num_frames for told in outcome.accepted] == [1, 1, 1, 1]


def test_a_table_beside_photos_places_them(tmp_path, take, made):
    folder = tmp_path / "w"
    folder.mkdir()
    made.jpeg_with_position(folder / "NA.jpg", None, None)
    made.jpeg_with_position(folder / "x.jpg", None, None, seed=1)
    pd.DataFrame({"file": ["NA.jpg"], "lat": [-22.5], "lon": [17.0]}).to_csv(
        folder / "labels.csv", index=False
    )
    outcome = take(folder)
    (told,) = outcome.accepted
    assert (told.fix_source, told.lat_min) == ("table", -22.5)
    assert reasons(outcome) == {"x.jpg": "no_position"}


@pytest.fixture
def album(tmp_path, made):
    """A folder with photos without positions in `a` and `b`, and a way to write tables."""
    for seed, name in enumerate(("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/[3].jpg")):
        (tmp_path / "album" / name).parent.mkdir(parents=True, exist_ok=True)
        made.jpeg_with_position(tmp_path / "album" / name, None, None, seed=seed)

    def write(table, rows):
        text = "".join(f"{name},{lat},17\n" for name, lat in rows)
        (tmp_path / "album" / table).write_text(f"file,lat,lon\n{text}")
        return tmp_path / "album"

    return write


def placed(outcome):
    """Latitude of each clip, which is a photo here."""
    return {"/".join(Path(t.path).parts[-2:]): t.lat_min for t in outcome.accepted}


def test_a_table_one_level_above_photos_places_them_by_name_or_path(album, take):
    rows = [("2.jpg", 1), ("a/1.jpg", 2), ("b\\1.jpg", 3), ("[3].jpg", 4)]
    outcome = take(album("all.csv", rows))
    assert placed(outcome) == {"a/1.jpg": 2, "a/2.jpg": 1, "b/1.jpg": 3, "b/[3].jpg": 4}
    told = {repair for record in outcome.accepted for repair in record.repairs}
    assert "positions from all.csv, one level above" in told


def test_a_table_beside_photos_wins_over_one_above(album, take):
    album("a/own.csv", [("2.jpg", 5)])
    outcome = take(album("all.csv", [("2.jpg", 1), ("a/2.jpg", 2)]))
    assert placed(outcome) == {"a/2.jpg": 5}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([("1.jpg", 1)], "all.csv above says 1.jpg, which b has as well: write a/1.jpg"),
        ([("a/1.jpg", 1), ("a/1.jpg", 2)], "all.csv above has several positions for 1.jpg"),
    ],
)
def test_a_table_above_that_leaves_a_doubt_places_nothing_and_is_told(album, take, rows, told):
    outcome = take(album("all.csv", rows))
    assert not outcome.accepted
    advice = {r.path: r.advice for r in outcome.quarantined}
    assert any(path.endswith("a/1.jpg") and told in said for path, said in advice.items())


def test_a_table_that_came_later_above_photos_is_seen(album, take):
    folder = album("other.csv", [])
    assert not take(folder).accepted
    album("all.csv", [("a/2.jpg", 1)])
    assert placed(take(folder)) == {"a/2.jpg": 1}


def test_a_table_that_cannot_be_read_stops_no_photo_and_is_told(tmp_path, take, made):
    photos(tmp_path / "w", made)
    made.jpeg_with_position(tmp_path / "w" / "x.jpg", None, None, camera="Other One")
    (tmp_path / "w" / "old.csv").write_bytes("file;lat;lon\nZürich.jpg;1;2\n".encode("latin-1"))
    outcome = take(tmp_path / "w")
    assert outcome.accepted[0].num_frames == 4
    assert reasons(outcome) == {"x.jpg": "no_position"}
    assert "old.csv" in outcome.quarantined[0].advice


def test_photos_on_two_clocks_are_ordered_by_name(tmp_path, take, made):
    photos(tmp_path / "w", made)
    local = NOON.replace(tzinfo=None) + dt.timedelta(hours=2, seconds=5)
    made.jpeg_with_position(tmp_path / "w" / "9.jpg", 47.00001, 8.0, local, seed=1)
    (told,) = take(tmp_path / "w").accepted
    assert (told.num_frames, told.duration_s) == (4, None)


def test_copies_have_no_metadata_and_stay_when_the_recordings_go(tmp_path, take, made):
    photos(tmp_path / "w", made)
    path = recording(tmp_path / "v")
    copies = inspection.Copies(str(tmp_path / "data" / "trip" / "media"))
    copied = dataclasses.replace(HOW, copies=copies)
    assert len(take(tmp_path / "w", path, how=copied).accepted) == 2
    shutil.rmtree(tmp_path / "w")
    assert len(take(path, how=copied).accepted) == 1
    found = tables(tmp_path)
    assert len(found.clips) == 2
    picture = tmp_path / "data" / "trip" / found.frames["file"][0]
    assert np.isnan(exif.read(picture).lat)


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


def test_equal_fixes_of_a_sequence_survive_a_merge(tmp_path, take, made):
    (tmp_path / "w").mkdir()
    for k in range(4):
        made.jpeg_with_position(tmp_path / "w" / f"{k}.jpg", 47.0, 8.0, seed=k)
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


def test_copies_never_give_way_to_the_recordings_untold(tmp_path, take):
    path = recording(tmp_path / "v")
    copies = inspection.Copies(str(tmp_path / "data" / "trip" / "media"))
    take(path, how=dataclasses.replace(HOW, copies=copies))
    with pytest.raises(ValueError, match="in the same way"):
        take(path)


def test_copies_that_were_deleted_are_made_again(tmp_path, take):
    path, media = recording(tmp_path / "v"), tmp_path / "data" / "trip" / "media"
    copied = dataclasses.replace(HOW, copies=inspection.Copies(str(media)))
    take(path, how=copied)
    shutil.rmtree(media)
    assert len(take(path, how=copied).accepted) == 1
    assert len(list(media.glob("*.mp4"))) == 1


def test_a_damaged_or_half_written_entry_is_as_if_it_were_not_there(tmp_path, take):
    path = recording(tmp_path / "v")
    take(path)
    (entry,) = (tmp_path / "data" / "trip" / "journal").glob("*.json")
    entry.with_name(f".{entry.stem}.part.json").write_text(entry.read_text())
    entry.write_text("")
    assert len(take(path).accepted) == 1
    assert len(tables(tmp_path).clips) == 1


@pytest.mark.parametrize(("part", "gone"), [("clip", "fps"), ("told", "num_fixes")])
def test_an_entry_of_another_layout_is_looked_at_again(tmp_path, take, part, gone):
    path = recording(tmp_path / "v")
    first = list(take(path).accepted)
    (entry,) = (tmp_path / "data" / "trip" / "journal").glob("*.json")
    known = json.loads(entry.read_text())
    del known["found"][0][part][gone]
    entry.write_text(json.dumps(known))
    assert list(take(path).accepted) == first
    assert gone in json.loads(entry.read_text())["found"][0][part]


def test_what_cannot_be_read_is_tried_again(tmp_path, take):
    path = recording(tmp_path / "v")
    content, times = path.read_bytes(), path.stat()
    path.write_bytes(bytes(len(content)))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert reasons(take(path)) == {"a.mp4": "unreadable"}
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert len(take(path).accepted) == 1


def test_a_photo_that_was_deleted_takes_its_sequence_out_but_not_the_others(tmp_path, take, made):
    photos(tmp_path / "w", made)
    made.jpeg_with_position(tmp_path / "w" / "far.jpg", 10.0, 10.0, camera="Other One", seed=9)
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


def test_photos_named_one_by_one_are_still_a_sequence(tmp_path, take, made):
    photos(tmp_path / "w", made)
    (tmp_path / "w" / "notes.txt").touch()
    outcome = take(*sorted((tmp_path / "w").iterdir()))
    assert [told.num_frames for told in outcome.accepted] == [4]
    assert not outcome.quarantined
    assert reasons(take(tmp_path / "w")) == {"w": "duplicate"}


def test_odd_files_are_told_of_and_stop_nothing(tmp_path, take):
    recording(tmp_path / "2024:06:01")
    (tmp_path / "2024:06:01" / "gone.mp4").symlink_to(tmp_path / "nowhere")
    (tmp_path / "2024:06:01" / "IMG.HEIC").write_bytes(b"heic")
    os.link(tmp_path / "2024:06:01" / "a.mp4", os.fsencode(tmp_path) + b"/2024:06:01/Z\xfcrich.mp4")
    outcome = take(tmp_path / "2024:06:01")
    assert len(outcome.accepted) == 1
    assert reasons(outcome) == {
        "gone.mp4": "unreadable", "IMG.HEIC": "unreadable", "Z?rich.mp4": "unreadable",
    }  # fmt: skip


def test_without_a_dataset_there_is_nothing_to_merge(tmp_path):
    with pytest.raises(ValueError, match="vidtag ingest PATH --dataset NAME"):
        own_tables.merge([], SETTINGS, tmp_path / "recordings")


def test_a_script_from_standard_input_is_told_and_no_recording_blamed(tmp_path):
    """Its processes die at birth, as they find no file to import."""
    script = (
        "from pathlib import Path\n"
        "from vidtag_ml.ingest.own import inspection, tables\n"
        "from vidtag_ml.ingest.own.discovery import Candidate\n"
        "job = tables.Job(Candidate(Path('a.mp4')), Path('a.json'), {}, 0)\n"
        "tables.in_parallel([job], inspection.Intake(None, 0.0, 1.0, 2.0, {}), 1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-"],
        input=script,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "RuntimeError: no process can be started" in done.stderr
    assert not (tmp_path / "a.json").exists()
