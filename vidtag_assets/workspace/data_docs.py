"""Great Expectations' pages of what was found in the tables, served while a command runs.

`python -m vidtag_assets.workspace.data_docs dagster dev` (`make dev`) makes the links lead
somewhere that checks show in Dagster's UI: browsers open no files from there.

Belongs here: where the pages lie, serving them on this machine alone. Does not belong here: writing
them (assets/expectations.py).
"""

import contextlib
import functools
import http.server
import signal
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path

ADDRESS = "http://127.0.0.1:3001"
"""Where they are served."""


def folder(root: Path) -> Path:
    """Where the pages of a workspace lie, a folder a table."""
    return root / "out" / "data_docs"


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
