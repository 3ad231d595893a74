"""The registry of models in MLflow: names, versions and aliases; promotion and rollback.

Belongs here: plain functions that assets and the command line share, and the append-only log of
decisions. Does not belong here: what decides (registration.py, vidtag_ml.models.gate), lineage.
"""

import dataclasses
import datetime as dt
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_assets.registry_file import DIGEST, parse
from vidtag_assets.resources import Dvc, Tracking
from vidtag_ml import config
from vidtag_ml.models import bundle
from vidtag_ml.models.registry import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models.model import ModelInfo

    from vidtag_ml.models.gate import Verdict


NAME = "vidtag"
"""The system that `vidtag locate` uses if it is told no other."""
KIND = "vidtag.kind"
"""Tag of a registered model: its kind. Those called as their kind were registered without it."""
CHALLENGER, CHAMPION, PREVIOUS = "challenger", "champion", "previous"
ROLLED_BACK = "rolled_back"
"""Tag of a version that a person took back; the gate does not promote it again."""


@dataclass(frozen=True)
class Promotion:
    """One line of the log: a decision about the champion."""

    time: str
    """UTC, ISO 8601."""
    action: str
    """promoted, rejected or rolled back."""
    model: str
    version: int
    """The version that the decision is about."""
    champion: int | None
    """The champion after the decision."""
    previous: int | None
    """The champion before it."""
    reason: str


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
    from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

    client = tracking.client()
    source, model_id = model.model_uri, model.model_id
    version = client.create_model_version(name, source, tags=tags, model_id=model_id)
    link = json.dumps([{"name": name, "version": version.version}])
    client.set_logged_model_tags(model_id, {MLFLOW_MODEL_VERSIONS: link})
    return version


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
    """The evaluation report that a version of this kind was registered with."""
    folder = local(tracking, f"runs:/{version.run_id}/evaluation/{split}")
    return SYSTEMS[kind].report(folder)


def local(tracking: Tracking, uri: str) -> Path:
    """Where artifacts at an MLflow address lie on this machine; fetched there if need be."""
    import mlflow

    tracking.client()
    return Path(mlflow.artifacts.download_artifacts(uri))


def challenge(
    tracking: Tracking, name: str, digest: str, log: "Callable[[], ModelVersion]"
) -> tuple["ModelVersion", bool]:
    """The version with this bundle and whether it is new; it becomes the challenger.

    Args:
        tracking: MLflow's store.
        name: of the model.
        digest: of the bundle's bytes; a bundle that is registered already stays what it is.
        log: registers it.
    """
    known = [v for v in versions(tracking, name) if v.tags.get(DIGEST) == digest]
    version = known[0] if known else log()
    if aliases(tracking, name).get(CHALLENGER) != int(version.version):
        tracking.client().set_registered_model_alias(name, CHALLENGER, version.version)
    return version, not known


def settle(
    tracking: Tracking, name: str, judge: "Callable[[ModelVersion, int | None], Verdict]"
) -> "tuple[Promotion, Verdict | None]":
    """The gate's decision about the challenger, carried out and logged.

    A challenger that is champion already, that a person took back, or that was rejected against the
    same champion before, moves nothing and adds no line.

    Args:
        tracking: MLflow's store.
        name: of the model.
        judge: the verdict on the challenger against the champion's number, if there is one.
    """
    challenger = resolve(tracking, f"{name}@{CHALLENGER}")
    number = int(challenger.version)
    champion = aliases(tracking, name).get(CHAMPION)

    def entry(action: str, reason: str) -> Promotion:
        return Promotion(now(), action, name, number, champion, champion, reason)

    if number == champion:
        return entry("unchanged", f"version {number} is the champion already"), None
    if ROLLED_BACK in challenger.tags:
        why = challenger.tags[ROLLED_BACK]
        return entry("rejected", f"version {number} was rolled back by hand: {why}"), None
    verdict = judge(challenger, champion)
    reason = "; ".join(verdict.reasons)
    tracking.client().set_model_version_tag(name, str(number), "verdict", reason)
    if verdict.promoted:
        return promote(tracking, name, number, reason), verdict
    rejection = entry("rejected", reason)
    same = [(e.model, e.version, e.champion, e.reason) for e in history(Path(tracking.root))]
    if (name, number, champion, reason) not in same:
        append(tracking, rejection)
    return rejection, verdict


