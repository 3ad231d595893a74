"""CityGuessr's place in the registry: asset registered_cityguessr, a check below it.

Belongs here: what is registered of CityGuessr, and when it becomes champion. Does not belong
here: its training and evaluation (training.py, evaluation.py), VidTAG's registration
and what is the same in all registrations (registration.py), what deciding means (gate.py).
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from vidtag_assets import provenance, registration, registry
from vidtag_assets.dataset import hierarchy
from vidtag_assets.evaluation import cityguessr_evaluation
from vidtag_assets.metadata import OWNERS, preview
from vidtag_assets.resources import Dvc, ParamsFile, Tracking, Workspace
from vidtag_assets.training import cityguessr_model, run_of
from vidtag_ml import config, layout, place_stages, stage
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
    same val clips, beyond chance, and on no continent worse; it must always beat the most frequent
    classes, on enough val clips. `vidtag locate VIDEO --model cityguessr` uses the champion.

    **When it fails:** dvc.lock lacks an md5 (materialize clips, hierarchy and gps_gallery first),
    or the disk is full. Nothing is half registered: materialize again.
    """
    params = params_file.load()
    version, new = bundle_and_register(workspace.path, params, dvc, tracking, context.run.run_id)
    entry, verdict = decide(tracking, workspace.layout(params), params)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(version.tags["bundle"]),
        metadata={
            **registration.about_version(tracking, version, new),
            **registration.about_verdict(entry, verdict),
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

    params = params_file.load()
    name = registry.name_of(registry.PLACES, params)
    if registry.CHAMPION not in registry.aliases(tracking, name):
        return dg.AssetCheckResult(passed=True, description="there is no earlier version")
    bundle = registry.bundle_path(tracking, f"{name}@{registry.CHAMPION}")
    old = places.Hierarchy.of_rows(base.read(bundle / "model").sizes.places)
    table = places.read(workspace.layout(params).hierarchy)
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


def bundle_and_register(
    root: Path, params: config.Params, dvc: Dvc, tracking: Tracking, dagster_run: str
) -> tuple["ModelVersion", bool]:
    """The bundle of what is trained as a version, and whether that is new."""
    place_stages.guess_bundle(root, params)
    at = layout.of(root, params)
    lineage = provenance.lineage(root, params, dvc, dagster_run)
    run = run_of(tracking, at, registry.PLACES)
    more = {"dvc.hierarchy": dvc.md5("hierarchy") or "", **({"run.cityguessr": run} if run else {})}
    return register(tracking, at, params, lineage, more)


def register(
    tracking: Tracking,
    at: Layout,
    params: config.Params,
    lineage: provenance.Lineage,
    more: Mapping[str, str],
) -> tuple["ModelVersion", bool]:
    """The version of `out/guess_bundle` and whether it is new; it becomes the challenger."""
    from vidtag_ml.evaluate_places import PlaceReport

    return registration.enter(
        tracking, registry.PLACES, at, params, lineage, more,
        bundle=at.guess_bundle, read=PlaceReport.read,
    )  # fmt: skip


def decide(
    tracking: Tracking, at: Layout, params: config.Params
) -> "tuple[registry.Promotion, Verdict | None]":
    """The gate's decision about the challenger, carried out and logged."""
    from vidtag_assets import gate

    asked = {
        "least_clips": params.registry.least_clips,
        "draws": params.evaluation.bootstrap_draws,
    }

    def judge(challenger: "ModelVersion", champion: int | None) -> "Verdict":
        ours = registry.place_report(tracking, challenger, "val")
        theirs = _champion_report(tracking, at, params, ours, champion) if champion else None
        return gate.judge_places(ours, theirs, f"champion {champion}", **asked)

    return registry.settle(tracking, registry.name_of(registry.PLACES, params), judge)


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

    name = f"{registry.name_of(registry.PLACES, params)}/{champion}"
    theirs = registry.place_report(tracking, registry.resolve(tracking, name), "val")
    bundle = registry.bundle_path(tracking, name)
    same_clips = set(ours.per_clip["clip_id"]) == set(theirs.per_clip["clip_id"])
    same_encoders = stage.digest(bundle / "encoders") == stage.digest(at.guess_bundle / "encoders")
    if same_clips or not same_encoders:
        return theirs
    model = cityguessr.load(bundle / "model")
    own = Hierarchy.of_rows(model.sizes.places)
    sources = dataclasses.replace(place_stages.guess_sources(at, params), hierarchy=own)
    settings = bundles.Guesser.load(bundle).settings
    return guess.report_on(model, settings, sources, "val", params.evaluation.bootstrap_draws)
