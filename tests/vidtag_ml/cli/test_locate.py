"""`vidtag locate`: the files that it writes, what it prints, what it refuses."""

import json
import os
import shutil
import signal
import threading
import time

import numpy as np
import pytest

from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.earth import sphere
from vidtag_ml.models import finished

KINDS = ("gpx", "geojson", "kml", "csv", "parquet", "json", "png", "html")
"""Files of a track, in the order in which they are written and told."""


@pytest.fixture(scope="module")
def bundle(made):
    return made / "out" / "bundle"


@pytest.fixture(scope="module")
def video(made):
    return next((made / "data" / "flyover" / "videos").glob("*.mp4"))


def test_locate_writes_tracks_and_prints_them(vidtag, bundle, video, tmp_path):
    done = vidtag(tmp_path, "locate", video, "--model", bundle, "--out", "there", "--json")
    located = json.loads(done.stdout)[0]
    assert located["video"] == str(video)
    assert len(located["track"]) == 8
    assert {p.name for p in (tmp_path / "there").iterdir()} == {f"track.{kind}" for kind in KINDS}


def test_several_videos_get_files_of_their_own(vidtag, made, bundle, tmp_path):
    videos = sorted((made / "data" / "flyover" / "videos").glob("*.mp4"))[:2]
    done = vidtag(tmp_path, "locate", *videos, "--model", bundle, "--out", ".")
    assert done.returncode == 0, done.stderr
    assert all((tmp_path / f"{v.stem}.gpx").exists() for v in videos)


def test_bundle_of_places_names_them_and_their_files(vidtag, made, video, tmp_path):
    from vidtag_ml.dataset.hierarchy import LEVELS

    ask = ("locate", video, "--model", made / "out" / "guess_bundle", "--out", "there")
    (found,) = json.loads(vidtag(tmp_path, *ask, "--json").stdout)
    names = [found["place"][level]["name"] for level in LEVELS]
    assert ",".join(names) in (made / "data" / "hierarchy.csv").read_text().splitlines()
    assert all(0 <= found["place"][level]["probability"] <= 1 for level in LEVELS)
    assert set(found["sure"]) == set(found["candidates"]) == set(LEVELS)
    assert found["files"] == ["there/place.json", "there/place.png"]
    assert all((tmp_path / file).stat().st_size > 100 for file in found["files"])
    shown = vidtag(tmp_path, *ask).stdout
    assert f"{video}: {found['answer']}" in shown
    assert all(name in shown for name in names)


def test_places_of_several_videos_get_files_of_their_own(vidtag, made, tmp_path):
    videos = sorted((made / "data" / "flyover" / "videos").glob("*.mp4"))[:2]
    bundle = made / "out" / "guess_bundle"
    assert vidtag(tmp_path, "locate", *videos, "--model", bundle, "--out", ".").returncode == 0
    assert all((tmp_path / f"{v.stem}.{k}").exists() for v in videos for k in ("json", "png"))


def test_tracks_by_aerial_imagery_are_files_like_others(vidtag, made_gama, tmp_path):
    root = made_gama[0]
    video = min((root / "data" / "flyover_gama" / "videos").glob("*.mp4"))
    bundle = root / "out" / "aerial_bundle"
    done = vidtag(tmp_path, "locate", video, "--model", bundle, "--out", "there", "--json")
    (row,) = json.loads(done.stdout)
    assert row["files"] == [f"there/track.{kind}" for kind in KINDS]
    assert [point["time_s"] for point in row["track"]] == [0.0, 1.0, 2.0]


def test_error_by_the_videos_own_gps_is_the_true_one(vidtag, made, bundle, video, tmp_path):
    ask = ("locate", video, "--model", bundle, "--out", "there")
    (row,) = json.loads(vidtag(tmp_path, *ask, "--json").stdout)
    time_s = [point["time_s"] for point in row["track"]]
    tables = clip_tables.read(made / "data" / "flyover")
    true, _ = clip_tables.clip_positions(tables, video.stem, time_s, 2.0)
    errors = sphere.great_circle_km([(p["lat"], p["lon"]) for p in row["track"]], true)
    assert row["median_error_km"] == pytest.approx(np.median(errors), abs=0.01)
    assert row["gps"] == {"source": "gpx", "num_fixes": 8, "num_dropped": 0}
    shown = f"median error {np.median(errors):,.1f} km (gpx, at 8 of 8 frames)"
    assert shown in vidtag(tmp_path, *ask).stdout