def promote(tracking: Tracking, name: str, version: int | str, reason: str) -> Promotion:
    """Makes a version the champion and the old champion `previous`; logs it.

    A version that is champion already stays it, and nothing is logged.

    Raises:
        ValueError: there is no such version, or no reason is given.
    """
    if not reason.strip():
        raise ValueError("a promotion needs a reason: it is all that the log tells later")
    target = resolve(tracking, f"{name}/{version}")
    number, old = int(target.version), aliases(tracking, name).get(CHAMPION)
    entry = Promotion(now(), "promoted", name, number, number, old, reason)
    if old == number:
        return entry
    client = tracking.client()
    if ROLLED_BACK in target.tags:
        client.delete_model_version_tag(name, target.version, ROLLED_BACK)
    if old is not None:
        client.set_registered_model_alias(name, PREVIOUS, str(old))
    client.set_registered_model_alias(name, CHAMPION, str(number))
    append(tracking, entry)
    return entry


def rollback(tracking: Tracking, name: str, reason: str) -> Promotion:
    """Makes `previous` the champion again; the gate will not promote the one taken back; logs it.

    Raises:
        ValueError: there is no previous champion, or no reason is given.
    """
    if not reason.strip():
        raise ValueError("a rollback needs a reason: it is all that the log tells later")
    named = aliases(tracking, name)
    old, target = named.get(CHAMPION), named.get(PREVIOUS)
    if old is None or target is None or old == target:
        raise ValueError(f"{name} has no previous champion to go back to")
    client = tracking.client()
    client.set_model_version_tag(name, str(old), ROLLED_BACK, reason)
    client.set_registered_model_alias(name, CHAMPION, str(target))
    before = _champion_before(Path(tracking.root), name, target)
    if before is None:
        client.delete_registered_model_alias(name, PREVIOUS)
    else:
        client.set_registered_model_alias(name, PREVIOUS, str(before))
    entry = Promotion(now(), "rolled back", name, old, target, old, reason)
    append(tracking, entry)
    return entry


def log_path(root: Path) -> Path:
    """The append-only log of promotions, rejections and rollbacks, one JSON object a line."""
    return root / "out" / "promotions.jsonl"


def history(root: Path) -> list[Promotion]:
    """The log's entries, oldest first."""
    path = log_path(root)
    lines = path.read_text().splitlines() if path.exists() else []
    return [Promotion(**json.loads(line)) for line in lines]


def _champion_before(root: Path, name: str, version: int) -> int | None:
    """The champion that a version replaced when it was last promoted."""
    for entry in reversed(history(root)):
        if (entry.model, entry.action, entry.version) == (name, "promoted", version):
            return entry.previous
    return None


def append(tracking: Tracking, entry: Promotion) -> None:
    """Adds a line to the log."""
    path = log_path(Path(tracking.root))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as log:
        log.write(json.dumps(dataclasses.asdict(entry)) + "\n")


def now() -> str:
    """The time in UTC, to the second."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def nothing_new(tracking: Tracking, dvc: Dvc, name: str) -> str | None:
    """Why retraining would learn nothing: champion or challenger are made from today's data.

    Compares data versions, never times. None if there is no model yet or its data has changed.
    """
    today = {"dvc.clips": dvc.md5("clips"), "dvc.gallery": dvc.md5("gallery")}
    named = aliases(tracking, name)
    for alias in (CHAMPION, CHALLENGER):
        if alias not in named:
            continue
        tags = resolve(tracking, f"{name}@{alias}").tags
        if all(tags.get(key) == md5 for key, md5 in today.items()):
            return f"{alias} {named[alias]} is made from the same clips and gallery: {today}"
    return None
