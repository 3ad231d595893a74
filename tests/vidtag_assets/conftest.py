"""What tests of assets share."""

import http.server
import json
import threading

import pytest

from vidtag_assets.watching import webhook


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status == 200:
            self.server.got.append(json.loads(body))
        self.send_response(self.server.status)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hook(monkeypatch):
    """A webhook on loopback: `got` holds what was posted, `status` is what it answers."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        server.got, server.status = [], 200
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        monkeypatch.setenv(webhook.URL, f"http://127.0.0.1:{server.server_port}/secret")
        monkeypatch.setenv(webhook.UI, "http://dagster:3000/")
        yield server
        server.shutdown()
