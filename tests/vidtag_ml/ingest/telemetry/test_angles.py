"""Claims about angles: all ways to write one, and what cannot be known is none."""

import doctest
import math

import pytest

from vidtag_ml.ingest.telemetry import angles

SOUTH = [
    "33.85 S",
    "S33.85",
    "s 33,85",
    "33°51'0\"S",
    "33° 51.000' S",
    "33\u00b051\u20320\u2033 S",
    "33 51 0 S",
    "33:51:00S",
    "33\u00b050'60.000\"S",
    "33 deg 51' 0.00\" S",
    "33d51'0''S",
    "South 33.85",
    "S: 33.85",
    "33.85\u00b0 south",
]


def test_examples_in_docstrings_hold():
    result = doctest.testmod(angles)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("text", SOUTH)
def test_an_angle_is_written_in_many_ways(text):
    found = angles.angle(text)
    assert (found.size, found.letter) == (pytest.approx(33.85), "S")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("-33.85", -33.85), ("\u221233,85", -33.85), ("+47.", 47), ("4.75e1", 47.5), ("0", 0)],
)
def test_a_number_has_its_sign(text, wanted):
    found = angles.angle(text)
    assert math.copysign(found.size, -1 if found.sign == "-" else 1) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "NA",
        "nan",
        "inf",
        "-1e400",
        "47,5,8",
        "47.5.8",
        "1,234.5",
        "33 61",
        "33.5 10",
        "N47E",
        "N",
    ],
)
def test_what_is_no_angle_or_more_than_one_is_none(text):
    assert angles.angle(text) is None


def located(lat, lon, lat_refs=(), lon_refs=()):
    return angles.places(lat, lon, lat_refs, lon_refs)


def test_letters_that_are_of_the_other_axis_exchange_all_and_are_told():
    found = located(["8.5 E", "8.6 E"], ["47.5 N", "47.6 N"])
    assert (found.lat.tolist(), found.lon.tolist()) == ([47.5, 47.6], [8.5, 8.6])
    assert found.told == ("latitude and longitude were exchanged: letters N, S, E and W say so",)


def test_a_letter_of_the_other_axis_in_one_row_is_left_out_and_told():
    found = located(["47.5 N", "8.5 E", "47.7 N"], ["8.5 E"] * 3)
    assert math.isnan(found.lat[1])
    assert found.told == ("1 of 3 latitudes with the letter E: left out",)


def test_letters_on_few_rows_leave_the_others_their_signs_and_are_told():
    found = located(["47.5", "-33.5", "33.9 S"], ["8", "151", "151"])
    assert found.lat.tolist() == [47.5, -33.5, -33.9]
    assert "2 of 3 latitudes without a letter, as others have: taken by their signs" in found.told


def test_an_own_letter_that_a_column_contradicts_is_no_angle():
    found = located(["33.85 S", "33.85 S"], ["8", "8"], ["S", "N"], ["E", "E"])
    assert [math.isnan(lat) for lat in found.lat] == [False, True]
    assert any("a letter that its column contradicts" in told for told in found.told)


def test_hemispheres_are_named_in_words_and_an_unknown_word_is_left_out():
    found = located(
        ["33", "34", "35"], ["2", "3", "4"], ["Sud", "S\u00fcd", "Nord"], ["Ouest", "O", "Est"]
    )
    assert found.lat.tolist() == [-33, -34, 35]
    assert [found.lon[0], found.lon[2]] == [-2, 4]
    assert math.isnan(found.lon[1])
    assert "1 of 3 longitudes with a word that names no hemisphere: left out" in found.told


def test_a_column_of_hemispheres_without_any_is_told():
    found = located(["33.85"], ["-151"], [""], [""])
    assert (found.lat.item(), found.lon.item()) == (33.85, -151)
    assert (
        "the column of their hemispheres names none: latitudes taken by their signs" in found.told
    )


def test_text_that_is_no_angle_is_told_and_a_missing_one_is_not():
    found = located(["47.5", "47.5.1", "NA", ""], ["8"] * 4)
    assert found.told == ("of 4 latitudes, 1 left out: no angle, as '47.5.1'",)


def test_an_underscore_parts_no_digits():
    assert angles.angle("4_8.85") is None
