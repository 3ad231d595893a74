"""Claims about the classifiers: cells cover the train coordinates, and answers are cells."""

import numpy as np
import pytest
import torch

from vidtag_ml.earth import sphere
from vidtag_ml.models import base, networks
from vidtag_ml.models.classifier.network import CellClassifier, Sizes, cells


def two_cities(num=200):
    rng = np.random.default_rng(0)
    centres = np.array([(48.86, 2.35), (-33.87, 151.21)])[rng.integers(2, size=num)]
    return sphere.destination(centres, rng.uniform(0, 360, num), rng.uniform(0, 5, num))


@pytest.fixture
def model():
    torch.manual_seed(0)
    made = CellClassifier(Sizes(3), {"clip": 8}).eval()
    made.cells_K2.copy_(torch.tensor([(0.0, 0.0), (10.0, 179.9), (-60.0, 20.0)]))
    return made


@pytest.mark.parametrize("cell_km", [1.0, 3.0])
def test_cells_are_about_as_wide_as_asked_for(cell_km):
    points = two_cities(2000)
    centres = cells(points, cell_km, seed=0)
    apart = sphere.great_circle_km(points[:, None], centres).min(1)
    assert np.median(apart) < cell_km
    assert len(cells(points, 2 * cell_km, seed=0)) < len(centres)


def test_cells_follow_their_seed_and_hold_a_point_each():
    points = two_cities()
    centres = cells(points, 3.0, seed=1)
    assert np.array_equal(centres, cells(points, 3.0, seed=1))
    nearest = sphere.great_circle_km(points[:, None], centres).argmin(1)
    assert set(nearest) == set(range(len(centres)))


def test_cells_of_nothing_are_refused():
    with pytest.raises(ValueError, match=r"0 points make no cells of 1\.0 km"):
        cells(np.empty((0, 2)), 1.0, seed=0)


def test_a_place_lies_in_its_nearest_cell_across_the_date_line(model):
    places = torch.tensor([(9.0, -179.0), (1.0, 1.0), (-90.0, 0.0)], dtype=torch.float64)
    assert model.cell_of(places).tolist() == [1, 0, 2]


def test_inner_products_are_the_layers_logits(model):
    features = torch.randn(2, 3, 8).half()
    valid, time = torch.ones(2, 3, dtype=torch.bool), torch.zeros(2, 3)
    frames = model.embed_frames(features, valid, time)
    products = model.scale() * frames @ model.embed_locations(model.cells_K2).T
    torch.testing.assert_close(products, model.scores(features))


def test_a_saved_classifier_comes_back_with_its_cells(model, tmp_path):
    base.save(model, tmp_path)
    loaded = networks.load(tmp_path)
    assert isinstance(loaded, CellClassifier)
    assert torch.equal(loaded.cells_K2, model.cells_K2)
    assert loaded.widths == {"clip": 8}
