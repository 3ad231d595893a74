"""`vidtag locate`: the files that it writes, what it prints, what it refuses."""

import json
import shutil

import pytest


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
    assert {p.name for p in (tmp_path / "there").iterdir()} == {
        f"track.{kind}" for kind in ("gpx", "geojson", "kml", "csv", "png")
    }


def test_several_videos_get_files_of_their_own(vidtag, made, bundle, tmp_path):
    videos = sorted((made / "data" / "flyover" / "videos").glob("*.mp4"))[:2]
    done = vidtag(tmp_path, "locate", *videos, "--model", bundle, "--out", ".")
    assert done.returncode == 0, done.stderr
    assert all((tmp_path / f"{v.stem}.gpx").exists() for v in videos)


def test_bundle_of_places_names_them_and_their_files(vidtag, made, video, tmp_path):
    from vidtag_ml.hierarchy import LEVELS

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
    kinds = ("gpx", "geojson", "kml", "csv", "png")
    assert row["files"] == [f"there/track.{kind}" for kind in kinds]
    assert [point["time_s"] for point in row["track"]] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("kind", ["missing", "text", "empty", "truncated"])
def test_bad_video_is_one_line_and_leaves_nothing(vidtag, bundle, video, tmp_path, kind):
    path = tmp_path / f"{kind}.mp4"
    whole = video.read_bytes()
    contents = {"text": b"not a video\n" * 50, "empty": b"", "truncated": whole[: len(whole) // 2]}
    if kind in contents:
        path.write_bytes(contents[kind])
    done = vidtag(tmp_path, "locate", video, path, "--model", bundle, "--out", "out")
    assert str(path) in done.refusal
    assert not (tmp_path / "out").exists()


def test_bad_requests_are_one_line(vidtag, made, bundle, video, tmp_path):
    ask = ("locate", video, "--model")
    assert "--fps" in vidtag(made, *ask, bundle, "--fps", 0).refusal
    assert "nowhere" in vidtag(made, *ask, "nowhere").refusal
    assert "bundle.json" in vidtag(made, *ask, tmp_path).refusal
    twin = shutil.copy(video, tmp_path)
    assert video.stem in vidtag(made, *ask, bundle, twin).refusal


def test_tracks_are_printed_with_their_ends_and_files(vidtag, bundle, video, tmp_path):
    ask = ("locate", video, "--model", bundle, "--out", "there")
    (row,) = json.loads(vidtag(tmp_path, *ask, "--json").stdout)
    ends = " to ".join(
        f"{row['track'][i]['lat']:.3f}, {row['track'][i]['lon']:.3f}" for i in (0, -1)
    )
    lines = vidtag(tmp_path, *ask).stdout.splitlines()
    assert lines[0].startswith(f"{video}: {ends}, mean score ")
    assert [line.strip() for line in lines[-5:]] == row["files"]
