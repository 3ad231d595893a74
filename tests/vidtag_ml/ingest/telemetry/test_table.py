"""Claims about tables: which columns are positions and times, and which photos are where."""

import numpy as np
import pytest

from vidtag_ml.ingest.telemetry import points, table


@pytest.fixture
def csv_of(tmp_path):
    """Reads text as a CSV file."""

    def read(text, read=lambda path: table.read(path).points, **options):
        path = tmp_path / "a.csv"
        path.write_text(text, **options)
        return read(path)

    return read


@pytest.fixture
def places_of(csv_of):
    """Places in text as a CSV file, by the names of photos."""
    return lambda text, **how: {n.name: at for n, at in csv_of(text, table.read_named, **how)}


@pytest.mark.parametrize(
    "header",
    ["lat,lon,alt", "Latitude,Longitude,Altitude", " LAT , LNG , ele ", "latitude,long,alt_m"],
)
def test_columns_go_by_many_names(csv_of, header):
    found = csv_of(f"{header}\n47.5,8.25,400\n-33.5,151.25,\n")
    assert tuple(found.columns) == points.COLUMNS
    np.testing.assert_array_equal(found["lat"], [47.5, -33.5])
    np.testing.assert_array_equal(found["lon"], [8.25, 151.25])
    np.testing.assert_array_equal(found["altitude_m"], [400, np.nan])
    assert found[["time_s", "utc_s"]].isna().all(axis=None)


@pytest.mark.parametrize("separator", ",;\t")
def test_a_byte_order_mark_and_other_separators_are_read(csv_of, separator):
    text = "lat,lon,hdop,accuracy\n47.5,8.25,1.5,12\n".replace(",", separator)
    (row,) = csv_of(text, encoding="utf-8-sig").to_dict("records")
    assert (row["lat"], row["lon"], row["dop"], row["accuracy_m"]) == (47.5, 8.25, 1.5, 12)


@pytest.mark.parametrize(
    ("name", "texts", "column", "wanted"),
    [
        ("time_s", ("0", "0.5"), "time_s", (0, 0.5)),
        ("T_S", ("-2", ""), "time_s", (-2, np.nan)),
        ("timestamp", ("1557166507.25", "1557166508"), "utc_s", (1557166507.25, 1557166508)),
        ("time", ("1557166507250", "NA"), "utc_s", (1557166507.25, np.nan)),
        ("utc", ("2019-05-06T18:15:07.25Z", "-"), "utc_s", (1557166507.25, np.nan)),
        ("datetime", ("2019-05-06 20:15:07+02:00", ""), "utc_s", (1557166507, np.nan)),
        ("time", ("2019-05-06 18:15:07", "2019-05-06T18:15:08"), "utc_s", (1557166507, 1557166508)),
    ],
)
def test_times_are_of_the_video_or_of_the_world(csv_of, name, texts, column, wanted):
    found = csv_of(f"{name},lat,lon\n{texts[0]},47.5,8.25\n{texts[1]},47.5,8.5\n")
    np.testing.assert_array_equal(found[column], wanted)
    assert found[{"time_s": "utc_s", "utc_s": "time_s"}[column]].isna().all()


def test_the_first_column_of_times_that_has_any_is_read(csv_of):
    found = csv_of("t_s,timestamp,time,lat,lon\n,2.5,190506181507.395,47.5,8.25\n")
    assert found["time_s"].tolist() == [2.5]


def test_swapped_headers_are_put_right_and_told(csv_of):
    found = csv_of("lat,lon\n151.25,-33.5\n151.5,-33.75\n", table.read)
    assert found.points[["lat", "lon"]].values.tolist() == [[-33.5, 151.25], [-33.75, 151.5]]
    assert "2 of 2 rows" in found.repairs[0]


def test_a_single_row_swaps_no_table(csv_of):
    rows = [f"{k},48.85{k:02},2.35" for k in range(12)]
    rows[5] = "5,91.0,2.35"
    found = csv_of("\n".join(["time_s,lat,lon", *rows]), table.read)
    assert found.points["lat"].tolist()[:6] == [48.85, 48.8501, 48.8502, 48.8503, 48.8504, 91]
    assert (found.points["lon"] == 2.35).all()
    assert "1 of 12 rows" in found.repairs[0]


