"""Clips that are mirrored as a whole are found; those at sea and far from their labels are not."""

import dataclasses

import pandas as pd
import pytest

from vidtag_ml.dataset import mirrored
from vidtag_ml.dataset.tables import Tables

PLACES = {
    "madrid": (40.4, -3.7, "Madrid", "Spain", "Europe"),
    "paris": (48.85, 2.35, "Paris", "France", "Europe"),
    "sydney": (-33.87, 151.2, "Sydney", "Australia", "Oceania"),
    "natal": (-5.8, -35.2, "Natal", "Brazil", "South America"),
}
SWAPPED, NORTH, EAST, BOTH = list(mirrored.REPAIRS)[:4]


def world(places=PLACES, mode="walk", **moved):
    """A walk in each place, of three fixes; those that are `moved` lie elsewhere."""
    clips = pd.DataFrame(
        [(name, name, mode, *labels) for name, (_, _, *labels) in places.items()],
        columns=["clip_id", "group_id", "mode", "city", "country", "continent"],
    )
    where = {name: (lat, lon) for name, (lat, lon, *_) in places.items()} | moved
    fixes = [
        (n, t, lat + t / 1e4, lon, "measured") for n, (lat, lon) in where.items() for t in range(3)
    ]
    return Tables(clips, pd.DataFrame(fixes, columns=["clip_id", "time_s", "lat", "lon", "status"]))


def found(tables):
    """Clip, whether it is clear, and what happened, of each finding."""
    told = mirrored.findings(tables)
    return list(told[["clip_id", "clear", "repair"]].itertuples(index=False, name=None))


def test_clips_that_lie_where_their_labels_say_are_let_be():
    assert found(world()) == []


@pytest.mark.parametrize(
    ("clip", "where", "repair"),
    [
        ("madrid", (-3.7, 40.4), SWAPPED),
        ("madrid", (40.4, 3.7), EAST),
        ("sydney", (33.87, 151.2), NORTH),
        ("natal", (5.8, 35.2), BOTH),
        ("natal", (35.2, -5.8), "they are swapped, and longitude has lost its sign"),
        ("paris", (2.35, 48.85), SWAPPED),
    ],
)
def test_a_mirrored_clip_is_clear_and_says_what_happened(clip, where, repair):
    assert found(world(**{clip: where})) == [(clip, True, repair)]


def test_the_reason_says_how_far_a_clip_is_from_its_label():
    (reason,) = mirrored.findings(world(madrid=(40.4, 3.7)))["reason"]
    assert "from Madrid, Spain, where its labels place it" in reason
    assert 600 < float(reason.split(" km")[0]) < 650


def test_a_clip_in_the_wrong_place_that_is_not_mirrored_is_doubtful():
    assert found(world(madrid=(52.5, 13.4))) == [("madrid", False, "")]


def test_labels_of_the_nearest_large_city_may_be_far_off():
    far = {"amazon": (3.1, -60.0, "Manaus", "Brazil", "South America")}  # its mirror is Manaus
    assert found(world(far, mode="flyover")) == []


@pytest.mark.parametrize("city", ["Madridd", None])
def test_a_city_that_nobody_knows_is_judged_by_its_country(city):
    spain = {"a": (40.4, -3.7, city, "Spain", "Europe")}
    assert found(world(spain)) == []
    assert found(world(spain, a=(-3.7, 40.4))) == [("a", True, SWAPPED)]


def test_a_continent_alone_is_doubtful_and_no_label_says_nothing():
    europe = {"a": (40.4, -3.7, None, "Castile", "Europe")}
    assert found(world(europe, a=(-3.7, 40.4))) == [("a", False, SWAPPED)]
    assert found(world({"a": (41.9, 12.5, None, None, None)}, a=(12.5, 41.9))) == []  # on land


def test_a_clip_at_sea_is_doubtful_unless_it_flies_over():
    labels = (None, None, None)
    at_sea = {"boat": (5.0, 60.0, *labels), "beach": (5.0, 48.6, *labels)}
    told = mirrored.findings(world(at_sea))
    assert told[["clip_id", "clear"]].to_numpy().tolist() == [["boat", False]]
    assert told["reason"][0] == "at sea, more than 1000 km from land"
    assert found(world(at_sea, mode="flyover")) == []


def test_a_clip_alone_whose_mirror_is_among_the_others_is_doubtful():
    labels = (None, None, None)
    rome = {f"rome {k}": (41.9 + k / 100, 12.5, *labels) for k in range(3)}
    assert found(world(rome)) == []
    assert found(world(rome, **{"rome 1": (12.5, 41.91)})) == [("rome 1", False, SWAPPED)]


def test_dropped_fixes_and_what_is_not_on_earth_say_nothing():
    tables = world(madrid=(40.4, 3.7), paris=(91.0, 2.0))
    dropped = tables.fixes.assign(status="dropped")
    assert found(dataclasses.replace(tables, fixes=dropped)) == []
    assert [clip for clip, _, _ in found(tables)] == ["madrid"]


def test_flights_of_the_tiny_world_are_let_be(tables):
    assert found(tables) == []
