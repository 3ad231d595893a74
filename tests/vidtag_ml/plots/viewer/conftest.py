"""Chromium, and pages of answers in it."""

import shutil

import pytest

from vidtag_ml.plots.viewer import page

CHROMIUM = shutil.which("chromium")
READY = "document.documentElement.dataset.ready"


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        running = play.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield running
        running.close()


@pytest.fixture
def look():
    """How the page is looked at: by a desktop, if a test does not say otherwise."""
    return {"viewport": {"width": 1000, "height": 700}}


@pytest.fixture
def shown(browser, look, tmp_path):
    """Opens a page of answers offline; `faults` are its errors and what it asks a network for."""
    context = browser.new_context(offline=True, **look)
    context.set_default_timeout(90_000)
    tab = context.new_page()
    tab.faults = []
    tab.on("pageerror", lambda error: tab.faults.append(str(error)))
    tab.on("console", lambda said: tab.faults.append(said.text) if said.type == "error" else None)
    tab.on("request", lambda r: tab.faults.append(r.url) if r.url.startswith("http") else None)

    def show(*answers):
        page.write(tmp_path / "page.html", answers, "tracks")
        tab.goto((tmp_path / "page.html").as_uri())
        tab.wait_for_function(READY)
        return tab

    yield show
    context.close()
