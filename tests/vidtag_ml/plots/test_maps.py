"""Pictures: their size, their sameness, and the views they choose."""

import base64
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vidtag_ml.earth import blue_marble, sphere
from vidtag_ml.earth.tracks import Track
from vidtag_ml.plots import charts, maps, style


def north_of(latlon):
    return np.stack([latlon[:, 0] + 0.2, latlon[:, 1]], -1)


def flight(start=(60.0, 178.5), clip="clip", num=6):
    steps = np.arange(num)
    latlon = sphere.destination(np.tile(start, (num, 1)), np.full(num, 80.0), 30.0 * steps)
    return Track(clip, steps.astype(float), latlon, north_of(latlon), np.ones(num))


def size_of(path):
    with Image.open(path) as image:
        return image.size


def colours_of(path):
    with Image.open(path) as image:
        return {tuple(c) for c in np.asarray(image.convert("RGB")).reshape(-1, 3)}


def rgb(colour):
    return tuple(int(colour[k : k + 2], 16) for k in (1, 3, 5))


def test_track_map_shows_both_lines(tmp_path):
    track = flight()
    path = maps.track_map(track, north_of(track.latlon_T2), tmp_path / "made" / "track.png")
    assert size_of(path) == (1200, 800)
    assert {rgb(maps.TRUE), rgb(maps.PREDICTED)} <= colours_of(path)


def test_a_legend_says_what_is_drawn_in_words_that_a_stranger_knows():
    axes = style.new_figure(300).add_axes((0.0, 0.0, 1.0, 1.0))
    maps._draw_track(axes, flight(), flight().latlon_T2, 1.5)
    _, labels = axes.get_legend_handles_labels()
    assert labels == ["frame by frame", "true", "predicted"]


def test_equal_tracks_give_equal_bytes(tmp_path):
    one, other = (maps.track_map(flight(), None, tmp_path / f"{k}.png") for k in "ab")
    assert one.read_bytes() == other.read_bytes()


def test_a_track_without_known_truth_is_drawn(tmp_path):
    path = maps.track_map(flight(), np.full((6, 2), np.nan), tmp_path / "track.png")
    assert rgb(maps.TRUE) not in colours_of(path)


def test_the_ground_is_drawn_below_a_track_that_stands_still(tmp_path):
    latlon = np.full((3, 2), 47.0)
    track = Track("still", np.arange(3.0), latlon, latlon, np.ones(3))
    assert len(colours_of(maps.track_map(track, None, tmp_path / "still.png"))) > 200


@pytest.mark.parametrize("lon", [0.0, 179.0, -179.9])
def test_the_view_is_as_narrow_at_the_date_line_as_elsewhere(lon):
    latlon = flight((60.0, lon)).latlon_T2
    unwrapped = maps._unwrapped(latlon, sphere.centroid(latlon))
    (west, east), (south, north) = maps._view(unwrapped, 1.5)
    reference, _ = maps._view(flight((60.0, 10.0)).latlon_T2, 1.5)
    assert east - west == pytest.approx(reference[1] - reference[0])
    assert west < unwrapped[:, 1].min() < unwrapped[:, 1].max() < east
    assert south < latlon[:, 0].min() < latlon[:, 0].max() < north


def test_a_view_is_true_to_scale_in_the_middle():
    (west, east), (south, north) = maps._view(flight((60.0, 10.0)).latlon_T2, 1.5)
    middle = np.cos(np.radians((south + north) / 2))
    assert (east - west) * middle / (north - south) == pytest.approx(1.5, rel=0.02)


def test_a_sheet_holds_all_tracks(tmp_path):
    tracks = [flight(clip=f"clip {k}") for k in range(4)]
    path = maps.tracks_sheet(tracks, {"clip 1": tracks[1].latlon_T2}, tmp_path / "sheet.png")
    assert size_of(path) == (1200, 640)
    with pytest.raises(ValueError, match="at least one track"):
        maps.tracks_sheet([], {}, path)


def test_world_maps_show_points_at_every_longitude(tmp_path):
    points = sphere.equal_area_lattice(500)
    assert size_of(maps.gallery_map(points, tmp_path / "gallery.png")) == (1200, 500)
    splits = ["train"] * 400 + ["val"] * 100
    path = maps.clips_map(points, splits, tmp_path / "clips.png")
    assert size_of(path) == (1200, 500)


@pytest.mark.parametrize("span", [8.0, 80.0, 300.0])
@pytest.mark.parametrize("lon", [-60.0, 10.0, 185.0])
def test_the_ground_lies_where_its_degrees_say(lon, span):
    west, north = lon - span / 2, span / 5 + 5.0
    drawn = maps._earth((west, lon + span / 2), (north - span / 2, north), (100, 50))[..., :3]
    rows, columns, _ = drawn.shape
    lats = north - (np.arange(rows) + 0.5) * span / 2 / rows
    lons = west + (np.arange(columns) + 0.5) * span / columns
    latlon = np.stack(np.meshgrid(lats, lons, indexing="ij"), -1)
    known = blue_marble.colours(sphere.unit_vectors(latlon))
    assert np.corrcoef(drawn.ravel(), known.ravel())[0, 1] > 0.95


def test_error_cdf_needs_errors(tmp_path):
    path = charts.error_cdf({"model": [1.0, 50.0, 0.0, 9000.0]}, tmp_path / "cdf.png")
    assert size_of(path) == (1200, 675)
    with pytest.raises(ValueError, match="model has no frame errors"):
        charts.error_cdf({"model": []}, path)


def test_loss_curves_read_the_trainers_table(tmp_path):
    table = pd.DataFrame({"step": range(9), "loss": 2.0, "lr": 0.1, "val_loss": [np.nan] * 8 + [3]})
    table.to_csv(tmp_path / "losses.csv", index=False)
    path = charts.loss_curves({"phase one": tmp_path / "losses.csv"}, tmp_path / "loss.png")
    assert size_of(path) == (1200, 675)
    (tmp_path / "losses.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="columns step and loss"):
        charts.loss_curves({"phase one": tmp_path / "losses.csv"}, path)


@pytest.mark.parametrize("name", ["cdf.png", "cdf.tif"])
def test_markdown_carries_the_picture(tmp_path, name):
    text = maps.markdown(charts.error_cdf({"model": [1.0]}, tmp_path / name), 300)
    head, data = text.removesuffix(")").split("base64,")
    assert head == "![cdf](data:image/jpeg;"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (300, 169)
