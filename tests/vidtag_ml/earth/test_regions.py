"""Regions that a person names, and which points they hold."""

import json

import numpy as np
import pytest

from vidtag_ml.earth import regions

PARIS, BERLIN, SUVA, CHATHAM = (48.86, 2.35), (52.52, 13.40), (-18.14, 178.44), (-44.0, -176.5)
PLACES = np.array([PARIS, BERLIN, SUVA, CHATHAM])


def held(text, room_km=0.0):
    return regions.parse(text).holds(PLACES, room_km).tolist()


@pytest.mark.parametrize("text", ["France", "france", "FR", "fra", " FRANCE "])
def test_countries_have_names_and_codes(text):
    assert regions.parse(text).words == "France"
    assert held(text) == [True, False, False, False]


def test_a_country_reaches_over_its_border_where_nobody_knows_it():
    on_the_rhine_and_beyond = np.array([(48.573, 7.79), (48.86, 9.0)])
    assert regions.parse("FR").holds(on_the_rhine_and_beyond, 0.0).tolist() == [True, False]
    assert regions.parse("DE").holds(on_the_rhine_and_beyond, 0.0).tolist() == [True, True]


def test_a_country_does_not_reach_across_the_ocean():
    middle = np.array([(25.7, -44.3)])
    assert regions.parse("FR").holds(middle, 0.0).tolist() == [False]


@pytest.mark.parametrize(
    ("box", "wanted"),
    [
        ("40,-5,50,10", [True, False, False, False]),
        ("-50,175,-10,-170", [False, False, True, True]),
        ("-50,175,-10,190", [False, False, True, True]),
        ("-50,179,-10,-170", [False, False, False, True]),
        ("-90,-180,90,180", [True] * 4),
    ],
)
def test_boxes_may_lie_on_the_antimeridian(box, wanted):
    assert held(box) == wanted


def test_a_box_holds_cells_that_it_touches():
    assert held("40,3,50,10") == [False] * 4
    assert held("40,3,50,10", 60.0) == [True, False, False, False]


def _file(tmp_path, *polygons):
    parts = [{"type": "Polygon", "coordinates": rings} for rings in polygons]
    features = [{"type": "Feature", "properties": {}, "geometry": part} for part in parts]
    path = tmp_path / "area.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return str(path)


def _square(west, south, east, north):
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def test_a_file_has_polygons_with_holes_also_over_the_antimeridian(tmp_path):
    hole = _square(2, 48, 3, 49)
    fiji = _square(175, -50, 190, -10)
    path = _file(tmp_path, [_square(-5, 40, 20, 60), hole], [fiji])
    assert held(path) == [False, True, True, True]
    assert held(path, 60.0) == [True] * 4


def test_edges_are_as_wide_as_they_say(tmp_path):
    north = regions.parse(_file(tmp_path, [_square(-180, 0, 180, 90)]))
    points = np.array([(50.0, 8.0), (40.0, -100.0), (-5.0, 8.0), (60.0, 179.0)])
    assert north.holds(points, 1.0).tolist() == [True, True, False, True]


@pytest.mark.parametrize(("west", "east"), [(-120, 120), (175, -170)])
def test_edges_that_may_go_either_way_are_refused(tmp_path, west, east):
    with pytest.raises(ValueError, match=f"from lon {west} to {east} may go either way around"):
        regions.parse(_file(tmp_path, [_square(west, -50, east, -10)]))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Atlantis", "is no country"),
        ("50,2,40,3", "is no box"),
        ("48,2,49", "is no country"),
        ("Antarctica", "has no place in GeoNames"),
        ("nowhere.geojson", "no GeoJSON that can be read"),
    ],
)
def test_what_is_no_region_is_refused(text, told):
    with pytest.raises(ValueError, match=told):
        regions.parse(text)


@pytest.mark.parametrize(
    "text", ["[]", "{}", "no", '{"type": "Point", "coordinates": [1, 2]}', '{"features": [1]}']
)
def test_a_file_without_polygons_is_refused_by_name(tmp_path, text):
    (tmp_path / "a.geojson").write_text(text)
    with pytest.raises(ValueError, match=r"a\.geojson: "):
        regions.parse(str(tmp_path / "a.geojson"))
