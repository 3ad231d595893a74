"""Tests of vidtag_ml.dataset.hierarchy."""

import functools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from vidtag_ml.dataset import hierarchy
from vidtag_ml.ingest.published import cityguessr68k

ROWS = [
    ("Windhoek", "NA.21", "Namibia", "NA"),
    ("Pune", "IN.16", "India", "Asia"),
    ("Pune", "IN.16", "India", "Asia"),
    ("Accra", "GH.01", "Ghana", "Africa"),
]


def _clips(rows=ROWS) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=list(hierarchy.LEVELS), dtype="string")
    return table.assign(clip_id=[f"clip-{k}" for k in range(len(rows))])


def test_places_are_distinct_and_sorted_by_continent_first():
    table = hierarchy.build(_clips())
    assert table["city"].tolist() == ["Accra", "Pune", "Windhoek"]
    assert tuple(table.columns) == hierarchy.LEVELS


def test_the_order_of_clips_does_not_matter():
    assert hierarchy.build(_clips()).equals(hierarchy.build(_clips(ROWS[::-1])))


def test_missing_labels_are_refused_by_clip():
    with pytest.raises(ValueError, match="1 clips lack labels; the first is clip-4"):
        hierarchy.build(_clips([*ROWS, ("Lima", None, "Peru", "South America")]))
    with pytest.raises(ValueError, match="no column 'state'"):
        hierarchy.build(_clips().drop(columns="state"))


def test_a_file_comes_back_as_it_went_namibia_too(tmp_path):
    table = hierarchy.build(_clips())
    hierarchy.write(table, tmp_path / "hierarchy.csv")
    back = hierarchy.read(tmp_path / "hierarchy.csv")
    assert back.to_numpy().tolist() == table.to_numpy().tolist()
    assert "NA" in back["continent"].tolist()


def test_another_csv_is_refused_by_name(tmp_path):
    (tmp_path / "other.csv").write_text("lat,lon\n1,2\n")
    with pytest.raises(ValueError, match=r"other\.csv: columns are lat, lon"):
        hierarchy.read(tmp_path / "other.csv")


def test_flyover_labels_make_a_hierarchy(tables):
    table = hierarchy.build(tables.clips)
    assert 1 <= len(table) <= len(tables.clips)
    assert table["state"].str.match(r"^[A-Z]{2}\.\w+$").all()


PLACES = [
    ("Austin", "Texas", "United States", "North America"),
    ("Cairns", "Queensland", "Australia", "Oceania"),
    ("Dallas", "Texas", "United States", "North America"),
    ("Springfield", "Illinois", "United States", "North America"),
    ("Springfield", "Missouri", "United States", "North America"),
    ("Temple", "Texas", "Queensland", "North America"),
]
REFERENCE = Path(__file__).resolve().parents[4] / "shared/reference/cityguessr_labels.csv"


def _table(rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(hierarchy.LEVELS), dtype="string")


@functools.cache
def _published() -> hierarchy.Hierarchy:
    table = pd.read_csv(cityguessr68k.CENTRES, dtype=str, keep_default_na=False)
    return hierarchy.Hierarchy.of(table)


def test_cities_are_classes_in_alphabetical_order_whatever_the_table_s():
    found = hierarchy.Hierarchy.of(_table(PLACES[::-1]))
    assert found.places == tuple(PLACES)
    assert found.names[0] == tuple(place[0] for place in PLACES)


def test_parents_are_numbered_as_they_first_appear_and_equal_names_stay_apart():
    found = hierarchy.Hierarchy.of(_table(PLACES))
    assert found.names[1] == ("Texas", "Queensland", "Illinois", "Missouri", "Texas")
    assert found.ancestors_C4.T.tolist() == [
        [0, 1, 2, 3, 4, 5],
        [0, 1, 0, 2, 3, 4],
        [0, 1, 0, 0, 0, 2],
        [0, 1, 0, 0, 0, 0],
    ]
    assert found.sizes == (6, 5, 3, 2)


def test_parents_lead_from_a_city_to_its_continent():
    found = hierarchy.Hierarchy.of(_table(PLACES))
    climbed = [np.arange(6)]
    for parent in found.parents:
        climbed.append(parent[climbed[-1]])
    assert np.array_equal(np.stack(climbed, 1), found.ancestors_C4)


@pytest.mark.parametrize(
    ("labels", "ids"),
    [
        (PLACES[4], [4, 3, 0, 0]),
        (("Houston", "Texas", "United States", "North America"), [-1, 0, 0, 0]),
        ((None, "Texas", "Queensland", "North America"), [-1, 4, 2, 0]),
        (("Austin", "Texas", "Australia", "Oceania"), [-1, -1, 1, 1]),
        (("Springfield", None, "United States", "North America"), [-1, -1, 0, 0]),
        (("Lyon", "Rhône", "France", "Europe"), [-1, -1, -1, -1]),
    ],
    ids=["city", "other city", "no city", "other country", "no state", "nothing"],
)
def test_labels_are_known_from_the_level_upwards_at_which_their_names_are(labels, ids):
    found = hierarchy.Hierarchy.of(_table(PLACES)).ids(_table([labels]))
    assert (found.dtype, found.tolist()) == (np.int64, [ids])