@pytest.mark.parametrize("place", ["151.25,133.5", "-3351.02,15112.5", "488500123,23500456"])
def test_numbers_that_are_no_degrees_are_refused_as_such(csv_of, place):
    with pytest.raises(ValueError, match=r"no position is on Earth.*write degrees"):
        csv_of(f"lat,lon\n{place}\n0,0\n")


def test_rows_without_a_position_are_none(csv_of):
    found = csv_of("lat,lon,country\nNA,NA,NA\n,8.5,CH\n-22.5,17.0,NA\n1\n\n")
    assert found[["lat", "lon"]].values.tolist() == [[-22.5, 17.0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column lat"),
        ("lat,x\n1,2\n", "has no column lon"),
        ("lat,lon\n", "no row has a number"),
        ("lat,lon\nNA,NA\n", "no row has a number"),
        ('lat,lon\n"' + "1" * 200_000, "not a table"),
    ],
)
def test_a_table_without_positions_is_refused(csv_of, text, message):
    with pytest.raises(ValueError, match=rf"a\.csv: {message}"):
        csv_of(text)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_table_is_in_any_encoding_that_tells_itself(csv_of, places_of, encoding):
    text = "lat;lon;file\r\n47.5;8.25;Zürich.jpg\r\n"
    found = csv_of(text, table.read, encoding=encoding, newline="")
    assert (found.points["lat"].item(), found.repairs) == (47.5, ())
    assert "Zürich.jpg" in places_of(text, encoding=encoding)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_end_in_any_way(csv_of, end):
    text = end.join(["time_s,lat,lon", "0,47.5,8.25", "1,47.75,8.25", ""])
    assert csv_of(text, newline="")["lat"].tolist() == [47.5, 47.75]


def test_a_table_in_another_encoding_is_read_and_told(csv_of, places_of):
    text = "file,lat,lon\nZürich.jpg,47.5,8.25\n"
    assert "Windows-1252" in csv_of(text, table.read, encoding="latin-1").repairs[0]
    assert places_of(text, encoding="latin-1")["Zürich.jpg"].lat == 47.5


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("latitude,N/S,longitude,E/W", "33.85,S,151.25,W"),
        ("lat,lon,lat_ref,lon_ref", "33.85,151.25,South,west"),
        ("Latitude,Latitude Ref,Longitude,Longitude Ref", "33.85,s,151.25,w"),
        ("GPSLatitude,GPSLongitude,GPSLatitudeRef,GPSLongitudeRef", "33.85,151.25,S,W"),
        ("lat,ns,lon,ew", "-33.85,S,-151.25,W"),
        ("lat,lon", "33.85 S,W151.25"),
        ("Latitude (deg);Longitude [deg]", "-33,85;-151,25"),
        ("Lat,Lon", '33°51\'0"S,"151 deg 15\' 0.00"" W"'),
        ("lat,lon,lat_ref,lon_ref", "151.25,33.85,W,S"),
        ("LATITUDE N/S,LONGITUDE E/W", "033.850000S,151.250000W"),
        ("Latitude (WGS84)\tLongitude (WGS84)", "-33.85\t-151.25"),
    ],
)
def test_letters_in_cells_and_columns_are_hemispheres(csv_of, header, row):
    found = csv_of(f"{header}\n{row}\n{row}\n")
    np.testing.assert_allclose(found[["lat", "lon"]], [[-33.85, -151.25]] * 2)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("lat_deg,lat_min,lon_deg,lon_min", "-33,51,-151,15.0"),
        ("Latitude (deg),Latitude (min),Longitude (deg),Longitude (min)", "-33,51,-151,15"),
        (
            "lat_deg,lat_min,lat_sec,lat_ref,lon_deg,lon_min,lon_sec,lon_ref",
            "33,50,60,S,151,15,0,W",
        ),
        ("lat,lat_minutes,lon,lon_minutes", "-33.0,51.0,-151.0,15.0"),
        ("LatD,LatM,LatS,NS,LonD,LonM,LonS,EW", "33,51,0,S,151,15,0,W"),
        ("GPS Latitude,min latitude,GPS lat min,lon,lon deg min", "-33.85,-34,,-151.25,"),
    ],
)
def test_minutes_beside_degrees_belong_to_them(csv_of, header, row):
    found = csv_of(f"{header}\n{row}\n{row}\n", table.read)
    np.testing.assert_allclose(found.points[["lat", "lon"]], [[-33.85, -151.25]] * 2)
    if "." not in row.split(",")[0]:
        assert "of its degrees" in found.repairs[0]


