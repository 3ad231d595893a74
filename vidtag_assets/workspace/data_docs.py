"""Great Expectations' pages of what was found in the tables, served while a command runs.

`python -m vidtag_assets.workspace.data_docs dagster dev` (`make dev`) makes the links lead
somewhere that checks show in Dagster's UI: browsers open no files from there.

Belongs here: where the pages lie, that they look the same without the Internet, serving them on
this machine alone. Does not belong here: writing them (assets/expectations.py).
"""

import contextlib
import functools
import http.server
import re
import signal
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path

from vidtag_ml.workflow import stage

ADDRESS = "http://127.0.0.1:3001"
"""Where they are served."""

_FOREIGN = re.compile(
    r"<link[^>]*href=.https?://[^>]*>|<script[^>]*src=.https?://[^>]*></script>"
    r"|<img[^>]*src=.https?://[^>]*>|url\(.https?://[^)]*\)|<footer.*?</footer>",
    re.DOTALL,
)
_FILTER = """
addEventListener("load", () => {
  const show = (all) => {
    for (const each of document.querySelectorAll(".hide-succeeded-validation-target-child"))
      each.closest("tr").hidden = !all;
    for (const each of document.querySelectorAll(
        ".hide-succeeded-validations-column-section-target-child"))
      each.closest(".ge-section").hidden = !all;
  };
  window.showAllValidations = () => show(true);
  window.hideSucceededValidations = () => show(false);
});
"""
"""What the buttons of a page do, which else need jQuery."""


def folder(root: Path) -> Path:
    """Where the pages of a workspace lie, a folder a table."""
    return root / "out" / "data_docs"


def dress(pages: Path) -> None:
    """Gives the pages in a folder styles of their own in the place of those of the Internet.

    Without it they show no mark of what holds, and tell the hosts of these styles who reads them.
    """
    style = Path(__file__).with_suffix(".css").read_text()
    ours = f"<style>\n{style}</style>\n<script>{_FILTER}</script>\n</head>"
    for page in pages.rglob("*.html"):
        text = page.read_text()
        if ours not in text:
            stage.write_text(page, _FOREIGN.sub("", text).replace("</head>", ours, 1))


@contextlib.contextmanager
def served(pages: Path, address: str = ADDRESS) -> Iterator[str | None]:
    """Serves a folder meanwhile; gives the address, or None if somebody else has it.

    Args:
        pages: need not be there yet.
        address: of this machine, with a port; 0 = any that is free.
    """
    place = urllib.parse.urlsplit(address)
    handler = functools.partial(_Quiet, directory=str(pages))
    try:
        server = http.server.ThreadingHTTPServer((place.hostname or "", place.port or 0), handler)
    except OSError:
        yield None
        return
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"{place.scheme}://{place.hostname}:{server.server_port}"
        server.shutdown()


def run(command: Sequence[str], root: Path, address: str = ADDRESS) -> int:
    """Runs a command while the pages are served; its exit code. It alone answers Ctrl-C."""
    begun: list[subprocess.Popen[bytes]] = []

    def end(*_: object) -> None:
        for one in begun:
            one.terminate()

    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, end)
    with served(folder(root), address) as found:
        told = f"data docs on {found}" if found else f"{address} is taken: no data docs from here"
        sys.stderr.write(f"vidtag: {told}\n")
        begun.append(subprocess.Popen(command))
        code = begun[0].wait()
    return code if code >= 0 else 128 - code  # as shells tell of a signal


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        """Leads from a table's folder to its newest page: the index needs scripts of others."""
        asked = Path(self.translate_path(self.path))
        pages = sorted(asked.glob("validations/**/*.html")) if self.path.endswith("/") else []
        if not pages:
            super().do_GET()
            return
        self.send_response(http.HTTPStatus.FOUND)
        self.send_header("Location", pages[-1].relative_to(asked).as_posix())
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing: Dagster's log is on the same screen."""


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:], Path.cwd()))
