"""Which tiles there are: GAMa's layout in miniature, slippy tiles, GeoTIFFs and the Blue Marble."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vidtag_ml import config
from vidtag_ml.aerial import gallery as aerial_gallery
from vidtag_ml.aerial import pictures as aerial_pictures
from vidtag_ml.aerial import sources as aerial_sources
from vidtag_ml.earth import slippy, sphere
from vidtag_ml.ingest.flyover import camera

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data" / "aerial"
FLYOVER = config.Aerial("flyover", None, "centred", 8, None, 32, 7)
CENTRED = config.Aerial("published", "", "centred", 19, None, 32, 7)
UNCENTRED = config.Aerial("published", "", "uncentred", 19, None, 32, 7)
SLIPPY = config.Aerial("slippy", "", "uncentred", 10, None, 32, 7)
GEOTIFF = config.Aerial("geotiff", "", "uncentred", 12, None, 32, 7)


@pytest.fixture(scope="module")
def made(make, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gama")
    make("bdd100k", folder, aerial=True, num_train=4, seconds=2)
    return folder


@pytest.fixture
def recordings(made, tmp_path):
    """A copy without the video's pictures."""
    ignored = shutil.ignore_patterns("*.png")
    return Path(shutil.copytree(made, tmp_path / "recordings", ignore=ignored))


@pytest.fixture(scope="module")
def fixes(made):
    rows = []
    for path in sorted((made / "info").glob("*/*.json")):
        info = json.loads(path.read_text())
        for p in info["locations"]:
            time_s = (p["timestamp"] - info["startTime"]) / 1000
            rows.append((path.stem, time_s, p["latitude"], p["longitude"]))
    return pd.DataFrame(rows, columns=["clip_id", "time_s", "lat", "lon"])


def flight(*latlon, clip_id="a"):
    rows = [(clip_id, float(k), *point) for k, point in enumerate(latlon)]
    return pd.DataFrame(rows, columns=["clip_id", "time_s", "lat", "lon"])


def test_published_centred_tiles_lie_around_the_fix_of_their_number(made, fixes):
    tiles, regions = aerial_sources.build(CENTRED, fixes, made)
    assert aerial_gallery.problems(tiles, regions, made) == []
    assert len(tiles) == len(fixes) == 8 * 4
    assert len(regions) == 8
    assert np.array_equal(tiles.latlon_G2, fixes[["lat", "lon"]])
    assert tiles.table["time_s"].tolist() == pytest.approx(fixes["time_s"].tolist())
    assert tiles.ids[1] == f"{fixes['clip_id'][0]}/01"
    assert tiles.table["file"][1].endswith(f"_gps/{fixes['clip_id'][0]}/01.jpeg")


def test_the_number_of_a_tile_counts_fixes_that_cannot_be_used(recordings, fixes):
    (path,) = (recordings / "info").glob(f"*/{fixes['clip_id'][0]}.json")
    info = json.loads(path.read_text())
    info["locations"][0]["latitude"] = None
    path.write_text(json.dumps(info))
    tiles, _ = aerial_sources.build(CENTRED, fixes[1:], recordings)
    assert tiles.ids[0].endswith("/01")
    assert tiles.latlon_G2[0].tolist() == fixes[["lat", "lon"]].iloc[1].tolist()


def test_published_uncentred_tiles_are_the_49_of_each_region(made, fixes):
    tiles, regions = aerial_sources.build(UNCENTRED, fixes, made)
    assert aerial_gallery.problems(tiles, regions, made) == []
    assert [len(members) for members in regions.table["members"]] == [49] * 8
    for video, own in fixes.groupby("clip_id"):
        numbers = slippy.numbers(own[["lat", "lon"]].to_numpy(), 19)
        members = tiles.ids[aerial_gallery.reduced(tiles, regions, [video])]
        assert {f"{x}_{y}" for x, y in numbers} <= set(members)