def test_degrees_with_fractions_take_no_minutes(csv_of):
    found = csv_of("lat,lat_min,lon\n47.5,30.0,8.25\n", table.read)
    assert found.points[["lat", "lon"]].values.tolist() == [[47.5, 8.25]]
    assert found.repairs == ("lat_min beside lat: not read, its degrees have fractions",)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("Latitude,Longitude,GPS Lat", "47.5,8.25,12"),
        ("GPS Lat,latitude,longitude,Long", "12,47.5,8.25,0.1"),
        ("gps latitude,long,latitude", "12,8.25,47.5"),
        ("lat,lon,lat_min,lat_max", "47.0,8.0,46,48"),
    ],
)
def test_latitude_and_longitude_are_of_one_pair(csv_of, header, row):
    found = csv_of(f"{header}\n{row}\n")
    assert found[["lat", "lon"]].values.tolist() in [[[47.5, 8.25]], [[47.0, 8.0]]]


@pytest.mark.parametrize("header", ["lat,lon,lat,lon", "Lat,Lon,GPS Latitude,GPS Longitude"])
def test_a_second_pair_is_told_where_it_differs(csv_of, header):
    found = csv_of(f"{header}\n47.5,8.25,1,2\n", table.read)
    assert found.points[["lat", "lon"]].values.tolist() == [[47.5, 8.25]]
    assert "which are read" in found.repairs[0]
    assert csv_of(f"{header}\n47.5,8.25,47.5,8.25\n", table.read).repairs == ()


def test_columns_of_no_pair_are_refused(csv_of):
    with pytest.raises(ValueError, match="which of lat, latitude, gps lon belong together"):
        csv_of("lat,latitude,gps lon\n1,2,3\n")


@pytest.mark.parametrize(
    "header",
    [
        "lat,N/S Indicator,lon,E/W Indicator",
        "lat,NorthSouth,lon,EastWest",
        "lat,lat_hem,lon,lon_hem",
        "lat,hemisphere_lat,lon,hemisphere_lon",
        "lat,Lat_Cardinal,lon,Lon_Cardinal",
        "lat,latitude_sign,lon,longitude_sign",
        "lat,lat.1,lon,lon.1",
        "lat,,lon,",
        "lat,X,lon,Y",
    ],
)
@pytest.mark.parametrize("row", ["33.85,S,151.25,W", "33.85,South,151.25,west"])
def test_columns_of_letters_are_hemispheres_by_any_name(csv_of, header, row):
    found = csv_of(f"{header}\n33.85,,151.25,NA\n{row}\n{row}\n", table.read)
    assert found.points[["lat", "lon"]].values.tolist()[-1] == [-33.85, -151.25]
    assert "S" in "".join(found.repairs)


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("lat,lon,heading", ["33.85,151.25,S"] * 2),
        ("lat,lon,goes", ["33.85,151.25,S", "33.86,151.25,E"]),
        ("lat,lon,X", ["33.85,151.25,N"] * 2),
        ("lat,lon,X,Y", ["33.85,151.25,x,W"] * 2),
        ("lat,lat_ref,lon,X", ["33.85,N,151.25,E"] * 2),
    ],
)
def test_other_letters_are_no_hemispheres(csv_of, header, rows):
    if "X,Y" in header:
        with pytest.raises(
            ValueError, match="'Y' has only letters of hemispheres: call it lon_ref"
        ):
            csv_of("\n".join([header, *rows]))
        return
    assert (csv_of("\n".join([header, *rows]))[["lat", "lon"]] > 0).all(axis=None)


