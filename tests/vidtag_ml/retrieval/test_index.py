"""Retrieval: every index against exact search, and exact search against plain top-k."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from vidtag_ml import config
from vidtag_ml.earth import sphere
from vidtag_ml.models import networks
from vidtag_ml.retrieval import embeddings, gallery, search
from vidtag_ml.retrieval import index as retrieval_index

PARAMS = config.load(Path(__file__).parents[3] / "params.yaml")
SEARCH = PARAMS.evaluation.search
SPACING_KM = 600.0


@pytest.fixture(scope="module")
def model():
    """Random weights over waves of 10,000 km: smooth between points that are 600 km apart."""
    torch.manual_seed(0)
    location = config.Location(sigmas=(1.0, 2.0), num_frequencies=64, hidden=64)
    sizes = dataclasses.replace(PARAMS.model, embed_dim=32, location=location)
    return networks.build("geoclip", sizes, {"clip": 4}).eval()


@pytest.fixture(scope="module")
def points():
    size = round(4 * np.pi * (sphere.EARTH_RADIUS_KM / SPACING_KM) ** 2)
    return gallery.Gallery(sphere.equal_area_lattice(size), {"spacing_km": SPACING_KM}, "")


@pytest.fixture(scope="module")
def queries(model):
    """Embeddings of 200 places, blurred as those of frames are."""
    generator = torch.Generator().manual_seed(1)
    places = sphere.from_unit_vectors(torch.randn(200, 3, generator=generator).numpy())
    exact = embeddings.embed_gallery(model, places)
    noise = torch.randn(exact.shape, generator=generator)
    return torch.nn.functional.normalize(exact + 0.02 * noise, dim=1), places


def index_of(model, points, **settings):
    embedding = embeddings.embed_gallery(model, points.latlon_G2)
    return retrieval_index.build_index(
        model, points, embedding, dataclasses.replace(SEARCH, **settings)
    )


def unit_rows(num, width=16, seed=0):
    rows = torch.randn(num, width, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(rows, dim=1)


@pytest.mark.parametrize(
    ("queries", "size", "k"), [(7, 500, 3), (9, 3000, 5), (3, 40, 40), (0, 9, 2)]
)
def test_search_equals_plain_top_k(queries, size, k, monkeypatch):
    monkeypatch.setattr(search, "QUERY_ROWS", 4)
    monkeypatch.setattr(search, "GALLERY_ROWS", 1031)
    ours, bank = unit_rows(queries, seed=1), unit_rows(size, seed=2)
    scores, index = search.search(ours, bank, k)
    wanted = (ours @ bank.T).topk(k, 1)
    torch.testing.assert_close(scores, wanted.values)
    assert torch.equal(index, wanted.indices)


def test_search_finds_itself_in_a_float16_gallery():
    bank = unit_rows(2000)
    scores, index = search.search(bank[::100], bank.half(), 2)
    assert index[:, 0].tolist() == list(range(0, 2000, 100))
    assert scores.dtype == torch.float32


@pytest.mark.parametrize("k", [0, 11])
def test_more_neighbours_than_entries_are_refused(k):
    with pytest.raises(ValueError, match="the gallery has 10 entries"):
        search.search(unit_rows(2), unit_rows(10), k)


@pytest.mark.parametrize("kept", [torch.float16, torch.float32])
def test_exact_search_copies_nothing(kept):
    bank, latlon = unit_rows(50).to(kept), np.zeros((50, 2))
    hits = retrieval_index.Exact(latlon, bank).search(unit_rows(3), 60)
    assert hits.embedding_MD is bank
    assert hits.latlon_M2 is latlon
    assert hits.latlon_NK2.shape == (3, 50, 2)


def test_points_and_embeddings_of_two_galleries_are_refused():
    with pytest.raises(ValueError, match="9 points but 10 embeddings"):
        retrieval_index.Exact(np.zeros((9, 2)), unit_rows(10))


def best(index, given):
    hits = index.search(given, 4)
    return hits.latlon_NK2[:, 0], hits.score_NK[:, 0]


@pytest.fixture(scope="module")
def fine_and_exact(model, points, queries):
    """The best of coarse-to-fine and of exact search over the finest grid."""
    fine = index_of(model, points, method="coarse_to_fine", finest_km=100.0, beam=32)
    every = retrieval_index.finest_grid(points, 100.0)
    return best(fine, queries[0]), best(index_of(model, every, method="exact"), queries[0])


def test_coarse_to_fine_equals_exact_search_over_the_finest_grid(fine_and_exact):
    (ours, ours_score), (theirs, theirs_score) = fine_and_exact
    same = sphere.great_circle_km(ours, theirs) < 0.001
    assert same.mean() >= 0.99
    torch.testing.assert_close(ours_score[same], theirs_score[same])


def test_errors_of_coarse_to_fine_have_no_worse_tail(fine_and_exact, queries):
    ours, theirs = (sphere.great_circle_km(found, queries[1]) for (found, _) in fine_and_exact)
    for share in (50, 95, 99, 100):
        assert np.percentile(ours, share) <= np.percentile(theirs, share) * 1.01


def test_a_query_gets_what_it_gets_alone_or_better(model, points, queries):
    fine = index_of(model, points, method="coarse_to_fine", finest_km=100.0, beam=2)
    together = best(fine, queries[0][:20])[1]
    alone = torch.cat([best(fine, query[None])[1] for query in queries[0][:20]])
    assert (together >= alone - 1e-6).all()


def test_what_is_fine_enough_is_not_divided(model, points, queries):
    fine = index_of(model, points, method="coarse_to_fine", finest_km=SPACING_KM)
    exact = index_of(model, points, method="exact")
    np.testing.assert_array_equal(best(fine, queries[0])[0], best(exact, queries[0])[0])


def test_hits_are_as_many_as_asked_for_whatever_the_beam(model, points, queries):
    fine = index_of(model, points, method="coarse_to_fine", finest_km=100.0, beam=4)
    hits = fine.search(queries[0][:1], 9)
    assert hits.score_NK.shape == (1, 9)
    assert (hits.score_NK.diff(dim=1) <= 0).all()
    embedded = hits.embeddings(hits.index_NK[:, 0])
    torch.testing.assert_close((embedded * queries[0][:1]).sum(1), hits.score_NK[:, 0])


def test_the_finest_grid_has_all_descendants_of_all_points(points):
    grid = retrieval_index.finest_grid(points, 200.0)
    assert len(grid.latlon_G2) == 16 * len(points.latlon_G2)
    assert grid.protocol == {"spacing_km": 150.0, "divided_from_km": 600.0}
    away = sphere.great_circle_km(grid.latlon_G2.reshape(-1, 16, 2), points.latlon_G2[:, None])
    np.testing.assert_allclose(away.max(1), 225 * np.sqrt(2), rtol=0.02)


def test_a_finest_grid_too_large_to_be_built_is_refused(points):
    with pytest.raises(ValueError, match="more than 2,000,000"):
        retrieval_index.finest_grid(points, 1.0)


def test_a_gallery_without_a_spacing_has_no_cells(model):
    unknown = gallery.Gallery(np.zeros((1, 2)), {}, "")
    with pytest.raises(ValueError, match="without a spacing"):
        index_of(model, unknown, method="coarse_to_fine")


@pytest.mark.parametrize(
    ("settings", "share"),
    [
        ({"method": "faiss_flat"}, 1.0),
        ({"method": "faiss_ivf", "num_lists": 20, "num_probes": 20}, 1.0),
        ({"method": "faiss_ivf", "num_lists": 20, "num_probes": 5}, 0.99),
    ],
)
def test_faiss_finds_what_exact_search_finds(model, points, queries, settings, share):
    pytest.importorskip("faiss")
    ours = best(index_of(model, points, **settings), queries[0])[0]
    theirs = best(index_of(model, points, method="exact"), queries[0])[0]
    assert (ours == theirs).all(1).mean() >= share


def test_lists_that_hold_too_few_points_do_not_end_the_search(model, points, queries):
    pytest.importorskip("faiss")
    size = len(points.latlon_G2)
    few = index_of(model, points, method="faiss_ivf", num_lists=size // 4, num_probes=1)
    hits = few.search(queries[0], 32)
    exact = index_of(model, points, method="exact").search(queries[0], 32)
    assert (hits.index_NK >= 0).all()
    torch.testing.assert_close(hits.score_NK, exact.score_NK)


def test_more_lists_than_points_are_refused():
    with pytest.raises(ValueError, match="num_lists 30 do not fit 10 points"):
        retrieval_index.Faiss(np.zeros((10, 2)), unit_rows(10), num_lists=30, num_probes=2)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"method": "exact"}, {"search": "exact"}),
        (
            {"method": "coarse_to_fine", "finest_km": 100.0, "beam": 8},
            {"search": "coarse_to_fine", "search_finest_km": 75.0, "search_beam": 8},
        ),
        ({"method": "faiss_flat"}, {"search": "faiss_flat"}),
        (
            {"method": "faiss_ivf", "num_lists": 4, "num_probes": 2},
            {"search": "faiss_ivf", "search_num_lists": 4, "search_num_probes": 2},
        ),
    ],
)
def test_every_index_says_how_it_searches(model, points, settings, says):
    if settings["method"].startswith("faiss"):
        pytest.importorskip("faiss")
    assert index_of(model, points, **settings).protocol == says
