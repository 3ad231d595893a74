"""Registration and promotion: assets registered_model and champion_model, a check below them.

Belongs here: what is registered, with which evidence, and the decision of the gate. Does not belong
here: the comparison itself (gate.py), aliases and their log (registry.py), lineage (provenance.py).
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd

import vidtag_ml
from vidtag_assets import provenance, registry
from vidtag_assets.evaluation import geoclip_evaluation, vidtag_evaluation
from vidtag_assets.gallery import gps_gallery
from vidtag_assets.metadata import OWNERS, numbers, preview
from vidtag_assets.registry import Promotion, bundle_path, promote, resolve, rollback
from vidtag_assets.resources import Dvc, ParamsFile, Tracking, Workspace
from vidtag_assets.training import phase_two_model, run_of
from vidtag_ml import config, stage, stages
from vidtag_ml.layout import Layout

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from vidtag_assets.gate import Verdict
    from vidtag_ml.evaluate import Report

__all__ = [
    "Promotion",
    "bundle_path",
    "champion_model",
    "decide",
    "promote",
    "register",
    "registered_model",
    "resolve",
    "rollback",
]
"""The command line finds the registry's verbs here too."""


@dg.asset(
    deps=[phase_two_model, vidtag_evaluation, gps_gallery],
    group_name="registry",
    kinds={"mlflow"},
    owners=OWNERS,
)
def registered_model(
    context: dg.AssetExecutionContext,
    workspace: Workspace,
    params_file: ParamsFile,
    dvc: Dvc,
    tracking: Tracking,
) -> dg.MaterializeResult:
    """The bundle (model, gallery, encoders) as a version in MLflow's registry, alias `challenger`.

    Tagged with commit, DVC md5s, parameters and runs; `vidtag trace` walks them. A bundle whose
    bytes are registered already stays the version that it is.

    **When it fails:** dvc.lock lacks an md5 (materialize clips and gps_gallery first), or the disk
    is full. Nothing is half registered: materialize again.
    """
    params = params_file.load()
    stages.bundle(workspace.path, params)
    lineage = provenance.lineage(workspace.path, params, dvc, context.run.run_id)
    at = workspace.layout(params)
    runs = {name: run_of(tracking, at, name) for name in ("phase_one", "phase_two")}
    version, new = register(
        tracking, at, lineage, params, {name: run for name, run in runs.items() if run}
    )
    return dg.MaterializeResult(
        data_version=dg.DataVersion(version.tags["bundle"]),
        metadata={
            "version": int(version.version),
            "new": new,
            "model_uri": f"models:/{registry.NAME}/{version.version}",
            "mlflow_run": dg.MetadataValue.url(tracking.url(str(version.run_id))),
            **{key: value for key, value in sorted(version.tags.items()) if value},
        },
    )


@dg.asset(
    deps=[registered_model, geoclip_evaluation],
    group_name="registry",
    kinds={"mlflow"},
    owners=OWNERS,
)
def champion_model(
    workspace: Workspace, params_file: ParamsFile, tracking: Tracking
) -> dg.MaterializeResult:
    """The version that `vidtag locate` uses, alias `champion`; it changes only through the gate.

    The challenger must have significantly smaller errors than the champion on the same val clips
    and gallery, and be significantly worse on no continent; the first champion must beat GeoCLIP.
    A rejection is a verdict: this asset stays green, keeps the old version and says why.

    **When it fails:** there is no challenger (materialize registered_model). To take a promotion
    back: `vidtag rollback --reason ...`; to overrule the gate: `vidtag promote`.
    """
    params = params_file.load()
    entry, verdict = decide(tracking, workspace.layout(params), params)
    log = pd.DataFrame(
        [dataclasses.asdict(line) for line in reversed(registry.history(workspace.path))]
    )
    return dg.MaterializeResult(
        data_version=dg.DataVersion(str(entry.champion or "none")),
        metadata={
            "verdict": entry.action,
            "reason": dg.MetadataValue.md(entry.reason),
            "challenger": entry.version,
            "champion": entry.champion or 0,
            "log": preview(log, 10),
            **numbers(dataclasses.asdict(verdict) if verdict else {}),
        },
    )


@dg.asset_check(asset=champion_model)
def challenger_beats_champion(tracking: Tracking) -> dg.AssetCheckResult:
    """The challenger is the champion; if the gate rejected it, this warns and says why."""
    named = registry.aliases(tracking)
    challenger, champion = named.get(registry.CHALLENGER), named.get(registry.CHAMPION)
    log = registry.history(Path(tracking.root))
    past = [e for e in log if (e.model, e.version) == (registry.NAME, challenger)]
    return dg.AssetCheckResult(
        passed=challenger is not None and challenger == champion,
        severity=dg.AssetCheckSeverity.WARN,
        description=past[-1].reason if past else None,
        metadata={"challenger": challenger or 0, "champion": champion or 0},
    )


