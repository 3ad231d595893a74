"""Registration and promotion: assets registered_model and champion_model, a check below them.

Belongs here: what is registered, with which evidence, and the decision of the gate; what is the
same in all registrations. Does not belong here: the registrations of CityGuessr and GAMa
(guessing.py, cross_view.py), the comparison itself (gate.py), aliases and their log (registry.py),
lineage (provenance.py).
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

import vidtag_ml
from vidtag_assets import provenance, registry
from vidtag_assets.evaluation import geoclip_evaluation, vidtag_evaluation
from vidtag_assets.gallery import gps_gallery
from vidtag_assets.metadata import OWNERS, numbers, preview
from vidtag_assets.resources import Dvc, ParamsFile, Tracking, Workspace
from vidtag_assets.training import phase_two_model, run_of
from vidtag_ml import config, layout, stage, stages
from vidtag_ml.layout import Layout

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from vidtag_assets.gate import Verdict
    from vidtag_ml.evaluate import Report
    from vidtag_ml.evaluate_places import PlaceReport


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
    version, new = bundle_and_register(workspace.path, params, dvc, tracking, context.run.run_id)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(version.tags["bundle"]),
        metadata=about_version(tracking, version, new),
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
    Each must beat the centre of the train fixes and a train fix at random, on enough val clips.
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
            **about_verdict(entry, verdict),
            "challenger": entry.version,
            "log": preview(log, 10),
        },
    )


@dg.asset_check(asset=champion_model)
def challenger_beats_champion(params_file: ParamsFile, tracking: Tracking) -> dg.AssetCheckResult:
    """The challenger is the champion; if the gate rejected it, this warns and says why."""
    name = registry.name_of(registry.NAME, params_file.load())
    named = registry.aliases(tracking, name)
    challenger, champion = named.get(registry.CHALLENGER), named.get(registry.CHAMPION)
    log = registry.history(Path(tracking.root))
    past = [e for e in log if (e.model, e.version) == (name, challenger)]
    return dg.AssetCheckResult(
        passed=challenger is not None and challenger == champion,
        severity=dg.AssetCheckSeverity.WARN,
        description=past[-1].reason if past else None,
        metadata={"challenger": challenger or 0, "champion": champion or 0},
    )


def bundle_and_register(
    root: Path, params: config.Params, dvc: Dvc, tracking: Tracking, dagster_run: str
) -> tuple["ModelVersion", bool]:
    """The bundle of what is trained as a version, and whether that is new."""
    stages.bundle(root, params)
    lineage = provenance.lineage(root, params, dvc, dagster_run)
    at = layout.of(root, params)
    runs = {name: run_of(tracking, at, name) for name in ("phase_one", "phase_two")}
    return register(tracking, at, lineage, params, {name: run for name, run in runs.items() if run})


def decide(
    tracking: Tracking, at: Layout, params: config.Params
) -> "tuple[registry.Promotion, Verdict | None]":
    """The gate's decision about the challenger, carried out and logged."""
    return registry.settle(
        tracking,
        registry.name_of(registry.NAME, params),
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
    from vidtag_ml import blind, clips
    from vidtag_ml.evaluate import Report

    ours = registry.report(tracking, challenger, "val")
    if champion is None:
        theirs, name = Report.read(at.evaluation("geoclip", "val")), "GeoCLIP"
    else:
        theirs = _champion_report(tracking, at, params, ours, champion)
        name = f"champion {champion}"
    train = clips.read(at.dataset).fixes_in("train")[["lat", "lon"]].dropna().to_numpy(float)
    return gate.judge(
        ours, theirs, name, blind.medians_km(ours, train),
        least_clips=params.registry.least_clips,
        draws=params.evaluation.bootstrap_draws,
        by_continent=champion is not None,
    )  # fmt: skip


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

    name = f"{registry.name_of(registry.NAME, params)}/{champion}"
    theirs = registry.report(tracking, registry.resolve(tracking, name), "val")
    bundle = registry.bundle_path(tracking, name)
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
    from vidtag_ml.evaluate import Report

    runs = {f"run.{name}": run for name, run in training_runs.items()}
    return enter(
        tracking, registry.NAME, at, params, lineage, runs,
        bundle=at.bundle, read=Report.read, gallery=("gallery", at.gallery),
    )  # fmt: skip


def enter(
    tracking: Tracking,
    kind: str,
    at: Layout,
    params: config.Params,
    lineage: provenance.Lineage,
    more: Mapping[str, str],
    *,
    bundle: Path,
    read: "Callable[[Path], Report | PlaceReport]",
    gallery: tuple[str, Path] | None = None,
) -> tuple["ModelVersion", bool]:
    """The version of a bundle and whether it is new; it becomes the challenger.

    A bundle whose bytes are registered already is not registered again.

    Args:
        tracking: MLflow's store.
        kind: of the model; it is registered under the kind's name in the domain of the params.
        at: where its data and its evaluation on each split lie.
        params: what it was made with.
        lineage: what it was made from.
        more: tags beside those of the lineage and of the bundle.
        bundle: the folder that is registered.
        read: its report, from the folder of an evaluation.
        gallery: name and folder of what it searches.

    Raises:
        ValueError: data or gallery have no DVC identity.
    """
    provenance.require(lineage)
    digest, name = stage.digest(bundle), registry.name_of(kind, params)
    tags = {**lineage.tags(), "bundle": digest, **more}

    def log() -> "ModelVersion":
        import mlflow

        with tracking.open(f"register {name}", tags):
            mlflow.log_params(provenance.flat(config.as_dict(params)))
            info = mlflow.pyfunc.log_model(
                name=name,
                python_model=str(Path(__file__).with_name("pyfunc.py")),
                artifacts={"bundle": str(bundle)},
                pip_requirements=[f"vidtag-geo=={vidtag_ml.__version__}"],
                tags=tags,
            )
            if gallery is not None:
                searched, folder = gallery
                data = provenance.dataset(
                    searched, folder.relative_to(at.root), tags["dvc.gallery"]
                )
                mlflow.log_input(data, context="gallery")
            for split in stages.SPLITS:
                folder = at.evaluation(kind, split)
                source = at.dataset.relative_to(at.root)
                data = provenance.dataset(f"{at.source}-{split}", source, tags["dvc.clips"])
                mlflow.log_input(data, context=split)
                figures = numbers(read(folder).summary, f"{split}_")
                mlflow.log_metrics(figures, model_id=info.model_id, dataset=data)
                mlflow.log_artifacts(str(folder), f"evaluation/{split}")
        registry.declare(tracking, name, kind)
        return mlflow.register_model(info.model_uri, name, tags=tags)

    return registry.challenge(tracking, name, digest, log)


def about_version(tracking: Tracking, version: "ModelVersion", new: bool) -> dict[str, Any]:
    """What the UI shows of a registered version: where it is, and all its tags."""
    return {
        "version": int(version.version),
        "new": new,
        "model_uri": f"models:/{version.name}/{version.version}",
        "mlflow_run": dg.MetadataValue.url(tracking.url(str(version.run_id))),
        **{key: value for key, value in sorted(version.tags.items()) if value},
    }


def about_verdict(entry: registry.Promotion, verdict: "Verdict | None") -> dict[str, Any]:
    """What the UI shows of the gate's decision: what and why, the champion after it, figures."""
    return {
        "verdict": entry.action,
        "reason": dg.MetadataValue.md(entry.reason),
        "champion": entry.champion or 0,
        **numbers(dataclasses.asdict(verdict) if verdict else {}),
    }
