"""Small maps: north is up, lengths are true, and what is far off does not shrink the track."""

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from vidtag_ml.earth import sphere
from vidtag_ml.plots import sketch

NONE = np.empty((0, 2))


def path(svg, name):
    """Corners (N, 2) of a path of a class, in pixels."""
    (found,) = re.findall(rf'class="{name}" d="([^"]*)"', svg)
    return np.array(re.findall(r"-?[\d.]+", found.lstrip("M")), float).reshape(-1, 2)


def drawn(used, dropped=NONE):
    svg, num_off = sketch.sketch(np.asarray(used, float), np.asarray(dropped, float))
    assert ET.fromstring(svg).tag == "svg"  # noqa: S314 - it is ours
    return svg, num_off


@pytest.mark.parametrize("lat", [0.0, -33.9, 60.0, 89.0])
@pytest.mark.parametrize("lon", [8.0, 180.0])
def test_north_is_up_and_east_is_right_at_one_scale(lat, lon):
    start = np.array([lat, lon])
    corner = sphere.destination(start, 0.0, 0.1)
    svg, _ = drawn([start, corner, sphere.destination(corner, 90.0, 0.1)])
    begin, north, east = path(svg, "way")
    assert north - begin == pytest.approx([0, -140], abs=1)
    assert east - north == pytest.approx([140, 0], abs=3)


def test_the_bar_is_as_long_as_it_says():
    svg, _ = drawn([(47.0, 8.0), sphere.destination((47.0, 8.0), 90.0, 0.26)])
    way = path(svg, "way")
    bar = float(re.search(r"v4h([\d.]+)v-4", svg)[1])
    assert ">100 m<" in svg
    assert bar / 100 == pytest.approx((way[1, 0] - way[0, 0]) / 260, rel=0.01)


def test_dropped_points_are_marked_near_the_track_and_counted_far_off():
    track = [(47.0, 8.0), (47.001, 8.001)]
    svg, num_off = drawn(track, [(47.0015, 8.0), (0.0, 0.0), (95.0, 8.0)])
    assert num_off == 2
    assert 'class="dropped"' in svg
    begin, end = path(svg, "way")
    assert np.hypot(*(end - begin)) > 80


def test_a_single_position_is_a_dot_on_a_scale():
    svg, _ = drawn([(47.0, 8.0)])
    assert 'class="way"' not in svg
    assert "20 m<" in svg


def test_a_long_recording_is_no_long_text():
    way = np.random.default_rng(0).normal(0, 1e-3, (100_000, 2)).cumsum(0) / 100
    assert len(drawn(way)[0]) < 5000


def test_the_world_has_its_dot_where_the_recording_was():
    lat, lon = 47.0, -122.0
    assert f'cx="{lon + 180:.0f}" cy="{84 - lat:.0f}"' in sketch.world_with((lat, lon))
    assert 1000 < sketch.world().count("h2v2h-2z") < 4000
