"""Recordings that belong together are one group, and share a split."""

import numpy as np
import pandas as pd
import pytest

from vidtag_ml import clips, config
from vidtag_ml.sources import groups

BUSY = 0x5A5A_A5A5_3C3C_0F0F
"""A picture that shows something: half of its bits are set."""


def entry(began_s=np.nan, duration_s=60.0, start=(47.0, 8.0), end=(47.0, 8.0), signature=()):
    """What the journal keeps of a recording."""
    fixes = {"lat": [start[0], end[0]], "lon": [start[1], end[1]], "status": ["measured"] * 2}
    clip = {"duration_s": duration_s}
    return {"began_utc_s": began_s, "clip": clip, "fixes": fixes, "signature": list(signature)}


def grouped(**entries):
    marks = groups.Marks()
    for name, found in entries.items():
        marks.add(name, found)
    return marks.groups()


def test_chapters_of_a_ride_are_one_group():
    found = grouped(a=entry(0.0), b=entry(100.0), c=entry(700.0), d=entry(5000.0))
    assert found == {"a": "a", "b": "a", "c": "a", "d": "d"}


@pytest.mark.parametrize("later", [entry(0.0, start=(48.0, 8.0)), entry(np.nan)])
def test_elsewhere_or_at_an_unknown_time_is_another_ride(later):
    assert grouped(a=entry(0.0), b=later) == {"a": "a", "b": "b"}


def test_a_copy_is_in_the_group_of_its_original():
    shown = [BUSY + k for k in range(8)]
    assert grouped(a=entry(signature=shown), b=entry(signature=shown[:4])) == {"a": "a", "b": "a"}


def test_a_few_equal_pictures_are_no_copy():
    shown = [BUSY + k for k in range(8)]
    other = [*shown[:3], *[BUSY + 100 + k for k in range(5)]]
    assert grouped(a=entry(signature=shown), b=entry(signature=other)) == {"a": "a", "b": "b"}


@pytest.mark.parametrize("flat", [0, 2**64 - 1, 0b111])
def test_night_is_not_the_same_as_night(flat):
    assert grouped(a=entry(signature=[flat]), b=entry(signature=[flat])) == {"a": "a", "b": "b"}


def test_dropped_fixes_do_not_place_a_ride():
    found = entry(100.0)
    found["fixes"] = {
        "lat": [0.0, 47.0], "lon": [0.0, 8.0], "status": ["dropped", "measured"],
    }  # fmt: skip
    assert grouped(a=entry(0.0), b=found) == {"a": "a", "b": "a"}


def tables(num=8):
    """Clips along a meridian, each a group, a kilometre apart."""
    names = [f"c{k}" for k in range(num)]
    rows = pd.DataFrame({"clip_id": names, "group_id": names, "split": "train"})
    lat = 47.0 + np.arange(num) / 111.195
    fixes = pd.DataFrame(
        {"clip_id": names, "time_s": 0.0, "lat": lat, "lon": 8.0, "status": "measured"}
    )
    return clips.Tables(rows, fixes)


def settings(min_split_km):
    return config.Clips("recordings", None, 7, 2, 1, 1, 1, 16, 2.0, min_split_km)


def test_splits_are_drawn_by_group():
    split = groups.split(tables(), settings(0.0)).clips["split"]
    assert split.value_counts().to_dict() == {"train": 4, "val": 2, "test": 2}


def test_groups_that_lie_near_each_other_share_a_split():
    assert len(set(groups.split(tables(), settings(2.0)).clips["split"])) == 1
