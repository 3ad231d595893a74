"""The page on which answers are looked at: one file, offline, no break at the antimeridian."""

import html.parser
import json
import re
from pathlib import Path

import numpy as np
import pytest

from vidtag_ml.earth import sphere
from vidtag_ml.plots.viewer import ground, page

ORIGIN = {"model": "vidtag", "bundle": "b" * 32, "video_md5": "a" * 32}
FIJI = [(-17.0, 179.0), (-17.2, -179.9), (-17.4, 179.9), (-17.6, -179.0)]
PARIS = [(48.85, 2.35), (48.86, 2.36)]


def answer(latlon, **more):
    track = [
        {"clip": "a", "time_s": k / 2, "lat": lat, "lon": lon, "initial_lat": lat, "score": 0.5}
        | {"initial_lon": lon}
        for k, (lat, lon) in enumerate(latlon)
    ]
    return {"origin": ORIGIN, "start_time": None, "track": track, "told": [], **more}


def told(path):
    """What the page's script reads."""
    found = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', path.read_text())
    return json.loads(found[1])


def written(tmp_path, *rows, **beside):
    path = tmp_path / "page.html"
    page.write(path, [page.Shown(row, "a", **beside) for row in rows], "tracks <&>")
    return path


class Resources(html.parser.HTMLParser):
    """What a page asks a browser to fetch."""

    found: tuple = ()

    def handle_starttag(self, _tag, attrs):
        self.found += tuple(value for name, value in attrs if name in ("src", "href", "data"))


def test_nothing_in_it_is_fetched(tmp_path):
    text = written(tmp_path, answer(PARIS)).read_text()
    parser = Resources()
    parser.feed(text)
    assert parser.found == ()
    styles = "".join(re.findall(r"<style>(.*?)</style>", text, re.DOTALL))
    assert not re.search(r"@import|url\((?!#)", styles)
    assert "default-src 'none'" in text


def test_the_licences_of_what_is_in_it_are_named(tmp_path):
    text = written(tmp_path, answer(PARIS)).read_text()
    for name in ("Leaflet 1.9.3", "BSD-2-Clause", "Blue Marble", "LGPL-3.0", "CC BY 4.0"):
        assert name in text
    assert "THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS" in text
    assert "tracks &lt;&amp;&gt;" in text


def test_a_track_over_the_antimeridian_is_one_line(tmp_path):
    (found,) = told(written(tmp_path, answer(FIJI)))["answers"]
    assert found["lon"] == pytest.approx([-181.0, -179.9, -180.1, -179.0])
    assert np.ravel(found["view"]) == pytest.approx([-17.6, -181.0, -17.0, -179.0])
    assert found["places"][found["near"][0]].endswith("Fiji")


@pytest.mark.parametrize("lon", [170.0, -170.0, 0.0])
def test_answers_of_one_page_lie_side_by_side(tmp_path, lon):
    rows = answer([(10.0, lon), (11.0, lon)]), answer(FIJI, measured=[(-17.0, 179.5), *[None] * 3])
    first, second = told(written(tmp_path, *rows))["answers"]
    assert abs(np.mean(first["lon"]) - np.mean(second["lon"])) <= 180
    offsets = np.subtract(second["lon"], [lon for _, lon in FIJI])
    assert np.abs(sphere.wrap_lon(offsets)).max() < 1e-6
    assert abs(second["trueLon"][0] - second["lon"][0]) < 1
    west, east = (corner[1] for corner in second["ground"]["bounds"])
    assert west < min(second["lon"]) < max(second["lon"]) < east
    name = second["ground"]["names"][0]
    assert west < name[2] < east


def test_radii_areas_and_truth_are_told_where_they_are_known(tmp_path):
    ring = [[1, 48], [3, 48], [3, 50], [1, 50], [1, 48]]
    area = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}}
    row = answer(
        PARIS,
        measured=[[48.85, 2.35], None],
        gps={"source": "gpx"},
        areas=[{**area, "properties": {"mass": 0.9}}],
    )
    row["track"][0]["radius_km"] = 20.0
    (found,) = told(written(tmp_path, row))["answers"]
    assert (found["radiusKm"], found["offKm"], found["truth"]) == ([20.0, None], [0.0, None], "gpx")
    assert found["areas"] == [{"ring": [[lat, lon] for lon, lat in ring], "mass": 0.9, "t": None}]
    assert found["view"][1][0] == pytest.approx(48.85 + 20 / 111.195, abs=1e-3)


def test_without_radii_areas_and_truth_it_says_nothing_of_them(tmp_path):
    (found,) = told(written(tmp_path, answer(PARIS)))["answers"]
    assert (found["radiusKm"], found["areas"], "trueLat" in found) == (None, [], False)


NOWHERE = (None, None)


def test_a_track_known_in_part_is_told_in_part(tmp_path):
    row = answer([NOWHERE, FIJI[0], NOWHERE, FIJI[1]], measured=[FIJI[0], *[None] * 3])
    row["track"][1] |= {"radius_km": 1.0, "references": ["b at 3 s", "b at 4 s"]}
    path = written(tmp_path, row)
    (found,) = told(path)["answers"]
    assert found["lon"] == pytest.approx([None, 179.0, None, 180.1])
    assert [place is None for place in found["near"]] == [True, False, True, False]
    assert [found[name][0] for name in ("nearKm", "aloneLat", "offKm")] == [None] * 3
    assert found["radiusKm"] == [None, 1.0, None, None]
    assert found["witnesses"] == ["", "b at 3 s, b at 4 s", "", ""]
    assert np.isfinite(found["view"]).all()
    assert "2 positions found by a model, 2 not known" in path.read_text()


def test_a_track_without_a_known_position_has_no_page(tmp_path):
    with pytest.raises(ValueError, match="a: none of its positions is known"):
        written(tmp_path, answer(PARIS), answer([NOWHERE]))
    assert list(tmp_path.iterdir()) == []


def test_links_to_recordings_are_relative_and_quoted(tmp_path):
    video = tmp_path / "my videos" / "a#1.mp4"
    (found,) = told(written(tmp_path, answer(PARIS), video=video))["answers"]
    assert found["video"] == "my%20videos/a%231.mp4"


def test_names_of_recordings_cannot_end_the_script(tmp_path):
    row = answer(PARIS, told=["</script><script>alert(1)</script>"])
    (found,) = told(written(tmp_path, row))["answers"]
    assert found["told"] == row["told"]


def test_more_answers_than_a_page_holds_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at most 50 answers; 51 are asked for"):
        written(tmp_path, *[answer(PARIS)] * 51)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("latlon", [PARIS, FIJI, [(89.9, 10.0)], [(-60, -170), (70, 175)]])
def test_ground_holds_its_tracks(latlon):
    lat, lon = np.array(latlon, float).T
    line = np.stack([lat, np.unwrap(lon, period=360)], -1)
    found = ground.region(line)
    low, high = np.array(found["bounds"])
    assert ((line >= low) & (line <= high)).all()
    assert found["picture"].startswith("data:image/jpeg;base64,")


def test_the_package_holds_the_files_of_the_page():
    import tomllib

    root = Path(__file__).parents[4]
    data = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    named = set(data["package-data"]["vidtag_ml.plots.viewer"])
    folder = root / "vidtag_ml" / "plots" / "viewer"
    assert named == {p.name for p in folder.iterdir() if p.suffix not in (".py", "")}
