"""Claims about receivers' clocks: what is put right of them, and which clock is believed."""

import numpy as np
import pytest

from tests.data.recordings import NOON
from vidtag_ml.ingest.own import clocks, receiver_clock
from vidtag_ml.ingest.telemetry import points

TRUE_S = NOON.timestamp()
HOUR_S, DAY_S = 3600.0, 86400.0
WEEKS_S = 1024 * 7 * DAY_S
BERLIN = (52.5, 13.4)
ALL_S = np.arange(0.0, 20.0, 0.5)


def began(
    ahead_s=0.0, written_s=0.0, *, goes=1.0, utc=True, source="exiftool", place=BERLIN, **known
):
    """When a recording began, in seconds after noon, and what is told.

    Its receiver's clock is ahead by some seconds, or by some at each position, and goes so many
    times as fast as the video; its own clock is ahead by `written_s`.
    """
    utc_s = TRUE_S + goes * ALL_S + ahead_s if utc else np.full(len(ALL_S), np.nan)
    lat, lon = (np.full(len(ALL_S), degrees) for degrees in place)
    kept = points.table(time_s=ALL_S, utc_s=utc_s, lat=lat, lon=lon)
    clock = clocks.Clock(TRUE_S + written_s, **known)
    found_s, told = receiver_clock.began(kept, clock, source, beside=source == "gpx")
    return found_s - TRUE_S, " ".join(told)


@pytest.mark.parametrize("written_s", [0.0, 600.0, -600.0, 2 * HOUR_S, np.nan])
def test_a_receiver_in_utc_is_believed_beside_a_camera_in_utc_or_local_time(written_s):
    assert began(0.0, written_s) == (0.0, "")


def test_a_dash_cam_in_local_time_is_put_right_by_the_zone_of_its_place():
    found_s, told = began(2 * HOUR_S)
    assert (found_s, "local time there (Europe/Berlin, UTC+2): put" in told) == (0.0, True)
    found_s, told = began(5.75 * HOUR_S, place=(27.7, 85.3))
    assert (found_s, "Asia/Kathmandu" in told) == (0.0, True)


@pytest.mark.parametrize("source", ["gpx", "gpmf_gps5", "camm"])
def test_a_receiver_that_writes_utc_is_believed_and_what_it_may_be_told(source):
    found_s, told = began(2 * HOUR_S, source=source)
    assert (found_s, "as local time there (Europe/Berlin, UTC+2): it may" in told) == (7200.0, True)


def test_what_is_told_of_the_zone_puts_a_receiver_in_local_time_right():
    assert began(2 * HOUR_S, 2 * HOUR_S)[0] == 2 * HOUR_S
    assert began(2 * HOUR_S, zone_is_known=True)[0] == 0.0


@pytest.mark.parametrize("num", [-2, -1, 1])
@pytest.mark.parametrize("written_s", [0.0, 2 * HOUR_S])
def test_weeks_that_were_counted_up_to_1024_are_put_right(num, written_s):
    found_s, told = began(num * WEEKS_S, written_s)
    assert (found_s, "1024 weeks" in told) == (0.0, True)


@pytest.mark.parametrize(("ahead_s", "said"), [(30 * DAY_S, "30 days ahead"), (-9e3, "2.5 h beh")])
def test_clocks_that_contradict_each_other_are_told(ahead_s, said):
    found_s, told = began(ahead_s)
    assert (found_s, f"clock is {said}" in told) == (ahead_s, True)
    assert began(ahead_s, source="gpx") == (ahead_s, "")


@pytest.mark.parametrize("at_s", [3.0, 8.0, 14.0])
@pytest.mark.parametrize("ahead_s", [18.0, -18.0, 4 * HOUR_S])
def test_a_clock_is_believed_after_it_was_set(at_s, ahead_s):
    found_s, told = began(np.where(at_s > ALL_S, ahead_s, 0.0))
    assert (found_s, f"was set by {-ahead_s:+.0f} s" in told) == (0.0, True)


def test_a_clock_that_stands_tells_nothing_until_it_goes():
    assert began(-ALL_S, 7.0) == (7.0, receiver_clock._STANDS)
    found_s, told = began(np.where(ALL_S < 10, -ALL_S, 0.0))
    assert (found_s, "was set by +10 s" in told) == (0.0, True)


@pytest.mark.parametrize("goes", [0.25, 10.0, 30.0])
def test_a_time_lapse_and_slow_motion_began_with_their_first_picture(goes):
    assert began(goes=goes)[0] == pytest.approx(0.0, abs=0.01)


def test_a_clock_that_jumps_all_the_time_is_told():
    told = began(np.random.default_rng(0).permutation(40) * 50.0)[1]
    assert "does not go as the video does" in told


@pytest.mark.parametrize("ahead_s", [-40 * 365 * DAY_S, 75 * 365 * DAY_S])
def test_years_in_which_nobody_filmed_tell_no_begin(ahead_s):
    found_s, told = began(ahead_s, np.nan)
    assert (np.isnan(found_s), "tells no beginning" in told) == (True, True)


def test_a_camera_known_to_write_local_time_is_put_right_by_its_place():
    found_s, told = began(utc=False, written_s=2 * HOUR_S, is_local="most GoPros")
    assert (found_s, "local time there (Europe/Berlin), as most" in told) == (0.0, True)
    assert began(utc=False, written_s=2 * HOUR_S) == (2 * HOUR_S, "")
