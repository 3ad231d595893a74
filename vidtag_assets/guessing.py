"""CityGuessr's place in the registry: asset registered_cityguessr, a check below it.

Belongs here: what is registered under `cityguessr`, and when it becomes champion. Does not belong
here: its training and evaluation (training.py, evaluation.py), VidTAG's registration
(registration.py), what registering and deciding mean (registry.py, gate.py).
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

import vidtag_ml
from vidtag_assets import provenance, registry
from vidtag_assets.dataset import hierarchy
from vidtag_assets.evaluation import cityguessr_evaluation
from vidtag_assets.metadata import OWNERS, numbers, preview
from vidtag_assets.resources import Dvc, ParamsFile, Tracking, Workspace
from vidtag_assets.training import cityguessr_model, run_of
from vidtag_ml import config, stage, stages
from vidtag_ml.hierarchy import Hierarchy
from vidtag_ml.layout import Layout

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from vidtag_assets.gate import Verdict
    from vidtag_ml.evaluate_places import PlaceReport


@dg.asset(
    deps=[cityguessr_model, cityguessr_evaluation],
    group_name="registry",
    kinds={"mlflow"},
    owners=OWNERS,
)
def registered_cityguessr(
    context: dg.AssetExecutionContext,
    workspace: Workspace,
    params_file: ParamsFile,
    dvc: Dvc,
    tracking: Tracking,
) -> dg.MaterializeResult:
    """CityGuessr's bundle as a version in MLflow's registry, and the gate's verdict on it.

    It becomes `@challenger`, and `@champion` if it is right at more levels than the champion on the
    same val clips, beyond chance, and on no continent worse; the first champion must beat the most
    frequent classes. `vidtag locate VIDEO --model cityguessr` uses the champion.

    **When it fails:** dvc.lock lacks an md5 (materialize clips, hierarchy and gps_gallery first),
    or the disk is full. Nothing is half registered: materialize again.
    """
    params = params_file.load()
    stages.guess_bundle(workspace.path, params)
    at = workspace.layout(params)
    lineage = provenance.lineage(workspace.path, params, dvc, context.run.run_id)
    run = run_of(tracking, at, registry.PLACES)
    more = {"dvc.hierarchy": dvc.md5("hierarchy") or "", **({"run.cityguessr": run} if run else {})}
    version, new = register(tracking, at, params, lineage, more)
    entry, verdict = decide(tracking, at, params)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(version.tags["bundle"]),
        metadata={
            "version": int(version.version),
            "new": new,
            "verdict": entry.action,
            "reason": dg.MetadataValue.md(entry.reason),
            "champion": entry.champion or 0,
            "model_uri": f"models:/{registry.PLACES}/{version.version}",
            "mlflow_run": dg.MetadataValue.url(tracking.url(str(version.run_id))),
            **{key: value for key, value in sorted(version.tags.items()) if value},
            **numbers(dataclasses.asdict(verdict) if verdict else {}),
        },
    )


@dg.asset_check(asset=hierarchy)
def class_ids_are_stable(
    workspace: Workspace, params_file: ParamsFile, tracking: Tracking
) -> dg.AssetCheckResult:
    """Cities have the numbers that they have in the champion of cityguessr; else this warns.

    A model carries its own classes, so it stays right; but numbers that others stored are not.
    """
    from vidtag_ml import hierarchy as places
    from vidtag_ml.models import base

    if registry.CHAMPION not in registry.aliases(tracking, registry.PLACES):
        return dg.AssetCheckResult(passed=True, description="there is no earlier version")
    bundle = registry.bundle_path(tracking, f"{registry.PLACES}@{registry.CHAMPION}")
    old = places.Hierarchy.of_rows(base.read(bundle / "model").sizes.places)
    table = places.read(workspace.layout(params_file.load()).hierarchy)
    moved = places.moved(old, places.Hierarchy.of(table))
    return dg.AssetCheckResult(
        passed=moved.empty,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(moved)} places have another number than in the champion",
        metadata={"num_moved": len(moved), "moved": preview(moved, 20)},
    )


@dg.asset_check(asset=hierarchy)
def every_class_has_train_clips(
    workspace: Workspace, params_file: ParamsFile
) -> dg.AssetCheckResult:
    """Each city, state, country and continent has clips to learn it from; else this warns."""
    from vidtag_ml import clips
    from vidtag_ml import hierarchy as places

    at = workspace.layout(params_file.load())
    classes = places.Hierarchy.of(places.read(at.hierarchy))
    table = clips.read(at.dataset).clips
    absent = places.unseen(classes, table[table["split"] == "train"])
    return dg.AssetCheckResult(
        passed=absent.empty,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(absent)} classes have no train clip: they will never be answered",
        metadata={"num_absent": len(absent), "absent": preview(absent, 20)},
    )


def register(
    tracking: Tracking,
    at: Layout,
    params: config.Params,
    lineage: provenance.Lineage,
    more: Mapping[str, str],
) -> tuple["ModelVersion", bool]:
    """The version of `out/guess_bundle` and whether it is new; it becomes the challenger."""
    provenance.require(lineage)
    digest = stage.digest(at.guess_bundle)
    tags = {**lineage.tags(), "bundle": digest, **more}
    return registry.challenge(
        tracking, registry.PLACES, digest, lambda: _log(tracking, at, params, tags)
    )


def decide(
    tracking: Tracking, at: Layout, params: config.Params
) -> "tuple[registry.Promotion, Verdict | None]":
    """The gate's decision about the challenger, carried out and logged."""
    from vidtag_assets import gate

    draws = params.evaluation.bootstrap_draws

    def judge(challenger: "ModelVersion", champion: int | None) -> "Verdict":
        ours = registry.place_report(tracking, challenger, "val")
        if champion is None:
            return gate.judge_places(ours, None, "", draws=draws)
        theirs = _champion_report(tracking, at, params, ours, champion)
        return gate.judge_places(ours, theirs, f"champion {champion}", draws=draws)

    return registry.settle(tracking, registry.PLACES, judge)


