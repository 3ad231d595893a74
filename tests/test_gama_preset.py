"""GAMa on a miniature of its published layout: from recordings and tiles to the report.

The preset stays as it is but for sizes: networks of width 4, pictures of 24 pixels, an epoch.
"""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from tests.data import bdd100k
from vidtag_ml import config
from vidtag_ml.earth import sphere
from vidtag_ml.ingest import stages as ingest_stages
from vidtag_ml.models import report as models_report
from vidtag_ml.models.gama import embedding as gama_embedding
from vidtag_ml.models.gama import metrics as gama_metrics
from vidtag_ml.models.gama import stages as gama_stages
from vidtag_ml.models.gama import train as training
from vidtag_ml.models.stages import STAGES as ALL_STAGES
from vidtag_ml.retrieval import embeddings
from vidtag_ml.workflow import layout

ROOT = Path(__file__).parents[1]
NETWORK = {"width": 4, "blocks": 1, "epochs": 1, "precision": "float32"}
SMALL = {
    "aerial": {"tile_pixels": 28},
    "gama": {
        **NETWORK,
        "batch_size": 4,
        "ground_start": None,
        "aerial_start": None,
        "frame_size": [18, 32],
        "clip_crop": [16, 28],
        "tile_crop": 24,
        "all_data": True,
    },
    "screening": {
        **NETWORK,
        "batch_size": 4,
        "frames_per_clip": 4,
        "small_start": None,
        "large_start": None,
        "fine_tune_epochs": 1,
    },
    "evaluation": {"bootstrap_draws": 20},
}
STAGES = ("aerial_gallery", "aerial_pixels", "gama", "screening", "heading", "evaluate_gama")


OTHER = {
    "aerial": {**SMALL["aerial"], "kind": "uncentred"},
    "gama": {**SMALL["gama"], "all_data": False, "tx": "none"},
    "screening": {**SMALL["screening"], "sequence": "3d", "fine_tune_epochs": 0},
    "evaluation": SMALL["evaluation"],
}
"""By day alone (which is one video here), tiles of the grid, ablations."""


