"""Assets of any system: trained models with their runs in MLflow, reports, versions, champions.

Belongs here: what makes such assets of what a system says of itself. Does not belong here: any
system (vidtag_ml.models.registry), registering and deciding (release/registration.py), training and
measuring themselves (vidtag_ml.models).
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from vidtag_assets.execution import cluster
from vidtag_assets.lineage import comparing, provenance
from vidtag_assets.lineage.provenance import WEIGHTS
from vidtag_assets.metadata import OWNERS, bullets, numbers, picture, preview, report, summary
from vidtag_assets.release import cards, registration
from vidtag_assets.store import champions, leftovers, promotions, registry
from vidtag_assets.training import process_group
from vidtag_assets.training.process_group import Made, ProcessGroup
from vidtag_assets.workspace.resources import Dvc, ParamsFile, Tracking, Workspace
from vidtag_ml import config
from vidtag_ml.models.system import Evaluated, Registration, System
from vidtag_ml.workflow import code_key, inputs, stage
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from vidtag_ml.models.gate import Verdict

LOSSES = "losses.csv"
NUM_VERSIONS, NUM_DECISIONS = 20, 10
"""Versions, and decisions about them, on the page of a champion."""
ASSETS = {"features": "frame_features", "gallery": "gps_gallery"}
"""What systems read -> the asset that is it, where that has another name."""
FAILED = """**When it fails:** dvc.lock lacks an md5, or data on disk are not those that it tells of
(materialize what the message names first), or the disk is full. Nothing is half registered:
materialize again.
"""


def assets_of(system: System) -> list[dg.AssetsDefinition]:
    """A model for each training, the reports, and, of systems with bundles, version and champion.

    Each asset bears the tag `system`.
    """
    made = [_training(system, name) for name in system.trainings] + [_evaluation(system)]
    if system.bundling is not None:
        how = system.bundling.registration
        made += [_registered(system, how), _champion(system, how)]
    return made


def checks_of(system: System) -> list[dg.AssetChecksDefinition]:
    """That the challenger is the champion and decisions stand as written, where there are any."""
    if system.bundling is None:
        return []
    how = system.bundling.registration
    return [_check(system, how), _log_check(system, how)]


def _training(system: System, name: str) -> dg.AssetsDefinition:
    training = system.trainings[name]

    @dg.asset(
        name=f"{name}_model",
        deps=[_asset(system, one) for one in training.reads],
        group_name="training",
        kinds={"torch", "mlflow"},
        code_version=_version(*training.before, name),
        owners=OWNERS,
        tags={"system": system.name},
        op_tags=cluster.needs(cpu=2, memory_gb=4, gpus=process_group.asked_for()),
        pool="gpu",
        description=inspect.cleandoc(training.about),
    )
    def model(
        context: dg.AssetExecutionContext,
        workspace: Workspace,
        params_file: ParamsFile,
        dvc: Dvc,
        tracking: Tracking,
        process_group: ProcessGroup,
    ) -> dg.MaterializeResult:
        params = params_file.load()
        train = functools.partial(process_group.train, context)
        return _trained(system, name, context.run.run_id, workspace, params, dvc, tracking, train)

    return model


def _trained(
    system: System,
    name: str,
    dagster_run: str,
    workspace: Workspace,
    params: config.Params,
    dvc: Dvc,
    tracking: Tracking,
    train: Callable[..., Made],
) -> dg.MaterializeResult:
    """Trains a model, completes its run in MLflow, and shows it."""
    leftovers.clear(tracking)
    training, gallery = system.trainings[name], system.gallery
    at = workspace.layout(params)
    for first in training.before.values():
        first(workspace.path, params)
    lineage = provenance.lineage(workspace.path, params, dvc, dagster_run, gallery)
    made = train(system, name, workspace.path, params, tracking)
    run_id = provenance.run_of(tracking, at, name)
    if run_id is None:
        at_gallery = workspace.path / "data" / gallery
        begun = provenance.run_of(tracking, at, name, finished=False)
        lightning = made.run_id if made.worked else begun
        settings = {"model": params.model, name: training.settings(params)}
        run_id = _log(name, settings, at, at_gallery, lineage, tracking, lightning)
    folder = at.model(name)
    weights = stage.digest(folder / WEIGHTS)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(weights),
        metadata={
            "losses": picture(lambda path: _draw_losses(name, folder / LOSSES, path)),
            "mlflow_run": dg.MetadataValue.url(tracking.url(run_id)),
            "size_mb": (folder / WEIGHTS).stat().st_size / 1e6,
            "params": dg.MetadataValue.json(config.as_dict(training.settings(params))),
            "weights_md5": weights,
            "worked": made.worked,
            **_last_losses(folder / LOSSES),
        },
    )


def _log(
    name: str,
    settings: Mapping[str, Any],
    at: Layout,
    gallery: Path,
    lineage: provenance.Lineage,
    tracking: Tracking,
    run_id: str | None,
) -> str:
    """Completes the run that Lightning logged to; makes one for weights trained without MLflow."""
    import mlflow

    folder = at.model(name)
    tags = {**lineage.tags(), "stage": name, "weights": stage.digest(folder / WEIGHTS)}
    with tracking.open(name, tags, run_id) as run:
        values = {key: config.as_dict(section) for key, section in settings.items()}
        mlflow.log_params(provenance.flat(values))
        if lineage.clips:
            source = at.dataset.relative_to(at.root)
            data = provenance.dataset(f"{at.source}-train", source, lineage.clips)
            mlflow.log_input(data, context="train")
        if lineage.gallery:
            data = provenance.dataset("gallery", gallery.relative_to(at.root), lineage.gallery)
            mlflow.log_input(data, context="gallery")
        mlflow.log_artifact(str(folder / LOSSES))
        return str(run.info.run_id)


def _last_losses(table: Path) -> dict[str, float]:
    """The losses after the last epoch, which Dagster draws over all materializations."""
    last = pd.read_csv(table).iloc[-1]
    return {name: float(last[name]) for name in ("loss", "val_loss")}


def _draw_losses(name: str, table: Path, path: Path) -> None:
    from vidtag_ml.plots import charts

    charts.loss_curves({name: table}, path, f"Losses of {name}")


def _evaluation(system: System) -> dg.AssetsDefinition:
    @dg.asset(
        name=f"{system.name}_evaluation",
        deps=_last(system),
        group_name="evaluation",
        kinds={"torch", "parquet"},
        code_version=_version(f"evaluate_{system.name}"),
        owners=OWNERS,
        op_tags=cluster.needs(cpu=2, memory_gb=4, gpus=1),
        tags={"system": system.name},
        pool="gpu",
        description=f"{system.title}: {inspect.cleandoc(system.about)}",
    )
    def evaluation(workspace: Workspace, params_file: ParamsFile) -> dg.MaterializeResult:
        params = params_file.load()
        worked = [system.evaluate(workspace.path, params, split) for split in inputs.SPLITS]
        at = workspace.layout(params)
        folders = {split: at.evaluation(system.name, split) for split in inputs.SPLITS}
        reports = {split: system.report(folder) for split, folder in folders.items()}
        shown = system.show(reports, at, params)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(" ".join(map(stage.digest, folders.values()))),
            metadata={
                "summary": summary(system.sheet(reports["test"].summary)),
                "pictures": report(shown),
                "figures": dg.MetadataValue.json(reports["test"].summary),
                **_figures(system, reports),
                "worked": any(worked),
            },
        )

    return evaluation


def _registered(system: System, how: Registration) -> dg.AssetsDefinition:
    gallery = [_asset(system, system.gallery)] if how.searched else []

    @dg.asset(
        name=f"registered_{how.called or system.name}",
        deps=[*_last(system), f"{system.name}_evaluation", *gallery],
        group_name="registry",
        kinds={"mlflow"},
        owners=OWNERS,
        op_tags=cluster.needs(cpu=1, memory_gb=4),
        tags={"system": system.name},
        description=f"""{system.title}'s bundle as a version in MLflow's registry: `@challenger`.

