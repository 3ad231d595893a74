"""Assets that every system has: a trained model with its run in MLflow, and its reports.

Belongs here: what makes such assets, and what is the same in all of them. Does not belong here: the
assets of one system (vidtag.py, geoclip.py, cityguessr.py, gama.py), registration
(registration.py), training and measuring themselves (vidtag_ml.models).
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import dagster as dg

from vidtag_assets import provenance
from vidtag_assets.metadata import OWNERS, numbers, picture, preview
from vidtag_assets.resources import Dvc, ParamsFile, Tracking, Workspace
from vidtag_ml import config
from vidtag_ml.models.system import Evaluated, Stage, System
from vidtag_ml.workflow import code_key, inputs, stage
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger


WEIGHTS = "model.safetensors"
LOSSES = "losses.csv"

Shown = Callable[[Mapping[str, Any], Workspace, config.Params], Mapping[str, Any]]
"""Reports by split, the workspace and its params -> what the UI shows of the reports."""
NUM_TRACKS = 6
"""Example tracks in the UI: evenly spaced between the best and the worst."""


def training_asset(
    system: System,
    name: str,
    deps: Sequence[dg.AssetsDefinition],
    description: str,
    gallery: str = "gallery",
    before: Mapping[str, Stage] = MappingProxyType({}),
) -> dg.AssetsDefinition:
    """The asset `<name>_model`: a trained model, and its run in MLflow.

    Args:
        system: whose training it is.
        name: of the training and of its section in the params.
        deps: what it is trained on.
        description: read in the UI: what it is, and what to do when it fails.
        gallery: what the model is searched in, as DVC calls it.
        before: stages by name that are run first, which need no asset of their own.
    """

    def make(root: Path, params: config.Params, logger: "Logger") -> bool:
        for first in before.values():
            first(root, params)
        return system.trainings[name](root, params, logger)

    @dg.asset(
        name=f"{name}_model",
        deps=deps,
        group_name="training",
        kinds={"torch", "mlflow"},
        code_version=code_key.version(*before, name),
        owners=OWNERS,
        pool="gpu",
        description=inspect.cleandoc(description),
    )
    def model(
        context: dg.AssetExecutionContext,
        workspace: Workspace,
        params_file: ParamsFile,
        dvc: Dvc,
        tracking: Tracking,
    ) -> dg.MaterializeResult:
        run = context.run.run_id
        return train(name, make, run, workspace, params_file, dvc, tracking, gallery)

    return model


def run_of(tracking: Tracking, at: Layout, name: str) -> str | None:
    """Id of the MLflow run that trained the weights which now lie in the workspace."""
    weights = at.model(name) / WEIGHTS
    run = tracking.find(stage=name, weights=stage.digest(weights))
    return str(run.info.run_id) if run else None


def train(
    name: str,
    make: Stage,
    dagster_run: str,
    workspace: Workspace,
    params_file: ParamsFile,
    dvc: Dvc,
    tracking: Tracking,
    gallery: str,
) -> dg.MaterializeResult:
    """Trains a model, completes its run in MLflow, and shows it.

    Args:
        name: of the stage and of its section in the params.
        make: the stage.
        dagster_run: id of the run that asks for it.
        workspace: where it is made.
        params_file: what it depends on.
        dvc: knows the identity of the data.
        tracking: MLflow's store.
        gallery: what the model is searched in, as DVC calls it.
    """
    params = params_file.load()
    at = workspace.layout(params)
    lineage = provenance.lineage(workspace.path, params, dvc, dagster_run, gallery)
    logger = tracking.logger(name)
    worked = make(workspace.path, params, logger)
    run_id = run_of(tracking, at, name)
    if run_id is None:
        at_gallery = workspace.path / "data" / gallery
        lightning = logger.run_id if worked else None
        run_id = _log(name, params, at, at_gallery, lineage, tracking, lightning)
    folder = at.model(name)
    weights = stage.digest(folder / WEIGHTS)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(weights),
        metadata={
            "losses": picture(lambda path: _draw_losses(name, folder / LOSSES, path)),
            "mlflow_run": dg.MetadataValue.url(tracking.url(run_id)),
            "size_mb": (folder / WEIGHTS).stat().st_size / 1e6,
            "params": dg.MetadataValue.json(config.as_dict(getattr(params, name))),
            "weights_md5": weights,
            "worked": worked,
        },
    )


def _log(
    name: str,
    params: config.Params,
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
        sections = {"model": params.model, name: getattr(params, name)}
        values = {key: config.as_dict(section) for key, section in sections.items()}
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


def _draw_losses(name: str, table: Path, path: Path) -> None:
    from vidtag_ml.plots import charts

    charts.loss_curves({name: table}, path, f"Losses of {name}")


def evaluation_asset(
    system: System, deps: Sequence[dg.AssetsDefinition], description: str, show: Shown
) -> dg.AssetsDefinition:
    """The asset `<name>_evaluation`: reports of a system on val and test.

    Args:
        system: what is evaluated.
        deps: its trained models.
        description: read in the UI: what is measured, and what to do when it fails.
        show: what the UI shows beside the figures.
    """

    @dg.asset(
        name=f"{system.name}_evaluation",
        deps=deps,
        group_name="evaluation",
        kinds={"torch", "parquet"},
        code_version=code_key.version(f"evaluate_{system.name}"),
        owners=OWNERS,
        pool="gpu",
        description=inspect.cleandoc(description),
    )
    def evaluation(workspace: Workspace, params_file: ParamsFile) -> dg.MaterializeResult:
        params = params_file.load()
        worked = [system.evaluate(workspace.path, params, split) for split in inputs.SPLITS]
        at = workspace.layout(params)
        folders = {split: at.evaluation(system.name, split) for split in inputs.SPLITS}
        reports = {split: system.report(folder) for split, folder in folders.items()}
        return dg.MaterializeResult(
            data_version=dg.DataVersion(" ".join(map(stage.digest, folders.values()))),
            metadata={
                **show(reports, workspace, params),
                "summary": dg.MetadataValue.json(reports["test"].summary),
                **_figures(system, reports),
                "worked": any(worked),
            },
        )

    return evaluation


def track_evaluation_asset(system: System, model: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """The asset `<name>_evaluation` of a system that searches coordinates."""
    return evaluation_asset(
        system,
        [model],
        f"""Tracks and figures of {system.name} on val, which decides promotion, and on test, which
        is only reported: `out/evaluation/`. Every figure carries its gallery.

        **When it fails:** a model, gallery or feature store is missing or does not fit the others;
        materialize what the message names, then this again.
        """,
        _tracks,
    )


def _tracks(
    reports: Mapping[str, Any], _workspace: Workspace, _params: config.Params
) -> dict[str, Any]:
    """Example tracks, errors, and the clips with the largest."""
    from vidtag_ml.plots import charts, maps

    test = reports["test"]
    order = test.per_clip.sort_values("median_km")["clip_id"].tolist()
    step = max(1, len(order) // NUM_TRACKS)
    tracks = {track.clip: track for track in test.tracks}
    examples = [tracks[clip] for clip in order[::step][:NUM_TRACKS]]
    errors = {split: report.frames["error_km"].dropna() for split, report in reports.items()}
    return {
        "tracks": picture(lambda path: maps.tracks_sheet(examples, test.truths, path)),
        "errors": picture(lambda path: charts.error_cdf(errors, path)),
        "worst_clips": preview(test.per_clip.sort_values("median_km", ascending=False)),
    }


def _figures(system: System, reports: Mapping[str, Evaluated]) -> dict[str, float]:
    """The headline of the report on each split, as `<split>_<figure>`."""
    return {
        name: value
        for split, report in reports.items()
        for name, value in numbers(system.headline(report.summary), f"{split}_").items()
    }
