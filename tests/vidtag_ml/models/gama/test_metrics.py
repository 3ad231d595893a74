"""Claims about cross-view metrics, against a second implementation that sorts."""

import dataclasses
import doctest
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from vidtag_ml import config
from vidtag_ml.earth import sphere
from vidtag_ml.models.gama import metrics as gama_metrics
from vidtag_ml.models.gama.metrics import Items, Rule

RADIUS_KM = 3956 * gama_metrics.KM_PER_MILE
PUBLISHED = config.load(Path(__file__).parents[4] / "params" / "paper_gama.yaml").gama
NEAR_KM, TOP1_KM = PUBLISHED.near_km, PUBLISHED.top1_km
IDENTITY = Rule(None, near_only_first=False, top1_km=TOP1_KM, radius_km=RADIUS_KM)
CENTRED = dataclasses.replace(IDENTITY, near_km=NEAR_KM)
REGIONS = dataclasses.replace(CENTRED, near_only_first=True)
FEW = np.array(
    [(1, 0, 0), (0, 1, 0), (0, 0, 1), (-1, 0, 0), (0.6, 0.8, 0), (0, 0.8, 0.6)], np.float32
)
"""Unit vectors of few different similarities, so that there are many ties."""


def items(vectors, identity, latlon=None):
    latlon = np.zeros((len(vectors), 2)) if latlon is None else np.asarray(latlon, float)
    return Items(torch.as_tensor(np.asarray(vectors)), np.asarray(identity), latlon)


def world(seed, num=30, size=40):
    """Queries and a gallery on a grid of 60 m; some queries want what is not there."""
    rng = np.random.default_rng(seed)
    places = [rng.integers(6, size=(n, 2)) * 0.06 / 111.195 for n in (num, size)]
    vectors = [FEW[rng.integers(len(FEW), size=n)] for n in (num, size)]
    wanted = rng.integers(size + 5, size=num)
    return items(vectors[0], wanted, places[0]), items(vectors[1], np.arange(size), places[1])


def km(a, b):
    (lat, lon), (to_lat, to_lon) = np.radians(a), np.radians(b)
    h = math.sin((to_lat - lat) / 2) ** 2
    h += math.cos(lat) * math.cos(to_lat) * math.sin((to_lon - lon) / 2) ** 2
    return 2 * RADIUS_KM * math.asin(math.sqrt(min(h, 1)))


def by_sorting(queries, gallery, rule, among=None):
    """First right answer's place when wrong ones come first among equals; the answer's distance."""
    found = []
    for n, query in enumerate(queries.embedding_NE.numpy()):
        rows = range(len(gallery.identity_N)) if among is None else list(among[n])
        away = {m: km(queries.latlon_N2[n], gallery.latlon_N2[m]) for m in rows}
        score = {m: round(float(query @ gallery.embedding_NE.numpy()[m]), 4) for m in rows}
        places = []
        for near_counts in (True, not rule.near_only_first):
            right = {m: gallery.identity_N[m] == queries.identity_N[n] for m in rows}
            if near_counts and rule.near_km is not None:
                right = {m: right[m] or away[m] <= rule.near_km for m in rows}
            order = sorted(rows, key=lambda m: (-score[m], right[m]))
            places.append(next((i for i, m in enumerate(order) if right[m]), math.inf))
        farthest = max(away[m] for m in rows if score[m] == max(score.values()))
        found.append((*places, farthest))
    return np.array(found).T


def reduced(seed, num=30, size=40):
    rng = np.random.default_rng(seed)
    return [rng.choice(size, rng.integers(1, 12), replace=False) for _ in range(num)]


def test_examples_in_docstrings_are_true():
    result = doctest.testmod(gama_metrics)
    assert (result.failed, result.attempted) == (0, 1)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("rule", [IDENTITY, CENTRED, REGIONS])
@pytest.mark.parametrize("part", [False, True], ids=["whole", "reduced"])
def test_figures_are_those_of_a_sorted_gallery(seed, rule, part, monkeypatch):
    monkeypatch.setattr(gama_metrics, "BLOCK", 7 * 40)
    queries, gallery = world(seed)
    among = reduced(seed) if part else None
    judged = gama_metrics.judge(queries, gallery, rule, among)
    first, place, top1_km = by_sorting(queries, gallery, rule, among)
    assert judged["rank"].tolist() == place.tolist()
    np.testing.assert_allclose(judged["top1_km"], top1_km, atol=1e-9)
    for k in (1, 5, 10):
        assert judged[f"recall_at_{k}"].tolist() == ((first if k == 1 else place) < k).tolist()
    figures = gama_metrics.figures(judged)
    assert figures["recall_at_1"] == (first < 1).mean()
    assert figures["top1_at_0.2mile"] == (top1_km <= 0.2 * 1.609344).mean()
    assert figures["top1_mean_km"] == pytest.approx(top1_km.mean())


