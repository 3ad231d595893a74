"""Tests of vidtag_ml.hierarchy."""

import pandas as pd
import pytest

from vidtag_ml import hierarchy

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
