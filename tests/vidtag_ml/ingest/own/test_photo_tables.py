"""Which row of which table is of a photo, and which rows are of none."""

import pytest

from vidtag_ml.ingest.own import photo_tables


@pytest.fixture
def tabled(tmp_path):
    """Writes tables of `file,lat` beside photos a.jpg and a.png, and tells of a photo."""
    for name in ("a.jpg", "a.png", "b.jpg"):
        (tmp_path / name).touch()

    def tell(photo, **tables):
        for name, rows in tables.items():
            text = "".join(f"{file},{lat},17\n" for file, lat in rows)
            (tmp_path / name.replace("_", ".")).write_text(f"file,lat,lon\n{text}")
        places = photo_tables.Places(tmp_path)
        row, told = places.row(tmp_path / photo)
        return row and row.place, told or places.unread

    return tell


@pytest.mark.parametrize("name", ["t.csv", "T.CSV"])
def test_a_table_beside_photos_places_them_however_its_suffix_is_written(tabled, name):
    place, told = tabled("a.jpg", **{name: [("a.jpg", 5)]})
    assert (place.lat, place.told, told) == (5.0, "", "")


@pytest.mark.parametrize("name", [".t.csv", "._t.csv"])
def test_a_hidden_table_is_none(tabled, name):
    assert tabled("a.jpg", **{name: [("a.jpg", 5)]}) == (None, "")


@pytest.mark.parametrize(
    "tables",
    [
        {"t.csv": [("a.jpg", 5), ("a.jpg", 6)]},
        {"t.csv": [("a.jpg", 5)], "u.csv": [("a.jpg", 6)]},
        {"t.csv": [("a.raw", 5), ("a.png", 6)]},
    ],
)
def test_a_photo_with_several_positions_has_none_and_it_is_told(tabled, tables):
    place, told = tabled("a.jpg", **tables)
    assert place is None
    assert told == f"{', '.join(tables)} has several positions for a.jpg"


def test_rows_that_agree_to_some_metres_are_one_place(tabled):
    assert tabled("a.jpg", t_csv=[("a.jpg", 5), ("a.jpg", 5.00001), ("a.png", 7)])[0].lat == 5.0


def test_rows_that_name_no_file_are_counted(tabled):
    place, _ = tabled("a.jpg", t_csv=[("a.jpg", 5), ("b", 6), ("c.jpg", 7), ("d", 8)])
    assert place.told == "t.csv: 2 of 4 rows name no file beside it"
    wrong = [("A.JPG", 5), ("c.jpg", 7)]
    assert tabled("a.jpg", t_csv=wrong) == (None, "t.csv: 2 of 2 rows name no file beside it")
