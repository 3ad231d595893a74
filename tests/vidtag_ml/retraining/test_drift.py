"""Clips of another place, hour or embedding are far from the train clips; others are not."""

import numpy as np
import pandas as pd
import pytest

from vidtag_ml.retraining.drift import drifts

LEAST = 20


def clips(seed, num=60, lat=45.0, hour=12.0, towards=0, width=8):
    """Groups of two clips around a place, an hour and a direction of embeddings."""
    rng = np.random.default_rng(seed)
    seen = rng.normal(0, 0.1, (num, width)) + np.eye(width)[towards]
    table = pd.DataFrame(
        {
            "clip_id": [f"{seed}-{k:03d}" for k in range(num)],
            "group_id": [f"{seed}-{k // 2:03d}" for k in range(num)],
            "split": "train",
            "lat": lat + rng.normal(0, 1, num),
            "lon": 9.0 + rng.normal(0, 1, num),
            "hour": (hour + rng.normal(0, 2, num)) % 24,
        }
    )
    return table.assign(embedding=list(seen / np.linalg.norm(seen, axis=1, keepdims=True)))


THEN = clips(0, 200)


def far(new, then=THEN):
    """What new clips are far in."""
    return [d.of for d in drifts(new, then, LEAST) if d.distance >= 0.3 and d.p_value < 0.01]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_clips_from_the_same_world_are_not_far(seed):
    assert far(clips(seed)) == []


@pytest.mark.parametrize(
    ("moved", "of"),
    [({"lat": 55.0}, "position"), ({"hour": 21.0}, "time of day"), ({"towards": 1}, "embedding")],
)
def test_clips_that_differ_in_one_respect_are_far_in_that(moved, of):
    assert far(clips(1, **moved)) == [of]


def test_the_numbers_have_units():
    told = {drift.of: drift.told for drift in drifts(clips(1, lat=55.0), THEN, LEAST)}
    assert float(told["position"].split(" km")[0]) > 500
    assert "h by the sun" in told["time of day"]


def test_few_groups_say_nothing_however_many_clips_they_have():
    new = clips(1, 60, lat=55.0).assign(group_id="one")
    for drift in drifts(new, THEN, LEAST):
        assert (drift.distance, drift.p_value) == (None, None)
        assert drift.told == "known of 1 new and 100 train groups; 20 are needed"


def test_val_clips_are_not_what_was_trained_on():
    val = clips(1, lat=55.0).assign(split="val")
    assert far(clips(2, lat=55.0), pd.concat([THEN, val])) == ["position"]


def test_what_nobody_knows_is_not_compared():
    new = clips(1, lat=55.0).assign(hour=np.nan).drop(columns="embedding")
    found = {drift.of: drift.distance for drift in drifts(new, THEN, LEAST)}
    assert found["position"] > 0.9
    assert found["time of day"] is None
    assert found["embedding"] is None


def test_embeddings_by_other_encoders_are_not_compared():
    (_, _, drift) = drifts(clips(1, width=9), THEN, LEAST)
    assert (drift.distance, drift.told) == (None, "seen by other encoders")


def test_denser_clips_are_no_drift():
    new = clips(1)
    new[["lat", "lon"]] = THEN[["lat", "lon"]].to_numpy()[:60]
    assert far(new) == []


def test_no_clips_have_no_drift():
    assert drifts(clips(1).iloc[:0], THEN, LEAST) == []
