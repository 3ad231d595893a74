"""CityGuessr: its training, evaluation and place in the registry; checks below the hierarchy.

Belongs here: assets cityguessr_model, cityguessr_evaluation and registered_cityguessr, when it
becomes champion. Does not belong here: what is the same for all systems (factory.py,
registration.py), what deciding means (gate.py).
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from vidtag_assets import factory, provenance, registration, registry
from vidtag_assets.dataset import clips, hierarchy
from vidtag_assets.factory import run_of
from vidtag_assets.features import frame_features
from vidtag_assets.metadata import OWNERS, picture, preview
from vidtag_assets.resources import Dvc, ParamsFile, Tracking, Workspace
from vidtag_ml import config
from vidtag_ml.dataset.hierarchy import Hierarchy
from vidtag_ml.models.cityguessr import stages as cityguessr_stages
from vidtag_ml.workflow import code_key, inputs, layout, stage
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from vidtag_assets.gate import Verdict
    from vidtag_ml.models.cityguessr.evaluate import PlaceReport


cityguessr_model = factory.training_asset(
    "cityguessr",
    cityguessr_stages.cityguessr,
    [clips, hierarchy, frame_features],
    """CityGuessr: which city, state, country and continent a video is from.

    **When it fails:** weights to start from, features or scene labels are missing; the message
    names them and what makes them. Materialize again: it goes on from its newest checkpoint.
    """,
)


@dg.asset(
    deps=[cityguessr_model],
    group_name="evaluation",
    kinds={"torch", "parquet"},
    code_version=code_key.version("evaluate_cityguessr"),
    owners=OWNERS,
    pool="gpu",
)
def cityguessr_evaluation(workspace: Workspace, params_file: ParamsFile) -> dg.MaterializeResult:
    """Places that CityGuessr names on val, which decides promotion, and on test: `out/evaluation/`.

    **When it fails:** the model or what it reads is missing or has changed; materialize what the
    message names, then this again.
    """
    from vidtag_ml.dataset import tables
    from vidtag_ml.dataset.hierarchy import LEVELS
    from vidtag_ml.models.cityguessr import plots as cityguessr_plots
    from vidtag_ml.models.cityguessr.evaluate import PlaceReport

    params = params_file.load()
    at = workspace.layout(params)
    worked = [
        cityguessr_stages.evaluate_cityguessr(workspace.path, params, split)
        for split in inputs.SPLITS
    ]
    reports = {s: PlaceReport.read(at.evaluation("cityguessr", s)) for s in inputs.SPLITS}
    test = reports["test"]
    bins = {k: test.reliability[test.reliability["level"] == k] for k in LEVELS}
    said = test.per_clip[["clip_id", *LEVELS, "answer", "answer_right"]]
    positions_N2 = tables.first_positions(tables.read(at.dataset), test.per_clip["clip_id"])
    countries = (test.per_clip["country"].tolist(), test.per_clip["predicted_country"].tolist())
    return dg.MaterializeResult(
        data_version=factory.data_version(at, "cityguessr"),
        metadata={
            "confusions": picture(
                lambda p: cityguessr_plots.confusion_map(*countries, positions_N2, p)
            ),
            "reliability": picture(lambda p: cityguessr_plots.reliability(bins, p)),
            "answers": preview(said, 10),
            "summary": dg.MetadataValue.json(test.summary),
            **factory.figures(reports, _of_places),
            "worked": any(worked),
        },
    )


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
    from vidtag_ml.dataset import hierarchy as places
    from vidtag_ml.models import networks

    params = params_file.load()
    name = registry.name_of(registry.PLACES, params)
    if registry.CHAMPION not in registry.aliases(tracking, name):
        return dg.AssetCheckResult(passed=True, description="there is no earlier version")
    bundle = registry.bundle_path(tracking, f"{name}@{registry.CHAMPION}")
    old = places.Hierarchy.of_rows(networks.read(bundle / "model").sizes.places)
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
    from vidtag_ml.dataset import hierarchy as places
    from vidtag_ml.dataset import tables

    at = workspace.layout(params_file.load())
    classes = places.Hierarchy.of(places.read(at.hierarchy))
    table = tables.read(at.dataset).clips
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
    cityguessr_stages.guess_bundle(root, params)
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
    from vidtag_ml.models.cityguessr.evaluate import PlaceReport

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
    from vidtag_ml.models.cityguessr import evaluate as cityguessr_evaluate
    from vidtag_ml.models.cityguessr import inference
    from vidtag_ml.models.cityguessr import locator as bundles

    name = f"{registry.name_of(registry.PLACES, params)}/{champion}"
    theirs = registry.place_report(tracking, registry.resolve(tracking, name), "val")
    bundle = registry.bundle_path(tracking, name)
    same_clips = set(ours.per_clip["clip_id"]) == set(theirs.per_clip["clip_id"])
    same_encoders = stage.digest(bundle / "encoders") == stage.digest(at.guess_bundle / "encoders")
    if same_clips or not same_encoders:
        return theirs
    model = inference.load(bundle / "model")
    own = Hierarchy.of_rows(model.sizes.places)
    sources = dataclasses.replace(cityguessr_stages.guess_sources(at, params), hierarchy=own)
    settings = bundles.CityGuessrLocator.load(bundle).settings
    return cityguessr_evaluate.report_on(
        model, settings, sources, "val", params.evaluation.bootstrap_draws
    )


def _of_places(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a report on places that are worth a column."""
    chosen = [name for name in summary if name.startswith(("acc_", "top5_", "ece"))]
    return {n: summary[n] for n in [*chosen, "consistency"] if not n.endswith(("_lo", "_hi"))}