def test_times_are_those_of_the_recording_or_from_its_start(
    vidtag, bundle, video, tagged, tmp_path
):
    unknown = "no recording time known: times are from the start"
    unsure = "no radius: 2 val clips of mode flyover, and 40 are needed to tell one"
    ask = ("--model", bundle, "--out", ".", "--json")
    bare, told = shutil.copy(video, tmp_path / "bare.mp4"), tmp_path / "told.mp4"
    tagged(video, told, creation_time="2024-06-01T12:00:00Z")
    (row,) = json.loads(vidtag(tmp_path, "locate", bare, *ask).stdout)
    assert (row["start_time"], row["told"]) == (None, [unknown, unsure])
    assert unknown in vidtag(tmp_path, "locate", bare, *ask[:-1]).stdout
    assert "<time>" not in (tmp_path / "track.gpx").read_text()
    (row,) = json.loads(vidtag(tmp_path, "locate", told, *ask).stdout)
    assert (row["start_time_from"], row["told"]) == ("creation_time", [unsure])
    assert row["track"][1]["time"] == "2024-06-01T12:00:01.000Z"
    assert "2024-06-01T12:00:01Z" in (tmp_path / "track.gpx").read_text()


def test_start_times_that_are_given_come_first(vidtag, bundle, video, tmp_path):
    ask = ("locate", video, "--model", bundle, "--json", "--start-time", "2020-01-02T03:04")
    (row,) = json.loads(vidtag(tmp_path, *ask).stdout)
    assert (row["start_time"], row["start_time_from"]) == (
        "2020-01-02T03:04:00.000Z",
        "--start-time",
    )
    assert "--start-time tells no time zone: taken as UTC" in row["told"]


def test_photos_of_a_folder_are_one_track(vidtag, bundle, video, photographed, tmp_path):
    photographed(video, tmp_path / "trip" / "day")
    done = vidtag(tmp_path, "locate", "trip", "--model", bundle, "--out", "there", "--json")
    (row,) = json.loads(done.stdout)
    assert (row["video"], len(row["track"])) == ("trip/day", 8)
    assert "one a second" in row["told"][0]


