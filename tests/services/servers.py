"""Real servers on loopback: PostgreSQL as Debian packs it, MLflow's, and rclone's of S3.

Belongs here: starting and stopping them, and the environment in which programs find them. Does not
belong here: what runs against them.
"""

import contextlib
import dataclasses
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import requests

USER, SECRET, BUCKET = "vidtag", "vidtag-secret", "vidtag"
START_S = 180.0


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def programs() -> Path | None:
    """The folder of PostgreSQL's programs; None where it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    return found[-1].parent if found else None


@dataclasses.dataclass(frozen=True)
class Postgres:
    """A cluster of databases in a folder of its own, which may go away and come back."""

    folder: Path
    port: int

    def run(self, program: str, *arguments: str) -> None:
        """Runs one of its programs; root may not, so that root does it as Debian's user."""
        user = "postgres" if os.getuid() == 0 else None
        command = [str(programs() / program), *arguments]
        with (self.folder / "log").open("a") as log:
            subprocess.run(command, check=True, cwd=self.folder, user=user, stdout=log, stderr=log)

    def start(self) -> None:
        settings = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        self.run("pg_ctl", "-D", "data", "-l", "server.log", "-w", "-o", settings, "start")

    def stop(self) -> None:
        """As if its machine was switched off."""
        self.run("pg_ctl", "-D", "data", "-m", "immediate", "stop")

    def url(self, database: str) -> str:
        return f"postgresql+psycopg2://{USER}@127.0.0.1:{self.port}/{database}"


@contextlib.contextmanager
def postgres(*databases: str) -> Iterator[Postgres]:
    """A running cluster with these databases."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        if os.getuid() == 0:
            shutil.chown(folder, "postgres")
        made = Postgres(Path(folder), free_port())
        made.run("initdb", "-D", "data", "--auth=trust", f"--username={USER}", "--no-sync")
        made.start()
        try:
            for name in databases:
                where = ["--host=127.0.0.1", f"--port={made.port}", f"--username={USER}"]
                made.run("createdb", *where, name)
            yield made
        finally:
            made.run("pg_ctl", "-D", "data", "-m", "immediate", "stop")


@contextlib.contextmanager
def s3(folder: Path) -> Iterator[str]:
    """The address of a server that keeps the bucket `BUCKET` in a folder."""
    (folder / BUCKET).mkdir(parents=True)
    port = free_port()
    command = [str(Path(sys.executable).with_name("rclone")), "serve", "s3", str(folder)]
    command += ["--addr", f"127.0.0.1:{port}", "--auth-key", f"{USER},{SECRET}"]
    command += ["--config", os.devnull]
    with serving(command, folder.with_name("s3.log"), lambda: _listens(port)):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def mlflow(folder: Path, store: str, env: dict[str, str]) -> Iterator[str]:
    """The address of a server that keeps runs in a database and artifacts in the bucket."""
    folder.mkdir()
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--workers", "1"]
    command += ["--port", str(port), "--backend-store-uri", store]
    command += ["--artifacts-destination", f"s3://{BUCKET}/mlflow"]
    own = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **env}
    with serving(command, folder / "log", lambda: _answers(f"{address}/health"), own):
        yield address


@contextlib.contextmanager
def serving(
    command: list[str], log: Path, is_ready: Callable[[], bool], env: dict[str, str] | None = None
) -> Iterator[None]:
    """A server while it is needed."""
    with (
        log.open("w") as said,
        subprocess.Popen(
            command, cwd=log.parent, env={**os.environ, **(env or {})}, stdout=said, stderr=said
        ) as process,
    ):
        try:
            until = time.monotonic() + START_S
            while not is_ready():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.1)
            yield
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    with contextlib.suppress(requests.ConnectionError, requests.Timeout):
        return requests.get(url, timeout=1).ok
    return False


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def aws(endpoint: str) -> dict[str, str]:
    """How all of AWS's clients are told where S3 is, and who asks."""
    return {
        "AWS_ACCESS_KEY_ID": USER,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
    }