@pytest.mark.parametrize("header", ["lat,lat_ref,lon,lon_ref,X", "lat,A,lon,lon_ref,X"])
def test_columns_of_hemispheres_that_contradict_each_other_are_refused(csv_of, header):
    with pytest.raises(ValueError, match="'X' contradict each other on hem"):
        csv_of(f"{header}\n33.85,S,151.25,E,N\n")


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        ("4730.0006,N,00815.0,E", (47.50001, 8.25)),
        ("0030,S,00100,E", (-0.5, 1.0)),
        ("30.0,S,00030.0,E", (-0.5, 0.5)),
        ("117.0,S,3649.2,E", (-1.28333333, 36.82)),
        ("00815.0,E,4730.0,N", (47.5, 8.25)),
    ],
)
def test_degrees_and_minutes_in_one_number_are_read_and_told(csv_of, row, wanted):
    found = csv_of(f"lat,ns,lon,ew\n{row}\n{row}\n,,,\n", table.read)
    np.testing.assert_allclose(found.points[["lat", "lon"]], [wanted] * 2)
    assert "as NMEA writes them" in found.repairs[0]


@pytest.mark.parametrize("row", ["33.85,S,151.25,E", "17.5,S,210.5,E", "033.85,N,151.25,W"])
def test_degrees_with_letters_stay_degrees(csv_of, row):
    found = csv_of(f"lat,ns,lon,ew\n{row}\n", table.read)
    assert abs(found.points["lat"].item()) in (33.85, 17.5)
    assert "NMEA" not in "".join(found.repairs)


def test_numbers_with_signs_need_no_letters(csv_of):
    found = csv_of("lat,X,lon,Y\n-33.85,S,-151.25,W\n33.85,N,151.25,E\n", table.read)
    assert found.points[["lat", "lon"]].values.tolist() == [[-33.85, -151.25], [33.85, 151.25]]
    assert found.repairs == ()


def test_a_negation_by_a_letter_is_told_and_a_contradiction_left_out(csv_of):
    rows = "33.85,S,151.25,E\n-33.86,S,151.25,E\n-33.87,N,151.25,E\n33.88,,151.25,E"
    found = csv_of(f"lat,n/s,lon,e/w\n{rows}\n", table.read)
    assert found.points["lat"].tolist() == [-33.85, -33.86]
    said = "; ".join(found.repairs)
    assert "1 of 4 latitudes negative by the letter S" in said
    assert "a minus and the letter N, which contradict each other: left out" in said
    assert "1 of 4 latitudes without N or S: left out" in said


def test_a_column_of_nanoseconds_is_no_hemisphere(csv_of):
    found = csv_of("ns,lat,lon\n500,-33.85,151.25\n", table.read)
    assert found.points["lat"].tolist() == [-33.85]


@pytest.mark.parametrize("name", ["Longitude (W)", "lat_e7", "lat2", "latitude_rad"])
def test_a_column_that_says_more_than_its_name_is_not_taken_for_it(csv_of, name):
    with pytest.raises(ValueError, match="has no column"):
        csv_of(f"{name},{'lat' if 'Lon' in name else 'lon'}\n12.5,47.5\n")


def test_decimal_commas_are_read_in_all_columns(csv_of):
    found = csv_of("sep=;\nt_s;lat;lon;ele\n0,5;47,376;8,541;1,234\n1,5;47,377;8,541;-2,5\n")
    wanted = [[0.5, 47.376, 8.541, 1.234], [1.5, 47.377, 8.541, -2.5]]
    assert found[["time_s", "lat", "lon", "altitude_m"]].values.tolist() == wanted


@pytest.mark.parametrize("row", ["0,47,5,8,5", "2024-06-01T10:00:00Z,-47,5,8,5", "0,47,8,remark"])
def test_numbers_cut_off_at_their_commas_are_refused(csv_of, row):
    with pytest.raises(ValueError, match=r"a\.csv: not a table: a row has \d cells under 3 names"):
        csv_of(f"time,lat,lon\n{row}\n")


@pytest.mark.parametrize("row", ["{k},48,85,2,35", "{k},-48,85{k},2,35{k}", "{k}, 48,8,2,3,17"])
def test_a_table_without_any_fraction_may_have_lost_them_and_is_refused(csv_of, row):
    rows = "\n".join(row.format(k=k) for k in range(3))
    with pytest.raises(ValueError, match="no number has a fraction, as if commas were decimal"):
        csv_of(f"time,lat,lon,speed,alt,sats\n{rows}\n")