@pytest.mark.parametrize("settings", [CENTRED, UNCENTRED], ids=["centred", "uncentred"])
def test_tiles_show_the_part_of_their_region_where_they_lie(made, fixes, settings):
    tiles, regions = aerial_sources.build(settings, fixes, made)
    whole = aerial_pictures.pixels(regions, [2], 7 * 32, made)[0].astype(int)
    x0, y0, width = slippy.squares(regions.bounds_G4[2])
    for row in aerial_gallery.reduced(tiles, regions, [regions.ids[2]])[:4]:
        x, y, _ = slippy.squares(tiles.bounds_G4[row])
        left, top = (round((d / width + 0.5) * 224 - 16) for d in (x - x0, y - y0))
        (tile,) = aerial_pictures.pixels(tiles, [row], 32, made)
        assert np.abs(whole[top : top + 32, left : left + 32] - tile).mean() < 4


def test_region_positions_are_medians_of_the_fixes(made, fixes):
    _, regions = aerial_sources.build(CENTRED, fixes, made)
    medians = fixes.groupby("clip_id", sort=False)[["lat", "lon"]].median()
    assert regions.latlon_G2 == pytest.approx(medians.to_numpy())
    assert regions.ids.tolist() == medians.index.tolist()


def test_regions_lie_where_their_tiles_do_even_if_the_fixes_say_otherwise(recordings, fixes):
    video = fixes["clip_id"][0]
    (parent,) = (recordings / "satelite_data").glob(f"[tv]*[nl]/{video}")
    for path in sorted(parent.iterdir(), reverse=True):
        x, y = path.stem.split("_")
        path.rename(path.with_name(f"{int(x) + 2}_{y}.jpeg"))
    _, before = aerial_sources.build(CENTRED, fixes, recordings)
    for path in sorted(parent.iterdir())[:7]:
        path.unlink()
    _, after = aerial_sources.build(CENTRED, fixes, recordings)
    tile_deg = 360 / 2**19
    assert before.bounds_G4[0, 1] - after.bounds_G4[0, 1] == pytest.approx(2 * tile_deg)


def test_the_list_says_which_tiles_of_val_are_the_gallery(recordings, fixes):
    (video,) = {p.name for p in (recordings / "satelite_data/val").iterdir()} & {fixes.iloc[-1, 0]}
    name = sorted((recordings / "satelite_data/val" / video).iterdir())[0].stem
    (recordings / "gallery_gps.list").write_text(f"{name} {video}\n")
    tiles, regions = aerial_sources.build(UNCENTRED, fixes, recordings)
    assert regions.table.set_index("region")["members"][video] == [name]
    assert len(regions) == 5 + 1
    assert len(tiles) == 5 * 49 + 1


def test_videos_without_images_are_left_out_and_told(recordings, fixes, caplog):
    video = fixes["clip_id"][0]
    for path in (recordings / "satelite_data").glob(f"*_gps/{video}"):
        shutil.rmtree(path)
    _, regions = aerial_sources.build(CENTRED, fixes, recordings)
    assert len(regions) == 7
    assert f"1 videos have no tile; first: {video}" in caplog.text
    assert f"{video}: there is no such folder" in caplog.text


def test_a_tile_of_no_fix_is_left_out_and_told(recordings, fixes, caplog):
    first = next((recordings / "satelite_data").glob(f"*_gps/{fixes['clip_id'][0]}/00.jpeg"))
    shutil.copy(first, first.with_name("77.jpeg"))
    assert len(aerial_sources.build(CENTRED, fixes, recordings)[0]) == len(fixes)
    assert "77.jpeg: locations[] has no position 77" in caplog.text


