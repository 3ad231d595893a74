"""The pictures of the page in docs/: of today's page, on a desktop and a phone, light and dark.

`make pictures` has them written to docs/; without that they are taken and thrown away.
"""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vidtag_ml.earth import sphere
from vidtag_ml.plots.viewer import ground, page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

DESKTOP, PHONE = {"width": 1180, "height": 760}, {"width": 390, "height": 844}
LOOKS = {
    "locate": {"viewport": DESKTOP, "color_scheme": "dark"},
    "locate-light": {"viewport": DESKTOP, "color_scheme": "light"},
    "locate-phone": {"viewport": PHONE, "color_scheme": "dark"},
    "locate-phone-light": {"viewport": PHONE, "color_scheme": "light"},
}
MOST_BYTES = 300_000
FITS = "document.documentElement.scrollWidth <= window.innerWidth"


@pytest.fixture
def look(request):
    return LOOKS[request.param]


@pytest.fixture
def flight():
    """A made-up answer for a flight from Cyprus over the Levant, whose receiver told its way."""
    turn = np.linspace(0, 1, 60)
    true = np.stack([35.4 - 2.7 * turn, 34.0 + 3.0 * np.sin(np.pi * turn**0.8)], 1)
    off = np.stack([np.cos(9 * turn), np.sin(7 * turn)], 1)
    found, alone = true + 0.12 * off, true + 0.5 * np.random.default_rng(0).normal(size=(60, 2))
    away_km = sphere.great_circle_km(found, true)
    origin = {"model": "vidtag", "model_version": 3, "bundle": "0123456789abcdef" * 2}
    track = [
        {
            "clip": "flight", "time_s": float(k), "lat": lat, "lon": lon, "initial_lat": first[0],
            "initial_lon": first[1], "score": 0.6 + 0.3 * np.cos(k / 9), "radius_km": 31.0,
        }
        for k, ((lat, lon), first) in enumerate(zip(found.tolist(), alone.tolist(), strict=True))
    ]  # fmt: skip
    row = {
        "origin": origin, "start_time": None, "radius_km": 40.0, "track": track,
        "told": ["no recording time known: times are from the start"],
        "gps": {"source": "gpx", "num_fixes": 60, "num_dropped": 0}, "measured": true.tolist(),
        "median_error_km": float(np.median(away_km)),
    }  # fmt: skip
    below = [ground.region(true[k : k + 2])["picture"] for k in range(0, 58, 19)]
    times = np.arange(0.0, 58.0, 19.0).tolist()
    return page.Shown(row, "flight", thumbnails=list(zip(times, below, strict=True)))


@pytest.mark.parametrize(("look", "name"), [(n, n) for n in LOOKS], indirect=["look"])
def test_the_page_fits_and_its_picture_is_small(shown, flight, name):
    tab = shown(flight)
    slider = tab.get_by_label("Time from the first frame")
    for _ in range(3):
        slider.press("PageUp")
    tab.wait_for_timeout(300)
    assert tab.evaluate(FITS)
    assert tab.faults == []
    picture = Image.open(io.BytesIO(tab.screenshot()))
    colours = picture.convert("RGB").quantize(256)
    folder = os.environ.get("VIDTAG_PICTURES")
    target = Path(folder) / f"{name}.png" if folder else io.BytesIO()
    colours.save(target, "PNG", optimize=True)
    size = target.stat().st_size if folder else len(target.getvalue())
    assert 20_000 < size < MOST_BYTES
