"""Motion: learnt from tracks whose law is known, and smoothed through claims whose truth is."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from vidtag_ml.dataset.tables import Tables
from vidtag_ml.earth import sphere
from vidtag_ml.retrieval import motion
from vidtag_ml.retrieval.motion import Motion, learnt, smoothed

CAR = Motion(max_speed_kmh=200.0, wander_kms=0.003)
SPACING_KM, SIGMA_KM = 2.0, 3.0


def lattice(around_2=(50.0, 8.0), across=41):
    """Places 2 km apart, eastwards and northwards of one place."""
    away = (np.arange(across) - across // 2) * SPACING_KM
    east, north = np.meshgrid(away, away)
    return sphere.destination(
        around_2, np.degrees(np.arctan2(east, north)), np.hypot(east, north)
    ).reshape(-1, 2)


def drive(bearings_deg, step_km, start_2=(50.0, 8.0)):
    track = [np.array(start_2)]
    for bearing, km in zip(bearings_deg, np.broadcast_to(step_km, len(bearings_deg)), strict=True):
        track.append(sphere.destination(track[-1], bearing, km))
    return np.stack(track)


def claims(states_S2, seen_T2, sigma_km=SIGMA_KM):
    return -0.5 * (sphere.great_circle_km(seen_T2[:, None], states_S2) / sigma_km) ** 2


def jittered(track_T2, km=SIGMA_KM, seed=0):
    rng, num = np.random.default_rng(seed), len(track_T2)
    return sphere.destination(track_T2, rng.uniform(0, 360, num), np.abs(rng.normal(0, km, num)))


def errors_km(track_T2, states_S2, seen_T2, time_s, moves=CAR):
    found = smoothed(states_S2, claims(states_S2, seen_T2), seen_T2, time_s, SPACING_KM, moves)
    return sphere.great_circle_km(found, track_T2), sphere.great_circle_km(seen_T2, track_T2)


def tables_of(tracks, mode="car", split="train"):
    ids = [f"clip-{k}" for k in range(len(tracks))]
    clips = pd.DataFrame({"clip_id": ids, "mode": mode, "split": split})
    fixes = pd.concat(
        [
            pd.DataFrame({"clip_id": i, "time_s": t, "lat": x[:, 0], "lon": x[:, 1]})
            for i, (t, x) in zip(ids, tracks, strict=True)
        ],
        ignore_index=True,
    )
    return Tables(clips, fixes.assign(status="measured"))


def wandering(seed, wander_kms=0.01, every_s=1.0, num=60):
    """A track whose velocity is a random walk, near the equator, summed in fine steps."""
    fine, rng = 50, np.random.default_rng(seed)
    change = rng.normal(0, wander_kms * np.sqrt(every_s / fine), (num * fine, 2))
    away_km = np.cumsum(np.cumsum(change, 0), 0)[fine - 1 :: fine] * every_s / fine
    return every_s * np.arange(num), away_km / sphere.KM_PER_DEGREE


@pytest.mark.parametrize("every_s", [1.0, 4.0])
def test_wander_is_that_of_the_tracks_whatever_their_rate(every_s):
    tracks = [wandering(seed, every_s=every_s) for seed in range(40)]
    assert learnt(tables_of(tracks))["car"] == pytest.approx(0.01, rel=0.05)


def test_each_mode_learns_from_its_own_train_clips_alone():
    slow, fast, other = (wandering(k, w) for k, w in enumerate((0.001, 0.1, 9.0)))
    tables = tables_of([slow, fast, other])
    tables.clips["mode"], tables.clips["split"] = ["walk", "car", "car"], ["train", "train", "val"]
    found = learnt(tables)
    assert found["walk"] == pytest.approx(0.001, rel=0.4)
    assert found["car"] == pytest.approx(0.1, rel=0.4)


def test_a_mode_is_not_known_from_two_fixes_or_from_standing_still():
    time_s, track = wandering(0)
    assert learnt(tables_of([(time_s[:2], track[:2])])) == {}
    assert learnt(tables_of([(time_s, np.tile(track[:1], (60, 1)))])) == {}
    assert learnt(tables_of([(time_s, track)], split="test")) == {}


def test_receivers_jitter_between_the_seconds_is_no_wander():
    time_s = np.arange(0, 60, 0.1)
    jitter = np.where(np.arange(600) % 10, 1e-4, 0.0)
    track = np.stack([np.zeros(600), 1e-3 * time_s + jitter], -1)
    assert learnt(tables_of([(time_s, track)]))["car"] == motion.LEAST_WANDER_KMS


def test_a_straight_drive_comes_out_nearer_than_what_was_seen_and_below_the_spacing():
    track = drive([70.0] * 20, 1.0)
    after, before = errors_km(track, lattice(), jittered(track), 60.0 * np.arange(21))
    assert np.median(after) < 0.6 * np.median(before)
    assert np.median(after) < 0.5 * SPACING_KM


def test_a_turn_is_not_cut_where_frames_show_it():
    track = drive([0.0] * 10 + [90.0] * 10, 1.5)
    after, _ = errors_km(track, lattice(), track, 90.0 * np.arange(21))
    assert after.max() < 0.5 * SPACING_KM


def test_a_pause_is_a_pause():
    track = drive([70.0] * 20, [1.0] * 7 + [0.0] * 7 + [1.0] * 6)
    after, _ = errors_km(track, lattice(), track, 60.0 * np.arange(21))
    assert after.max() < 0.5 * SPACING_KM


def test_a_frame_that_claims_nothing_lies_where_its_neighbours_lead():
    track, states = drive([70.0] * 8, 1.0), lattice()
    log_TS = claims(states, track)
    log_TS[4], seen = 0.0, track.copy()
    seen[4] = sphere.destination(track[4], 0.0, 3.0)
    found = smoothed(states, log_TS, seen, 60.0 * np.arange(9), SPACING_KM, CAR)
    assert sphere.great_circle_km(found, track).max() < 0.5


def test_uneven_and_equal_times_are_what_they_say():
    time_s = np.array([0.0, 5, 5, 200, 260, 261, 600, 700])
    track = sphere.destination((50.0, 8.0), 45.0, time_s / 60.0)
    steady = replace(CAR, wander_kms=0.0005)
    after, before = errors_km(track, lattice(), jittered(track), time_s, steady)
    assert np.median(after) < 0.6 * np.median(before)
    found = smoothed(lattice(), claims(lattice(), jittered(track)), track, time_s, SPACING_KM, CAR)
    assert sphere.great_circle_km(found[1], found[2]) < 0.01


@pytest.mark.parametrize("num", [1, 2, 3])
def test_few_frames_go_where_they_point(num):
    track, states = drive([70.0] * (num - 1), 1.0), lattice()
    start = sphere.destination(track, 10.0, 1.0)
    found = smoothed(states, claims(states, track), start, np.arange(num) * 60.0, SPACING_KM, CAR)
    assert sphere.great_circle_km(found, track).max() < 0.2 * SPACING_KM


def test_one_place_leaves_everything_where_it_is():
    start = np.array([[10.0, 20.0]] * 2)
    found = smoothed(start[:1], np.zeros((2, 1)), start, [0.0, 1.0], 0.0, CAR)
    np.testing.assert_array_equal(found, start)


@pytest.mark.parametrize("start", [(0.0, 179.9), (89.8, 0.0), (-89.9, 50.0)])
def test_poles_and_date_line_are_places_like_others(start):
    track, states = drive([30.0] * 20, 1.0, start), lattice(start)
    after, before = errors_km(track, states, jittered(track), 60.0 * np.arange(21))
    assert np.median(after) < 0.6 * np.median(before)


def test_what_only_the_lattice_makes_jump_keeps_to_the_limit():
    walker = Motion(max_speed_kmh=6.0, wander_kms=0.0005)
    track, states = drive([90.0] * 30, 0.05), lattice()
    jumping = states[sphere.great_circle_km(track[:, None], states).argmin(1)]
    found = smoothed(
        states, claims(states, jumping), jumping, 60.0 * np.arange(31), SPACING_KM, walker
    )
    steps_km = sphere.great_circle_km(found[1:], found[:-1])
    assert sphere.great_circle_km(jumping[1:], jumping[:-1]).max() > 1.9
    assert steps_km.max() < 0.1


TIMES = {
    "all at once": np.zeros(12),
    "a microsecond apart": np.arange(12) * 1e-6,
    "days apart": np.arange(12) * 86_400.0,
    "in pairs": np.arange(12) // 2 * 1.0,
}


@pytest.mark.parametrize("time_s", TIMES.values(), ids=TIMES)
@pytest.mark.parametrize("seed", range(8))
def test_whatever_comes_there_is_an_answer_a_few_spacings_from_the_start(time_s, seed):
    rng = np.random.default_rng(seed)
    states, log_TS = lattice((90.0 - 30 * seed, 0.0))[::7], rng.normal(0, 10.0**seed, (12, 241))
    states[::3] = sphere.destination(states[::3], 90.0, 5000.0)
    start = states[rng.integers(len(states), size=12)]
    moves = Motion(10 ** rng.uniform(0.5, 5), 10 ** rng.uniform(-4, 2))
    found = smoothed(states, log_TS, start, time_s, SPACING_KM, moves)
    apart_km = sphere.great_circle_km(found, start)
    assert (apart_km <= 1.01 * motion.STEPS * motion.REACH * SPACING_KM).all()


def test_more_wander_follows_frames_and_less_smooths_them():
    track, time_s = drive([70.0] * 20, 1.0), 60.0 * np.arange(21)
    seen, states = jittered(track), lattice()
    rough = [
        np.abs(np.diff(_smooth(states, seen, time_s, wander), 2, axis=0)).sum()
        for wander in (1e-4, 1e-3, 1.0)
    ]
    assert rough[0] < rough[1] < rough[2]


def _smooth(states, seen, time_s, wander):
    moves = replace(CAR, wander_kms=wander)
    log_TS = claims(states, seen)
    return motion.smoothed(states, log_TS, seen, time_s, SPACING_KM, moves)
