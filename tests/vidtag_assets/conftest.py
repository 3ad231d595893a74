"""What tests of assets share."""

import http.server
import json
import threading

import pytest

from vidtag_assets import cli
from vidtag_assets.watching import webhook
from vidtag_ml.cli import app as ml


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.status if len(body) <= self.server.longest else 413
        if status == 200:
            self.server.got.append(json.loads(body))
        self.send_response(status)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hook(monkeypatch):
    """A webhook on loopback: `got` holds what was posted, `status` is what it answers, and
    413 to what is longer than `longest` bytes."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        server.got, server.status, server.longest = [], 200, 10**6
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        monkeypatch.setenv(webhook.URL, f"http://127.0.0.1:{server.server_port}/secret")
        monkeypatch.setenv(webhook.UI, "http://dagster:3000/")
        yield server
        server.shutdown()


@pytest.fixture
def vidtag(monkeypatch, capsys):
    """The command, run in a folder: exit code, standard output, standard error."""

    def run(folder, *arguments):
        monkeypatch.chdir(folder)
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            ml.main(cli.app, [str(a) for a in arguments])
        return (stopped.value.code, *capsys.readouterr())

    return run
