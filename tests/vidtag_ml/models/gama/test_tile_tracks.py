"""Ways among tiles: a grid of the Blue Marble, and evidence whose truth is known."""

import dataclasses
import doctest
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from vidtag_ml import config
from vidtag_ml.aerial import pictures as aerial_pictures
from vidtag_ml.aerial import sources as aerial_sources
from vidtag_ml.earth import slippy, sphere
from vidtag_ml.models.gama import tile_tracks
from vidtag_ml.models.gama.tile_tracks import (
    Clips,
    TileTrack,
    TileTrackDecoder,
    decode_track,
    rescore_rotated,
    restricted,
)

ROOT = Path(__file__).parents[4]
SIDE, ACROSS, NUM = 12, 9, 9
HEADING, STEP_KM = 60.0, 100.0
TIME_S = np.arange(float(NUM))
TRUTH = sphere.destination((40.0, 9.0), HEADING, STEP_KM * TIME_S)
MAX_SPEED_KMH = 1.1 * STEP_KM * 3600
ROWS = np.arange(5, ACROSS**2)
"""Tiles that a video may have: not all, so that their numbers are not those of the gallery."""


@pytest.fixture(scope="module")
def tiles():
    fixes = pd.DataFrame(TRUTH, columns=["lat", "lon"]).assign(clip_id="a", time_s=TIME_S)
    wanted = config.Aerial("flyover", None, "uncentred", 8, None, SIDE, ACROSS)
    return aerial_sources.build(wanted, fixes)[0]


def speaks_for(latlon_T2, tiles, sigma_km=80.0):
    """Logarithms of odds (T, K) that are greatest at some positions."""
    away_km = sphere.great_circle_km(np.asarray(latlon_T2)[:, None], tiles.latlon_G2)
    return -0.5 * (away_km / sigma_km) ** 2


def way_of(latlon_T2, tiles):
    log_TK = speaks_for(latlon_T2, tiles)
    tile_km = tiles.protocol["tile_km"]
    return log_TK, decode_track(log_TK, tiles.latlon_G2, TIME_S, MAX_SPEED_KMH, tile_km)


def way_to(best_T, heading_T, num):
    """A way that holds tile `best` for likely, then the next ones, of so many."""
    away = (np.arange(num) - np.asarray(best_T)[:, None]) % num
    marginals = 0.5 ** (1.0 + away)
    nowhere = np.zeros((len(best_T), 2))
    return TileTrack(np.asarray(best_T), marginals, nowhere, np.asarray(heading_T, float))


def test_examples_in_docstrings_are_true():
    result = doctest.testmod(tile_tracks)
    assert (result.failed, result.attempted) == (0, 1)


def headings_of(latlon_T2):
    """Directions from three clips before to three after."""
    first, last = np.maximum(np.arange(NUM) - 3, 0), np.minimum(np.arange(NUM) + 3, NUM - 1)
    return sphere.bearing_deg(latlon_T2[first], latlon_T2[last])


def test_a_way_ignores_a_clip_that_speaks_for_somewhere_else(tiles):
    seen, away_km = TRUTH.copy(), sphere.great_circle_km(tiles.latlon_G2, TRUTH[4])
    seen[4] = tiles.latlon_G2[away_km.argmax()]
    log_TK, way = way_of(seen, tiles)
    alone = tiles.latlon_G2[log_TK.argmax(1)]
    assert sphere.great_circle_km(alone, TRUTH)[4] > 600
    assert sphere.great_circle_km(tiles.latlon_G2[way.path_T], TRUTH).max() < 200
    assert sphere.great_circle_km(way.latlon_T2, TRUTH).max() < 200
    assert abs(way.heading_T - headings_of(TRUTH))[4] < 5
    np.testing.assert_allclose(way.marginals_TK.sum(1), 1)


def test_the_heading_of_a_way_is_the_direction_of_travel(tiles):
    _, way = way_of(TRUTH, tiles)
    away_deg = np.abs(way.heading_T - headings_of(TRUTH))
    assert away_deg[3:6].max() < 5
    assert away_deg.max() < 15  # at the ends there is half as much to go by


def test_headings_need_no_even_times_and_cross_the_date_line():
    latlon = [(0.0, 179.0), (0.0, -179.0), (1.0, -179.0)]
    found = tile_tracks.headings_deg(latlon, [0.0, 2.9, 6.0], tile_km=100.0)
    assert found[0] == pytest.approx(90.0)
    assert found[2] != found[2]


