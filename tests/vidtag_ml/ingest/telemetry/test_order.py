"""Claims about the order of coordinates: what many rows say together, and no row alone."""

import numpy as np
import pytest

from vidtag_ml.ingest.telemetry import angles, order

PARIS = np.array([(48.85 + 1e-4 * k, 2.35) for k in range(10)])
SYDNEY = np.array([(-33.85 + 1e-4 * k, 151.2) for k in range(10)])


def exchanged(latlon_N2):
    return order.exchanged(*np.asarray(latlon_N2, float).T)


def test_a_track_in_its_order_is_left_and_nothing_told():
    assert exchanged(PARIS) == (False, ())
    assert exchanged(SYDNEY) == (False, ())


@pytest.mark.parametrize("num_bad", [0, 1])
def test_nearly_all_rows_exchange_a_table(num_bad):
    rows = SYDNEY[:, ::-1].copy()
    rows[:num_bad] = 5.0
    swapped, (told,) = exchanged(rows)
    assert swapped
    assert f"{10 - num_bad} of 10 rows" in told


@pytest.mark.parametrize("num_bad", [1, 3, 6])
def test_bad_rows_in_a_track_exchange_nothing(num_bad):
    rows = PARIS.copy()
    rows[1 : 1 + num_bad, 0] = 91.0
    swapped, (told,) = exchanged(rows)
    assert not swapped
    assert f"{num_bad} of 10 rows" in told


def test_bad_rows_of_several_kinds_neither_hide_nor_make_a_swap():
    rows = PARIS.copy()
    rows[[2, 5, 7]] = [(91.0, 2.35), (2.35, 48.85), (-48.85, 2.35)]
    assert not exchanged(rows)[0]
    rows = SYDNEY[:9, ::-1].copy()
    rows[[2, 5]] = [(-33.85, 151.2), (2.35, 48.85)]
    assert exchanged(rows)[0]


def test_a_swapped_track_over_90_degrees_east_is_exchanged():
    rows = [(89.9 + 0.02 * k, 23.8) for k in range(10)]
    assert exchanged(rows)[0]


def test_a_bad_row_in_a_track_at_90_degrees_east_exchanges_nothing():
    rows = PARIS + np.array([0.0, 87.6])
    rows[3, 0] = 91.0
    assert not exchanged(rows)[0]


def test_rows_without_a_fix_say_nothing():
    rows = np.concatenate([SYDNEY[:, ::-1], np.zeros((30, 2))])
    swapped, (told,) = exchanged(rows)
    assert swapped
    assert "10 of 10 rows" in told


def put_right(latlon_N2):
    return order.put_right(angles.Places(*np.asarray(latlon_N2, float).T, ()))


def test_longitudes_that_count_to_360_are_west_and_told():
    found = put_right(PARIS + np.array([0.0, 350.0]))
    np.testing.assert_allclose(found.lon, -7.65)
    assert "10 longitudes from 180 to 360" in found.told[0]


def test_a_single_longitude_above_180_is_a_bad_row():
    found = put_right([*PARIS, (48.85, 200.0)])
    assert found.lon[-1] == 200.0


def test_scattered_places_are_exchanged_if_several_say_so_and_none_denies_it():
    assert exchanged([(151.2, -33.8), (139.7, 35.7), (2.35, 48.85), (-74, 40.7)])[0]


@pytest.mark.parametrize(
    "rows",
    [[(151.2, -33.8), (2.35, 48.85)], [(151.2, -33.8), (139.7, 35.7), (-33.8, 151.2), (9, 9)]],
)
def test_rows_that_contradict_each_other_are_refused(rows):
    with pytest.raises(ValueError, match="rows have a latitude beyond 90"):
        exchanged(rows)


def test_rows_that_fit_nowhere_or_are_missing_say_nothing():
    assert exchanged([(151.2, 133.5), (np.nan, 2), (48.85, 2.35)]) == (False, ())


def track(latlon_N2):
    return order.as_track(angles.Places(*np.asarray(latlon_N2, float).T, ()))


TURNED = {
    "exchanged": lambda place: place[::-1],
    "sign of latitude": lambda place: place * (-1, 1),
    "sign of longitude": lambda place: place * (1, -1),
    "other signs": lambda place: -place,
}


@pytest.mark.parametrize("what", TURNED)
def test_a_part_that_is_another_way_round_is_refused_and_a_few_rows_are_left(what):
    rows = PARIS + np.array([0.0, 3.0])
    rows[4:] = [TURNED[what](row) for row in rows[4:]]
    with pytest.raises(ValueError, match=rf"4 of 10 rows have .*{what}, .*nothing tells which"):
        track(rows)
    assert track(np.concatenate([rows[:6], rows[3:4].repeat(20, 0)])).told == ()


@pytest.mark.parametrize(
    "rows",
    [
        [(-16.8, 179.99), (-16.8, -179.99)] * 5,
        [(89.9999, lon) for lon in (-150, 150, -30, 30, 170, -170)],
        [(-0.001, 9.3), (0.001, 9.3)] * 5,
        [(51.5, -0.001), (51.5, 0.001)] * 5,
        [(30.04, 31.24), (31.20, 29.92), (30.04, 31.24)],
    ],
)
def test_a_way_over_a_meridian_the_equator_or_a_pole_is_none(rows):
    assert track(rows).told == ()


def test_longitudes_over_180_that_go_on_from_those_below_are_in_the_west():
    rows = np.array([(-16.8, 179.95 + 0.01 * k) for k in range(10)])
    places = order.put_right(angles.Places(*rows.T, ()))
    assert places.lon[-1] == pytest.approx(-179.96)
    assert "4 longitudes from 180 to 360" in places.told[0]


def test_a_latitude_that_is_written_twice_is_refused():
    with pytest.raises(ValueError, match="the same number in all rows"):
        order.put_right(angles.Places(PARIS[:, 0], PARIS[:, 0], ()))


def test_positions_that_may_be_in_radians_are_told():
    (told,) = track(np.radians(PARIS)).told
    assert "where radians lie as well" in told
