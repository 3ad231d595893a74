"""Claims about a photo's two clocks: which is believed where the receiver's stands still."""

import dataclasses
import math

import pytest

from vidtag_ml.ingest.own import photo_clocks
from vidtag_ml.ingest.telemetry import exif

HOUR_S = 3600.0
NOON_S = 1.7e9


def photo(clock_s, receiver_s, *, zoned=False):
    """A photo at seconds after noon by its own clock, in UTC+2, and by its receiver's."""
    local_s, utc_s = NOON_S + 2 * HOUR_S + clock_s, NOON_S + receiver_s
    return dataclasses.replace(
        exif.NOTHING, captured_s=utc_s, captured_is_utc=True, clock_s=local_s, clock_is_utc=zoned
    )


def times(photos):
    """Seconds after noon, and what was assumed."""
    found = photo_clocks.believed(photos)
    return [seen.captured_s - NOON_S for seen, _ in found], [told for _, told in found]


def test_a_receiver_that_goes_is_believed():
    assert times([photo(k, k - 40) for k in (0, 5, 10)]) == ([-40, -35, -30], ["", "", ""])


def test_a_receiver_that_never_went_leaves_all_to_the_camera():
    found, told = times([photo(k, -120) for k in (0, 5, 10)])
    assert found == [2 * HOUR_S + k for k in (0, 5, 10)]
    assert all("DateTimeOriginal goes on" in said and "taken as UTC" in said for said in told)


def test_a_receiver_that_stood_for_a_while_is_told_by_the_camera_in_its_zone():
    found, told = times([photo(0, 0), photo(5, 5), photo(10, 6), photo(15, 6), photo(20, 20)])
    assert found == [0, 5, 10, 15, 20]
    assert told == ["", "", photo_clocks.STOOD, photo_clocks.STOOD, ""]


def test_photos_of_one_second_are_no_standing_clock():
    burst = [photo(0, 0), photo(0, 0), photo(1, 0), photo(1, 1)]
    assert times(burst) == ([0, 0, 0, 1], [""] * 4)


def test_a_camera_without_a_receiver_is_left_as_it_is():
    bare = dataclasses.replace(exif.NOTHING, captured_s=NOON_S)
    assert times([bare, bare]) == ([0, 0], ["", ""])


@pytest.mark.parametrize("is_utc", [True, False])
def test_a_zone_that_is_told_is_that_of_the_cameras_clock_alone(is_utc):
    seen = dataclasses.replace(photo(0, 0), captured_is_utc=is_utc)
    found = photo_clocks.in_zone(seen, "+02:00")
    assert found.captured_s == NOON_S - (0 if is_utc else 2 * HOUR_S)
    assert (found.captured_is_utc, found.clock_s, found.clock_is_utc) == (True, NOON_S, True)


def test_in_a_known_zone_a_standing_receiver_leaves_no_doubt():
    found, told = times([photo(k, 7, zoned=True) for k in (0, 5)])
    assert found == [2 * HOUR_S, 2 * HOUR_S + 5]
    assert told == [photo_clocks.STOOD] * 2


def test_a_photo_without_times_has_none_in_any_zone():
    assert math.isnan(photo_clocks.in_zone(exif.NOTHING, "Europe/Paris").captured_s)


def test_a_zone_that_is_told_does_not_move_a_clock_that_has_its_own():
    seen = photo_clocks.in_zone(photo(0, 0, zoned=True), "+05:30")
    assert seen.clock_s == NOON_S + 2 * HOUR_S


@pytest.mark.parametrize(
    ("wall_s", "utc_s", "told"),
    [(1729996200.0, 1729989000.0, "comes twice"), (1711852200.0, 1711848600.0, "never comes")],
)
def test_a_photo_of_a_time_at_which_clocks_were_changed_tells_both(wall_s, utc_s, told):
    seen = dataclasses.replace(exif.NOTHING, captured_s=wall_s)
    found = photo_clocks.in_zone(seen, "Europe/Berlin")
    assert found.captured_s == utc_s
    assert f"{told} in Europe/Berlin" in found.told


PLACES = {
    "Auckland": (-36.85, 174.76, 13),
    "Apia": (-13.83, -171.77, 13),
    "Pago Pago": (-14.28, -170.7, -11),
    "Kiritimati": (1.87, -157.4, 14),
}
SUMMER_S = 1.705e9


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("days", [0, 1])
def test_a_receivers_local_date_is_put_right_where_the_place_tells_the_zone(where, days):
    lat, lon, ahead_h = PLACES[where]
    days = days if ahead_h > 0 else -days
    seen = dataclasses.replace(
        photo(0, 0), lat=lat, lon=lon, clock_s=SUMMER_S + ahead_h * HOUR_S + 40,
        captured_s=SUMMER_S + 86400 * days,
    )  # fmt: skip
    found, told = photo_clocks.dated(seen)
    assert found.captured_s == SUMMER_S
    assert told.startswith(f"GPSDateStamp put right by {-days:+d} day" if days else "")
    assert bool(told) == bool(days)


@pytest.mark.parametrize(
    "changed",
    [{"clock_s": math.nan}, {"captured_is_utc": False}, {"clock_is_utc": True}, {"lat": math.nan}],
)
def test_a_date_that_nothing_contradicts_is_left(changed):
    far = dataclasses.replace(photo(0, 0), lat=-36.85, lon=174.76, clock_s=NOON_S - 11 * HOUR_S)
    seen = dataclasses.replace(far, **changed)
    assert photo_clocks.dated(seen) == (seen, "")


def test_a_time_with_its_zone_that_stands_gives_way_to_a_receiver_that_goes():
    def zoned(clock_s, receiver_s):
        utc = {"captured_is_utc": True, "clock_is_utc": True, "by_camera": True}
        seen = {"captured_s": NOON_S + clock_s, "clock_s": NOON_S + receiver_s}
        return dataclasses.replace(exif.NOTHING, **seen, **utc)

    found, told = times([zoned(0, k) for k in (0, 30, 60)])
    assert found == [0, 30, 60]
    assert all("DateTimeOriginal stands still while GPSTimeStamp goes on" in said for said in told)
    assert times([zoned(0, k) for k in (0, 3, 6)]) == ([0, 0, 0], ["", "", ""])
    assert times([zoned(k, 0) for k in (0, 30, 60)]) == ([0, 30, 60], ["", "", ""])
    assert photo_clocks.doubt(zoned(1.729996200e9 - NOON_S, 0), "Europe/Berlin") == ""
