"""The page in a real browser, without a network: time, layers, keyboard, many positions."""

import numpy as np
import pytest

from vidtag_ml.plots.viewer import ground, page

ORIGIN = {"model": "vidtag", "bundle": "b" * 32, "video_md5": "a" * 32}
READY = "document.documentElement.dataset.ready"
NAMELESS = """[...document.querySelectorAll('button, input, video, [tabindex="0"], a[href]')]
  .filter(e => !(e.ariaLabel || e.labels?.length || e.textContent.trim())).map(e => e.outerHTML)"""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
]


def answer(num, **more):
    """A track over the antimeridian."""
    k = np.arange(num)
    lat, lon = -17 - k / num, (178 + 4 * k / num + 180) % 360 - 180
    cells = {"clip": "fiji", "score": 0.5, "radius_km": 20.0}
    track = [
        {**cells, "time_s": i / 2, "lat": a, "lon": b, "initial_lat": a, "initial_lon": b}
        for i, (a, b) in enumerate(zip(lat.tolist(), lon.tolist(), strict=True))
    ]
    row = {"origin": ORIGIN, "start_time": None, "track": track, "told": []}
    return page.Shown(row, "fiji", **more)


def test_arrows_go_from_frame_to_frame_and_the_facts_with_them(shown):
    tab = shown(answer(8))
    slider = tab.get_by_label("Time from the first frame")
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"):
        slider.press(key)
    assert tab.locator("#now").text_content() == "1.0 s"
    assert "fiji near" in slider.get_attribute("aria-valuetext")
    assert tab.get_by_text("17.250° S, 179.000° E").is_visible()
    slider.press("End")
    assert tab.get_by_text("17.875° S, 178.500° W").is_visible()
    assert tab.faults == []


def test_where_the_place_is_not_known_it_says_so_and_shows_nothing(shown):
    part = answer(8)
    for point in part.row["track"][2:5]:
        point.update(dict.fromkeys(("lat", "lon", "initial_lat", "initial_lon", "radius_km")))
    part.row["track"][1]["references"] = ["nadi at 7 s"]
    tab = shown(part)
    slider = tab.get_by_label("Time from the first frame")
    slider.press("ArrowRight")
    assert tab.get_by_text("nadi at 7 s").is_visible()
    slider.press("ArrowRight")
    assert tab.locator("#now").text_content() == "1.0 s: not known here"
    assert slider.get_attribute("aria-valuetext") == "1.0 s: fiji not known here"
    assert tab.locator("dl").inner_text().split("\n") == [
        "Position",
        "not known here",
        "Score",
        "0.50",
    ]
    lone = tab.locator("#map").screenshot()
    slider.press("End")
    assert tab.locator("#now").text_content() == "3.5 s"
    assert tab.locator("#map").screenshot() != lone
    assert tab.faults == []


def test_a_street_is_shown_as_large_as_the_map_and_told_to_the_metre(shown):
    street = answer(8)
    for k, point in enumerate(street.row["track"]):
        point.update(lat=55.7 + k * 1e-4, lon=13.2, initial_lat=55.7, initial_lon=13.2)
        point["radius_km"] = 0.01
    tab = shown(street)
    assert tab.get_by_text("55.70000° N, 13.20000° E").is_visible()
    assert tab.get_by_text("within 10 m").is_visible()
    assert tab.locator(".leaflet-control-scale-line").text_content() in ("20 m", "30 m", "50 m")


def test_layers_are_switched_by_keyboard(shown):
    tab = shown(answer(8))
    seen = tab.locator("#map").screenshot()
    box = tab.get_by_label("Predicted track")
    box.press("Space")
    tab.wait_for_timeout(200)
    assert not box.is_checked()
    assert tab.locator("#map").screenshot() != seen
    assert tab.get_by_label("True track").count() == 0


def test_all_that_takes_the_focus_has_a_name(shown):
    tab = shown(answer(8), answer(4))
    assert tab.evaluate(NAMELESS) == []
    assert tab.get_by_role("button", name="Show on map: fiji").count() == 2


def test_small_pictures_stand_in_for_a_video_that_cannot_be_played(shown, tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    small = [
        (t, ground.jpeg(np.full((8, 8, 3), 9 * k, np.uint8), 1, 70))
        for k, t in ((1, 0.0), (2, 2.0))
    ]
    tab = shown(answer(8, video=tmp_path / "a.mp4", thumbnails=small))
    picture = tab.get_by_alt_text("fiji: a frame near 0.0 s")
    picture.wait_for()
    tab.get_by_label("Time from the first frame").press("End")
    later = tab.get_by_alt_text("fiji: a frame near 2.0 s")
    assert later.get_attribute("src") == small[1][1]


def test_play_goes_on_to_the_end_and_can_be_paused(shown):
    tab = shown(answer(3))
    tab.get_by_role("button", name="Play").click()
    tab.get_by_text("1.0 s", exact=True).wait_for()
    tab.get_by_role("button", name="Play").wait_for()


def test_ten_thousand_positions_are_there_in_a_second(shown):
    tab, took_ms = shown(answer(10_000)), []
    for _ in range(5):
        tab.reload()
        tab.wait_for_function(READY)
        took_ms.append(int(tab.evaluate(READY)))
    assert min(took_ms) < 1000
    assert tab.faults == []