def run(root, changes, *, videos):
    """The params of a workspace in which every stage of GAMa has run."""
    base = str(ROOT / "params" / "paper_gama.yaml")
    (root / "params.yaml").write_text(yaml.safe_dump({"base": base, **changes}))
    params = config.load(root / "params.yaml")
    bdd100k.make(root / params.clips.folder, aerial=True, seconds=17, videos=videos)
    assert ingest_stages.ingest(root, params)
    for name in STAGES:
        assert ALL_STAGES[name](root, params), name
    return params


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A workspace in which every stage of GAMa has run, and its params."""
    root = tmp_path_factory.mktemp("gama")
    return root, run(root, SMALL, videos=False)


@pytest.fixture(scope="module")
def report(made):
    root, params = made
    return models_report.Report.read(layout.of(root, params).evaluation("gama"))


@pytest.fixture(scope="module")
def world(made):
    root, params = made
    return gama_stages.world(layout.of(root, params), params)


def test_nothing_is_made_again(made):
    root, params = made
    assert not any(ALL_STAGES[name](root, params) for name in STAGES)


def test_every_figure_has_its_gallery_s_size(report):
    figures = report.summary
    for prefix in ("", "strict_", "top10_", "top1pct_", "top10pct_", "hierarchical_", "screening_"):
        assert figures[f"{prefix}gallery_size"] >= 1
        assert 0 <= figures[f"{prefix}recall_at_1"] <= figures[f"{prefix}recall_at_10"] <= 1
    assert figures["screening_gallery_size"] == 3
    assert figures["top1pct_gallery_size"] < figures["gallery_size"]
    assert "top1_at_1mile" in figures
    assert "top1pct_recall_at_1pct" not in figures


def test_regions_of_a_reduced_gallery_hold_the_answers(made, world, report):
    kept = report.frames[["clip", "hierarchical_top1", "hierarchical_gallery_size"]]
    region = world.tiles.table.set_index("tile_id")["region"]
    of_answer = kept["hierarchical_top1"].map(region)
    assert of_answer.groupby(kept["clip"]).nunique().tolist() == [1] * 3  # 1 % of three is one
    sizes = region.value_counts()
    assert (kept["hierarchical_gallery_size"] == of_answer.map(sizes)).all()


def test_flat_figures_are_those_of_a_sorted_gallery(made, world, report):
    root, params = made
    at = layout.of(root, params)
    drives = gama_stages.drives(at, params, "test")
    rows = np.unique(np.concatenate([drive.tile_N for drive in drives]))
    bank = embeddings.read(at.model("gama") / gama_embedding.FILE)[torch.from_numpy(rows)].float()
    seen = gama_embedding.clips_seen(drives, world.footage, params.gama)
    model = gama_embedding.read_gama(at.model("gama"))
    clips = gama_embedding.embed_clips(model, params.gama, seen, drives, world.footage)
    score = (clips @ bank.T).numpy()
    wanted = np.array([np.flatnonzero(rows == drives[k].tile_N[fix])[0] for k, fix in seen])
    own = score[np.arange(len(seen)), wanted]
    rank = (score >= own[:, None] - gama_metrics.TIE).sum(1) - 1
    assert report.summary["strict_recall_at_5"] == pytest.approx((rank < 5).mean())
    assert report.summary["strict_gallery_size"] == len(rows)


def test_tracks_begin_at_the_answers_of_the_flat_search_and_end_near_the_way_s(report, world):
    place = pd.DataFrame(world.tiles.latlon_G2, world.tiles.ids)
    assert report.summary["track"] == "turned"
    way = place.loc[report.frames["turned_top1"]].to_numpy()
    away_km = sphere.great_circle_km(report.frames[["lat", "lon"]].to_numpy(), way)
    assert np.median(away_km) <= world.tiles.protocol["tile_km"]
    assert (
        report.frames[["initial_lat", "initial_lon"]].to_numpy() == place.loc[report.frames["top1"]]
    ).all(None)
    assert len(report.tracks) == 3
    errors = report.frames["error_km"]
    assert report.summary["median_km"] == pytest.approx(np.median(errors))
    assert report.summary["turned_median_km"] == pytest.approx(np.median(errors))


def trained(out, world, settings):
    training.train_gama(settings, world, out, progress=False)
    return (out / "model.safetensors").read_bytes()


def test_a_resumed_training_ends_as_if_it_had_never_stopped(made, world, tmp_path, monkeypatch):
    def stop(*_):
        raise InterruptedError

    settings = dataclasses.replace(made[1].gama, epochs=2)
    whole = trained(tmp_path / "whole", world, settings)
    monkeypatch.setattr(training.fit, "finish", stop)
    with pytest.raises(InterruptedError):
        trained(tmp_path / "part", world, dataclasses.replace(settings, epochs=1))
    monkeypatch.undo()
    assert trained(tmp_path / "part", world, settings) == whole


def test_embeddings_that_were_stopped_need_no_second_training(made, world, tmp_path, monkeypatch):
    out = tmp_path / "gama"
    shutil.copytree(layout.of(*made).model("gama"), out)
    whole = (out / gama_embedding.FILE).read_bytes()
    (out / gama_embedding.FILE).unlink()
    monkeypatch.setattr(training.fit, "fit", None)
    training.train_gama(made[1].gama, world, out, progress=False)
    assert (out / gama_embedding.FILE).read_bytes() == whole


def test_ablations_run_on_tiles_of_the_grid_and_video_files(tmp_path):
    params = run(tmp_path, OTHER, videos=True)
    at = layout.of(tmp_path, params)
    assert len(gama_stages.drives(at, params, "train")) == 1
    figures = models_report.Report.read(at.evaluation("gama")).summary
    assert figures["gallery_size"] == 3 * 49
    assert figures["near_km"] is None
    assert figures["recall_at_5"] == figures["strict_recall_at_5"]
    assert figures["screening_recall_at_1"] == figures["screening_before_recall_at_1"]
