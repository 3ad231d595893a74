"""Ways of a split: two videos of the Blue Marble, and clips that know their tiles."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from vidtag_ml import config
from vidtag_ml.aerial import sources as aerial_sources
from vidtag_ml.earth import sphere
from vidtag_ml.models.gama import evaluate_tracks, tile_tracks
from vidtag_ml.models.gama.data import CrossViewData, DriveFixes, PixelStore
from vidtag_ml.models.gama.evaluate_tracks import DecodedTracks, TrackContext
from vidtag_ml.models.gama.metrics import Items, Rule
from vidtag_ml.models.gama.network import GAMaNet
from vidtag_ml.models.gama.split_search import EmbeddedSplit
from vidtag_ml.models.gama.tile_tracks import TileTrack

ROOT = Path(__file__).parents[4]
SIZES = config.GamaNetwork(4, 1, "video", "fast", 0.0, "none", 1, 1, 0.0, "none")
RULE = Rule(None, near_only_first=False, top1_km={"near": 100.0})
STARTS = {"other": (0.0, 9.0), "first": (40.0, 9.0), "second": (20.0, 75.0)}
NUM, SPEED_KMH = 6, 400_000.0


def fixes_of(name):
    latlon = sphere.destination(STARTS[name], 60.0, 100.0 * np.arange(NUM))
    table = pd.DataFrame(latlon, columns=["lat", "lon"])
    return table.assign(clip_id=name, time_s=np.arange(float(NUM)))


@pytest.fixture(scope="module")
def params():
    full = config.load(ROOT / "params.yaml")
    sizes = {"frame_size": (12, 12), "clip_crop": (10, 10), "tile_crop": 10}
    return dataclasses.replace(
        full,
        gama=dataclasses.replace(full.gama, **sizes),
        heading=dataclasses.replace(full.heading, num_candidates=3),
    )


@pytest.fixture(scope="module")
def world():
    wanted = config.Aerial("flyover", None, "centred", 8, None, 12, 7)
    tiles, regions = aerial_sources.build(wanted, pd.concat([fixes_of(name) for name in STARTS]))
    frames = np.random.default_rng(0).integers(256, size=(96, 12, 12, 3), dtype=np.uint8)
    videos = pd.DataFrame({"clip_id": ["first", "second"], "first": [0, 48], "num_frames": 48})
    footage = PixelStore(videos, frames, frames, frames)
    return CrossViewData([], [], footage, tiles, regions, None, Path())


@pytest.fixture(scope="module")
def found(world):
    """Tiles of the two videos of the split alone; each clip is as its own tile."""
    tiles = world.tiles.table
    drives = []
    for k, name in enumerate(("first", "second"), 1):
        rows = np.flatnonzero(tiles["region"] == name)
        latlon = world.tiles.latlon_G2[rows]
        drives.append(DriveFixes(name, k, tiles["time_s"].to_numpy(float)[rows], latlon, rows))
    seen = [(0, 1), (0, 2), (0, 3), (1, 0), (1, 1), (1, 2), (1, 3)]
    row_M = np.concatenate([drive.tile_N for drive in drives])
    wanted = np.array([drives[k].tile_N[fix] for k, fix in seen])
    vectors = torch.eye(len(row_M))
    own = vectors[torch.from_numpy(np.searchsorted(row_M, wanted))]
    clips = Items(own, world.tiles.ids[wanted], world.tiles.latlon_G2[wanted])
    return EmbeddedSplit(
        drives,
        seen,
        clips,
        Items(vectors, world.tiles.ids[row_M], world.tiles.latlon_G2[row_M]),
        row_M,
    )


@dataclasses.dataclass(frozen=True)
class Told:
    """A posterior that is right."""

    latlon_T2: np.ndarray
    spacing_km: float = 40.0

    @property
    def likely_P2(self):
        return self.latlon_T2

    def log_odds(self, latlon_K2):
        return -0.5 * (sphere.great_circle_km(self.latlon_T2[:, None], latlon_K2) / 80.0) ** 2


KEPT = [np.arange(NUM), np.arange(NUM, 2 * NUM)]
AMISS = [np.arange(NUM, 2 * NUM), np.arange(NUM)]


def decoded(found, world, params, kept, posterior_of=None):
    torch.manual_seed(0)
    speeds = {drive.name: SPEED_KMH for drive in found.drives}
    context = TrackContext(speeds, GAMaNet(SIZES).eval(), posterior_of)
    return evaluate_tracks.decode(found, world, params, context, kept)


@pytest.fixture(scope="module")
def alone(found, world, params):
    return decoded(found, world, params, KEPT)


@pytest.fixture(scope="module")
def asked(found, world, params):
    """What VidTAG was asked, and the tracks that it leads to although the wrong region was kept."""
    questions = []

    def posterior_of(drive, time_s):
        questions.append((drive.name, time_s.tolist()))
        return Told(drive.latlon_N2[np.searchsorted(drive.time_s_N, time_s)])

    return questions, decoded(found, world, params, AMISS, posterior_of)


def test_each_video_is_followed_among_its_tiles(alone, found):
    assert list(alone.tracks) == ["path", "turned"]
    assert alone.last == "turned"
    assert (alone.posteriors, alone.near) == ([], [])
    for tracks in alone.tracks.values():
        assert [len(track.path_T) for _, track in tracks] == [3, 4]
        assert [rows.tolist() for rows, _ in tracks] == [rows.tolist() for rows in KEPT]
    paths = [rows[track.path_T].tolist() for rows, track in alone.tracks["path"]]
    assert paths == [[1, 2, 3], [6, 7, 8, 9]]


def test_positions_are_those_of_the_split_s_tiles(alone, found):
    errors = evaluate_tracks.errors_km(found, alone)
    assert list(errors) == ["path", "turned"]
    for name, error_N in errors.items():
        tracks = alone.tracks[name]
        latlon = np.concatenate([track.latlon_T2 for _, track in tracks])
        wanted = sphere.great_circle_km(latlon, found.clips.latlon_N2)
        np.testing.assert_allclose(error_N, wanted)
    assert errors["path"].max() < 50


def test_vidtag_is_asked_about_the_times_of_the_clips(asked):
    questions, _ = asked
    assert questions == [("first", [1.0, 2.0, 3.0]), ("second", [0.0, 1.0, 2.0, 3.0])]


def test_a_posterior_mends_a_region_that_was_kept_amiss(asked, found):
    _, followed = asked
    assert list(followed.tracks) == ["path", "turned", "fused", "fused_turned"]
    assert followed.last == "fused_turned"
    likely = [rows.tolist() for rows in followed.near]
    assert likely == [[1, 2, 3], [6, 7, 8, 9]]
    errors = evaluate_tracks.errors_km(found, followed)
    assert next(iter(errors)) == "vidtag"
    np.testing.assert_allclose(errors["vidtag"], 0, atol=1e-3)
    assert errors["path"].min() > 1000
    assert errors["fused"].max() < 50


def test_ways_are_judged_among_the_tiles_that_they_had(asked, alone, found):
    without = evaluate_tracks.judged(found, RULE, alone)
    assert list(without) == ["path", "turned"]
    assert without["path"]["recall_at_1"].all()
    assert without["path"]["gallery_size"].tolist() == [NUM] * 7
    judged = evaluate_tracks.judged(found, RULE, asked[1])
    assert list(judged) == ["near", "path", "turned", "fused", "fused_turned"]
    assert judged["near"]["gallery_size"].tolist() == [3] * 3 + [4] * 4
    assert judged["near"]["recall_at_1"].all()
    assert np.isinf(judged["path"]["rank"]).all()
    assert judged["fused"]["recall_at_1"].all()
    assert judged["fused"]["gallery_size"].tolist() == [9] * 3 + [10] * 4


def test_tiles_are_ranked_by_what_all_clips_of_a_video_say(found):
    marginals = np.array([[0.1, 0.7, 0.2, 0, 0, 0], [0.5, 0.3, 0.2, 0, 0, 0], [1, 0, 0, 0, 0, 0]])
    some = TileTrack(np.array([1, 0, 0]), marginals, found.clips.latlon_N2[:3], np.zeros(3))
    other = TileTrack(np.zeros(4, int), np.eye(4, NUM), found.clips.latlon_N2[3:], np.zeros(4))
    followed = DecodedTracks({"path": [(KEPT[0], some), (KEPT[1], other)]}, [], [])
    judged = evaluate_tracks.judged(found, RULE, followed)["path"]
    assert judged["rank"].tolist() == [0, 2, 5, 0, 0, 0, 0]
    assert judged["top1"].tolist() == [1, 0, 0, 6, 7, 8, 9]


def test_tiles_near_a_posterior_are_those_of_the_track(asked, found):
    _, followed = asked
    for posterior, near in zip(followed.posteriors, followed.near, strict=True):
        wanted = tile_tracks.restricted(found.tiles.latlon_N2, posterior)
        assert near.tolist() == wanted.tolist()