def test_the_worlds_of_these_tests_have_what_they_are_for():
    queries, gallery = world(0)
    first, place, _ = by_sorting(queries, gallery, CENTRED)
    alone, _, _ = by_sorting(queries, gallery, IDENTITY)
    assert (first < alone).any()
    assert np.isinf(alone).any()
    assert 0 < (place < 1).mean() < 1


@pytest.mark.parametrize("rule", [IDENTITY, CENTRED])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_collapsed_encoder_gets_nothing(rule, dtype):
    latlon = np.random.default_rng(0).uniform(-60, 60, (150, 2))
    one = torch.nn.functional.normalize(torch.ones(150, 37), dim=1).to(dtype)
    same = Items(one, np.arange(150), latlon)
    figures = gama_metrics.figures(gama_metrics.judge(same, same, rule))
    assert [figures[f"recall_at_{k}"] for k in (1, 5, 10, "1pct", "10pct")] == [0.0] * 5
    assert figures["top1_at_1mile"] == 0.0
    assert figures["top1_mean_km"] > 5000


@pytest.mark.parametrize("rule", [IDENTITY, CENTRED, REGIONS])
def test_a_perfect_encoder_gets_everything(rule):
    latlon = np.random.default_rng(0).uniform(-60, 60, (150, 2))
    same = items(np.eye(150, dtype=np.float32), np.arange(150), latlon)
    figures = gama_metrics.figures(gama_metrics.judge(same, same, rule))
    assert figures.pop("gallery_size") == figures.pop("num_queries") == 150
    assert figures.pop("top1_mean_km") == 0.0
    assert set(figures.values()) == {1.0}


def test_figures_have_the_names_of_the_reports():
    figures = gama_metrics.figures(gama_metrics.judge(*world(0), CENTRED))
    recalls = [f"recall_at_{k}" for k in ("1", "5", "10", "1pct", "10pct")]
    shares = [f"top1_at_{t}mile" for t in ("0.1", "0.2", "0.5", "1")]
    assert list(figures) == ["num_queries", "gallery_size", *recalls, *shares, "top1_mean_km"]


def line(*at_km):
    """Positions on a meridian."""
    return np.array([(d / RADIUS_KM * 180 / np.pi, 10.0) for d in at_km])


NEIGHBOURS = items(FEW[:3], ["a", "b", "c"], line(0.0, 0.080, 0.5))


@pytest.mark.parametrize(("rule", "right"), [(IDENTITY, False), (CENTRED, True), (REGIONS, True)])
@pytest.mark.parametrize("wanted", ["a", "removed"])
def test_a_neighbour_within_80_metres_is_right_if_the_rule_says_so(rule, right, wanted):
    query = items(FEW[1:2], [wanted], line(0.0))
    assert gama_metrics.judge(query, NEIGHBOURS, rule)["recall_at_1"].tolist() == [right]


@pytest.mark.parametrize("at_km", [0.0804, 0.0805])
def test_the_distance_that_counts_is_a_twentieth_of_a_mile(at_km):
    gallery = items(FEW[:2], ["a", "b"], line(1.0, at_km))
    judged = gama_metrics.judge(items(FEW[1:2], ["a"], line(0.0)), gallery, CENTRED)
    assert judged["recall_at_1"].tolist() == [at_km < NEAR_KM]


def test_near_regions_count_for_the_first_answer_alone():
    size = 60
    vectors = np.eye(size, dtype=np.float32)
    gallery = items(vectors, np.arange(size), line(0.0, 0.05, *np.arange(1, size - 1)))
    query = items(vectors[1:2] * 0.8 - vectors[:1] * 0.6, [0], line(0.0))
    judged = gama_metrics.judge(query, gallery, REGIONS).iloc[0]
    assert (judged["recall_at_1"], judged["recall_at_5"], judged["rank"]) == (True, False, 59.0)
    assert gama_metrics.judge(query, gallery, CENTRED).iloc[0]["recall_at_5"]


def test_other_right_items_do_not_stand_before_the_first():
    gallery = items(FEW[[1, 1, 0]], ["a", "b", "c"], line(0.0, 0.01, 5.0))
    query = items(FEW[1:2], ["a"], line(0.0))
    assert gama_metrics.judge(query, gallery, CENTRED)["rank"].tolist() == [0.0]
    assert gama_metrics.judge(query, gallery, IDENTITY)["rank"].tolist() == [1.0]


def test_queries_whose_item_was_removed_are_wrong():
    query, gallery = items(FEW[:1], ["a"], line(0.0)), NEIGHBOURS
    kept = gama_metrics.judge(query, gallery, IDENTITY, [np.array([0, 2])])
    removed = gama_metrics.judge(query, gallery, IDENTITY, [np.array([1, 2])])
    assert kept["recall_at_10"].tolist() == [True]
    assert removed["recall_at_10"].tolist() == [False]
    assert np.isinf(removed["rank"]).all()
    assert removed["gallery_size"].tolist() == [2]
    assert "recall_at_1pct" not in removed