def test_a_parked_video_has_no_heading_and_nothing_is_turned(tiles):
    log_TK, way = way_of(np.repeat(TRUTH[4:5], NUM, 0), tiles)
    assert np.isnan(way.heading_T).all()
    rows = np.arange(len(tiles))
    found = rescore_rotated(log_TK, way, rows, lambda *_: pytest.fail("looked"), tiles, 3)
    assert np.array_equal(found, log_TK)


@pytest.mark.parametrize("at_once", [1, 4, 256])
def test_the_likeliest_tiles_are_shown_turned_to_the_heading(tiles, at_once, monkeypatch):
    monkeypatch.setattr(tile_tracks, "_AT_ONCE", at_once)
    way = way_to([7, 30, 12], [60.0, np.nan, 211.0], len(ROWS))
    shown = []

    def similarity(pixels, clip):
        shown.extend(zip(clip.tolist(), pixels.numpy(), strict=True))
        return np.zeros(len(clip))

    rescore_rotated(np.zeros((3, len(ROWS))), way, ROWS, similarity, tiles, 3)
    assert [clip for clip, _ in shown] == [0, 0, 0, 2, 2, 2]
    wanted = aerial_pictures.pixels(
        tiles, ROWS[[7, 8, 9, 12, 13, 14]], SIDE, None, [60.0] * 3 + [211.0] * 3
    )
    assert np.array_equal(np.stack([picture for _, picture in shown]), np.moveaxis(wanted, -1, 1))
    assert not np.array_equal(wanted[0], aerial_pictures.pixels(tiles, ROWS[[7]], SIDE)[0])


def test_what_is_said_of_turned_tiles_raises_the_right_one(tiles):
    way = way_to([7, 30, 12], [60.0, np.nan, 211.0], len(ROWS))
    log_TK = np.random.default_rng(0).normal(size=(3, len(ROWS)))
    log_TK[[0, 1, 2], [7, 30, 12]] = 5.0
    before = log_TK.copy()
    said = np.array([-3.0, 4.0, 1.0, 2.0, 2.5, 9.0])
    found = rescore_rotated(log_TK, way, ROWS, lambda _, clip: said[: len(clip)], tiles, 3)
    assert found.argmax(1).tolist() == [8, 30, 14]
    np.testing.assert_allclose((found - before)[0, 7:10], said[:3])
    np.testing.assert_allclose((found - before)[2, 12:15], said[3:])
    others = [np.delete(found - before, own, 1) for own in ([7, 8, 9], [12, 13, 14])]
    np.testing.assert_allclose(others[0][0], -3.0)
    np.testing.assert_allclose(others[1][2], 2.0)
    assert np.array_equal(found[1], before[1])
    assert np.array_equal(log_TK, before)


def test_no_more_tiles_are_turned_than_there_are(tiles):
    way, rows = way_to([1], [10.0], 2), ROWS[:2]
    found = rescore_rotated(
        np.zeros((1, 2)), way, rows, lambda _, clip: np.arange(len(clip)), tiles, 16
    )
    assert found.tolist() == [[1.0, 0.0]]


@dataclasses.dataclass(frozen=True)
class Told:
    """A posterior that holds positions (T, 2) for likely."""

    likely_P2: np.ndarray
    spacing_km: float = 100.0

    def log_odds(self, latlon_K2):
        return -0.5 * (sphere.great_circle_km(self.likely_P2[:, None], latlon_K2) / 80.0) ** 2


@pytest.mark.parametrize("spacing_km", [60.0, 150.0])
def test_tiles_within_reach_of_a_likely_point_are_kept(tiles, spacing_km):
    found = restricted(tiles.latlon_G2, Told(TRUTH, spacing_km))
    away_km = sphere.great_circle_km(tiles.latlon_G2[:, None], TRUTH).min(1)
    assert 0 < len(found) < len(tiles)
    assert found.tolist() == np.flatnonzero(away_km <= 1.5 * spacing_km).tolist()


def test_where_no_tile_is_in_reach_the_nearest_is_kept(tiles):
    far = np.array([(-30.0, -150.0), (10.0, 9.0)])
    away_km = sphere.great_circle_km(tiles.latlon_G2[:, None], far).min(1)
    assert restricted(tiles.latlon_G2, Told(far)).tolist() == [away_km.argmin()]


class Turner:
    """Embeds a picture by its pixels, and remembers what it was shown."""

    def __init__(self):
        self.seen = []

    def embed_tiles(self, tiles_BCHW):
        self.seen.append(tiles_BCHW)
        flat = tiles_BCHW.flatten(1)
        return torch.nn.functional.normalize(flat - flat.mean(1, keepdim=True))


