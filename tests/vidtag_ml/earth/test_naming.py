"""Names of where points are, and none where nothing is near."""

import numpy as np

from vidtag_ml.earth import naming


def test_points_have_names_from_coarse_to_fine():
    row = naming.labels(np.array([(45.76, 4.84)]), 1.0).iloc[0]
    assert row["continent"] == "Europe"
    assert row["country"] == "France"
    assert row["region"] == "the region of Lyon, France"
    assert row["city"].startswith("Lyon")
    assert list(row.index) == list(naming.LEVELS)


def test_the_open_sea_has_no_name_and_the_desert_no_city():
    sea, desert = naming.labels(np.array([(30.0, -40.0), (23.0, 10.0)]), 1.0).to_numpy()
    assert [value is None for value in sea] == [True] * 4
    assert (desert[0], desert[3]) == ("Africa", None)


def test_a_cell_that_is_wider_than_a_city_has_none():
    assert naming.labels(np.array([(45.76, 4.84)]), 30.0)["city"][0] is None


def test_places_of_one_name_are_told_apart():
    portland = naming.labels(np.array([(45.52, -122.68), (43.66, -70.26)]), 1.0)
    assert portland["city"].tolist() == [f"Portland ({s}), United States" for s in ("OR", "ME")]
    regions = portland["region"].tolist()
    assert regions == [f"the region of Portland ({s}), United States" for s in ("OR", "ME")]
