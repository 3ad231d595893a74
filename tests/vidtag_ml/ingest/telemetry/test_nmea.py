"""Claims about NMEA: which sentences are positions, and what their time is."""

import datetime as dt

import numpy as np
import pytest

from vidtag_ml.ingest.telemetry import nmea

PLACES = [(47.376888, 8.541694), (-33.856784, -70.25), (0.0, 179.999999)]


@pytest.fixture
def reading_of(tmp_path):
    """What text says as a receiver's log, and what is told."""

    def read(content, encoding="utf-8"):
        (tmp_path / "a.nmea").write_text(content, newline="", encoding=encoding)
        return nmea.read(tmp_path / "a.nmea")

    return read


@pytest.fixture
def nmea_of(reading_of):
    """Reads text as a receiver's log."""
    return lambda content: reading_of(content).points


@pytest.mark.parametrize("kind", ["GGA", "GNS", "RMC"])
def test_each_sentence_gives_a_position(made, nmea_of, kind):
    table = nmea_of(made.nmea(PLACES, sentences=(kind,)))
    np.testing.assert_allclose(table[["lat", "lon"]], PLACES, atol=1e-7)
    known = kind != "RMC"
    np.testing.assert_array_equal(table["dop"], 0.9 if known else np.nan)
    np.testing.assert_array_equal(table["altitude_m"], 545.4 if known else np.nan)
    assert table["fix_type"].isna().all()


def test_an_epoch_is_one_row_of_its_best_sentence(made, nmea_of):
    table = nmea_of(made.nmea(PLACES, sentences=("RMC", "GNS", "GGA")))
    assert (len(table), table["altitude_m"].isna().any()) == (len(PLACES), False)


@pytest.mark.parametrize("blank", [False, True])
def test_an_epoch_without_its_best_sentence_is_that_of_another(made, reading_of, blank):
    lines = made.nmea(PLACES).splitlines()
    other = [_emptied(made, lines[2])] * blank
    found = reading_of("\n".join([*lines[:2], *other, lines[3], lines[5]]))
    np.testing.assert_allclose(found.points[["lat", "lon"]], PLACES, atol=1e-7)
    assert found.points["altitude_m"].notna().tolist() == [True, False, False]
    assert found.left_out == {}


def test_an_epoch_without_any_position_is_counted_once(made, reading_of):
    lines = made.nmea(PLACES).splitlines()
    found = reading_of("\n".join([*lines[:4], *(_emptied(made, line) for line in lines[4:])]))
    assert (len(found.points), found.left_out) == (2, {"without a position": 1})


def _emptied(made, line):
    """A sentence without its position."""
    fields = line[1:-3].split(",")
    first = 3 if fields[0].endswith("RMC") else 2
    return made.sentence(",".join([*fields[:first], *[""] * 4, *fields[first + 4 :]]))


@pytest.mark.parametrize("sentences", [("GGA", "RMC"), ("RMC", "GGA"), ("RMC",)])
def test_dates_of_rmc_carry_all_times_over_midnight(made, nmea_of, sentences):
    start = dt.datetime(2019, 12, 31, 23, 59, 58, 500_000, tzinfo=dt.UTC)
    table = nmea_of(made.nmea(PLACES, start, step_s=2.0, sentences=sentences))
    wanted = start.timestamp() + np.array([0, 2, 4])
    np.testing.assert_allclose(table["utc_s"], wanted, atol=1e-6)
    assert table["time_s"].isna().all()