@pytest.fixture
def guide(tiles):
    gama = config.load(ROOT / "params.yaml").gama
    settings = dataclasses.replace(gama, tile_crop=10, temperature=0.1)
    return TileTrackDecoder(tiles, torch.eye(len(tiles)), settings, Turner(), 16, None)


def clips_that_see(vectors, turned_TE, posterior=None):
    return Clips(TIME_S, vectors, turned_TE, MAX_SPEED_KMH * 1.5, posterior)


def eastward(tiles, southward):
    """Rows (T,) of tiles side by side, so many rows below the gallery's northern edge."""
    xy = slippy.numbers(tiles.latlon_G2, 8)
    x, y = (xy - xy.min(0)).T
    return np.array([np.flatnonzero((x == k) & (y == southward))[0] for k in range(NUM)])


def test_turned_tiles_decide_between_ways_of_one_heading(guide, tiles):
    right, wrong = eastward(tiles, 6), eastward(tiles, 3)
    vectors = 0.6 * torch.eye(len(tiles))[right] + 0.8 * torch.eye(len(tiles))[wrong]
    rows = np.sort(np.concatenate([right, wrong, eastward(tiles, 1)]))
    alone = dataclasses.replace(guide, num_candidates=0)
    clips = clips_that_see(vectors, torch.zeros(NUM, 300))
    ((name, (_, path)),) = alone.decode(clips, rows).items()
    assert name == "path"
    assert rows[path.path_T].tolist() == wrong.tolist()
    pictures = aerial_pictures.pixels(tiles, right, SIDE, None, path.heading_T)[:, 1:11, 1:11]
    seen = torch.from_numpy(np.moveaxis(pictures, -1, 1).copy()).float()
    clips = clips_that_see(vectors, Turner().embed_tiles(seen))
    found = guide.decode(clips, rows)
    assert list(found) == ["path", "turned"]
    assert rows[found["path"][1].path_T].tolist() == wrong.tolist()
    assert rows[found["turned"][1].path_T].tolist() == right.tolist()
    assert sphere.great_circle_km(found["turned"][1].latlon_T2, tiles.latlon_G2[right]).max() < 60
    shown = torch.cat(guide.turner.seen)
    assert shown.shape == (NUM * 16, 3, 10, 10)
    assert -1 <= shown.min() < 0 < shown.max() <= 1


def test_a_posterior_leads_to_where_no_region_was_kept(guide, tiles):
    posterior, rows = Told(TRUTH), eastward(tiles, 0)
    near = restricted(tiles.latlon_G2, posterior)
    assert len(np.setdiff1d(near, rows)) > 5
    blind = torch.full((NUM, len(tiles)), len(tiles) ** -0.5)
    found = guide.decode(clips_that_see(blind, torch.zeros(NUM, 300), posterior), rows)
    assert list(found) == ["path", "turned", "fused", "fused_turned"]
    for name, (own, way) in found.items():
        wanted = np.union1d(rows, near) if name.startswith("fused") else rows
        assert own.tolist() == wanted.tolist()
        assert way.marginals_TK.shape == (NUM, len(wanted))
    errors = {k: sphere.great_circle_km(w.latlon_T2, TRUTH).max() for k, (_, w) in found.items()}
    assert errors["fused"] < 100 < 300 < errors["path"]
    assert errors["fused_turned"] == pytest.approx(errors["fused"])


def test_odds_of_both_models_are_multiplied(guide, tiles):
    own = speaks_for(TRUTH, tiles, 200.0)
    away = speaks_for(sphere.destination(TRUTH, HEADING - 90, 150.0), tiles)
    vectors = torch.from_numpy(own * guide.settings.temperature).float()

    class Other(Told):
        def log_odds(self, latlon_K2):
            return away[:, [np.flatnonzero((tiles.latlon_G2 == p).all(1))[0] for p in latlon_K2]]

    guide = dataclasses.replace(guide, num_candidates=0)
    rows = np.arange(len(tiles))
    found = guide.decode(clips_that_see(vectors, torch.zeros(NUM, 300), Other(TRUTH)), rows)
    assert list(found) == ["path", "fused"]
    wanted = decode_track(
        own + away, tiles.latlon_G2, TIME_S, MAX_SPEED_KMH * 1.5, tiles.protocol["tile_km"]
    )
    np.testing.assert_allclose(found["fused"][1].marginals_TK, wanted.marginals_TK, atol=1e-4)
    assert not np.allclose(found["path"][1].marginals_TK, wanted.marginals_TK, atol=0.05)
