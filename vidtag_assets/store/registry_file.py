"""The registry as it lies in mlflow.db, read without MLflow, which takes seconds to import.

Belongs here: what names of models mean, where the bundle of one lies, its digest, whether anything
is being made. Does not belong here: anything that writes, or that says what is wrong: what cannot
be answered here is asked of MLflow (registry.py), which answers the same or explains itself.
"""

import contextlib
import sqlite3
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from vidtag_ml.models.bundle import Kept

DIGEST = "bundle"
"""Tag of a version: the digest of its bundle's bytes."""
_FOUND = """
SELECT version.version, version.storage_location, tag.value
FROM model_versions AS version
LEFT JOIN registered_model_aliases AS named USING (workspace, name, version)
LEFT JOIN model_version_tags AS tag ON tag.workspace = version.workspace
AND tag.name = version.name AND tag.version = version.version AND tag.key = :digest
WHERE version.workspace = 'default' AND version.name = :name AND current_stage != 'Deleted_Internal'
AND (version.version = :version OR named.alias = :alias)
"""
_UNFINISHED = """
SELECT 1 FROM runs WHERE status = 'RUNNING' AND lifecycle_stage = 'active'
UNION SELECT 1 FROM logged_models WHERE lifecycle_stage = 'active' AND model_id NOT IN
(SELECT model_id FROM logged_model_tags WHERE tag_key = 'mlflow.modelVersions')
"""


def of(root: Path | str) -> Path:
    """The file of a workspace's registry."""
    return Path(root) / "mlflow.db"


def parse(model: str) -> tuple[str, str | None, int | None]:
    """Name, alias and version of `NAME[@ALIAS|/VERSION]`.

    Raises:
        ValueError: the text is none of these.
    """
    name, at, alias = model.partition("@")
    name, slash, version = name.partition("/")
    if not name or (at and not alias) or (at and slash) or (slash and not version.isdecimal()):
        raise ValueError(f"{model!r} names no model: write NAME, NAME@ALIAS or NAME/VERSION")
    return name, alias or None, int(version) if slash else None


def kept(database: Path, model: str) -> Kept | None:
    """The bundle of a registered model, where MLflow keeps it; None if only MLflow can tell.

    That is so if there is no such model, if it is without a digest, if its artifacts do not lie on
    this machine, and if MLflow has come to arrange its tables in another way.

    Raises:
        ValueError: the text names no model.
    """
    name, alias, version = parse(model)
    if version is None and alias is None:
        alias = "champion"
    asked = {"name": name, "alias": alias, "version": version, "digest": DIGEST}
    try:
        row = _first(database, _FOUND, asked)
    except sqlite3.DatabaseError:
        return None
    number, address, digest = row or (0, None, None)
    location = urllib.parse.urlsplit(address or "")
    if location.scheme != "file" or not digest:
        return None
    # The model's only artifact, under the name of its folder in the workspace.
    bundles = list((Path(urllib.request.url2pathname(location.path)) / "artifacts").glob("*"))
    return Kept(bundles[0], name, int(number), digest) if len(bundles) == 1 else None


def is_at_rest(database: Path) -> bool:
    """Whether no run is in progress and each logged model is a version; False if it cannot tell."""
    try:
        return not database.exists() or _first(database, _UNFINISHED, {}) is None
    except sqlite3.DatabaseError:
        return False


def _first(database: Path, query: str, values: dict[str, Any]) -> Any:
    address = f"{database.resolve().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as db:
        return db.execute(query, values).fetchone()