Tagged with commit, DVC md5s, parameters and runs, and stored with its code; `vidtag trace` walks
them, and `--restore` makes it again. A bundle whose bytes are registered already stays the version
that it is.

{FAILED}""",
    )
    def registered(
        context: dg.AssetExecutionContext,
        workspace: Workspace,
        params_file: ParamsFile,
        dvc: Dvc,
        tracking: Tracking,
    ) -> dg.MaterializeResult:
        version, new = registration.bundle_and_register(
            system, workspace.path, params_file.load(), dvc, tracking, context.run.run_id
        )
        return dg.MaterializeResult(
            data_version=dg.DataVersion(version.tags["bundle"]),
            metadata=_about_version(tracking, version, new),
        )

    return registered


def _champion(system: System, how: Registration) -> dg.AssetsDefinition:
    @dg.asset(
        name=f"champion_{how.called or system.name}",
        deps=[
            f"registered_{how.called or system.name}",
            *([f"{how.first}_evaluation"] if how.first else []),
        ],
        group_name="registry",
        kinds={"mlflow"},
        owners=OWNERS,
        op_tags=cluster.needs(cpu=1, memory_gb=4),
        tags={"system": system.name},
        description=f"""The version of {system.title} that locates: `@champion`, by the gate alone.

{inspect.cleandoc(how.about)}
A rejection is a verdict: this asset stays green, keeps the old version and says why.