@pytest.mark.parametrize("kind", ["missing", "text", "empty", "truncated"])
def test_bad_video_is_one_line_and_stops_no_other(vidtag, bundle, video, tmp_path, kind):
    path = tmp_path / f"{kind}.mp4"
    whole = video.read_bytes()
    contents = {"text": b"not a video\n" * 50, "empty": b"", "truncated": whole[: len(whole) // 2]}
    if kind in contents:
        path.write_bytes(contents[kind])
    done = vidtag(tmp_path, "locate", path, video, "--model", bundle, "--out", "out")
    assert done.refusal.startswith(f"vidtag: {path}: ")
    assert done.stdout.startswith(f"not located: {path}: ")
    assert (tmp_path / "out" / f"{video.stem}.gpx").exists()


@pytest.mark.parametrize("model", ["bundle", "guess_bundle"])
def test_json_has_an_error_for_each_file_that_failed(vidtag, made, video, tmp_path, model):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    ask = ("locate", "bad.mp4", video, "nowhere", "--model", made / "out" / model, "--json")
    done = vidtag(tmp_path, *ask)
    bad, good, missing = json.loads(done.stdout)
    assert (done.returncode, done.stderr.count("\n")) == (1, 2)
    assert bad.keys() == missing.keys() == {"video", "error"}
    assert bad["error"].startswith("bad.mp4: not a video")
    assert all((tmp_path / file).exists() for file in good["files"])


def test_a_bad_video_alone_leaves_nothing(vidtag, bundle, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    done = vidtag(tmp_path, "locate", "bad.mp4", "--model", bundle, "--out", "out")
    assert (done.stdout, done.refusal[:17]) == ("", "vidtag: bad.mp4: ")
    assert not (tmp_path / "out").exists()


def test_folders_are_searched_and_equal_names_kept_apart(vidtag, bundle, video, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "trips" / name).mkdir(parents=True)
        shutil.copy(video, tmp_path / "trips" / name / "1.mp4")
    (tmp_path / "trips" / "notes.txt").touch()
    done = vidtag(tmp_path, "locate", "trips", "--model", bundle, "--out", "out")
    assert (done.returncode, done.stderr) == (0, "vidtag: passed over other files: 1\n")
    assert all((tmp_path / "out" / name / "1.gpx").exists() for name in ("a", "b"))


@pytest.fixture
def interruptible():
    """Ctrl-C works, as it does not in what a shell has begun in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_stopping_tells_what_is_finished(vidtag, bundle, video, tmp_path):
    videos = [shutil.copy(video, tmp_path / f"{k}.mp4") for k in range(99)]

    def stop():
        while not (tmp_path / "1.gpx").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=stop).start()
    done = vidtag(tmp_path, "locate", *videos, "--model", bundle, "--out", ".", "--json")
    assert done.returncode == 130
    rows = json.loads(done.stdout)
    assert 0 < len(rows) < 99
    assert f"{len(rows)} " in done.stderr or "the first is finished" in done.stderr
    assert rows[-1]["video"] in done.stderr
    assert "goes on from there" in done.stderr
    assert done.stderr.count("stopped") == 1


@pytest.fixture
def located(vidtag, bundle, video, tmp_path):
    """Two videos whose answers are finished, and what locates them again: rows by name."""
    for name in "ab":
        shutil.copy(video, tmp_path / f"{name}.mp4")

    def again(*options, asked=("a.mp4", "b.mp4")):
        ask = ("locate", *asked, "--model", bundle, "--out", "there", "--json", *options)
        return {row["video"][0]: row for row in json.loads(vidtag(tmp_path, *ask).stdout)}

    first = again(asked=("a.mp4", "b.mp4"))
    (tmp_path / "there" / "b.csv").unlink()
    return first, again


def before(row):
    return finished.TOLD in row["told"]


def test_the_same_command_goes_on_with_what_is_not_finished(located, tmp_path):
    first, again = located
    second = again()
    assert [before(row) for row in (*first.values(), *second.values())] == [0, 0, 1, 0]
    assert (tmp_path / "there" / "b.csv").exists()
    assert [*second["a"].pop("told")[:-1]] == first["a"].pop("told")
    assert second["a"] == first["a"]


@pytest.mark.parametrize("change", ["video", "positions beside it", "options", "a file", "record"])
def test_what_is_not_the_same_is_located_anew(located, tmp_path, change):
    _, again = located
    if change == "video":
        with (tmp_path / "a.mp4").open("ab") as file:
            file.write(b"\x00\x00\x00\x08free")
    elif change == "positions beside it":
        (tmp_path / "a.csv").write_text("time_s,lat,lon\n0,48,2\n1,48.001,2\n")
    elif change == "a file":
        (tmp_path / "there" / "a.gpx").write_text("mine")
    elif change == "record":
        (tmp_path / "there" / ".located" / "a.json").write_text("{")
    assert not before(again(*(["--fps", "2"] if change == "options" else []))["a"])
    assert "mine" not in (tmp_path / "there" / "a.gpx").read_text()


def test_a_single_recording_is_always_located_and_leaves_nothing_else(located, tmp_path):
    _, again = located
    shutil.rmtree(tmp_path / "there")
    assert not before(again(asked=("a.mp4",))["a"])
    assert not (tmp_path / "there" / ".located").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--fps", "inf"),
        ("--fps", "1e9"),
        ("--start-time", "0001-01-01T00:00+05:00"),
        ("--start-time", "9999-12-31T23:59:59"),
        ("--start-time", "2024-05-06"),
        ("--start-time", "20240506"),
        ("--start-time", "2024W236"),
        ("--out", "file"),
    ],
)
def test_options_beyond_all_bounds_are_refused_by_name(
    vidtag, bundle, video, tmp_path, option, value
):
    (tmp_path / "file").touch()
    done = vidtag(tmp_path, "locate", video, "--model", bundle, option, value)
    assert done.refusal.startswith(f"vidtag: {option} is ")


def test_bad_requests_are_one_line(vidtag, made, bundle, video, tmp_path):
    ask = ("locate", video, "--model")
    assert "--fps" in vidtag(made, *ask, bundle, "--fps", 0).refusal
    assert "nowhere" in vidtag(made, *ask, "nowhere").refusal
    assert "bundle.json" in vidtag(made, *ask, tmp_path).refusal
    start = ("--start-time", "noon")
    assert "2024-05-06T" in vidtag(made, *ask, bundle, *start).refusal
    start = ("--start-time", "2024-05-06T07:08Z")
    assert "one recording" in vidtag(made, *ask, bundle, video.parent, *start).refusal
    assert "no times" in vidtag(made, *ask, made / "out" / "guess_bundle", *start).refusal


def test_tracks_are_printed_with_their_ends_and_files(vidtag, bundle, video, tmp_path):
    ask = ("locate", video, "--model", bundle, "--out", "there")
    (row,) = json.loads(vidtag(tmp_path, *ask, "--json").stdout)
    ends = " to ".join(
        f"{row['track'][i]['lat']:.3f}, {row['track'][i]['lon']:.3f}" for i in (0, -1)
    )
    lines = vidtag(tmp_path, *ask).stdout.splitlines()
    assert lines[0].startswith(f"{video}: {ends}, mean score ")
    assert [line.strip() for line in lines[-len(KINDS) :]] == row["files"]


@pytest.mark.slow
def test_workers_of_ray_write_the_same_files_and_print_the_same(
    vidtag, made, bundle, tmp_path, two_workers
):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    videos = sorted((made / "data" / "flyover" / "videos").glob("*.mp4"))[:3]
    asked = [videos[0], broken, *videos[1:]]
    done = {}
    for engine in ("here", "ray"):
        (tmp_path / engine).mkdir()
        ask = ("--model", bundle, "--out", "there", "--engine", engine, "--json")
        done[engine] = vidtag(tmp_path / engine, "locate", *asked, *ask)
    assert done["here"] == done["ray"]
    assert done["here"].returncode == 1
    files = {engine: sorted((tmp_path / engine / "there").glob("*.*")) for engine in done}
    files = {engine: [p for p in found if p.is_file()] for engine, found in files.items()}
    assert len(files["here"]) == 3 * len(KINDS)
    for here, ray in zip(*files.values(), strict=True):
        assert (here.name, here.read_bytes()) == (ray.name, ray.read_bytes())
