"""`vidtag view`: which page it makes and opens."""

import webbrowser

import pytest


@pytest.fixture
def located(vidtag, made, tmp_path):
    videos = sorted((made / "data" / "flyover" / "videos").glob("*.mp4"))[:2]
    ask = ("locate", *videos, "--model", made / "out" / "bundle", "--out", "there")
    assert vidtag(tmp_path, *ask).returncode == 0
    return [tmp_path / "there" / f"{video.stem}.html" for video in videos]


@pytest.fixture
def opened(tmp_path):
    """What a browser is told to open."""
    log, browser = tmp_path / "opened", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" >> "{log}"\n')
    browser.chmod(0o755)
    logging = webbrowser.GenericBrowser([str(browser), "%s"])
    webbrowser.register(str(browser), None, logging, preferred=True)
    return log


def test_one_answer_opens_the_page_beside_it(vidtag, located, opened, tmp_path):
    page = located[0]
    done = vidtag(tmp_path, "view", page.with_suffix(".gpx"))
    assert (done.returncode, done.stdout) == (0, f"{page}\n")
    assert opened.read_text() == page.as_uri()


def test_several_answers_are_one_page(vidtag, located, opened, tmp_path):
    done = vidtag(tmp_path, "view", "there")
    assert (done.returncode, done.stdout) == (0, "out/view.html\n")
    assert opened.read_text() == (tmp_path / "out" / "view.html").as_uri()
    text = (tmp_path / "out" / "view.html").read_text()
    assert "<title>2 recordings</title>" in text
    assert text.count('"video":"..') == 2


def test_a_folder_without_answers_is_refused(vidtag, opened, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "no answer there" in vidtag(tmp_path, "view", "empty").refusal
    assert not opened.exists()
