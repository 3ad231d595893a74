"""Aerial galleries: their files, what is wrong with them, coverage, reduction and search."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from vidtag_ml import config
from vidtag_ml.aerial import gallery as aerial_gallery
from vidtag_ml.aerial import sources as aerial_sources
from vidtag_ml.earth import slippy
from vidtag_ml.retrieval import search

SETTINGS_CENTRED = config.Aerial("flyover", None, "centred", 8, None, 32, 7)
SETTINGS = config.Aerial("flyover", None, "uncentred", 8, None, 32, 7)
FIXES = pd.DataFrame(
    [("b", 0.0, 45.0, 9.0), ("b", 1.0, 45.2, 9.1), ("a", 0.0, 45.0, 12.5), ("c", 0.0, 0.0, 179.9)],
    columns=["clip_id", "time_s", "lat", "lon"],
)


@pytest.fixture
def built():
    return aerial_sources.build(SETTINGS, FIXES)


def changed(areas, row, **values):
    table = areas.table.copy()
    for name, value in values.items():
        table.at[row, name] = value  # noqa: PD008 - members are lists
    return type(areas)(table, areas.protocol)


def test_a_gallery_is_read_as_it_was_written(built, tmp_path):
    aerial_gallery.write(tmp_path, *built)
    for before, after in zip(built, aerial_gallery.read(tmp_path), strict=True):
        assert before.ids.tolist() == after.ids.tolist()
        assert np.array_equal(before.bounds_G4, after.bounds_G4)
        assert after.protocol == {**before.protocol, "num_tiles": 117, "num_regions": 3}
        assert len(after.digest) == 32


def test_same_in_same_bytes(built, tmp_path):
    for name in ("one", "two"):
        aerial_gallery.write(tmp_path / name, *built)
    for name in ("tiles.parquet", "regions.parquet", "aerial.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_members_and_protocol_survive(built, tmp_path):
    aerial_gallery.write(tmp_path, *built)
    tiles, regions = aerial_gallery.read(tmp_path)
    assert list(regions.table["members"][0]) == built[1].table["members"][0]
    assert tiles.table["file"].isna().all()
    record = json.loads((tmp_path / "aerial.json").read_text())
    assert (record["source"], record["zoom"], record["kind"]) == ("flyover", 8, "uncentred")
    assert record["tile_km"] == pytest.approx(156.4 * np.cos(np.radians(45)), rel=0.05)


def test_a_gallery_without_regions_can_be_written(built, tmp_path):
    tiles, regions = built
    aerial_gallery.write(
        tmp_path, tiles, aerial_gallery.Regions(regions.table[:0], regions.protocol)
    )
    assert len(aerial_gallery.read(tmp_path)[1]) == 0


def test_another_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path} holds no aerial gallery"):
        aerial_gallery.read(tmp_path)


def test_tables_of_another_kind_are_refused(built):
    tiles, regions = built
    with pytest.raises(ValueError, match="Tiles has no column tile_id"):
        aerial_gallery.Tiles(regions.table, {})
    with pytest.raises(ValueError, match="at least one tile"):
        aerial_gallery.Tiles(tiles.table[:0], {})
    with pytest.raises(ValueError, match=r"_90 lies at \[91\.0"):
        changed(tiles, 7, lat=91.0, tile_id="1_90")


def test_a_built_gallery_has_no_problems(built):
    assert aerial_gallery.problems(*built) == []


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"west": 20.0, "east": 10.0}, "its bounds are inverted"),
        ({"lat": 0.0}, "its bounds do not contain its position"),
        ({"tile_id": "130_90"}, "its number is not that of its bounds"),
        ({"tile_id": "nonsense"}, "its number is not that of its bounds"),
        ({"north": 46.0}, "its number is not that of its bounds"),
        ({"region": "nowhere"}, "its region is none"),
    ],
)
def test_a_wrong_tile_is_named_with_the_reason(built, values, reason):
    tiles = changed(built[0], 3, **values)
    assert (tiles.ids[3], reason) in aerial_gallery.problems(tiles, built[1])


def test_a_tile_that_recurs_is_named(built):
    tiles = changed(built[0], 1, **built[0].table.iloc[0])
    assert (tiles.ids[0], "recurs") in aerial_gallery.problems(tiles, built[1])


def test_a_tile_outside_its_region_is_named(built):
    tiles, regions = built
    members = [*regions.table["members"][0], regions.table["members"][2][0], "1_1"]
    found = aerial_gallery.problems(tiles, changed(regions, 0, members=members))
    assert found == [
        ("1_1", "is in a region but no tile"),
        (members[-2], "lies outside its region b"),
    ]


def test_a_region_without_tiles_is_named(built):
    regions = changed(built[1], 1, members=[])
    assert aerial_gallery.problems(built[0], regions) == [("a", "has no tile")]


def test_missing_files_are_named(built, tmp_path):
    (tmp_path / "there.png").touch()
    tiles = changed(changed(built[0], 0, file="there.png"), 1, file="gone.png")
    assert aerial_gallery.problems(tiles, built[1]) == []
    assert aerial_gallery.problems(tiles, built[1], tmp_path) == [
        (tiles.ids[1], "its file is missing")
    ]


def test_coverage_tells_shares_and_distances(built):
    south, west, north, _ = built[1].bounds_G4[0]
    corners = [(south + 0.01, west + 0.01), (north - 0.01, west + 0.01), (south - 0.3, west)]
    found = aerial_gallery.coverage(built[0], [*built[0].latlon_G2[:5], *corners])
    assert found["inside"] == 7 / 8
    assert found["nearest_median_km"] == pytest.approx(0.0, abs=1e-4)
    width = slippy.width_km(south - 0.3, 8)
    assert found["nearest_max_tiles"] * width == pytest.approx(found["nearest_max_km"], rel=0.1)
    assert 0.5 * np.sqrt(2) < found["nearest_max_tiles"] < 1.2
    with pytest.raises(ValueError, match="no position"):
        aerial_gallery.coverage(built[0], [])


def test_coverage_agrees_with_a_comparison_of_all_with_all(built):
    tiles = aerial_sources.build(SETTINGS_CENTRED, FIXES)[0]
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform((44, 8), (46.5, 13.5), (300, 2)), [(0.1, -179.8)]])
    south, west, north, east = tiles.bounds_G4.T
    lat, lon = points.T[..., None]
    inside = (south <= lat) & (lat <= north) & ((lon - west) % 360 <= east - west)
    share = aerial_gallery.coverage(tiles, points)["inside"]
    assert share == inside.any(1).mean()
    assert 0.1 < share < 0.9
    assert inside[-1].any()


def test_a_reduced_gallery_has_the_tiles_of_the_kept_regions_once(built):
    tiles, regions = built
    rows = aerial_gallery.reduced(tiles, regions, ["a", "b"])
    members = {*regions.table["members"][0], *regions.table["members"][1]}
    assert set(tiles.ids[rows]) == members
    assert len(rows) == len(members) < 2 * 49
    assert (np.diff(rows) > 0).all()


def test_tiles_that_regions_share_belong_to_both(built):
    tiles, regions = built
    one, other = (aerial_gallery.reduced(tiles, regions, [name]) for name in ("a", "b"))
    assert len(one) == len(other) == 49
    assert 0 < len(np.intersect1d(one, other)) < 49


def test_unknown_and_recurring_names_are_refused(built):
    tiles, regions = built
    with pytest.raises(ValueError, match="the aerial gallery has no x"):
        aerial_gallery.reduced(tiles, regions, ["a", "x"])
    twice = changed(tiles, 1, tile_id=tiles.ids[0])
    with pytest.raises(ValueError, match="recurs in the aerial gallery"):
        aerial_gallery.reduced(twice, regions, ["a"])


@pytest.mark.parametrize("kind", [torch.float16, torch.float32])
def test_search_among_rows_finds_what_sorting_finds(kind, monkeypatch):
    monkeypatch.setattr(search, "GALLERY_ROWS", 7)
    values = torch.randn(60, 8, generator=torch.Generator().manual_seed(0)).to(kind)
    queries = torch.randn(5, 8, generator=torch.Generator().manual_seed(1))
    rows = np.sort(np.random.default_rng(0).choice(60, 30, replace=False))
    scores, index = aerial_gallery.search(queries, values, 10, rows)
    every = queries @ values[rows].float().T
    expected = every.topk(10, 1)
    torch.testing.assert_close(scores, expected.values)
    assert torch.equal(index, torch.from_numpy(rows)[expected.indices])


def test_search_without_rows_looks_at_all():
    values = torch.eye(6)
    assert aerial_gallery.search(values, values, 1)[1].flatten().tolist() == [0, 1, 2, 3, 4, 5]


def test_more_tiles_than_the_reduced_gallery_has_are_refused():
    with pytest.raises(ValueError, match="k is 3; the reduced gallery has 2 tiles"):
        aerial_gallery.search(torch.eye(4), torch.eye(4), 3, np.array([0, 1]))
