"""Recordings that belong together are one group, and share a split."""

import dataclasses

import numpy as np
import pytest

from vidtag_ml import config
from vidtag_ml.dataset import tables
from vidtag_ml.ingest.own import groups
from vidtag_ml.ingest.own.records import Accepted, Clip, Summary

BUSY = 0x5A5A_A5A5_3C3C_0F0F
"""A picture that shows something: half of its bits are set."""


def entry(began_s=np.nan, start=(47.0, 8.0), end=(47.0, 8.0), signature=()):
    """What is known of a recording of a minute."""
    fixes = {"lat": [start[0], end[0]], "lon": [start[1], end[1]], "status": ["measured"] * 2}
    clip = Clip("", "", "video", "walk", "", 1800, 60.0, 30.0, 1920, 1080, "h264")
    told = Summary("", "", "pyav", 1800, 60.0, 2, "gpx", 0.0, 0.0, 0.0, 0.0, [], 2, {})
    return Accepted(clip, told, fixes, began_s, [], [], list(signature), [], [])


def add(marks, name, found, **when):
    """Remembers a recording by a name."""
    clip = dataclasses.replace(found.clip, clip_id=name)
    marks.add(dataclasses.replace(found, clip=clip), **when)


def settings(min_split_km=0.0):
    return config.Clips("recordings", None, 7, 2, 1, 1, 1, 16, 2.0, min_split_km)


def grouped(**entries):
    marks = groups.Marks(settings())
    for name, found in entries.items():
        add(marks, name, found)
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


def changed(pictures, num_bits, seed=1):
    """Pictures of which so many bits each were turned over."""
    rng = np.random.default_rng(seed)
    bits = [rng.choice(64, num_bits, replace=False).tolist() for _ in pictures]
    return [p ^ sum(1 << b for b in some) for p, some in zip(pictures, bits, strict=True)]


@pytest.mark.parametrize(("num_bits", "group"), [(1, "a"), (4, "a"), (5, "b"), (12, "b")])
def test_a_copy_may_differ_in_a_few_bits_of_each_picture(num_bits, group):
    shown = np.random.default_rng(0).integers(0, 2**63, 16).tolist()
    assert grouped(a=entry(signature=shown), b=entry(signature=changed(shown, num_bits))) == {
        "a": "a", "b": group,
    }  # fmt: skip


def test_a_few_pictures_that_nearly_agree_are_no_copy():
    shown = np.random.default_rng(0).integers(0, 2**63, 16).tolist()
    other = [*changed(shown[:11], 2), *changed(shown[11:], 20)]
    assert grouped(a=entry(signature=shown), b=entry(signature=other)) == {"a": "a", "b": "b"}


def test_a_few_equal_pictures_are_no_copy():
    shown = np.random.default_rng(0).integers(0, 2**63, 13).tolist()
    shown, other = shown[:8], [*shown[:3], *shown[8:]]
    assert grouped(a=entry(signature=shown), b=entry(signature=other)) == {"a": "a", "b": "b"}


@pytest.mark.parametrize("flat", [0, 2**64 - 1, 0b111])
def test_night_is_not_the_same_as_night(flat):
    assert grouped(a=entry(signature=[flat]), b=entry(signature=[flat])) == {"a": "a", "b": "b"}


def test_dropped_fixes_do_not_place_a_ride():
    found = entry(100.0, start=(0.0, 0.0))
    found.fixes["status"][0] = "dropped"
    assert grouped(a=entry(0.0), b=found) == {"a": "a", "b": "a"}


def splits(num, min_split_km=0.0, away_km=1.0, left_out=(), seed=7):
    """The split of each of many recordings along a meridian, two of which are taken in by a run."""
    marks = groups.Marks(dataclasses.replace(settings(min_split_km), seed=seed))
    for k in range(num):
        place = (away_km * k / 111.195 - 60.0, 8.0)
        if k not in left_out:
            add(marks, f"c{k}", entry(start=place, end=place), added_ns=k // 2)
    group_of = marks.groups()
    split_of = marks.splits(group_of)
    return {name: split_of[group] for name, group in group_of.items()}


def test_no_split_is_empty_while_another_has_two_groups():
    assert [len(set(splits(num).values())) for num in (1, 2, 3, 9)] == [1, 2, 3, 3]
    assert list(splits(1).values()) == ["train"]


def test_many_groups_are_split_as_the_shares_say():
    drawn = list(splits(2000).values())
    shares = [drawn.count(split) / 2000 for split in tables.SPLITS]
    assert shares == pytest.approx([0.5, 0.25, 0.25], abs=0.03)


@pytest.mark.parametrize("min_split_km", [0.0, 0.5])
def test_what_is_added_moves_no_group(min_split_km):
    whole = splits(60, min_split_km)
    for num in range(2, 60, 2):
        assert splits(num, min_split_km).items() <= whole.items()


def test_what_is_deleted_moves_no_group_but_those_that_fill_empty_splits():
    before, after = splits(60), splits(60, left_out=(30, 41))
    assert after.items() <= before.items()


def test_a_group_that_grows_keeps_its_split():
    marks = groups.Marks(settings())
    for k in range(40):
        add(marks, f"m{k}", entry(1e5 * k), added_ns=0)
    before = marks.splits(marks.groups())
    for k in range(40):
        add(marks, f"a{k}", entry(1e5 * k + 100.0), added_ns=1)
    after, group_of = marks.splits(marks.groups()), marks.groups()
    assert all(after[group_of[f"m{k}"]] == before[f"m{k}"] for k in range(40))


def test_another_seed_draws_otherwise():
    assert splits(60) != splits(60, seed=8)


def test_groups_that_lie_near_each_other_share_a_split():
    assert len(set(splits(8, min_split_km=2.0).values())) == 1


def test_groups_are_united_alike_however_few_fixes_are_compared_at_once(monkeypatch):
    places = np.random.default_rng(3).uniform(47.0, 48.0, (300, 2))
    marks = groups.Marks(settings(3.0))
    for k, place in enumerate(places.tolist()):
        add(marks, f"c{k}", entry(start=place, end=place), added_ns=k)
    found = []
    for points in (10, 200_000):
        monkeypatch.setattr(groups, "BAND_POINTS", points)
        found.append(marks.splits(marks.groups()))
    assert found[0] == found[1]
    assert len(set(found[0].values())) == 3
