"""Where a workspace lies: its store follows it when it is moved or copied, and so must its code.

A workspace is one folder. MLflow writes absolute addresses of artifacts into the workspace's own
`mlflow.db`; the experiment's is the record of where the workspace was (decision 26).

Belongs here: noticing that addresses, code or settings are those of another place, without
importing anything heavy. Does not belong here: MLflow's store itself (resources.py), making
environments (set-up).
"""

import contextlib
import logging
import os
import sqlite3
import sys
import tomllib
import urllib.parse
from pathlib import Path

from vidtag_ml.workflow import locks

EXPERIMENT = "vidtag"
"""MLflow's experiment of a workspace, whose artifacts are the workspace's."""
ARTIFACTS = "mlartifacts"
"""The folder in which they lie."""
ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)
"""Tables and columns of MLflow's store in which artifacts have addresses."""
URI = "MLFLOW_TRACKING_URI"
"""Variable that names a store of MLflow's beyond the workspace, as all users of MLflow know it."""
WAIT_S = 60.0
"""How long another process may hold the store."""
CODE = Path(__file__).resolve().parents[2]
"""The folder of the code that runs."""

_LOG = logging.getLogger(__name__)


def own_store(root: Path) -> str:
    """Address of the workspace's own store; SQLAlchemy takes the path as it is, spaces and all."""
    return f"sqlite:///{root.resolve() / 'mlflow.db'}"


def server(root: Path) -> str | None:
    """Address of the server or database that `URI` names; None = the workspace keeps its own store.

    Raises:
        ValueError: it names a file, which is that of another workspace.
    """
    uri = os.environ.get(URI, "")
    if uri in ("", own_store(root)):
        return None
    if urllib.parse.urlsplit(uri).scheme in ("", "file", "sqlite"):
        raise ValueError(
            f"{URI} is {uri}, a file outside the workspace {root.resolve()}, which keeps its own: "
            "unset it, or name a server (http://...) or a database (postgresql://...)"
        )
    return uri


def follow(root: Path) -> Path | None:
    """Where a workspace was, if its store says another place than it is in; now it says this one.

    Only addresses below the old place change, only in `root/mlflow.db`, all of them or none. Of
    processes that notice at the same time, one does it.

    Raises:
        ValueError: the store cannot be written.
    """
    store, here = root / "mlflow.db", root.resolve()
    if not store.is_file():
        return None
    try:
        with contextlib.closing(sqlite3.connect(store, WAIT_S, isolation_level=None)) as db:
            was = _was(db, here) and _move(db, here)
    except sqlite3.DatabaseError as error:
        raise ValueError(
            f"{store}: where its artifacts lie cannot be read or set: {error}"
        ) from error
    if was:
        _LOG.warning("mlflow.db is from %s: its addresses now lead to %s", was, here)
    return was


def _was(db: sqlite3.Connection, here: Path) -> Path | None:
    """The place that the store says, if it is another one."""
    tables = "SELECT 1 FROM sqlite_master WHERE name = 'experiments'"
    if db.execute(tables).fetchone() is None:
        return None
    recorded = "SELECT artifact_location FROM experiments WHERE name = ?"
    address = (db.execute(recorded, (EXPERIMENT,)).fetchone() or ("",))[0]
    split = urllib.parse.urlsplit(address)
    place = Path(urllib.parse.unquote(split.path))
    if split.scheme != "file" or place.name != ARTIFACTS or place.parent == here:
        return None
    return place.parent


def _move(db: sqlite3.Connection, here: Path) -> Path | None:
    db.execute("BEGIN IMMEDIATE")
    with db:
        was = _was(db, here)  # again: another process may have been faster
        if was is None:
            return None
        for table, column in ADDRESSES:
            for old, new in ((str(was), str(here)), (was.as_uri(), here.as_uri())):
                db.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608
                    f"WHERE substr({column} || '/', 1, ?) = ?",
                    (new, len(old) + 1, len(old) + 1, f"{old}/"),
                )
    return was


def locked(root: Path) -> contextlib.AbstractContextManager[None]:
    """The right to make or clear the store, to register, or to change champions."""
    return locks.alone(root / "out" / "registry.lock", "registers or promotes")


def foreign(script: Path, folder: Path) -> str | None:
    """Why a command would not run the code of the workspace that it was called in; None if it does.

    Args:
        script: the command as it was called.
        folder: the current one.
    """
    environment = script.resolve().parent.parent
    copied = (environment / "pyvenv.cfg").is_file()
    if copied and environment != Path(sys.prefix).resolve():
        return (
            f"{script} was copied and would run the code in {CODE}; "
            f"`make setup` in {environment.parent} gives it its own"
        )
    if _is_workspace(folder) and folder.resolve() != CODE:
        return (
            f"{folder} is a workspace with code of its own, and this is that of {CODE}; "
            "`make setup` there makes .venv/bin/vidtag, which runs it"
        )
    return None


def _is_workspace(folder: Path) -> bool:
    project = folder / "pyproject.toml"
    if not (project.is_file() and (folder / "params.yaml").is_file()):
        return False
    name = tomllib.loads(project.read_text()).get("project", {}).get("name")
    return bool(name == "vidtag-geo")


def check_dagster(root: Path) -> None:
    """Raises ValueError if Dagster would keep its runs in the folder of another workspace."""
    home = Path(os.environ.get("DAGSTER_HOME") or root / ".dagster")
    if home.name == ".dagster" and home.resolve() != (root / ".dagster").resolve():
        raise ValueError(
            f"DAGSTER_HOME is {home}, of another workspace than {root}: `make setup` writes .env "
            "for this one; unset the variable if your shell has it"
        )


def main() -> None:
    """Makes the store of the current folder follow it, for programs that open it themselves."""
    follow(Path.cwd())


if __name__ == "__main__":
    main()
