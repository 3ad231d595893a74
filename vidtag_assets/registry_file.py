"""The registry as it lies in mlflow.db, read without MLflow, which takes seconds to import.

Belongs here: what names of models mean, and where the bundle of one lies. Does not belong here:
anything that writes, or that says what is wrong: what cannot be answered here is asked of MLflow
(registry.py), which answers the same or explains itself.
"""

import contextlib
import sqlite3
import urllib.parse
import urllib.request
from pathlib import Path

_LOCATION = """
SELECT version.storage_location
FROM model_versions AS version
LEFT JOIN registered_model_aliases AS named USING (workspace, name, version)
WHERE workspace = 'default' AND name = :name AND current_stage != 'Deleted_Internal'
AND (version.version = :version OR named.alias = :alias)
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


def bundle_path(database: Path, model: str) -> Path | None:
    """The bundle of a registered model, where MLflow keeps it; None if only MLflow can tell.

    That is so if there is no such model, if its artifacts do not lie on this machine, and if MLflow
    has come to arrange its tables in another way.

    Raises:
        ValueError: the text names no model.
    """
    name, alias, version = parse(model)
    if version is None and alias is None:
        alias = "champion"
    asked = {"name": name, "alias": alias, "version": version}
    with contextlib.closing(
        sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)
    ) as db:
        try:
            found = db.execute(_LOCATION, asked).fetchone()
        except sqlite3.DatabaseError:
            return None
    location = urllib.parse.urlsplit(found[0] if found and found[0] else "")
    if location.scheme != "file":
        return None
    # The model's only artifact, under the name of its folder in the workspace.
    bundles = list((Path(urllib.request.url2pathname(location.path)) / "artifacts").glob("*"))
    return bundles[0] if len(bundles) == 1 else None
