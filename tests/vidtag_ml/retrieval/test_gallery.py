"""Galleries: lattice, grid, cities, released files; their own files, audit and finer points."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from vidtag_ml import config
from vidtag_ml.earth import sphere
from vidtag_ml.retrieval import gallery, index

LATTICE = config.Gallery(
    source="lattice", file=None, spacing_km=150.0, coast_km=300.0, padding_deg=0.0
)
GRID = dataclasses.replace(LATTICE, source="grid", spacing_km=0.5, padding_deg=0.02)
CITIES = dataclasses.replace(LATTICE, source="cities")
FILE = dataclasses.replace(LATTICE, source="file")


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
    narrow = dataclasses.replace(LATTICE, coast_km=0.0)
    every = round(4 * np.pi * (sphere.EARTH_RADIUS_KM / 150.0) ** 2)
    assert 0.27 < len(gallery.build(narrow, None)) / every < 0.33


def test_grid_covers_the_train_fixes_at_its_spacing():
    train = fixes((48.80, 2.30), (48.90, 2.40), (48.85, 2.35))
    grid = gallery.build(GRID, train).to_numpy()
    assert gallery.oracle_km(grid, train.to_numpy()).max() <= 0.5 * np.sqrt(0.5) * 1.01
    area_km2 = 0.14**2 * sphere.KM_PER_DEGREE**2 * np.cos(np.radians(48.85))
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
        (dataclasses.replace(LATTICE, spacing_km=0.0), None, "must be positive"),
        (dataclasses.replace(LATTICE, spacing_km=0.1), None, "51,006"),
        (GRID, None, "grid, which needs the fixes of the train split"),
        (CITIES, None, "cities, which needs the fixes of the train split"),
        (GRID, fixes(), "no fix"),
        (FILE, None, "gallery.file names none"),
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
    wanted = [float(sphere.great_circle_km(lattice, p).min()) for p in points]
    np.testing.assert_allclose(gallery.oracle_km(lattice, points), wanted, rtol=1e-9)


def test_leaks_count_points_within_a_metre(lattice):
    metre_deg = 0.001 / sphere.KM_PER_DEGREE
    at = lattice[:3] + np.array([[0, 0], [0.9 * metre_deg, 0], [1.2 * metre_deg, 0]])
    assert gallery.leaks(lattice, at) == 2
    json.dumps(gallery.coverage(lattice, at), allow_nan=False)


def test_grid_ignores_dropped_and_unknown_fixes():
    good = fixes((48.80, 2.30), (48.90, 2.40)).assign(status="measured")
    bad = fixes((10.0, 10.0), (np.nan, np.nan)).assign(status=["dropped", "measured"])
    grid = gallery.build(GRID, pd.concat([good, bad]))
    pd.testing.assert_frame_equal(grid, gallery.build(GRID, good))


def centres(*rows, fix_source="city_centre"):
    table = pd.DataFrame(rows, columns=["city", "country", "lat", "lon"])
    return table.assign(state="x", continent="y", fix_source=fix_source, status="measured")


def test_cities_are_the_distinct_centres_with_their_labels(tmp_path):
    train = centres(
        ("Rome", "IT", 41.9, 12.5), ("Bern", "CH", 46.9, 7.4), ("Rome", "IT", 41.9, 12.5)
    )
    gallery.write(tmp_path, gallery.build(CITIES, train), {"source": "cities"})
    points = gallery.read(tmp_path)
    np.testing.assert_array_equal(points.latlon_G2, [[46.9, 7.4], [41.9, 12.5]])
    assert points.labels.to_dict("list") == {
        "city": ["Bern", "Rome"],
        "state": ["x", "x"],
        "country": ["CH", "IT"],
        "continent": ["y", "y"],
    }


def test_cities_are_told_apart_by_country():
    train = centres(("Paris", "FR", 48.9, 2.4), ("Paris", "US", 33.7, -95.6))
    assert len(gallery.build(CITIES, train)) == 2


@pytest.mark.parametrize(
    ("train", "says"),
    [
        (centres(("Rome", "IT", 41.9, 12.5), fix_source="gpx"), "no fix of the train split"),
        (centres(("Rome", "IT", 41.9, 12.5), ("Rome", "IT", 42.0, 12.5)), "Rome has more than one"),
    ],
)
def test_fixes_that_give_no_cities_are_named(train, says):
    with pytest.raises(ValueError, match=says):
        gallery.build(CITIES, train)


def test_a_released_gallery_keeps_its_points_and_their_order(tmp_path):
    (tmp_path / "released.csv").write_text("LAT,LON\n-55.94,179.98\n79.52,-179.74\n-55.94,179.98\n")
    points = gallery.build(FILE, file=tmp_path / "released.csv")
    wanted = [[-55.94, 179.98], [79.52, -179.74], [-55.94, 179.98]]
    np.testing.assert_array_equal(points[["lat", "lon"]], wanted)


@pytest.mark.parametrize("text", ["lat,lon\n1,2\n", "LAT,LON\nnorth,2\n", ""])
def test_a_file_that_is_no_released_gallery_is_named(text, tmp_path):
    (tmp_path / "other.csv").write_text(text)
    with pytest.raises(ValueError, match=r"other\.csv: not a gallery with columns LAT and LON"):
        gallery.build(FILE, file=tmp_path / "other.csv")


@pytest.mark.parametrize(
    ("finest_km", "sides"), [(150.0, []), (100.0, [150.0]), (37.5, [150.0, 75.0])]
)
def test_cells_are_divided_until_they_are_fine_enough(finest_km, sides):
    assert gallery.halvings(150.0, finest_km) == sides


@pytest.mark.parametrize("lengths", [(0.0, 1.0), (1.0, 0.0)])
def test_lengths_that_divide_nothing_are_refused(lengths):
    with pytest.raises(ValueError, match="both must be positive"):
        gallery.halvings(*lengths)


def test_ceiling_of_the_finest_grid_is_that_of_all_its_points(lattice):
    entries = gallery.Gallery(lattice, {"spacing_km": 150.0}, "")
    inland = lattice[np.random.default_rng(0).choice(len(lattice), 200)]
    points = sphere.destination(inland, np.arange(200.0), np.linspace(0, 300, 200))
    every = index.finest_grid(entries, 40.0).latlon_G2
    found = gallery.finest_oracle_km(lattice, 150.0, 40.0, points)
    np.testing.assert_allclose(found, gallery.oracle_km(every, points), atol=1e-6)
    assert np.median(found) < 20


def test_points_are_to_a_centimetre_so_that_no_cpu_s_last_bits_are_in_them(lattice):
    grid = gallery.build(GRID, fixes((48.8, 2.3), (48.9, 2.4))).to_numpy()
    for points in (lattice, grid):
        assert (points == points.round(7)).all()
        assert len(np.unique(points, axis=0)) == len(points)
