"""A new user's first look: `dagster dev`, its UI in a real browser, all materialized from there."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DEFINITIONS = """
import os
import dagster as dg
from orchestration.definitions import build_definitions
from vidtag_assets.workspace.resources import Dvc, ParamsFile, Tracking, Workspace

root = os.getcwd()
defs = dg.Definitions.merge(
    build_definitions(
        workspace=Workspace(root=root),
        params_file=ParamsFile(path=os.path.join(root, "params.yaml")),
        dvc=Dvc(root=root),
        tracking=Tracking(root=root),
    ),
    dg.Definitions(executor=dg.in_process_executor),
)
"""
RUN_S = 480

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium"),
]


@pytest.fixture
def ui(workspace):
    """Address of `dagster dev` over a workspace in which nothing has run yet."""
    (workspace / "defs.py").write_text(DEFINITIONS)
    home = workspace / "dagster"  # not .dagster: the code's own workspace would refuse another's
    home.mkdir()
    shutil.copy(ROOT / "dagster.yaml", home)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [Path(sys.executable).with_name("dagster"), "dev", "-f", "defs.py", "-p", str(port)]
    env = {**os.environ, "DAGSTER_HOME": str(home), "PYTHONPATH": str(ROOT)}
    with (workspace / "dev.log").open("w") as log:
        served = subprocess.Popen(
            command, cwd=workspace, env=env, stdout=log, stderr=log, start_new_session=True
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/server_info", served, workspace / "dev.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(served.pid, signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                served.wait(20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(served.pid, signal.SIGKILL)
            served.wait()


def wait_for(address, served, log):
    until = time.monotonic() + 180
    while time.monotonic() < until and served.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(address) as answer:  # noqa: S310
            if answer.status == 200:
                return
        time.sleep(1)
    pytest.fail(f"dagster dev does not answer:\n{log.read_text()[-3000:]}")


@pytest.fixture
def page(tmp_path):
    """A page of a fresh Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        context = play.chromium.launch_persistent_context(
            tmp_path / "profile",
            executable_path=CHROMIUM,
            headless=True,
            args=list(ARGUMENTS),
            viewport={"width": 1500, "height": 950},
        )
        context.set_default_timeout(90_000)
        yield context.pages[0]
        context.close()


def test_everything_can_be_materialized_from_the_ui(ui, page, workspace):
    # The invitation to a newsletter, which covers the page unless dagster.yaml switches it off.
    page.add_locator_handler(page.get_by_text("Skip", exact=True), lambda skip: skip.click())
    page.goto(f"{ui}/locations/defs.py/jobs/everything")
    page.get_by_role("button", name="Materialize all").click()
    page.get_by_text("Launched run").wait_for()
    page.get_by_text("View", exact=True).click()
    page.wait_for_url("**/runs/**")
    page.get_by_text("Success", exact=True).first.wait_for(timeout=RUN_S * 1000)
    page.goto(f"{ui}/assets/champion_model")
    page.get_by_text("verdict", exact=True).wait_for()
    assert (workspace / "out" / "bundle" / "bundle.json").exists()
