"""Galleries: the lattice, the grid, their files, their audit, and search against plain top-k."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from vidtag_ml import config, gallery, geo

LATTICE = config.Gallery(source="lattice", spacing_km=150.0, coast_km=300.0, padding_deg=0.0)
GRID = config.Gallery(source="grid", spacing_km=0.5, coast_km=0.0, padding_deg=0.02)


def unit_rows(num, width=16, seed=0):
    rows = torch.randn(num, width, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(rows, dim=1)


def fixes(*latlon):
    return pd.DataFrame(latlon, columns=["lat", "lon"])


@pytest.fixture(scope="module")
def lattice():
    return gallery.build(LATTICE, None).to_numpy()


def test_lattice_has_the_spacing_asked_for(lattice):
    spacing = gallery.spacing_km(lattice)
    assert np.median(spacing) == pytest.approx(150.0, rel=0.1)
    assert spacing.min() > 0.8 * 150.0


def test_lattice_covers_land_and_coast_and_leaves_out_the_ocean(lattice):
    cities = [(48.86, 2.35), (-33.87, 151.21), (21.31, -157.86), (-17.7, 178.0), (40.71, -74.01)]
    oceans = [(0.0, -30.0), (0.0, -140.0), (-20.0, 80.0), (35.0, 170.0)]
    assert gallery.oracle_km(lattice, cities).max() < 150.0
    assert gallery.oracle_km(lattice, oceans).min() > 150.0


def test_lattice_shrinks_with_the_coast():
    narrow = config.Gallery(source="lattice", spacing_km=150.0, coast_km=0.0, padding_deg=0.0)
    every = round(4 * np.pi * (geo.EARTH_RADIUS_KM / 150.0) ** 2)
    assert 0.27 < len(gallery.build(narrow, None)) / every < 0.33


def test_grid_covers_the_train_fixes_at_its_spacing():
    train = fixes((48.80, 2.30), (48.90, 2.40), (48.85, 2.35))
    grid = gallery.build(GRID, train).to_numpy()
    assert gallery.oracle_km(grid, train.to_numpy()).max() <= 0.5 * np.sqrt(0.5) * 1.01
    area_km2 = 0.14**2 * geo.KM_PER_DEGREE**2 * np.cos(np.radians(48.85))
    assert len(grid) == pytest.approx(area_km2 / 0.5**2, rel=0.05)


def test_grid_joins_cells_across_the_date_line_only():
    near = gallery.build(GRID, fixes((-17.0, 179.99), (-17.0, -179.99))).to_numpy()
    apart = gallery.build(GRID, fixes((-17.0, 170.0), (-17.0, -170.0))).to_numpy()
    assert len(near) < 2 * len(apart)
    assert np.abs(near[:, 1]).min() > 179.9
    assert np.abs(apart[:, 1]).max() < 171.0


def test_grid_is_not_widened_by_an_outlier():
    rng = np.random.default_rng(0)
    many = np.column_stack([rng.uniform(10.0, 10.1, 999), rng.uniform(20.0, 20.1, 999)])
    stray = np.vstack([many, [10.4, 20.4]])
    assert gallery.build(GRID, fixes(*stray)).to_numpy().max(0)[0] < 10.2


@pytest.mark.parametrize(
    ("settings", "train", "says"),
    [
        (config.Gallery("lattice", 0.0, 1.0, 0.0), None, "must be positive"),
        (config.Gallery("lattice", 0.1, 1.0, 0.0), None, "51,006"),
        (GRID, None, "fixes of the train split"),
        (GRID, fixes(), "no fix"),
    ],
)
def test_settings_that_make_no_gallery_are_named(settings, train, says):
    with pytest.raises(ValueError, match=says):
        gallery.build(settings, train)


def test_a_gallery_survives_the_disk_and_equal_points_give_equal_bytes(tmp_path):
    points = fixes((1.0, 2.0), (-89.999999999, 179.123456789012))
    for name in ("a", "b"):
        gallery.write(tmp_path / name, points, {"source": "lattice", "spacing_km": 40.0})
    one, other = gallery.read(tmp_path / "a"), gallery.read(tmp_path / "b")
    np.testing.assert_array_equal(one.latlon_G2, points.to_numpy())
    assert one.protocol == {"source": "lattice", "spacing_km": 40.0, "size": 2}
    assert one.digest == other.digest


def test_a_folder_without_a_gallery_says_what_makes_one(tmp_path):
    with pytest.raises(ValueError, match=r"holds no gallery; `vidtag gallery`"):
        gallery.read(tmp_path)


def test_swapped_coordinates_are_refused():
    with pytest.raises(ValueError, match=r"\[151.0, -33.0\] is not \(lat, lon\)"):
        gallery.Gallery(np.array([[151.0, -33.0]]), {}, "")


def test_oracle_is_the_nearest_great_circle_distance(lattice):
    points = np.random.default_rng(0).uniform((-90, -180), (90, 180), (20, 2))
    wanted = [float(geo.great_circle_km(lattice, p).min()) for p in points]
    np.testing.assert_allclose(gallery.oracle_km(lattice, points), wanted, rtol=1e-9)


def test_leaks_count_points_within_a_metre(lattice):
    metre_deg = 0.001 / geo.KM_PER_DEGREE
    at = lattice[:3] + np.array([[0, 0], [0.9 * metre_deg, 0], [1.2 * metre_deg, 0]])
    assert gallery.leaks(lattice, at) == 2
    json.dumps(gallery.coverage(lattice, at), allow_nan=False)


@pytest.mark.parametrize(
    ("queries", "size", "k"), [(7, 500, 3), (9, 3000, 5), (3, 40, 40), (0, 9, 2)]
)
def test_search_equals_plain_top_k(queries, size, k, monkeypatch):
    monkeypatch.setattr(gallery, "QUERY_ROWS", 4)
    monkeypatch.setattr(gallery, "GALLERY_ROWS", 1031)
    ours, bank = unit_rows(queries, seed=1), unit_rows(size, seed=2)
    scores, index = gallery.search(ours, bank, k)
    wanted = (ours @ bank.T).topk(k, 1)
    torch.testing.assert_close(scores, wanted.values)
    assert torch.equal(index, wanted.indices)


def test_search_finds_itself_in_a_float16_gallery():
    bank = unit_rows(2000)
    scores, index = gallery.search(bank[::100], bank.half(), 2)
    assert index[:, 0].tolist() == list(range(0, 2000, 100))
    assert scores.dtype == torch.float32


@pytest.mark.parametrize("k", [0, 11])
def test_more_neighbours_than_entries_are_refused(k):
    with pytest.raises(ValueError, match="the gallery has 10 entries"):
        gallery.search(unit_rows(2), unit_rows(10), k)


def test_grid_ignores_dropped_and_unknown_fixes():
    good = fixes((48.80, 2.30), (48.90, 2.40)).assign(status="measured")
    bad = fixes((10.0, 10.0), (np.nan, np.nan)).assign(status=["dropped", "measured"])
    grid = gallery.build(GRID, pd.concat([good, bad]))
    pd.testing.assert_frame_equal(grid, gallery.build(GRID, good))
