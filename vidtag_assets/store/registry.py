"""The registry of models in MLflow: names, versions, aliases, and what a version is.

Belongs here: plain functions that assets and the command line share. Does not belong here: who is
champion (champions.py), the same without MLflow (registry_file.py).
"""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_assets.store.registry_file import DIGEST, parse
from vidtag_assets.workspace.resources import Tracking
from vidtag_ml import config
from vidtag_ml.models import bundle
from vidtag_ml.models.registry import SYSTEMS
from vidtag_ml.workflow import stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models.model import ModelInfo


NAME = "vidtag"
"""The system that `vidtag locate` uses if it is told no other."""
KIND = "vidtag.kind"
"""Tag of a registered model: its kind. Those called as their kind were registered without it."""
CHALLENGER, CHAMPION = "challenger", "champion"
LINK = "mlflow.modelVersions"
"""MLflow's tag of a logged model: its versions."""

EVALUATION, REPORTS = "evaluation.", "evaluation"
"""Beginning of tags of a version: digests of its reports by split; folder of these in its run."""


def name_of(kind: str, params: config.Params) -> str:
    """The name under which a kind of model is registered: one a domain.

    Champions answer for the ground that they were judged on, so that each domain has its own.
    """
    domain, source = params.registry.domain, params.clips.source
    return kind if domain is None and source.startswith("flyover") else f"{kind}-{domain or source}"


def names(tracking: Tracking) -> list[str]:
    """Names of all models that were registered here, by kind and name."""
    found = tracking.client().search_registered_models()
    kind_of = {str(model.name): model.tags.get(KIND, model.name) for model in found}
    kinds = [name for name, system in SYSTEMS.items() if system.bundling]
    ours = [name for name, kind in kind_of.items() if kind in kinds]
    return sorted(ours, key=lambda name: (kinds.index(kind_of[name]), name))


def asked(name: str, *, promoted: bool) -> str:
    """How `vidtag locate` is told to answer with a model, where it would not by itself."""
    if promoted:
        return "" if name == NAME else f" --model {name}"
    return f" --model {name}@{CHALLENGER}"


def declare(tracking: Tracking, name: str, kind: str) -> None:
    """Makes a registered model known as one of a kind, before its first version."""
    client = tracking.client()
    if client.search_registered_models(f"name = '{name}'"):
        client.set_registered_model_tag(name, KIND, kind)
    else:
        client.create_registered_model(name, tags={KIND: kind})


def enter(
    tracking: Tracking, name: str, model: "ModelInfo", tags: dict[str, str]
) -> "ModelVersion":
    """A logged model as a new version of one that is declared, each linked to the other.

    As `mlflow.register_model`, which besides writes on standard error what it does.
    """
    client = tracking.client()
    source, model_id = model.model_uri, model.model_id
    version = client.create_model_version(name, source, tags=tags, model_id=model_id)
    link(tracking, version)
    return version


def link(tracking: Tracking, version: "ModelVersion") -> None:
    """Makes a version known to the logged model that it is made from."""
    known = json.dumps([{"name": version.name, "version": version.version}])
    model_id = str(version.source).removeprefix("models:/")
    tracking.client().set_logged_model_tags(model_id, {LINK: known})


def versions(tracking: Tracking, name: str) -> list["ModelVersion"]:
    """All versions of a model, newest first; none if it was never registered."""
    found = tracking.client().search_model_versions(f"name = '{name}'")
    return sorted(found, key=lambda v: -int(v.version))


def aliases(tracking: Tracking, name: str = NAME) -> dict[str, int]:
    """Version of each alias."""
    models = tracking.client().search_registered_models(f"name = '{name}'")
    return {alias: int(version) for alias, version in models[0].aliases.items()} if models else {}


def resolve(tracking: Tracking, model: str) -> "ModelVersion":
    """The version that `NAME[@ALIAS|/VERSION]` means; a bare name means its champion.

    Raises:
        ValueError: there is no such version; says what there is.
    """
    name, alias, number = parse(model)
    known = {int(v.version): v for v in versions(tracking, name)}
    if not known:
        raise ValueError(f"no model {name!r} is registered yet: {listed(tracking)}")
    if number is None:
        named = aliases(tracking, name)
        number = named.get(alias or CHAMPION)
        if number is None:
            known_as = ", ".join(f"@{a} is {v}" for a, v in sorted(named.items())) or "no alias"
            raise ValueError(
                f"{name} has no {alias or CHAMPION} yet ({known_as}); {listed(tracking)}"
            )
    if number not in known:
        raise ValueError(f"{name} has no version {number}; the newest is {max(known)}")
    return known[number]


