"""What a version's registration stores, beside its bundle, so that it can be made again.

Belongs here: writing that, finding and checking it, what it lacks. Does not belong here: the code
in it (workspace/source.py), making the version again (restoring.py).
"""

import importlib.metadata
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from vidtag_assets.lineage import circumstances
from vidtag_assets.workspace import home, source
from vidtag_assets.workspace.resources import Dvc, Tracking
from vidtag_ml import config
from vidtag_ml.workflow import stage

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

FOLDER = "source"
"""Of the registration run's artifacts."""
CODE, CHANGES, PACKAGES = "code.tar", "changes.patch", "constraints.txt"
"""Not compressed: MLflow tells S3 that a .gz is *encoded* so, and what is fetched is unpacked."""
DIGEST, MEASURED_ON = "stored", "measured_on"
"""Tags of a version: the digest of all that is stored, and the machine that registered it."""
RECORDS = (".dvc/config", "dvc.yaml", "dvc.lock")
"""Of data, as they lie in a workspace."""


def write(folder: Path, root: Path, params: config.Params, names: Iterable[str]) -> dict[str, str]:
    """Stores code, parameters, versions of packages and the records of data; tags that tell of it.

    Args:
        folder: receives it; made if need be.
        root: the workspace.
        params: what the model was made with.
        names: of its data, as DVC calls them.
    """
    for name in ("data", ".dvc"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    source.pack(home.CODE, folder / CODE)
    if changes := source.changes(root):
        (folder / CHANGES).write_bytes(changes)
    stage.write_text(folder / PACKAGES, "".join(f"{line}\n" for line in packages()))
    for name in (*RECORDS, *(f"data/{name}.dvc" for name in names)):
        if (root / name).is_file():
            shutil.copy(root / name, folder / name)
    text = yaml.safe_dump(config.as_dict(params), sort_keys=False, allow_unicode=True)
    stage.write_text(folder / "params.yaml", text)
    return {DIGEST: stage.digest(folder), MEASURED_ON: circumstances.hardware()}


def packages() -> list[str]:
    """What is installed, as constraints."""
    known = importlib.metadata.distributions()
    found = {(each.metadata["Name"] or "").lower(): each.version for each in known}
    return [f"{name}=={found[name]}" for name in sorted(found) if name]


def of(tracking: Tracking, version: "ModelVersion") -> Path:
    """Where what was stored of a version lies, once its bytes are checked.

    Raises:
        ValueError: nothing was stored, it is gone, or bytes of it are others.
    """
    from mlflow.exceptions import MlflowException

    from vidtag_assets.store import registry

    name = f"{version.name}/{version.version}"
    if DIGEST not in version.tags:
        raise ValueError(f"{name} is of an older vidtag, which stored no code: register it anew")
    try:
        folder = registry.logged(tracking, version, FOLDER)
    except (MlflowException, OSError) as error:
        raise ValueError(f"{name}: its stored code is gone: {error}") from error
    if stage.digest(folder) != version.tags[DIGEST]:
        raise ValueError(f"{name}: {folder} is not as it was stored: put back a whole copy")
    return folder


def code_of(folder: Path) -> Path:
    """The archive of code among what was stored, which older versions have compressed."""
    older = folder / f"{CODE}.gz"
    return older if older.exists() else folder / CODE


def data_of(version: "ModelVersion") -> dict[str, str]:
    """Identities of a version's data, by the names that DVC has for them."""
    known = {k.removeprefix("dvc."): v for k, v in version.tags.items() if k.startswith("dvc.")}
    own = known.get("aerial_gallery")
    if own and known.get("gallery") == own:
        del known["gallery"]
    return {name: md5 for name, md5 in known.items() if md5}


def fault(tracking: Tracking, version: "ModelVersion") -> str | None:
    """What is wrong with what was stored of a version; None if nothing is."""
    try:
        of(tracking, version)
    except ValueError as error:
        return str(error)
    return None


def obstacles(tracking: Tracking, dvc: Dvc, version: "ModelVersion") -> list[str]:
    """Why a version cannot be made again from what is here; nothing if it can."""
    found = [said for said in (fault(tracking, version),) if said]
    lost = [f"{name} ({md5})" for name, md5 in data_of(version).items() if not dvc.holds(md5)]
    if lost:
        found.append(f"DVC's cache lacks {', '.join(lost)}: `dvc pull`, or `dvc commit` them again")
    return found
