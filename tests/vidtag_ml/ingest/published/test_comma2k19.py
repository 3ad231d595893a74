"""Claims about comma2k19: clock, poses, drives; on a miniature of its layout and a real minute."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vidtag_ml.dataset import rules
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.earth import sphere
from vidtag_ml.ingest.published import comma2k19

SHARED = Path(__file__).resolve().parents[5] / "shared" / "data"
REAL = SHARED / "comma2k19_example"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="needs the recordings of ../shared/data")

RECEIVER = "processed_log/GNSS/live_gnss_ublox"
ARRAYS = {
    "global_pose_frame_times": "global_pose/frame_times",
    "global_pose_frame_positions": "global_pose/frame_positions",
    "live_gnss_ublox_t": f"{RECEIVER}/t",
    "live_gnss_ublox_value": f"{RECEIVER}/value",
}
DRIVE = "b0c9d2329ad1606b|2018-08-01--08-34-47"


@pytest.fixture(scope="module")
def made(make, tmp_path_factory):
    folder = tmp_path_factory.mktemp("comma2k19")
    make("comma2k19", folder)
    return folder


@pytest.fixture
def recordings(made, tmp_path):
    return shutil.copytree(made, tmp_path / "recordings")


def segment(recordings, drive=1, number=0):
    (found,) = recordings.glob(f"Chunk_*/*2018-08-{drive:02}--*/{number}")
    return found


def arrays(recordings, drive=1):
    pose = next(segment(recordings, drive).glob("global_pos*"))
    return np.load(pose / "frame_times"), np.load(pose / "frame_positions")


def store(path, numbers):
    with path.open("wb") as file:
        np.save(file, numbers)


def clip_id(drive, number):
    return f"b0c9d2329ad1606b_2018-08-{drive:02}--08-34-47--{number}"


def test_segments_with_positions_are_clips_under_either_spelling(recordings, ingest, caplog):
    tables = ingest("comma2k19", recordings)
    named = {clip_id(drive, number) for drive in (1, 2, 3, 4) for number in (0, 1)}
    assert set(tables.clips["clip_id"]) == named - {clip_id(2, 1)}
    assert "comma2k19: 1 of 8 left out; first: " in caplog.text
    assert rules.problems(tables, {"car": 200.0}) == []
    assert set(tables.clips["mode"]) == {"car"}


def test_segments_of_a_drive_share_a_split(recordings, ingest):
    table = ingest("comma2k19", recordings).clips
    assert set(table["group_id"]) == {DRIVE.replace("01--", f"{k:02}--") for k in (1, 2, 3, 4)}
    assert len(table[["group_id", "split"]].drop_duplicates()) == 4
    assert set(table["split"]) == set(clip_tables.SPLITS)


@pytest.mark.parametrize("drive", [1, 2])
def test_each_frame_has_its_pose(recordings, ingest, drive):
    fixes = ingest("comma2k19", recordings).fixes_of(clip_id(drive, 0))
    assert fixes["time_s"].tolist() == pytest.approx(np.arange(40) / 20, abs=1e-9)
    places = sphere.from_earth_centred(arrays(recordings, drive)[1])
    assert fixes[["lat", "lon", "altitude_m"]].to_numpy() == pytest.approx(places)
    assert set(fixes["fix_source"]) == {"pose"}


def test_a_raw_stream_lasts_as_long_as_its_frames_say(recordings, ingest):
    row = ingest("comma2k19", recordings).clip(clip_id(1, 0))
    assert (row["num_frames"], row["fps"], row["duration_s"]) == (40, 20.0, 2.0)
    assert (row["kind"], row["codec"], row["width"], row["height"]) == ("video", "hevc", 96, 64)


def test_without_poses_the_receiver_serves(recordings, ingest):
    fixes = ingest("comma2k19", recordings).fixes_of(clip_id(1, 1))
    assert set(fixes["fix_source"]) == {"ublox"}
    assert fixes["time_s"].tolist() == pytest.approx(np.arange(20) / 10)
    assert fixes["lat"].between(37.7, 37.8).all()
    assert fixes["altitude_m"].between(0, 2000).all()


def test_the_receiver_s_fixes_are_on_the_clock_of_the_frames(recordings, ingest):
    (segment(recordings) / "global_pose" / "frame_positions").unlink()
    fixes = ingest("comma2k19", recordings).fixes_of(clip_id(1, 0))
    assert fixes["time_s"].tolist() == pytest.approx(0.1 + np.arange(20) / 10)


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        (np.zeros((40, 3)), "has no position on Earth"),
        (np.full((40, 3), np.nan), "has no position on Earth"),
        (np.zeros((39, 3)), "has 40 times for 39 positions"),
        (np.zeros((40, 2)), "is no array of 3 numbers a time"),
        (np.array(1.0), "is no array of 3 numbers a time"),
        (np.array(["x"] * 3), "is no array of 3 numbers a time"),
        (np.array([{}, {}]), "not a NumPy array"),
    ],
    ids=["centre", "unknown", "short", "flat", "single", "words", "pickled"],
)
def test_poses_of_no_use_are_told(recordings, ingest, caplog, numbers, reason):
    store(segment(recordings) / "global_pose" / "frame_positions", numbers)
    shutil.rmtree(segment(recordings) / "processed_log")
    assert clip_id(1, 0) not in set(ingest("comma2k19", recordings).clips["clip_id"])
    assert "comma2k19: 2 of 8 left out" in caplog.text
    assert reason in caplog.text


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x93NUMPY\x01\x00\x10\x00{'descr': '(("])
def test_a_broken_array_is_told(recordings, ingest, caplog, content):
    (segment(recordings) / "global_pose" / "frame_times").write_bytes(content)
    shutil.rmtree(segment(recordings) / "processed_log")
    ingest("comma2k19", recordings)
    assert "frame_times: not a NumPy array" in caplog.text


def test_a_header_that_promises_more_than_the_file_holds_takes_no_memory(tmp_path):
    store(tmp_path / "t", np.zeros(8))
    content = (tmp_path / "t").read_bytes()
    (tmp_path / "t").write_bytes(content.replace(b"(8,), }    ", b"(1" + b"0" * 5 + b"4,), }"))
    with pytest.raises(ValueError, match="not a NumPy array: mmap length"):
        comma2k19._array(tmp_path / "t")


def test_a_segment_without_a_video_is_told(recordings, ingest, caplog):
    (segment(recordings) / "video.hevc").unlink()
    assert len(ingest("comma2k19", recordings).clips) == 6
    assert "video.hevc: there is no such file" in caplog.text


def test_another_folder_is_refused(tmp_path, ingest):
    with pytest.raises(ValueError, match=r"has no DRIVE/SEGMENT with a video\.hevc"):
        ingest("comma2k19", tmp_path)


@pytest.fixture
def real(recordings):
    """A copy of the miniature whose first segment has the arrays of the published example."""
    for stored, published in ARRAYS.items():
        shutil.copyfile(REAL / f"{stored}.npy", segment(recordings) / published)
    return recordings


@needs_real
def test_the_published_example_is_where_its_track_says(real, ingest):
    fixes = ingest("comma2k19", real).fixes_of(clip_id(1, 0))
    truth = pd.read_csv(SHARED / "tracks" / "comma2k19_example.csv")
    assert fixes["time_s"].to_numpy() == pytest.approx(truth["t_s"], abs=0.002)
    off_km = sphere.great_circle_km(fixes[["lat", "lon"]], truth[["lat", "lon"]])
    assert off_km.max() < 1e-4
    assert fixes["altitude_m"].to_numpy() == pytest.approx(truth["alt_m"], abs=0.01)


@needs_real
def test_poses_and_receiver_of_the_published_example_agree(real, ingest):
    poses = ingest("comma2k19", real).fixes_of(clip_id(1, 0))
    (segment(real) / "global_pose" / "frame_positions").unlink()
    tables = ingest("comma2k19", real)
    assert set(tables.fixes_of(clip_id(1, 0))["fix_source"]) == {"ublox"}
    latlon, valid = clip_tables.clip_positions(tables, clip_id(1, 0), poses["time_s"], 2.0)
    off_km = sphere.great_circle_km(latlon[valid], poses[["lat", "lon"]][valid])
    assert off_km.max() < 0.01
