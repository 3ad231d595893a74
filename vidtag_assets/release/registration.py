"""Registration of any system: its bundle becomes a version, and the gate decides about it.

Belongs here: entering a version with its lineage and reports, carrying out the gate's decision, the
champion's report on what the challenger saw. Does not belong here: what differs from system to
system (its modules `system` and `judging`), comparing reports (vidtag_ml.models.gate), the registry
itself (store/registry.py).
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vidtag_ml
from vidtag_assets.lineage import circumstances, identity, provenance, stored, training_clips
from vidtag_assets.metadata import numbers
from vidtag_assets.release import cards
from vidtag_assets.store import champions, leftovers, promotions, registry
from vidtag_assets.store.registry_file import DIGEST
from vidtag_assets.workspace import home
from vidtag_assets.workspace.resources import Dvc, Tracking
from vidtag_ml import config
from vidtag_ml.models.registry import SYSTEMS
from vidtag_ml.models.system import System, Training
from vidtag_ml.workflow import inputs, layout, stage
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.models.model import ModelInfo

    from vidtag_ml.models.gate import Verdict

CHANGES = "+changes"
"""What the tag of the commit ends in if the code differs from it."""
STALE = "stale"
"""Tag of a version: its trainings that are not known to be of its data, parameters and code."""


def bundle_and_register(
    system: System,
    root: Path,
    params: config.Params,
    dvc: Dvc,
    tracking: Tracking,
    dagster_run: str,
) -> tuple["ModelVersion", bool]:
    """The bundle of what is trained as a version, and whether that is new.

    Raises:
        ValueError: data on disk are not what DVC has recorded, or have no identity.
    """
    with home.locked(root):
        leftovers.clear(tracking)
        provenance.require_bytes(dvc, _data(system))
        system.bundled.make(root, params)
        at = layout.of(root, params)
        lineage = provenance.lineage(root, params, dvc, dagster_run, system.gallery)
        runs = {name: provenance.run_of(tracking, at, name) for name in system.trainings}
        more = {
            **{f"dvc.{name}": dvc.md5(name) or "" for name in system.bundled.registration.data},
            **{f"run.{name}": run for name, run in runs.items() if run},
            **circumstances.tags(system, at, dvc, tracking, runs),
            **identity.tags(system, at, params),
            STALE: ", ".join(stale(system, root, params)),
        }
        version, new = register(system, tracking, at, params, lineage, more)
        training_clips.keep(tracking, version, at)
        return version, new


def stale(system: System, root: Path, params: config.Params) -> list[str]:
    """Trainings of a system whose weights are not known to be of these data, params and code."""
    return [name for name, one in system.trainings.items() if not _is_made(one, root, params)]


def _is_made(training: Training, root: Path, params: config.Params) -> bool:
    try:
        with stage.looking():
            return not training.make(root, params)
    except ValueError:  # what it was made from is gone, so that nobody can tell
        return False


def bars(tags: Mapping[str, str]) -> list[str]:
    """Why a version with these tags may not become champion, whatever its figures."""
    found, commit = [], tags.get("git_commit", "")
    if commit.endswith(CHANGES):
        short = commit[:12]
        found.append(f"its code is not that of commit {short}: commit the changes, register again")
    if tags.get(STALE):
        found.append(
            f"{tags[STALE]}: not known to be trained on the data, parameters and code that it was "
            "registered with: train and register again"
        )
    return found


def register(
    system: System,
    tracking: Tracking,
    at: Layout,
    params: config.Params,
    lineage: provenance.Lineage,
    more: Mapping[str, str],
) -> tuple["ModelVersion", bool]:
    """The version of a bundle and whether it is new; it becomes the challenger.

    A bundle whose bytes are registered already is not registered again, unless as it is now it may
    become champion and as it was then it may not.

    Args:
        system: what it is of; it is registered under its name in the domain of the params.
        tracking: MLflow's store.
        at: where its bundle, its data and its evaluation on each split lie.
        params: what it was made with.
        lineage: what it was made from.
        more: tags beside those of the lineage and of the bundle.

    Raises:
        ValueError: data or gallery have no DVC identity.
    """
    provenance.require(lineage, system.gallery)
    name, digest = registry.name_of(system.name, params), stage.digest(system.bundled.folder(at))
    tags = {**lineage.tags(), DIGEST: digest, **more}
    for split in inputs.SPLITS:
        tags[f"{registry.EVALUATION}{split}"] = stage.digest(at.evaluation(system.name, split))

    def log() -> "ModelVersion":
        with tempfile.TemporaryDirectory() as aside:
            told = stored.write(Path(aside), at.root, params, _data(system))
            info = _log(system, tracking, at, params, name, {**tags, **told}, Path(aside))
        registry.declare(tracking, name, system.name)
        return registry.enter(tracking, name, info, {**tags, **told})

    def stands(version: "ModelVersion") -> bool:
        known = version.tags
        may_be = not bars(known) and stored.fault(tracking, version) is None
        return champions.ROLLED_BACK in known or may_be or bool(bars(tags))

    version, new = registry.challenge(tracking, name, digest, log, stands)
    if not version.description:
        cards.describe(system, tracking, at, version)
    return version, new


def _data(system: System) -> list[str]:
    """The data that versions of a system are made from, as DVC calls them."""
    return list(dict.fromkeys(("clips", system.gallery, *system.bundled.registration.data)))


def _log(
    system: System,
    tracking: Tracking,
    at: Layout,
    params: config.Params,
    name: str,
    tags: dict[str, str],
    source: Path,
) -> "ModelInfo":
    """Logs a bundle as a model, in a run with its parameters, data, reports and source."""
    import mlflow

    with tracking.open(f"register {name}", tags):
        mlflow.log_params(provenance.flat(config.as_dict(params)))
        mlflow.log_artifacts(str(source), stored.FOLDER)
        info: ModelInfo = mlflow.pyfunc.log_model(
            name=name,
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            artifacts={"bundle": str(system.bundled.folder(at))},
            model_config={DIGEST: tags[DIGEST]},
            pip_requirements=[f"vidtag-geo=={vidtag_ml.__version__}"],
            tags=tags,
        )
        if system.bundled.registration.searched:
            folder = Path("data") / system.gallery
            data = provenance.dataset(system.gallery, folder, tags["dvc.gallery"])
            mlflow.log_input(data, context="gallery")
        for split in inputs.SPLITS:
            folder, lies = at.evaluation(system.name, split), at.dataset.relative_to(at.root)
            data = provenance.dataset(f"{at.source}-{split}", lies, tags["dvc.clips"])
            mlflow.log_input(data, context=split)
            figures = numbers(system.report(folder).summary, f"{split}_")
            mlflow.log_metrics(figures, model_id=info.model_id, dataset=data)
            mlflow.log_artifacts(str(folder), f"{registry.REPORTS}/{split}")
        return info


def decide(
    system: System, tracking: Tracking, at: Layout, params: config.Params
) -> "tuple[promotions.Promotion, Verdict | None]":
    """The gate's decision about the challenger, carried out and logged."""
    from vidtag_ml.models import gate, slices

    how = system.bundled.registration
    judging = how.judging()

    def judge(challenger: "ModelVersion", champion: int | None) -> "Verdict":
        registry.bundle_path(tracking, f"{challenger.name}/{challenger.version}")
        lacking = stored.obstacles(tracking, Dvc(root=tracking.root), challenger)
        ours = registry.report(tracking, challenger, "val", system.name)
        rival, rival_name = None, ""
        if champion is not None:
            rival = champion_report(system, tracking, at, params, ours, champion)
            rival_name = f"champion {champion}"
        elif how.first:
            first = SYSTEMS[how.first]
            rival, rival_name = first.report(at.evaluation(first.name, "val")), first.title
        verdict = gate.judge(
            judging.rule, ours, rival, rival_name, judging.floor(ours, at, params),
            least_clips=params.registry.least_clips,
            draws=params.evaluation.bootstrap_draws,
            labels=slices.of(at, "val"),
            first=champion is None,
            bars=[*bars(challenger.tags), *(f"cannot be made again: {why}" for why in lacking)],
        )  # fmt: skip
        cards.note(system, tracking, challenger, verdict)
        return verdict

    return champions.settle(tracking, registry.name_of(system.name, params), judge)


def champion_report(
    system: System,
    tracking: Tracking,
    at: Layout,
    params: config.Params,
    ours: Any,
    champion: int,
) -> Any:
    """The champion's report on what the challenger's is of.

    The one it was registered with where that fits; else it is evaluated anew on the data of today,
    if it can see them: if not, the old report is all there is.
    """
    name = f"{registry.name_of(system.name, params)}/{champion}"
    theirs = registry.report(tracking, registry.resolve(tracking, name), "val", system.name)
    from vidtag_ml.models.gate import Champion

    judging = system.bundled.registration.judging()
    if judging.rule.incomparable(ours, theirs) is None:
        return theirs
    anew = judging.anew(Champion(name, registry.bundle_path(tracking, name), at, params))
    return theirs if anew is None else anew
