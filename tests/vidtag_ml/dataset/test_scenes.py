"""Soft scene labels: land cover by places everyone knows, and tables that datasets bring."""

import doctest
import time

import numpy as np
import pandas as pd
import pytest

from vidtag_ml.dataset import scenes
from vidtag_ml.earth import sphere

SAHARA, GREENLAND, PACIFIC, AMAZON = (23.0, 12.0), (73.0, -40.0), (5.0, -150.0), (-4.0, -64.0)


def fixes(**points):
    rows = [(clip, *latlon) for clip, track in points.items() for latlon in np.atleast_2d(track)]
    return pd.DataFrame(rows, columns=["clip_id", "lat", "lon"])


def cover(*latlon_2):
    table = fixes(**{f"clip{k}": point for k, point in enumerate(latlon_2)})
    return scenes.land_cover(table, [f"clip{k}" for k in range(len(latlon_2))])


def test_examples_in_docstrings_are_true():
    result = doctest.testmod(scenes)
    assert (result.failed, result.attempted) == (0, 1)


def test_desert_ice_sea_and_forest_are_different_scenes():
    scene_NS = cover(SAHARA, GREENLAND, PACIFIC, AMAZON)
    assert scene_NS.sum(1) == pytest.approx(1.0)
    assert len(set(scene_NS.argmax(1))) == 4
    assert (scene_NS.max(1) > 0.6).all()


def test_classes_run_from_dark_sea_to_bright_ice():
    sahara, greenland, pacific, amazon = cover(SAHARA, GREENLAND, PACIFIC, AMAZON).argmax(1)
    assert pacific < amazon < sahara < greenland == scenes.NUM_CLASSES - 1


def test_every_class_is_somewhere_and_sea_is_what_covers_most():
    classes, counts = np.unique(scenes.cover_map(), return_counts=True)
    assert classes.tolist() == list(range(scenes.NUM_CLASSES))
    assert scenes.cover_map().shape == (675, 1350)
    assert counts.argmax() == 0


def test_cover_is_what_lies_within_reach():
    """Against the cells of a cap, one by one; the box around it is a little larger."""
    points = [SAHARA, AMAZON, (6.4, 3.4), (-33.9, 18.4), (43.0, -179.9), (60.2, 24.9)]
    rows, columns = scenes.cover_map().shape
    lat_H, lon_W = 90 - (np.arange(rows) + 0.5) * 180 / rows, (np.arange(columns) + 0.5) * 4 / 15
    cells = np.stack(np.meshgrid(lat_H, lon_W - 180, indexing="ij"), -1)
    for point, scene_S in zip(points, cover(*points), strict=True):
        near = sphere.great_circle_km(cells, point) < scenes.REACH_KM
        areas = np.cos(np.radians(cells[near][:, 0]))
        wanted = np.bincount(scenes.cover_map()[near], areas, scenes.NUM_CLASSES) / areas.sum()
        assert np.abs(scene_S - wanted).sum() / 2 < 0.15, point


@pytest.mark.parametrize("lat", [0.0, -45.0, 65.0, 88.4, 89.5, 90.0, -90.0])
def test_the_date_line_is_a_meridian_as_any_other(lat):
    """On a map turned by half the Earth the same ground has the same shares."""
    lon_F = np.array([179.9, -179.9, 180.0, -180.0, 178.7, 0.1, -0.1, 91.0])
    point_F2, turned_F2 = (
        np.stack([np.full(len(lon_F), lat), at], -1) for at in (lon_F, sphere.wrap_lon(lon_F + 180))
    )
    classes_HW = np.random.default_rng(0).integers(0, 16, (675, 1350), dtype=np.uint8)
    scene_FS = scenes._shares_around(point_F2, classes_HW)
    turned_FS = scenes._shares_around(turned_F2, np.roll(classes_HW, 675, axis=1))
    assert scene_FS == pytest.approx(turned_FS, abs=1e-12)
    assert scene_FS[2] == pytest.approx(scene_FS[3], abs=1e-12)
    assert scene_FS.sum(1) == pytest.approx(1.0)