**When it fails:** there is no challenger (materialize the version first). To take a promotion back:
`vidtag rollback {system.name} --reason ...`; to overrule the gate: `vidtag promote`.
""",
    )
    def champion(
        workspace: Workspace, params_file: ParamsFile, tracking: Tracking
    ) -> dg.MaterializeResult:
        params = params_file.load()
        entry, verdict = registration.decide(system, tracking, workspace.layout(params), params)
        log = [line for line in promotions.history(workspace.path) if line.model == entry.model]
        board = comparing.brief(comparing.board(tracking, entry.model))
        return dg.MaterializeResult(
            data_version=dg.DataVersion(str(entry.champion or "none")),
            metadata={
                **_about_verdict(entry, verdict),
                **_about_slices(system, verdict),
                "card": dg.MetadataValue.md(_card(tracking, entry)),
                "challenger": entry.version,
                "versions": preview(board, NUM_VERSIONS),
                "log": bullets([_decision(line) for line in log[: -NUM_DECISIONS - 1 : -1]]),
            },
        )

    return champion


def _check(system: System, how: Registration) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=f"champion_{how.called or system.name}",
        name="challenger_beats_champion",
        description="The challenger is the champion; if the gate rejected it, this warns why.",
    )
    def beats(params_file: ParamsFile, tracking: Tracking) -> dg.AssetCheckResult:
        name = registry.name_of(system.name, params_file.load())
        named = registry.aliases(tracking, name)
        challenger, champion = named.get(registry.CHALLENGER), named.get(registry.CHAMPION)
        log = promotions.history(Path(tracking.root))
        past = [e for e in log if (e.model, e.version) == (name, challenger)]
        return dg.AssetCheckResult(
            passed=challenger is not None and challenger == champion,
            severity=dg.AssetCheckSeverity.WARN,
            description=past[-1].reason if past else None,
            metadata={"challenger": challenger or "none", "champion": champion or "none"},
        )

    return beats


def _log_check(system: System, how: Registration) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=f"champion_{how.called or system.name}",
        name="promotion_log_is_as_written",
        description="No line of out/promotions.jsonl was altered or deleted; if one was, warns.",
    )
    def is_as_written(tracking: Tracking) -> dg.AssetCheckResult:
        root = Path(tracking.root)
        found = champions.faults(tracking)
        return dg.AssetCheckResult(
            passed=not found,
            severity=dg.AssetCheckSeverity.WARN,
            description=promotions.advice(root, found) if found else None,
        )

    return is_as_written


def _asset(system: System, read: str) -> str:
    """The asset that is what a system reads."""
    return f"{read}_model" if read in system.trainings else ASSETS.get(read, read)


def _last(system: System) -> list[str]:
    """The models of a system that none of its own trainings starts from."""
    begun = {read for training in system.trainings.values() for read in training.reads}
    return [f"{name}_model" for name in system.trainings if name not in begun]


def _version(*stages: str) -> str | None:
    """The code of stages; None if one has none of its own in the package."""
    return code_key.version(*stages) if set(stages) <= set(code_key.builds()) else None


def _figures(system: System, reports: Mapping[str, Evaluated]) -> dict[str, float]:
    """The headline of the report on each split, as `<split>_<figure>`."""
    return {
        name: value
        for split, report in reports.items()
        for name, value in numbers(system.headline(report.summary), f"{split}_").items()
    }


def _about_version(tracking: Tracking, version: "ModelVersion", new: bool) -> dict[str, Any]:
    """What the UI shows of a registered version: where it is, and all its tags."""
    return {
        "version": int(version.version),
        "new": new,
        "model_uri": f"models:/{version.name}/{version.version}",
        "mlflow_run": dg.MetadataValue.url(tracking.url(str(version.run_id))),
        **{key: value for key, value in sorted(version.tags.items()) if value},
    }


def _about_verdict(entry: promotions.Promotion, verdict: "Verdict | None") -> dict[str, Any]:
    """What the UI shows of the gate's decision: what and why, the champion after it, figures."""
    return {
        "verdict": entry.action,
        "reason": bullets(entry.reason.split("; ")),
        "champion": entry.champion or "none",
        **(cards.figures(verdict) if verdict else {}),
    }


def _decision(entry: promotions.Promotion) -> str:
    """A line of the log, for the page of a champion."""
    who = f" by {entry.user}@{entry.host}" if entry.user else ""
    champion = f"champion {entry.champion}" if entry.champion else "no champion"
    return f"{entry.time}: version {entry.version} {entry.action}{who}, {champion}: {entry.reason}"


def _about_slices(system: System, verdict: "Verdict | None") -> dict[str, Any]:
    """The gate's comparison slice by slice, as a table."""
    if verdict is None or not verdict.rows:
        return {}
    from vidtag_ml.models import card

    scale = system.bundled.registration.judging().rule.scale
    return {"slices": dg.MetadataValue.md(card.slices(verdict.rows, scale))}


def _card(tracking: Tracking, entry: promotions.Promotion) -> str:
    """The card of the champion, or of the challenger where there is no champion."""
    chosen = entry.champion or entry.version
    return registry.resolve(tracking, f"{entry.model}/{chosen}").description or ""