def test_without_a_date_times_count_from_the_first_sentence(made, nmea_of):
    start = dt.datetime(2019, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
    early = made.sentence("GPGGA,235957.000,,,,,0,,,,M,,M,,")
    table = nmea_of(f"{early}\n" + made.nmea(PLACES, start, sentences=("GGA",)))
    np.testing.assert_allclose(table["time_s"], [2, 3, 4])
    assert table["utc_s"].isna().all()


@pytest.mark.parametrize(
    "said",
    [
        "GPGGA,181507.000,4722.6133,N,00832.5016,E,0,03,9.9,545.4,M,46.9,M,,",
        "GNGNS,181507.000,4722.6133,N,00832.5016,E,NN,03,9.9,545.4,46.9,,",
        "GPRMC,181507.000,V,4722.6133,N,00832.5016,E,,,060519,,",
    ],
)
def test_a_position_without_a_fix_says_so(made, nmea_of, said):
    assert nmea_of(made.sentence(said))["fix_type"].tolist() == ["none"]


def test_text_of_the_logger_before_a_sentence_is_passed_over(made, nmea_of):
    content = "\n".join(f"[1557166507]{line}" for line in made.nmea(PLACES).splitlines())
    assert len(nmea_of(content)) == len(PLACES)


def test_wrong_checksums_and_other_lines_are_skipped(made, nmea_of):
    lines = made.nmea(PLACES, sentences=("GGA",)).splitlines()
    broken = lines[1].replace("545.4", "545.5")
    noise = ["# log", "$", "$GPGGA", "$PUBX", "$GPGSV,1,1,00*79", "\x00", "$GPGGA," + "1" * 9999]
    table = nmea_of("\n".join([lines[0], broken, *noise, lines[2]]))
    np.testing.assert_allclose(table[["lat", "lon"]], [PLACES[0], PLACES[2]], atol=1e-7)


def test_wrong_checksums_are_told(made, reading_of):
    content = made.nmea(PLACES, sentences=("GGA",)).replace("4722", "4723")
    assert reading_of(content).repairs[0] == "1 sentences with a wrong checksum: left out"


@pytest.mark.parametrize(
    "said",
    [
        "GPGGA,181507.000,,,,,0,,,,M,,M,,",
        "GPGGA,181507.000,4722.6133,X,00832.5016,E,1,08,0.9,545.4,M,46.9,M,,",
        "GPGGA,181507.000,north,N,00832.5016,E,1,08,0.9,545.4,M,46.9,M,,",
        "GPGGA",
        "hello",
    ],
)
def test_a_log_without_a_position_is_refused(made, nmea_of, said):
    with pytest.raises(ValueError, match=r"a\.nmea: not NMEA"):
        nmea_of(made.sentence(said))


def test_a_leap_second_is_the_first_of_the_next_day(made, nmea_of):
    said = "GPRMC,235960.5,A,4722.6133,N,00832.5016,E,,,311216,,"
    table = nmea_of(made.sentence(said))
    assert table["utc_s"][0] == dt.datetime(2017, 1, 1, tzinfo=dt.UTC).timestamp() + 0.5


@pytest.mark.parametrize(
    ("lat", "direction", "wanted", "told"),
    [
        ("3351.0", "s", -33.85, ()),
        ("-3351.0", "S", -33.85, ("1 sentences with a latitude with a minus and the letter S",)),
        ("-3351.0", "", -33.85, ("1 sentences with a latitude negative by its sign",)),
    ],
)
def test_signs_and_letters_of_hemispheres_are_one(made, reading_of, lat, direction, wanted, told):
    said = f"GPGGA,181507.000,{lat},{direction},00832.5016,E,1,08,0.9,545.4,M,46.9,M,,"
    found = reading_of(made.sentence(said))
    assert found.points["lat"].item() == pytest.approx(wanted)
    *signs, undated = found.repairs
    assert "no sentence tells a date" in undated
    assert [t.startswith(w) for t, w in zip(signs, told, strict=True)] == [True] * len(told)


@pytest.mark.parametrize(("lat", "direction"), [("3351.0", ""), ("-3351.0", "N"), ("3351.0", "E")])
def test_a_hemisphere_that_is_unknown_is_no_position_and_told(made, reading_of, lat, direction):
    said = f"GPGGA,181507.000,{lat},{direction},00832.5016,E,1,08,0.9,545.4,M,46.9,M,,"
    with pytest.raises(ValueError, match=r"1 sentences with a latitude with.* left out"):
        reading_of(made.sentence(said))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
def test_a_log_is_in_any_encoding(made, reading_of, encoding):
    content = "# Zürich\r\n" + made.nmea(PLACES)
    assert len(reading_of(content, encoding).points) == len(PLACES)


@pytest.mark.parametrize(
    ("clock", "date"), [("", "060519"), ("990000", "060519"), ("181507", "320519"), ("181507", "")]
)
def test_a_time_that_is_none_gives_no_utc(made, nmea_of, clock, date):
    said = f"GPRMC,{clock},A,4722.6133,N,00832.5016,E,,,{date},,"
    assert nmea_of(made.sentence(said))["utc_s"].isna().all()


def test_minutes_above_60_are_no_angle_and_told(made, reading_of):
    said = "GPGGA,18150{},47{}.0,N,00832.5,E,1,12,0.9,545.4,M,47.0,M,,"
    clocks = ((7, 30), (8, 61), (9, 60))
    found = reading_of("\n".join(made.sentence(said.format(*clock)) for clock in clocks))
    assert found.points["lat"].tolist() == [47.5, 48.0]
    assert "1 sentences with a latitude of more than 60 minutes: left out" in found.repairs


@pytest.mark.parametrize(
    ("said", "good"),
    [
        ("GPGGA,181507,4722.6,N,00832.5,E,{},12,0.9,545.4,M,47.0,M,,", "1"),
        ("GNGNS,181507,4722.6,N,00832.5,E,{},12,0.9,545.4,47.0,,", "AN"),
        ("GPRMC,181507,A,4722.6,N,00832.5,E,0.0,0.0,060519,,,{}", "A"),
    ],
)
def test_a_position_that_is_simulated_or_typed_in_is_no_fix(made, nmea_of, said, good):
    kinds = ["7", "8"] if "GGA" in said else ["M", "S"]
    for mode in kinds:
        assert nmea_of(made.sentence(said.format(mode)))["fix_type"].tolist() == ["none"]
    assert nmea_of(made.sentence(said.format(good)))["fix_type"].tolist() == [None]


def test_broken_sentences_are_counted(made, reading_of):
    lines = made.nmea(PLACES).splitlines()
    found = reading_of("\n".join([*lines[:4], lines[4][:-1], lines[5]]))
    what = "sentences with a broken form: left out"
    assert (found.repairs, found.left_out) == ((f"1 {what}",), {what: 1})
