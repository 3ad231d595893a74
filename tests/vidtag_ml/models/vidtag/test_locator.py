"""Bundles: what is in them, and that they locate as evaluation does."""

import datetime as dt
import json
import shutil

import numpy as np
import pytest

from vidtag_ml.earth import sphere
from vidtag_ml.models.report import Report
from vidtag_ml.models.vidtag import locator as vidtag_locator
from vidtag_ml.workflow import sums


@pytest.fixture(scope="module")
def predictor(made):
    return vidtag_locator.VidtagLocator.load(made / "out" / "bundle")


def test_located_track_is_the_evaluated_one(made, predictor):
    report = Report.read(made / "out" / "evaluation" / "vidtag" / "test")
    for track in report.tracks:
        found = predictor.locate(made / "data" / "flyover" / "videos" / f"{track.clip}.mp4")
        assert found.clip == track.clip
        np.testing.assert_array_equal(found.time_s, track.time_s)
        apart_km = sphere.great_circle_km(found.latlon_T2, track.latlon_T2)
        assert apart_km.max() < 50  # of 1,000 between entries: the bundle's embeddings are float16


def test_more_frames_a_second_make_a_denser_track(made, predictor):
    video = next((made / "data" / "flyover" / "videos").glob("*.mp4"))
    assert len(predictor.locate(video, 2.0).time_s) == 2 * len(predictor.locate(video).time_s)


def test_a_rate_of_no_frames_is_refused(made, predictor):
    video = next((made / "data" / "flyover" / "videos").glob("*.mp4"))
    with pytest.raises(ValueError, match="frames_per_second is 0; it must be positive"):
        predictor.locate(video, 0)


def test_photos_of_a_flight_are_located_as_its_video(made, predictor, photographed, tmp_path):
    video = next((made / "data" / "flyover" / "videos").glob("*.mp4"))
    began = dt.datetime(2024, 6, 1, 12, tzinfo=dt.UTC)
    found, done = predictor.locate(photographed(video, tmp_path / "trip", began)), []
    filmed = predictor.locate(video, progress=lambda *step: done.append(step))
    assert (found.clip, done[-1]) == ("trip", (8, 8))
    assert (found.start, found.began) == (None, None)  # that is for the recording to say
    np.testing.assert_array_equal(found.time_s, filmed.time_s)
    np.testing.assert_allclose(found.latlon_T2, filmed.latlon_T2, atol=1e-5)


def test_bundle_says_what_it_was_made_from(made):
    card = json.loads((made / "out" / "bundle" / "bundle.json").read_text())
    assert card["mode"] == "flyover"
    assert card["wander_kms"] == pytest.approx(3.2, rel=0.3)  # of all 1,800 train flights: 3.21
    assert card["made_from"]["dataset"] == "flyover"
    assert set(card["made_from"]["encoders"]) == {"flyover_clip", "flyover_dino"}


def test_bundle_needs_nothing_outside_itself(made, predictor, tmp_path):
    moved = shutil.copytree(made / "out" / "bundle", tmp_path / "moved bundle")
    video = next((made / "data" / "flyover" / "videos").glob("*.mp4"))
    here, there = predictor.locate(video), vidtag_locator.VidtagLocator.load(moved).locate(video)
    np.testing.assert_array_equal(here.latlon_T2, there.latlon_T2)


def test_a_bundle_of_before_has_no_radius_and_says_so(made, tmp_path):
    moved = shutil.copytree(made / "out" / "bundle", tmp_path / "bundle")
    shutil.rmtree(moved / "calibration")
    sums.write(moved)
    video = next((made / "data" / "flyover" / "videos").glob("*.mp4"))
    found = vidtag_locator.VidtagLocator.load(moved).locate(video)
    assert (found.radius_km_T, found.foreign) == (None, "")
    assert "no radius: its model was bundled by an older vidtag" in found.told


def test_bundle_carries_no_checkpoints_or_curves(made):
    kinds = {path.suffix for path in (made / "out" / "bundle").rglob("*") if path.is_file()}
    assert kinds == {".json", ".safetensors", ".parquet", ""}


def test_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"bundle\.json"):
        vidtag_locator.VidtagLocator.load(tmp_path)


def test_bundle_of_another_format_is_refused(made, tmp_path):
    moved = shutil.copytree(made / "out" / "bundle", tmp_path / "bundle")
    (moved / "bundle.json").write_text('{"format": 99}')
    sums.write(moved)
    with pytest.raises(ValueError, match="format 99"):
        vidtag_locator.VidtagLocator.load(moved)


def test_files_of_a_track_are_all_written(made, predictor, tmp_path):
    video = next((made / "data" / "flyover" / "videos").glob("*.mp4"))
    paths = predictor.locate(video).write(tmp_path / "new folder", "flight", {"model": "vidtag"})
    assert [path.name for path in paths] == [
        f"flight.{kind}"
        for kind in ("gpx", "geojson", "kml", "csv", "parquet", "json", "png", "html")
    ]
    assert all(path.stat().st_size > 100 for path in paths)