@pytest.mark.parametrize("text", ["time_s,lat,lon\n0,47,8\n1,47,8\n", "lat,lon,a,b\n47,8,1,2\n"])
def test_whole_degrees_alone_are_read(csv_of, text):
    assert csv_of(text)["lat"].iloc[0] == 47.0


def test_cells_may_be_parted_by_bars(csv_of):
    assert csv_of("time_s|lat|lon\n0|47.5|8.25\n")["lon"].item() == 8.25


@pytest.mark.parametrize("name", ["hemisphere", "Quadrant"])
@pytest.mark.parametrize("cell", ["SW", "s/w", "S W"])
def test_a_column_of_both_hemispheres_tells_both(csv_of, name, cell):
    found = csv_of(f"lat,lon,speed,{name}\n22.9,43.2,1,{cell}\n", table.read)
    assert found.points[["lat", "lon"]].values.tolist() == [[-22.9, -43.2]]
    assert "taken for those of latitudes" in found.repairs[0]


def test_a_direction_tells_no_hemisphere(csv_of):
    found = csv_of("lat,lon,speed,direction\n22.9,43.2,1,SW\n22.9,43.2,1,NW\n")
    assert found[["lat", "lon"]].values.tolist() == [[22.9, 43.2]] * 2


@pytest.mark.parametrize("cell", ["1", "-1", "-", "+", "0"])
@pytest.mark.parametrize("name", ["lat_ref", "Latitude Hemisphere", "lat_sign"])
def test_hemispheres_told_in_an_unknown_way_are_refused_beside_numbers_without_signs(
    csv_of, name, cell
):
    text = f"lat,{name},lon\n22.9,{cell},43.2\n"
    with pytest.raises(ValueError, match=r"no hemisphere|no row has a number"):
        csv_of(text)
    signed = f"lat,{name},lon\n-22.9,{'' if cell in '+-' else cell},43.2\n"
    assert csv_of(signed)["lat"].item() == -22.9


def test_nanoseconds_and_missing_hemispheres_are_no_unknown_ones(csv_of):
    assert csv_of("lat,lon,ns,lat_ref\n22.9,43.2,1000,NA\n")["lat"].item() == 22.9


def test_photos_are_named_with_or_without_folders(places_of):
    text = "file,lat,lon,country\nphotos/a.jpg,-22.5,17,NA\nc:\\b.png,1,2,CH\nd,NA,NA,NA\n"
    assert places_of(text) == {"a.jpg": (-22.5, 17.0, ""), "b.png": (1.0, 2.0, "")}


@pytest.mark.parametrize("text", ["", "a,b\n1,2,3\n", "file,lat\na,1\n", "lat,lon\n1,2\n", "a,b\n"])
def test_a_table_that_places_no_photos_is_empty(places_of, text):
    assert places_of(text) == {}


def test_real_labels_place_the_photos_beside_them(real, manifest):
    named = table.read_named(real / "osv5m" / "labels.csv")
    places = {name.stem: place for name, place in named}
    for path in (real / "osv5m").glob("*.jpg"):
        row = manifest.loc[f"osv5m/{path.name}"]
        wanted = float(row["lat_min"]), float(row["lon_min"])
        np.testing.assert_allclose(places[path.stem][:2], wanted, atol=1e-7)


def test_real_tracks_are_read(real):
    for path in (real / "tracks").glob("*.csv"):
        found = table.read(path).points
        assert len(found) == len(path.read_text().splitlines()) - 1
        assert found["time_s"].isna().all() == path.name.startswith("seq_")


@pytest.mark.parametrize("other", ["drone_lat,drone_lon", "Home Latitude,Home Longitude"])
def test_columns_of_another_s_coordinates_are_told(tmp_path, other):
    path = tmp_path / "two.csv"
    path.write_text(f"time_s,lat,lon,{other}\n0,47.5,8.5,47.6,8.6\n1,47.5,8.5,47.7,8.7\n")
    found = table.read(path)
    assert any(other.split(",")[0] in said and "not read" in said for said in found.repairs)
    assert found.points["lat"].tolist() == [47.5, 47.5]