def test_the_box_widens_toward_the_poles_and_goes_round_at_them():
    stripes_HW = np.zeros((675, 1350), np.uint8)
    stripes_HW[:, 675 - 5 : 675 + 5] = 1
    share = scenes._shares_around(np.array([[0.0, 0], [60, 0], [80, 0], [89, 0]]), stripes_HW)[:, 1]
    assert (np.diff(share) < 0).all()
    assert share[0] == pytest.approx(10 / 14, abs=0.06)
    assert share[-1] == pytest.approx(10 / 1350)


def test_a_clip_is_the_mean_of_its_fixes_in_the_asked_order():
    table = fixes(both=[SAHARA, PACIFIC], ice=GREENLAND, other=AMAZON)
    ice, both = scenes.land_cover(table, ["ice", "both"])
    assert both == pytest.approx(cover(SAHARA, PACIFIC).mean(0))
    assert ice == pytest.approx(cover(GREENLAND)[0])


def test_classes_are_found_again():
    assert np.array_equal(scenes.cover_map(), scenes.cover_map.__wrapped__())


def test_a_dataset_of_flights_takes_no_time():
    latlon = sphere.equal_area_lattice(2_250 * 18)
    clip_ids = [f"clip{k}" for k in range(2_250)]
    table = pd.DataFrame(latlon, columns=["lat", "lon"]).assign(clip_id=np.repeat(clip_ids, 18))
    scenes.cover_map()
    start = time.process_time()
    scene_NS = scenes.land_cover(table, clip_ids)
    assert scene_NS.shape == (2_250, scenes.NUM_CLASSES)
    assert time.process_time() - start < 2.0


def test_clips_without_a_place_are_refused():
    with pytest.raises(ValueError, match="clip b has no fix"):
        scenes.land_cover(fixes(a=SAHARA), ["a", "b"])
    with pytest.raises(ValueError, match="clip a has a fix that is not on Earth"):
        scenes.land_cover(fixes(a=[SAHARA, (np.nan, 0.0)]), ["a"])


def test_a_table_gives_back_what_was_written(tmp_path):
    path, scene_NS = tmp_path / scenes.FILE, np.random.default_rng(0).dirichlet(np.ones(16), 3)
    scenes.write(path, ["c", "a", "b"], scene_NS)
    assert pd.read_parquet(path)["clip_id"].tolist() == ["a", "b", "c"]
    assert scenes.from_table(path, ["a", "c"]) == pytest.approx(scene_NS[[1, 0]])


def test_rounded_probabilities_are_brought_to_a_sum_of_one():
    scene_NS = scenes.distributions(np.full((2, 16), 0.06), "a list")
    assert scene_NS == pytest.approx(1 / 16)


@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf])
def test_what_is_no_distribution_is_refused(value):
    row = [value, *np.full(15, 0.1)]
    with pytest.raises(ValueError, match=r"a list: .* is no distribution over 16 scenes"):
        scenes.distributions([np.full(16, 1.0), row], "a list")


def test_a_table_must_hold_each_clip_once(tmp_path):
    path = tmp_path / scenes.FILE
    with pytest.raises(ValueError, match="no such file, so the dataset brings no scenes"):
        scenes.from_table(path, ["a"])
    scenes.write(path, ["a", "b", "b"], np.full((3, 16), 1.0))
    with pytest.raises(ValueError, match=r"scenes\.parquet: clip b has 2 rows, not one"):
        scenes.from_table(path, ["a", "b"])
    with pytest.raises(ValueError, match="clip z has 0 rows"):
        scenes.from_table(path, ["a", "z"])


@pytest.mark.parametrize("absent", ["clip_id", "scene_07"])
def test_a_table_without_a_column_is_refused(tmp_path, absent):
    path = tmp_path / scenes.FILE
    scenes.write(path, ["a"], np.full((1, 16), 1.0))
    pd.read_parquet(path).drop(columns=absent).to_parquet(path)
    with pytest.raises(ValueError, match=f"column {absent} is missing"):
        scenes.from_table(path, ["a"])


def test_the_majority_is_one_scene_and_of_equals_the_first():
    scene_NS = scenes.majority([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4]])
    assert scene_NS.tolist() == [[0, 1, 0], [1, 0, 0]]