def listed(tracking: Tracking) -> str:
    """Which models there are, and whether they have a champion, as part of a sentence."""
    known = {name: aliases(tracking, name) for name in names(tracking)}
    told = [name + (f"@{CHAMPION}" if CHAMPION in known[name] else "") for name in known]
    return f"registered here: {', '.join(told)}" if told else "`make demo` registers one"


def kept(tracking: Tracking, model: str) -> bundle.Kept:
    """The bundle of a registered model, where MLflow keeps it, with its digest: not read yet.

    Raises:
        ValueError: there is no such model, or nobody knows which bytes it had.
    """
    version = resolve(tracking, model)
    digest = version.tags.get(DIGEST)
    if not digest:
        raise ValueError(
            f"{version.name}/{version.version} has no tag `{DIGEST}`, so its bytes cannot be "
            "checked: register it anew"
        )
    # MLflow keeps it, the model's only artifact, under the name of its folder in the workspace.
    (folder,) = (local(tracking, str(version.source)) / "artifacts").iterdir()
    return bundle.Kept(folder, str(version.name), int(version.version), digest)


def bundle_path(tracking: Tracking, model: str) -> Path:
    """The bundle of a registered model, where MLflow keeps it, once its bytes are checked.

    Raises:
        ValueError: there is no such model, or its bytes are not those that were registered.
    """
    return kept(tracking, model).card().folder


def report(tracking: Tracking, version: "ModelVersion", split: str, kind: str = NAME) -> Any:
    """The evaluation report that a version of this kind was registered with.

    Raises:
        ValueError: its bytes are not those that were registered.
    """
    folder = logged(tracking, version, f"{REPORTS}/{split}")
    if version.tags.get(f"{EVALUATION}{split}", known := stage.digest(folder)) != known:
        raise ValueError(
            f"{version.name}/{version.version}: its report on {split} is not as it was "
            f"registered: put back a copy of {folder} that is whole"
        )
    return SYSTEMS[kind].report(folder)


def logged(tracking: Tracking, version: "ModelVersion", name: str) -> Path:
    """What the registration run of a version has logged under a name, on this machine."""
    run = tracking.client().get_run(str(version.run_id))
    return local(tracking, f"{run.info.artifact_uri}/{name}")


def local(tracking: Tracking, uri: str) -> Path:
    """Where artifacts at an MLflow address lie on this machine; a server's are fetched, once."""
    import mlflow

    tracking.client()
    if tracking.server is None:
        return Path(mlflow.artifacts.download_artifacts(uri))
    name = hashlib.md5(f"{tracking.server} {uri}".encode(), usedforsecurity=False).hexdigest()
    folder = Path(tracking.root) / "out" / "fetched" / name

    def fetch(aside: Path) -> None:
        shutil.rmtree(aside, ignore_errors=True)  # of a process that was killed
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as temporary:
            shutil.move(mlflow.artifacts.download_artifacts(uri, dst_path=temporary), aside)

    stage.make(folder, {"uri": uri}, fetch)  # a server's address may hold a password
    return folder


def challenge(
    tracking: Tracking,
    name: str,
    digest: str,
    log: "Callable[[], ModelVersion]",
    stands: "Callable[[ModelVersion], bool]" = lambda _: True,
) -> tuple["ModelVersion", bool]:
    """The version with this bundle and whether it is new; it becomes the challenger.

    Args:
        tracking: MLflow's store.
        name: of the model.
        digest: of the bundle's bytes; a bundle that is registered already stays what it is.
        log: registers it.
        stands: whether a version with these bytes is what would be registered now, too.
    """
    same = [v for v in versions(tracking, name) if v.tags.get(DIGEST) == digest]
    known = [version for version in same if stands(version)]
    version = known[0] if known else log()
    if aliases(tracking, name).get(CHALLENGER) != int(version.version):
        tracking.client().set_registered_model_alias(name, CHALLENGER, version.version)
    return version, not known
