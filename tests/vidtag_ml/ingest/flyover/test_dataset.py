"""Tests of vidtag_ml.ingest.flyover.dataset."""

import dataclasses

import numpy as np
import pytest

from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.earth import geonames, sphere
from vidtag_ml.ingest.flyover import camera
from vidtag_ml.ingest.flyover import dataset as flyover_dataset
from vidtag_ml.ingest.telemetry import gpx
from vidtag_ml.media import video
from vidtag_ml.workflow import stage


@pytest.fixture
def small(params):
    return dataclasses.replace(params.clips, num_train=2, num_val=1, num_test=1)


def test_the_dataset_has_the_clips_asked_for(tables, params):
    counts = tables.clips["split"].value_counts()
    wanted = (params.clips.num_train, params.clips.num_val, params.clips.num_test)
    assert tuple(counts[name] for name in clip_tables.SPLITS) == wanted
    assert tables.clips["num_frames"].tolist() == [8] * 10
    assert tables.clips["group_id"].is_unique


def test_rows_tell_what_is_in_the_files(tables, tiny_world):
    for row in tables.clips.to_dict("records"):
        path = tiny_world / row["video_path"]
        probe = video.probe(path)
        names = ("num_frames", "duration_s", "fps", "width", "height", "codec")
        assert [row[n] for n in names] == [getattr(probe, n) for n in names]
        assert row["content_md5"] == stage.digest(path)


def test_sidecars_agree_with_the_fixes(tables, tiny_world):
    for clip_id in tables.clips["clip_id"]:
        sidecar = gpx.read(tiny_world / "videos" / f"{clip_id}.gpx").points
        fixes = tables.fixes_of(clip_id)
        time_s = sidecar["utc_s"] - flyover_dataset.BEGAN.timestamp()
        assert time_s.tolist() == fixes["time_s"].tolist() == list(range(8))
        assert sidecar[["lat", "lon"]].to_numpy() == pytest.approx(
            fixes[["lat", "lon"]].to_numpy(), abs=1e-7
        )


def test_videos_show_what_the_camera_sees(tables, tiny_world, params):
    rng = np.random.default_rng([params.clips.seed, 3])
    rng.integers(8, 9)
    latlon, heading = camera.fly(rng, 1, 8)
    frames = camera.render(latlon[0], heading[0], camera.weather(rng, 8), rng)
    shown, _ = video.frames_at(tiny_world / "videos" / "flyover-00003.mp4", np.arange(8))
    assert np.abs(shown.astype(float) - frames).mean() < 4
    assert np.array_equal(latlon[0].round(7), tables.fixes_of("flyover-00003")[["lat", "lon"]])


def test_same_seed_same_bytes_whatever_the_number_of_processes(small, tmp_path, monkeypatch):
    seen = []
    flyover_dataset.write(small, tmp_path / "one", lambda done, num: seen.append((done, num)))
    assert seen[-1] == (4, 4)
    monkeypatch.setattr(flyover_dataset, "_CHUNK", 1)
    flyover_dataset.write(small, tmp_path / "two")
    assert stage.digest(tmp_path / "one") == stage.digest(tmp_path / "two")
    other = dataclasses.replace(small, seed=8)
    flyover_dataset.write(other, tmp_path / "three")
    assert stage.digest(tmp_path / "one") != stage.digest(tmp_path / "three")


def test_a_killed_run_goes_on_where_it_stopped(small, tmp_path):
    flyover_dataset.write(small, tmp_path)
    whole = stage.digest(tmp_path)
    videos = tmp_path / "videos"
    kept = (videos / "flyover-00000.mp4").stat().st_mtime_ns
    (tmp_path / "clips.parquet").unlink()
    (videos / "flyover-00001.gpx").unlink()
    (videos / ".flyover-00001.part.mp4").write_bytes(b"half")
    (videos / "flyover-00002.mp4").unlink()
    flyover_dataset.write(small, tmp_path)
    assert stage.digest(tmp_path) == whole
    assert (videos / "flyover-00000.mp4").stat().st_mtime_ns == kept


def test_clips_of_another_seed_are_not_kept(small, tmp_path):
    flyover_dataset.write(dataclasses.replace(small, seed=8), tmp_path / "a")
    flyover_dataset.write(small, tmp_path / "a")
    flyover_dataset.write(small, tmp_path / "b")
    assert stage.digest(tmp_path / "a") == stage.digest(tmp_path / "b")


def test_labels_are_those_of_the_nearest_large_city():
    points = np.array([(48.7, 2.2), (35.6, 139.7), (-33.9, 151.1)])
    labels = geonames.labels_at(points)
    assert labels["country"].tolist() == ["France", "Japan", "Australia"]
    assert labels["city"].tolist() == ["Paris", "Tokyo", "Sydney"]
    assert labels["continent"].tolist() == ["Europe", "Asia", "Oceania"]
    assert labels["state"].str[:3].tolist() == ["FR.", "JP.", "AU."]


def test_flights_stay_within_the_craft_s_speed(tables):
    for clip_id in tables.clips["clip_id"]:
        latlon = tables.fixes_of(clip_id)[["lat", "lon"]].to_numpy()
        steps = sphere.great_circle_km(latlon[:-1], latlon[1:])
        assert camera.STEP_KM[0] <= steps.min() <= steps.max() <= camera.STEP_KM[1]
