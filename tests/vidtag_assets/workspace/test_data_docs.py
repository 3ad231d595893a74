"""The data docs are served while a command runs, on this machine alone."""

import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from vidtag_assets.workspace import data_docs

ANY = "http://127.0.0.1:0"


def get(address):
    """What is served there."""
    with urllib.request.urlopen(address) as answer:  # noqa: S310
        return answer.read().decode()


@pytest.fixture
def pages(tmp_path):
    """The pages of a workspace that has judged one table."""
    page = data_docs.folder(tmp_path) / "fixes" / "validations" / "fixes" / "20260101" / "page.html"
    page.parent.mkdir(parents=True)
    page.write_text("verdict")
    (data_docs.folder(tmp_path) / "fixes" / "index.html").write_text("needs scripts")
    return data_docs.folder(tmp_path)


def test_the_folder_of_a_table_leads_to_its_newest_page(pages):
    with data_docs.served(pages, ANY) as address:
        assert get(f"{address}/fixes/") == "verdict"
        assert get(f"{address}/fixes/index.html") == "needs scripts"


def test_nothing_else_of_the_workspace_is_served(pages):
    (pages.parent / "secret").write_text("secret")
    with data_docs.served(pages, ANY) as address, pytest.raises(urllib.error.HTTPError):
        get(f"{address}/../secret")


def test_a_place_that_is_taken_is_no_failure(pages):
    with (
        data_docs.served(pages, ANY) as address,
        data_docs.served(pages, address) as second,
    ):
        assert second is None


CODE = """
import sys
from pathlib import Path
from vidtag_assets.workspace import data_docs
sys.exit(data_docs.run([sys.executable, "-c", sys.argv[1]], Path.cwd(), "http://127.0.0.1:0"))
"""
SLEEPS = "import time; print('on', flush=True); time.sleep(60)"


def begin(folder, code):
    command = [sys.executable, "-c", CODE, code]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, stdout=pipe, stderr=pipe, text=True)


def test_the_command_decides_about_the_exit_code(tmp_path):
    begun = begin(tmp_path, "raise SystemExit(3)")
    _, said = begun.communicate(timeout=60)
    assert begun.returncode == 3
    assert "vidtag: data docs on http://127.0.0.1:" in said


def test_a_signal_to_end_is_passed_on(tmp_path):
    begun = begin(tmp_path, SLEEPS)
    assert begun.stdout.readline() == "on\n"
    begun.send_signal(signal.SIGTERM)
    begun.communicate(timeout=30)
    assert begun.returncode == 128 + signal.SIGTERM