def decide(
    tracking: Tracking, at: Layout, params: config.Params
) -> "tuple[Promotion, Verdict | None]":
    """The gate's decision about the challenger, carried out and logged."""
    return registry.settle(
        tracking,
        registry.NAME,
        lambda challenger, champion: _judge(tracking, at, params, challenger, champion),
    )


def _judge(
    tracking: Tracking,
    at: Layout,
    params: config.Params,
    challenger: "ModelVersion",
    champion: int | None,
) -> "Verdict":
    from vidtag_assets import gate
    from vidtag_ml.evaluate import Report

    draws = params.evaluation.bootstrap_draws
    ours = registry.report(tracking, challenger, "val")
    if champion is None:
        theirs = Report.read(at.evaluation("geoclip", "val"))
        return gate.judge(ours, theirs, "GeoCLIP", draws=draws, by_continent=False)
    theirs = _champion_report(tracking, at, params, ours, champion)
    name = f"champion {champion}"
    return gate.judge(ours, theirs, name, draws=draws, by_continent=True)


def _champion_report(
    tracking: Tracking, at: Layout, params: config.Params, ours: "Report", champion: int
) -> "Report":
    """The champion's report on the challenger's val split and gallery.

    The one it was registered with where that fits; else it is evaluated anew on the data of today,
    on the features of its own encoders: if these have changed, the old report is all there is.
    """
    from vidtag_assets import gate
    from vidtag_ml import clips, evaluate, gallery
    from vidtag_ml.features import FeatureStore
    from vidtag_ml.models import base
    from vidtag_ml.predict import Predictor

    name = f"{registry.NAME}/{champion}"
    theirs = registry.report(tracking, resolve(tracking, name), "val")
    bundle = bundle_path(tracking, name)
    if not gate.incomparable(ours, theirs) or not _same_encoders(bundle, at.bundle):
        return theirs
    return evaluate.evaluate(
        base.load(bundle / "model"),
        gallery.read(at.gallery),
        FeatureStore.open(at.features),
        clips.read(at.dataset),
        "val",
        Predictor.load(bundle).evaluation,
        name,
        max_gap_s=params.clips.max_gap_s,
    )


def _same_encoders(a: Path, b: Path) -> bool:
    return stage.digest(a / "encoders") == stage.digest(b / "encoders")


def register(
    tracking: Tracking,
    at: Layout,
    lineage: provenance.Lineage,
    params: config.Params,
    training_runs: Mapping[str, str],
) -> tuple["ModelVersion", bool]:
    """The version of `out/bundle` and whether it is new; it becomes the challenger.

    A bundle whose bytes are registered already is not registered again.
    """
    provenance.require(lineage)
    digest = stage.digest(at.bundle)
    runs = {f"run.{name}": run for name, run in training_runs.items()}
    tags = {**lineage.tags(), "bundle": digest, **runs}
    return registry.challenge(
        tracking, registry.NAME, digest, lambda: _log(tracking, at, params, tags)
    )


def _log(
    tracking: Tracking, at: Layout, params: config.Params, tags: Mapping[str, str]
) -> "ModelVersion":
    import mlflow

    from vidtag_ml.evaluate import Report

    code = Path(__file__).with_name("pyfunc.py")
    needs = [f"vidtag-geo=={vidtag_ml.__version__}"]
    with tracking.open(f"register {registry.NAME}", tags):
        mlflow.log_params(provenance.flat(config.as_dict(params)))
        info = mlflow.pyfunc.log_model(
            name=registry.NAME,
            python_model=str(code),
            artifacts={"bundle": str(at.bundle)},
            pip_requirements=needs,
            tags=dict(tags),
        )
        mlflow.log_input(
            provenance.dataset("gallery", at.gallery, tags["dvc.gallery"]), context="gallery"
        )
        for split in stages.SPLITS:
            folder = at.evaluation(registry.NAME, split)
            data = provenance.dataset(f"{at.source}-{split}", at.dataset, tags["dvc.clips"])
            mlflow.log_input(data, context=split)
            figures = numbers(Report.read(folder).summary, f"{split}_")
            mlflow.log_metrics(figures, model_id=info.model_id, dataset=data)
            mlflow.log_artifacts(str(folder), f"evaluation/{split}")
    return mlflow.register_model(info.model_uri, registry.NAME, tags=dict(tags))