def test_a_missing_large_image_is_a_problem(recordings, fixes):
    video = fixes["clip_id"][0]
    for path in (recordings / "satelite_data").glob(f"*_hr/{video}.jpeg"):
        path.unlink()
    tiles, regions = aerial_sources.build(CENTRED, fixes, recordings)
    assert aerial_gallery.problems(tiles, regions, recordings) == [(video, "its file is missing")]
    with pytest.raises(ValueError, match=f"{video} has no picture in"):
        aerial_pictures.pixels(regions, [0], 16, recordings)


def test_flyover_tiles_lie_around_each_fix():
    rng = np.random.default_rng(3)
    latlon, _ = camera.fly(rng, 2, 8)
    fixes = pd.concat([flight(*latlon[0], clip_id="b"), flight(*latlon[1], clip_id="a")])
    fixes.loc[fixes.index == 3, "status"] = "dropped"
    tiles, regions = aerial_sources.build(FLYOVER, fixes)
    assert aerial_gallery.problems(tiles, regions) == []
    assert tiles.ids[[0, 6, 7]].tolist() == ["b/00", "b/06", "a/00"]
    assert regions.ids.tolist() == ["b", "a"]
    assert tiles.table["time_s"].tolist()[:4] == [0.0, 1.0, 2.0, 4.0]
    assert tiles.protocol["tile_km"] == pytest.approx(
        np.median(slippy.width_km(tiles.latlon_G2[:, 0], 8))
    )


def test_flyover_regions_cross_the_date_line():
    fixes = flight((-17.0, 179.5), (-17.0, -179.5), (-17.2, -179.0))
    settings = config.Aerial("flyover", None, "uncentred", 8, None, 32, 7)
    tiles, regions = aerial_sources.build(settings, fixes)
    assert aerial_gallery.problems(tiles, regions) == []
    assert regions.latlon_G2[0].tolist() == pytest.approx([-17.0, -179.5])
    assert regions.bounds_G4[0, 3] > 180 > tiles.bounds_G4[:, 1].max()
    assert len(tiles) == 49


@pytest.fixture
def grid(tmp_path):
    """Slippy tiles of a square of 8 x 8, with one file of another kind and one of another zoom."""
    x, y = slippy.numbers((45.0, 9.0), 10)
    for k in range(64):
        path = tmp_path / "10" / str(x + k % 8) / f"{y + k // 8}.{('png', 'webp')[k % 2]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (k, k, k)).save(path)
    (tmp_path / "10" / str(x) / "notes.txt").touch()
    (tmp_path / "11").mkdir()
    return tmp_path


def test_a_folder_of_slippy_tiles_is_a_gallery(grid):
    tiles, regions = aerial_sources.build(SLIPPY, None, grid)
    assert (len(tiles), len(regions)) == (64, 0)
    assert aerial_gallery.problems(tiles, regions, grid) == []
    assert set(tiles.table["region"]) == {""}
    assert aerial_pictures.pixels(tiles, [0, 63], 8, grid)[:, 0, 0, 0].tolist() == [0, 63]


def test_regions_of_slippy_tiles_are_those_of_videos(grid, caplog):
    upper = slippy.numbers((45.0, 9.0), 10)
    near = flight(slippy.centres(upper + 4, 10))
    far = flight((0.0, 0.0), clip_id="far")
    tiles, regions = aerial_sources.build(SLIPPY, pd.concat([near, far]), grid)
    assert regions.ids.tolist() == ["a"]
    assert len(regions.table["members"][0]) == 49
    assert tiles.table["region"].value_counts().to_dict() == {"a": 49, "": 15}
    assert "1 videos have no tile; first: far" in caplog.text
    assert aerial_gallery.problems(tiles, regions, grid) == []


