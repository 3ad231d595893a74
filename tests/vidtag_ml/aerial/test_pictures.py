"""Pictures of tiles: north up or turned, from files, GeoTIFFs, the Blue Marble; embedded once."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from vidtag_ml import config
from vidtag_ml.aerial import gallery as aerial_gallery
from vidtag_ml.aerial import pictures as aerial_pictures
from vidtag_ml.aerial import sources as aerial_sources
from vidtag_ml.earth import blue_marble, slippy, sphere

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "aerial"
FLYOVER = config.Aerial("flyover", None, "centred", 8, None, 32, 7)
FIXES = pd.DataFrame(
    [("nile", 0.0, 30.0, 31.2), ("nile", 1.0, 30.2, 31.2), ("naples", 0.0, 40.8, 14.3)],
    columns=["clip_id", "time_s", "lat", "lon"],
)
UPPER = slippy.numbers((45.0, 9.0), 4)


@pytest.fixture(scope="module")
def centred():
    return aerial_sources.build(FLYOVER, FIXES)


@pytest.fixture
def folder(tmp_path):
    """Four tiles of zoom 4 whose colours tell where they are; 32 pixels wide."""
    ramp = np.arange(32, dtype=np.uint8) * 4
    for k, (x, y) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
        pixels = np.zeros((32, 32, 3), np.uint8)
        pixels[..., 0], pixels[..., 1], pixels[..., 2] = ramp, ramp[:, None], 60 * (k + 1)
        path = tmp_path / "4" / str(UPPER[0] + x) / f"{UPPER[1] + y}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return tmp_path


@pytest.fixture
def tiles(folder):
    lat, lon = slippy.centres(UPPER + 1, 4)
    fixes = FIXES[:1].assign(lat=lat, lon=lon)
    return aerial_sources.build(
        config.Aerial("slippy", "", "uncentred", 4, None, 32, 2), fixes, folder
    )


def test_flyover_tiles_show_the_blue_marble_north_up(centred):
    (pixels,) = aerial_pictures.pixels(centred[0], [0], 40)
    assert pixels.shape == (40, 40, 3)
    south, west, north, east = centred[0].bounds_G4[0]
    for row, column in [(0, 0), (3, 30), (39, 20)]:
        lon = west + (column + 0.5) / 40 * (east - west)
        lat = north + (row + 0.5) / 40 * (south - north)
        (expected,) = blue_marble.colours(sphere.unit_vectors([(lat, lon)]))
        assert np.abs(pixels[row, column] - expected).max() < 3


def test_a_quarter_turn_puts_east_up(centred):
    north, east = aerial_pictures.pixels(centred[0], [0, 0], 24, heading_deg=[0.0, 90.0])
    assert np.abs(np.rot90(north).astype(int) - east).max() <= 1
    assert not np.array_equal(north, east)


def test_ahead_is_up_whatever_the_heading(centred):
    heading = 26.5
    (pixels,) = aerial_pictures.pixels(centred[0], [0], 41, heading_deg=heading)
    (lat, lon), width_km = centred[0].latlon_G2[0], slippy.width_km(30.0, 8)
    ahead = sphere.destination((lat, lon), heading, width_km * 15 / 41)
    middle, upper = blue_marble.colours(sphere.unit_vectors([(lat, lon), ahead]))
    assert np.abs(pixels[5, 20] - upper).max() < 4
    assert np.abs(pixels[20, 20] - middle).max() < 1


def test_a_region_shows_its_tiles_side_by_side():
    settings = config.Aerial("flyover", None, "uncentred", 8, None, 32, 7)
    tiles, regions = aerial_sources.build(settings, FIXES)
    rows = aerial_gallery.reduced(tiles, regions, ["naples"])
    small = aerial_pictures.pixels(tiles, tiles.rows(regions.table["members"][1]), 24)
    joined = small.reshape(7, 7, 24, 24, 3).swapaxes(1, 2).reshape(168, 168, 3)
    (whole,) = aerial_pictures.pixels(regions, [1], 168)
    assert len(rows) == 49
    assert np.abs(joined.astype(int) - whole).max() <= 1


def test_small_pictures_of_the_blue_marble_are_averaged(centred):
    whole, small = (
        aerial_pictures.pixels(centred[1], [0], size)[0].astype(float) for size in (160, 16)
    )
    means = whole.reshape(16, 10, 16, 10, 3).mean((1, 3))
    assert np.abs(means - small).mean() < 1.5


def test_files_are_read_at_the_size_asked_for(tiles, folder):
    pixels = aerial_pictures.pixels(tiles[0], [0, 3], 16, folder)
    assert pixels.shape == (2, 16, 16, 3)
    red, green = pixels[0, 8, :, 0].astype(int), pixels[0, :, 8, 1].astype(int)
    assert (np.diff(red) > 0).all()
    assert (np.diff(green) > 0).all()
    assert len(set(pixels[:, 8, 8, 2])) == 2


@pytest.mark.parametrize(("heading", "turns"), [(0, 0), (90, 1), (180, 2), (-90, 3), (360, 0)])
def test_quarter_turns_of_files_lose_nothing(tiles, folder, heading, turns):
    north, turned = aerial_pictures.pixels(tiles[0], [0, 0], 32, folder, [0.0, heading])
    assert np.array_equal(np.rot90(north, turns), turned)


def test_other_turns_of_files_show_the_square_within(tiles, folder):
    (turned,) = aerial_pictures.pixels(tiles[0], [0], 32, folder, heading_deg=45.0)
    assert turned[..., 2].min() > 40
    red, green = turned[..., 0].astype(int), turned[..., 1].astype(int)
    assert np.abs(red[16, 16] - 62) < 4
    assert red[2:-2, 2:-2].max() - red[2:-2, 2:-2].min() > 80
    up, right = turned[2, 16].astype(int), turned[16, 29].astype(int)
    assert up[0] - red[16, 16] > 20 > -20 > up[1] - green[16, 16]
    assert min(right[:2] - turned[16, 16][:2].astype(int)) > 20


def test_a_region_of_slippy_tiles_is_joined_from_them(tiles, folder):
    (whole,) = aerial_pictures.pixels(tiles[1], [0], 64, folder)
    assert whole[::32, ::32, 2].tolist() == [[60, 120], [180, 240]]
    (folder / tiles[0].table["file"][0]).unlink()
    assert aerial_pictures.pixels(tiles[1], [0], 64, folder)[0, 0, 0].tolist() == [0, 0, 0]


def test_missing_broken_and_oblong_pictures_are_named(tiles, folder):
    names = [folder / name for name in tiles[0].table["file"][:3]]
    names[0].unlink()
    names[1].write_bytes(b"no picture")
    Image.new("RGB", (4, 5)).save(names[2])
    for row, reason in enumerate(["there is no such picture", "not a picture", "4 x 5 pixels"]):
        with pytest.raises(ValueError, match=f"{names[row]}: {reason}"):
            aerial_pictures.pixels(tiles[0], [row], 8, folder)
    with pytest.raises(ValueError, match="a slippy gallery lie in a folder; none is given"):
        aerial_pictures.pixels(tiles[0], [0], 8)


def means(pixels):
    return torch.from_numpy(pixels).float().mean((1, 2))


def test_tiles_are_embedded_in_batches_and_mapped(centred, tmp_path):
    seen = []

    def encode(pixels):
        seen.append(len(pixels))
        return means(pixels)

    found = aerial_pictures.embed(encode, centred[0], tmp_path / "tiles.safetensors", "weights", 2)
    assert seen == [1, 2, 1]
    expected = means(aerial_pictures.pixels(centred[0], [0, 1, 2], 32))
    torch.testing.assert_close(found.float(), expected, atol=0.2, rtol=0)
    assert str(tmp_path) in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize(("made_from", "again"), [("weights", 2), ("others", 4)])
def test_a_stopped_embedding_goes_on_if_the_encoder_is_the_same(
    centred, tmp_path, made_from, again
):
    num = 0

    def encode(pixels):
        nonlocal num
        num += len(pixels)
        if num == 4 and made_from:
            raise KeyboardInterrupt
        return means(pixels)

    path = tmp_path / "tiles.safetensors"
    with pytest.raises(KeyboardInterrupt):
        aerial_pictures.embed(encode, centred[0], path, "weights", 1)
    num = 100
    assert len(aerial_pictures.embed(encode, centred[0], path, made_from, 1)) == 3
    assert num == 100 + again


def geotiff(path, size=64, west=9.0, north=45.0, step=0.001, **profile):
    """A picture whose red grows eastward and green southward, in degrees."""
    rasterio = pytest.importorskip("rasterio")
    ramp = (np.arange(size) * (200 // size)).astype(np.uint8) + 20
    bands = np.stack(
        [np.tile(ramp, (size, 1)), np.tile(ramp[:, None], size), np.full((size,) * 2, 9)]
    )
    place = rasterio.Affine(step, 0, west, 0, -step, north)
    shape = {"count": 3, "width": size, "height": size, "dtype": "uint8"} | profile
    options = {"crs": "EPSG:4326", "transform": place} | shape
    with rasterio.open(path, "w", driver="GTiff", **options) as file:
        file.write(bands[: shape["count"]].astype(shape["dtype"]))
    return path


def area(latlon, width_km):
    zoom = slippy.zoom_of(width_km, latlon[0])
    row = ("a", *latlon, *slippy.around(latlon, zoom), "", None, 0.0)
    table = pd.DataFrame([row], columns=[name for name, _ in aerial_gallery.Tiles.FIELDS])
    return aerial_gallery.Tiles(table, {"source": "geotiff", "zoom": zoom})


def test_geotiffs_are_cut_where_the_tile_lies(tmp_path):
    geotiff(tmp_path / "a.tif")
    middle = (44.968, 9.032)
    (pixels,) = aerial_pictures.pixels(area(middle, 1.0), [0], 9, tmp_path)
    assert np.abs(pixels[4, 4].astype(int) - [116, 116, 9]).max() <= 3
    assert (np.diff(pixels[4, :, 0].astype(int)) > 0).all()
    assert (np.diff(pixels[:, 4, 1].astype(int)) > 0).all()


def test_geotiffs_are_cut_along_a_heading(tmp_path):
    geotiff(tmp_path / "a.tif")
    tile = area((44.968, 9.032), 1.0)
    north, east = aerial_pictures.pixels(tile, [0, 0], 9, tmp_path, [0.0, 90.0])
    assert np.abs(np.rot90(north).astype(int) - east).max() <= 1


def test_neighbouring_geotiffs_make_one_picture(tmp_path):
    geotiff(tmp_path / "west.tif", west=9.0)
    (tmp_path / "more").mkdir()
    geotiff(tmp_path / "more" / "east.TIF", west=9.064)
    tile = area((44.968, 9.064), 1.0)
    (pixels,) = aerial_pictures.pixels(tile, [0], 8, tmp_path)
    assert pixels[:, :3, 0].min() > 150
    assert pixels[:, 5:, 0].max() < 60
    assert aerial_pictures.covered(tile.bounds_G4, tmp_path).tolist() == [1.0]


def test_beside_all_geotiffs_nothing_is_shown(tmp_path):
    geotiff(tmp_path / "a.tif")
    beside = [area((44.968, 9.064), 1.0), area((44.968, 9.2), 1.0), area((-45.0, -171.0), 1.0)]
    shares = [float(aerial_pictures.covered(tile.bounds_G4, tmp_path)[0]) for tile in beside]
    assert shares == [0.5, 0.0, 0.0]
    assert aerial_pictures.pixels(beside[1], [0], 8, tmp_path).max() == 0


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        ({"crs": None}, "has no coordinate system"),
        ({"dtype": "uint16"}, "has no grey or colour bands of 8 bits"),
    ],
)
@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
def test_other_rasters_are_named(tmp_path, profile, reason):
    path = geotiff(tmp_path / "a.tif", **profile)
    with pytest.raises(ValueError, match=f"{path}: {reason}"):
        aerial_pictures.rasters(tmp_path)


def test_a_folder_without_geotiffs_and_a_broken_one_are_named(tmp_path):
    pytest.importorskip("rasterio")
    with pytest.raises(ValueError, match="there is no GeoTIFF"):
        aerial_pictures.rasters(tmp_path)
    (tmp_path / "a.tif").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"a\.tif: not a GeoTIFF"):
        aerial_pictures.rasters(tmp_path)


def test_geotiffs_need_rasterio(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(ValueError, match=r"pip install 'vidtag-geo\[aerial\]'"):
        aerial_pictures.rasters(tmp_path / "any")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the GeoTIFFs of ../shared/data")
def test_real_geotiffs_lie_where_their_manifest_says():
    pytest.importorskip("rasterio")
    paths, bounds = aerial_pictures.rasters(SHARED)
    assert [path.name[:5] for path in paths] == ["lands", "naip_", "pix4d", "world"]
    assert bounds[2] == pytest.approx([-8.586215, 115.159665, -8.583787, 115.161874], abs=2e-6)
    assert bounds[3] == pytest.approx([-90, -180, 90, 180])