def test_no_labels_have_no_classes():
    assert hierarchy.Hierarchy.of(_table(PLACES)).ids(_table([])).shape == (0, 4)


def test_a_hierarchy_comes_back_from_json_with_equal_classes():
    found = hierarchy.Hierarchy.of(_table(PLACES))
    back = hierarchy.Hierarchy.of_rows(json.loads(json.dumps(found.places)))
    assert back == found
    assert np.array_equal(back.ancestors_C4, found.ancestors_C4)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "at least one place"),
        ([*PLACES, PLACES[0]], r"\('Austin'.*occurs twice"),
        ([("Lima", "Lima", "", "South America")], r"\('Lima'.*does not name city"),
        ([("Lima", None, "Peru", "South America")], "row 0 of the places lacks a name"),
    ],
)
def test_what_is_no_table_of_places_is_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        hierarchy.Hierarchy.of(_table(rows))


def test_columns_are_needed_and_rows_are_not_sorted_again():
    with pytest.raises(ValueError, match="no column 'state'"):
        hierarchy.Hierarchy.of(_table(PLACES).drop(columns="state"))
    with pytest.raises(ValueError, match=r"'Missouri'.*stands after \('Temple'"):
        hierarchy.Hierarchy.of_rows(PLACES[::-1])


def test_cityguessr68k_has_the_published_numbers_of_classes():
    found = _published()
    assert found.sizes == (166, 157, 91, 6)
    assert found.names[3] == (
        "Asia", "Africa", "Oceania", "Europe", "North America", "South America"
    )  # fmt: skip
    assert np.bincount(found.ancestors_C4[:, 3]).tolist() == [61, 15, 6, 43, 34, 7]


@pytest.mark.parametrize(
    ("level", "name", "class_id"),
    [
        ("city", "Abu_Dhabi", 0),
        ("city", "Austin", 13),
        ("city", "Dallas", 51),
        ("city", "Zagreb", 165),
        ("country", "United States", 9),
        ("country", "India", 3),
        ("country", "England", 25),
        ("country", "Scotland", 43),
    ],
)
def test_cityguessr68k_has_the_published_classes(level, name, class_id):
    assert _published().names[hierarchy.LEVELS.index(level)].index(name) == class_id


@pytest.mark.parametrize(("country", "num_cities"), [(9, 24), (3, 12), (25, 5), (43, 2)])
def test_cityguessr68k_has_as_many_cities_in_a_country_as_published(country, num_cities):
    assert (_published().ancestors_C4[:, 2] == country).sum() == num_cities


def test_cityguessr68k_has_the_published_cities_in_one_state():
    found = _published()
    together = [
        "/".join(found.names[0][city] for city in np.flatnonzero(found.parents[0] == state))
        for state in np.flatnonzero(np.bincount(found.parents[0]) > 1)
    ]
    assert sorted(together) == [
        "Agra/Kanpur/Lucknow",
        "Austin/Dallas",
        "Calgary/Edmonton",
        "Incheon/Seoul",
        "Jacksonville/Miami",
        "Jeddah/Makkah",
        "Liverpool/Manchester",
        "Memphis/Nashville",
    ]


@pytest.mark.skipif(not REFERENCE.is_file(), reason="the published mapping is not here")
def test_cityguessr68k_agrees_with_the_published_mapping():
    published = pd.read_csv(REFERENCE, keep_default_na=False)
    ids = published[["city_id", "state_id", "country_id", "continent_id"]].to_numpy()
    assert _published().names[0] == tuple(published["city"])
    assert np.array_equal(_published().ancestors_C4, ids)


def test_classes_that_have_another_number_or_none_have_moved():
    old, new = (hierarchy.Hierarchy.of(_table(PLACES[k:])) for k in (0, 1))
    found = hierarchy.moved(old, new)
    assert found.columns.tolist() == ["level", "name", "old", "new"]
    cities = found.loc[found["level"] == "city", ["name", "old", "new"]]
    assert list(cities.itertuples(index=False, name=None)) == [
        ("Austin", 0, -1), ("Cairns", 1, 0), ("Dallas", 2, 1),
        ("Springfield", 3, 2), ("Springfield", 4, 3), ("Temple", 5, 4),
    ]  # fmt: skip
    continents = found[found["level"] == "continent"]
    assert dict(zip(continents["name"], continents["new"], strict=True)) == {
        "North America": 1,
        "Oceania": 0,
    }


def test_nothing_moves_when_classes_are_added_behind():
    old, new = (hierarchy.Hierarchy.of(_table(PLACES[:k])) for k in (4, 6))
    assert hierarchy.moved(old, new).empty
    assert hierarchy.moved(old, old).columns.tolist() == ["level", "name", "old", "new"]


def test_classes_that_no_clip_has_are_unseen():
    classes = hierarchy.Hierarchy.of(_table(PLACES))
    assert hierarchy.unseen(classes, _table(PLACES)).empty
    found = hierarchy.unseen(classes, _table([PLACES[0], PLACES[3]]))
    assert found.groupby("level", sort=False)["name"].apply(list).to_dict() == {
        "city": ["Cairns", "Dallas", "Springfield", "Temple"],
        "state": ["Queensland", "Missouri", "Texas"],
        "country": ["Australia", "Queensland"],
        "continent": ["Oceania"],
    }