@pytest.mark.parametrize(
    ("settings", "with_fixes", "reason"),
    [
        (FLYOVER, False, "flyover, centred tiles need the fixes of videos"),
        (UNCENTRED, True, "but aerial.folder names no folder"),
        (config.Aerial("slippy", "", "centred", 10, None, 32, 7), True, "must be uncentred"),
        (config.Aerial("flyover", None, "centred", 8, 0.5, 32, 7), True, "is for GeoTIFFs"),
        (SLIPPY, True, "has no tile X/Y.png"),
        (CENTRED, True, "holds no tile of the videos"),
    ],
)
def test_what_cannot_be_built_is_told(settings, with_fixes, reason, tmp_path):
    folder = None if "names no folder" in reason else tmp_path
    with pytest.raises(ValueError, match=reason):
        aerial_sources.build(settings, flight((45.0, 9.0)) if with_fixes else None, folder)


@pytest.fixture
def raster(tmp_path):
    """A GeoTIFF of half a degree around 44.75 N, 9.25 E."""
    rasterio = pytest.importorskip("rasterio")
    place = rasterio.Affine(0.005, 0, 9.0, 0, -0.005, 45.0)
    shape = {"count": 3, "width": 100, "height": 100, "dtype": "uint8"}
    options = {"crs": "EPSG:4326", "transform": place, **shape}
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", **options) as file:
        file.write(np.full((3, 100, 100), 77, np.uint8))
    return tmp_path


def test_geotiffs_are_cut_on_the_grid(raster):
    tiles, regions = aerial_sources.build(GEOTIFF, flight((44.75, 9.25)), raster)
    assert aerial_gallery.problems(tiles, regions, raster) == []
    area = len(tiles) * (360 / 2**12) ** 2 * np.cos(np.radians(44.75))
    assert area == pytest.approx(0.5 * 0.5, rel=0.15)
    assert slippy.bounds(slippy.numbers((44.75, 9.25), 12), 12).tolist() in tiles.bounds_G4.tolist()
    assert (aerial_pictures.covered(tiles.bounds_G4, raster) >= 0.5).all()
    assert (
        len(regions.table["members"][0]) == len(aerial_gallery.reduced(tiles, regions, ["a"])) > 30
    )


def test_geotiffs_are_cut_at_a_ground_size(raster):
    settings = config.Aerial("geotiff", "", "uncentred", 0, 4.0, 32, 7)
    tiles, regions = aerial_sources.build(settings, None, raster)
    assert aerial_gallery.problems(tiles, regions, raster) == []
    south, west, north, east = tiles.bounds_G4[len(tiles) // 2]
    assert sphere.great_circle_km((south, west), (north, west)) == pytest.approx(4.0, rel=0.01)
    assert sphere.great_circle_km((north, west), (north, east)) == pytest.approx(4.0, rel=0.01)
    assert tiles.protocol["tile_km"] == pytest.approx(4.0, rel=0.01)


def test_geotiffs_are_cut_around_fixes(raster):
    settings = config.Aerial("geotiff", "", "centred", 14, None, 32, 7)
    fixes = pd.concat([flight((44.75, 9.25), (44.76, 9.26)), flight((46.0, 9.25), clip_id="b")])
    tiles, regions = aerial_sources.build(settings, fixes, raster)
    assert tiles.ids.tolist() == ["a/00", "a/01"]
    assert aerial_pictures.pixels(tiles, [0, 1], 8, raster).tolist() == [[[[77] * 3] * 8] * 8] * 2
    assert aerial_gallery.problems(tiles, regions, raster) == []


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the GeoTIFFs of ../shared/data")
def test_a_real_orthophoto_is_cut_into_tiles(tmp_path):
    pytest.importorskip("rasterio")
    (tmp_path / "bali.tif").symlink_to(SHARED / "pix4d_bali_ortho.tif")
    settings = config.Aerial("geotiff", "", "uncentred", 19, None, 64, 7)
    tiles, regions = aerial_sources.build(settings, flight((-8.585, 115.1607)), tmp_path)
    assert 6 <= len(tiles) <= 12
    assert aerial_gallery.problems(tiles, regions, tmp_path) == []
    assert aerial_pictures.pixels(tiles, range(len(tiles)), 32, tmp_path).mean((1, 2, 3)).min() > 20
