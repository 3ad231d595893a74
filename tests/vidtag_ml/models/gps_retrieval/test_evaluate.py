"""Evaluation of a model that knows the answer, so that every figure is known."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from vidtag_ml import config
from vidtag_ml.dataset import tables as clip_tables
from vidtag_ml.earth import sphere
from vidtag_ml.features.store import ClipFeatures
from vidtag_ml.models import report as models_report
from vidtag_ml.models.gps_retrieval import evaluate
from vidtag_ml.models.gps_retrieval import network as geo_models
from vidtag_ml.retrieval import gallery

PARAMS = Path(__file__).parents[4] / "params.yaml"
EVALUATION = dataclasses.replace(
    config.load(PARAMS).evaluation,
    decoding="initial",
    num_candidates=8,
    accuracy_km=(25.0, 300.0),
    bootstrap_draws=20,
)
TIME_S = np.arange(5.0)


class Knowing(geo_models.GeoModel):
    """Frames are unit vectors of their own positions: the nearest gallery point is the answer."""

    name = "knowing"

    def embed_frames(self, features_BTD, *_):
        return features_BTD.float()

    def embed_locations(self, latlon_N2):
        return torch.from_numpy(sphere.unit_vectors(latlon_N2.numpy())).float()


class Store:
    def __init__(self, latlon_of):
        self.latlon_of = latlon_of

    def select(self, encoders):
        assert encoders == ("eyes",)
        return self

    def clip(self, clip_id):
        return ClipFeatures(torch.from_numpy(sphere.unit_vectors(self.latlon_of[clip_id])), TIME_S)


def flight(start):
    return sphere.destination(np.tile(start, (5, 1)), np.full(5, 80.0), 30.0 * np.arange(5))


FLIGHTS = {"a": flight((10.0, 20.0)), "b": flight((-60.0, 179.5)), "c": flight((0.0, 0.0))}


def tables(third="test"):
    labels = dict.fromkeys(clip_tables.CLIP_COLUMNS, "x") | {"mode": "flyover", "split": "val"}
    rows = pd.DataFrame([{**labels, "clip_id": clip} for clip in FLIGHTS])
    rows.loc[rows["clip_id"] == "c", "split"] = third
    fixes = [
        {"clip_id": clip, "time_s": t, "lat": lat, "lon": lon, "status": "measured"}
        for clip, track in FLIGHTS.items()
        for t, (lat, lon) in zip(TIME_S, track, strict=True)
        if (clip, t) != ("a", 4.0)
    ]
    return clip_tables.Tables(rows, pd.DataFrame(fixes).assign(fix_source="gpx"))


@pytest.fixture(scope="module")
def report():
    return run(EVALUATION)


def run(evaluation, split="val", train="test"):
    sizes = config.load(PARAMS).model
    location = dataclasses.replace(sizes.location, hidden=4, num_frequencies=4)
    sizes = dataclasses.replace(
        sizes, embed_dim=3, temporal_heads=1, refiner_heads=1, location=location
    )
    model = Knowing(sizes, {"eyes": 3}).eval()
    points = gallery.Gallery(sphere.equal_area_lattice(20_000), {"source": "lattice"}, "md5 of it")
    return evaluate.evaluate(
        model, points, Store(FLIGHTS), tables(train), split, evaluation, "knowing", max_gap_s=2.0
    )


def test_a_model_that_knows_is_as_good_as_its_gallery(report):
    figures = report.summary
    assert figures["median_km"] == pytest.approx(figures["oracle_median_km"], abs=1.0)
    assert figures["acc_300km"] == figures["initial_acc_300km"] == 1.0
    assert 0 < figures["median_km_lo"] <= figures["median_km"] <= figures["median_km_hi"]


def test_areas_of_a_model_that_knows_hold_the_truth(report):
    assert report.summary["area_held_0.9"] == report.summary["found_100000km2"] == 1.0
    assert report.summary["found_1000km2"] == 0.0
    clips = report.per_clip["area_held_0.9"]
    assert clips.mean() == report.summary["area_held_0.9"]


def test_every_figure_carries_its_protocol(report):
    wanted = {
        "model": "knowing", "split": "val", "decoding": "initial", "gallery": "lattice",
        "gallery_size": 20_000, "gallery_md5": "md5 of it", "leak_frames": 0, "num_clips": 2,
        "num_frames": 9, "skipped_frames": 1, "skipped_clips": 0,
    }  # fmt: skip
    assert wanted.items() <= report.summary.items()
    json.dumps(report.summary, allow_nan=False)


def test_frames_without_truth_have_a_position_but_no_error(report):
    last = report.frames[report.frames["clip"] == "a"].iloc[-1]
    assert np.isfinite(last["lat"])
    assert np.isnan(last["true_lat"])
    assert np.isnan(last["error_km"])


def test_clip_figures_agree_with_the_frames(report):
    errors = report.frames.groupby("clip")["error_km"].median()
    per_clip = report.per_clip.set_index("clip_id")
    assert per_clip["median_km"].to_dict() == pytest.approx(errors.to_dict())
    assert {"continent", "dfd_km", "acc_25km"} <= set(per_clip.columns)


def test_tracks_and_truths_are_those_of_the_clips(report):
    assert [track.clip for track in report.tracks] == ["a", "b"]
    np.testing.assert_allclose(report.truths["b"], FLIGHTS["b"])


def test_a_report_survives_the_disk(report, tmp_path):
    report.write(tmp_path / "report")
    again = models_report.Report.read(tmp_path / "report")
    assert again.summary == report.summary
    pd.testing.assert_frame_equal(again.frames, report.frames)
    pd.testing.assert_frame_equal(again.per_clip, report.per_clip)


def test_viterbi_is_reported_beside_the_initial_track():
    figures = run(dataclasses.replace(EVALUATION, decoding="viterbi")).summary
    assert figures["initial_median_km"] == pytest.approx(figures["oracle_median_km"], abs=1.0)
    assert figures["decoding"] == "viterbi"


def test_motion_is_that_of_train_clips_of_the_same_mode():
    motion = dataclasses.replace(EVALUATION, decoding="motion")
    found = {split: run(motion, train=split).tracks for split in ("test", "train")}
    viterbi = run(dataclasses.replace(EVALUATION, decoding="viterbi")).tracks
    for unknown, known, wanted in zip(found["test"], found["train"], viterbi, strict=True):
        np.testing.assert_array_equal(unknown.latlon_T2, wanted.latlon_T2)
        assert (known.latlon_T2 != wanted.latlon_T2).any()


def test_a_folder_without_a_report_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"summary\.json is missing"):
        models_report.Report.read(tmp_path)


def test_an_empty_split_is_an_error():
    with pytest.raises(ValueError, match="no clip is in split 'train'"):
        run(EVALUATION, "train")


def test_a_mode_without_a_speed_limit_is_named():
    with pytest.raises(ValueError, match="no limit for mode 'flyover'"):
        run(dataclasses.replace(EVALUATION, max_speed_kmh={"car": 1.0}))