def _champion_report(
    tracking: Tracking, at: Layout, params: config.Params, ours: "PlaceReport", champion: int
) -> "PlaceReport":
    """The champion's report on the challenger's val clips.

    The one it was registered with where that is of the same clips; else it is evaluated anew, with
    its own classes, on the features of its own encoders: if these have changed, the old report is
    all there is.
    """
    from vidtag_ml import guess as bundles
    from vidtag_ml.models import cityguessr
    from vidtag_ml.training import guess

    name = f"{registry.PLACES}/{champion}"
    theirs = registry.place_report(tracking, registry.resolve(tracking, name), "val")
    bundle = registry.bundle_path(tracking, name)
    same_clips = set(ours.per_clip["clip_id"]) == set(theirs.per_clip["clip_id"])
    same_encoders = stage.digest(bundle / "encoders") == stage.digest(at.guess_bundle / "encoders")
    if same_clips or not same_encoders:
        return theirs
    model = cityguessr.load(bundle / "model")
    own = Hierarchy.of_rows(model.sizes.places)
    sources = dataclasses.replace(stages.guess_sources(at, params), hierarchy=own)
    settings = bundles.Guesser.load(bundle).settings
    return guess.report_on(model, settings, sources, "val", params.evaluation.bootstrap_draws)


def _log(
    tracking: Tracking, at: Layout, params: config.Params, tags: Mapping[str, str]
) -> "ModelVersion":
    import mlflow

    from vidtag_ml.evaluate_places import PlaceReport

    with tracking.open(f"register {registry.PLACES}", tags):
        mlflow.log_params(provenance.flat(config.as_dict(params)))
        info = mlflow.pyfunc.log_model(
            name=registry.PLACES,
            python_model=str(Path(__file__).with_name("pyfunc.py")),
            artifacts={"bundle": str(at.guess_bundle)},
            pip_requirements=[f"vidtag-geo=={vidtag_ml.__version__}"],
            tags=dict(tags),
        )
        for split in stages.SPLITS:
            folder = at.evaluation(registry.PLACES, split)
            data = provenance.dataset(f"{at.source}-{split}", at.dataset, tags["dvc.clips"])
            mlflow.log_input(data, context=split)
            figures = numbers(PlaceReport.read(folder).summary, f"{split}_")
            mlflow.log_metrics(figures, model_id=info.model_id, dataset=data)
            mlflow.log_artifacts(str(folder), f"evaluation/{split}")
    return mlflow.register_model(info.model_uri, registry.PLACES, tags=dict(tags))
