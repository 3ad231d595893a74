"""Tracing: from an answer to its model, from a model to its code and data, from data to models.

Belongs here: what `vidtag trace` knows, as JSON-safe values. Does not belong here: the identity
itself (provenance.py), making a version anew (restoring.py), printing (cli.py).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_assets.store.registry_file import DIGEST
from vidtag_assets.workspace.resources import Dvc, Tracking
from vidtag_ml.earth import origin

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


def trace(tracking: Tracking, dvc: Dvc, what: str) -> list[dict[str, Any]]:
    """What is known about models: one dict each, newest first, JSON-safe.

    Walks the chain both ways. From a model (`vidtag`, `vidtag@champion`, `vidtag/3`) to its commit,
    data, gallery, parameters and runs; from the beginning of any of those (a DVC md5, a Git commit,
    a digest of parameters or bundle, a run's id) to the models made from it; from a file of an
    answer (`track.gpx`) to the model that gave it, with what the file says as `answer`.

    Raises:
        ValueError: nothing bears that name or identity, or the file's model is not registered.
    """
    from vidtag_assets.store import registry, registry_file

    if Path(what).suffix.lower() in origin.SUFFIXES:
        return _of_answers(tracking, dvc, Path(what))
    name, names = registry_file.parse(what)[0], registry.names(tracking)
    if what != name:
        chosen = [registry.resolve(tracking, what)]
    elif name in names:
        chosen = registry.versions(tracking, name)
    else:
        known = [v for model in names for v in registry.versions(tracking, model)]
        chosen = [v for v in known if any(i.startswith(what) for i in _identities(v))]
    if not chosen:
        raise ValueError(
            f"no model is called {what!r} or was made from it; {registry.listed(tracking)}"
        )
    return _all_described(tracking, dvc, chosen)


def _of_answers(tracking: Tracking, dvc: Dvc, path: Path) -> list[dict[str, Any]]:
    from vidtag_assets.store import registry

    if not path.is_file():
        raise ValueError(f"{path}: there is no such file")
    every = [v for name in registry.names(tracking) for v in registry.versions(tracking, name)]
    found = []
    for facts in origin.read(path):
        chosen = [v for v in every if v.tags.get(DIGEST) == facts["bundle"]]
        if not chosen:
            raise ValueError(
                f"{path}: located by {origin.sentence(facts)}, and no model registered here has "
                f"that bundle; {registry.listed(tracking)}"
            )
        described = _all_described(tracking, dvc, chosen)
        found += [model | {"answer": {"file": str(path), **facts}} for model in described]
    return found


def _all_described(
    tracking: Tracking, dvc: Dvc, chosen: "Sequence[ModelVersion]"
) -> list[dict[str, Any]]:
    from vidtag_assets.lineage import stored
    from vidtag_assets.store import registry

    aliases = {name: registry.aliases(tracking, name) for name in {str(v.name) for v in chosen}}
    names = sorted({name for version in chosen for name in stored.data_of(version)})
    on_disk = {name: dvc.md5_on_disk(name) for name in names}  # once, however many versions
    return [_described(tracking, dvc, v, aliases[str(v.name)], on_disk) for v in chosen]


_TAGS = ("git_commit", "source", "dvc.clips", "dvc.gallery", "params", "bundle", "dagster.run")


def _identities(version: "ModelVersion") -> list[str]:
    return [*(version.tags.get(tag, "") for tag in _TAGS), str(version.run_id)]


def _described(
    tracking: Tracking,
    dvc: Dvc,
    version: "ModelVersion",
    aliases: Mapping[str, int],
    on_disk: Mapping[str, str | None],
) -> dict[str, Any]:
    from vidtag_assets.lineage import circumstances, stored

    tags = version.tags
    run = tracking.client().get_run(str(version.run_id))
    name = f"{version.name}/{version.version}"
    damage, data = _damage(tracking, name), stored.data_of(version)
    lacking = [*([damage] if damage else []), *stored.obstacles(tracking, dvc, version)]
    return {
        "model": version.name,
        "version": int(version.version),
        "aliases": sorted(a for a, number in aliases.items() if number == int(version.version)),
        **{tag: tags.get(tag) for tag in _TAGS},
        **circumstances.told(version),
        "mlflow_run": version.run_id,
        "training_runs": {
            k.removeprefix("run."): v for k, v in sorted(tags.items()) if k.startswith("run.")
        },
        "url": tracking.url(str(version.run_id)),
        "metrics": dict(sorted(run.data.metrics.items())),
        "bundle_is_intact": damage is None,
        "data_is_current": all(on_disk[each] == md5 for each, md5 in data.items()),
        "restore": None if lacking else f"vidtag trace {name} --restore DIR",
        **({"cannot_restore": "; ".join(lacking)} if lacking else {}),
        **({"damage": damage} if damage else {}),
    }


def _damage(tracking: Tracking, name: str) -> str | None:
    """Why the bundle of a version cannot be used."""
    from vidtag_assets.store import registry

    try:
        registry.bundle_path(tracking, name)
    except ValueError as error:
        return str(error)
    return None