def test_answers_are_rows_of_the_whole_gallery():
    query = items(FEW[2:3], ["c"], line(0.0))
    judged = gama_metrics.judge(query, NEIGHBOURS, IDENTITY, [np.array([2])])
    assert (judged["top1"].iloc[0], judged["top1_km"].iloc[0]) == (2, pytest.approx(0.5))


def test_identities_may_be_anything_that_compares():
    queries, gallery = world(3)
    renamed = [
        dataclasses.replace(x, identity_N=np.array([f"t{i}" for i in x.identity_N]))
        for x in (queries, gallery)
    ]
    ours = gama_metrics.judge(*renamed, IDENTITY)
    assert ours.equals(gama_metrics.judge(queries, gallery, IDENTITY))


def test_distances_follow_the_protocols_radius():
    ours = dataclasses.replace(IDENTITY, radius_km=sphere.EARTH_RADIUS_KM)
    query = items(FEW[2:3], ["c"], line(0.0))
    both = [gama_metrics.judge(query, NEIGHBOURS, r)["top1_km"].iloc[0] for r in (ours, IDENTITY)]
    assert both[0] / both[1] == pytest.approx(6371.0088 / (3956 * 1.609344))


def test_thresholds_may_be_stated_in_tile_widths():
    rule = dataclasses.replace(IDENTITY, top1_km={"0.5tile": 0.6, "0.1tile": 0.4})
    judged = gama_metrics.judge(items(FEW[2:3], ["a"], line(0.0)), NEIGHBOURS, rule)
    assert judged["top1_at_0.5tile"].tolist() == [True]
    assert judged["top1_at_0.1tile"].tolist() == [False]


@pytest.mark.parametrize(
    ("queries", "gallery", "among", "complaint"),
    [
        (items(FEW[:1], ["a"]), items(FEW[:2], ["a", "a"]), None, "'a' more than once"),
        (items(FEW[:1, :2], ["a"]), NEIGHBOURS, None, "queries of width 2 in a gallery of width 3"),
        (items(FEW[:1], ["a"]), NEIGHBOURS, [], "1 queries, but 0 reduced galleries"),
        (items(FEW[:1], ["a"]), NEIGHBOURS, [np.array([], int)], "gallery of query 0 is empty"),
    ],
)
def test_what_does_not_fit_is_refused(queries, gallery, among, complaint):
    with pytest.raises(ValueError, match=complaint):
        gama_metrics.judge(queries, gallery, IDENTITY, among)


@pytest.mark.parametrize(
    ("vectors", "identity", "latlon", "complaint"),
    [
        (FEW * np.nan, range(6), None, "not finite or not of unit length"),
        (FEW * 2, range(6), None, "not finite or not of unit length"),
        (FEW[:0], [], None, "there is no embedding"),
        (FEW, range(5), None, "but 5 names"),
        (FEW, range(6), np.full((6, 2), np.nan), "6 items need a finite position"),
    ],
)
def test_items_are_complete_and_finite(vectors, identity, latlon, complaint):
    with pytest.raises(ValueError, match=complaint):
        items(vectors, list(identity), latlon)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rule", [IDENTITY, CENTRED, REGIONS])
def test_similarities_as_scores_are_judged_as_embeddings_are(seed, rule):
    (queries, gallery), among = world(seed), reduced(seed)
    score_NM = (queries.embedding_NE @ gallery.embedding_NE.T).numpy()
    scores = [score_M[rows] for score_M, rows in zip(score_NM, among, strict=True)]
    found = gama_metrics.judge_scored(queries, gallery, rule, among, scores)
    pd.testing.assert_frame_equal(found, gama_metrics.judge(queries, gallery, rule, among))


def test_scores_decide_and_not_embeddings():
    query, rows = items(FEW[:1], ["a"], line(0.0)), np.array([2, 0])
    found = gama_metrics.judge_scored(query, NEIGHBOURS, IDENTITY, [rows], [np.array([-1.0, -2.0])])
    assert (found["top1"].tolist(), found["rank"].tolist()) == ([2], [1.0])
    assert found["top1_km"].tolist() == pytest.approx([0.5])
    assert found["gallery_size"].tolist() == [2]


@pytest.mark.parametrize(
    ("among", "scores", "complaint"),
    [
        ([np.array([0, 2])], [np.ones(3)], "query 0: 2 items, but 3 scores"),
        ([np.array([0, 2])], [np.ones(1)], "query 0: 2 items, but 1 scores"),
        ([np.array([0, 2])], [], "shorter than argument 1"),
        ([], [], "1 queries, but 0 reduced galleries"),
    ],
)
def test_scores_are_as_many_as_the_items_that_they_are_of(among, scores, complaint):
    query = items(FEW[:1], ["a"], line(0.0))
    with pytest.raises(ValueError, match=complaint):
        gama_metrics.judge_scored(query, NEIGHBOURS, IDENTITY, among, scores)
