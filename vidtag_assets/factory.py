"""Assets that every system has: a trained model with its run in MLflow, and its reports.

Belongs here: what makes such assets, and what is the same in all of them. Does not belong here: the
assets of one system (vidtag.py, geoclip.py, cityguessr.py, gama.py), registration
(registration.py), training and measuring themselves (vidtag_ml.models).
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from vidtag_assets import provenance
from vidtag_assets.metadata import OWNERS, numbers, picture, preview
from vidtag_assets.resources import Dvc, ParamsFile, Tracking, Workspace
from vidtag_ml import config
from vidtag_ml.models.gps_retrieval import stages as gps_stages
from vidtag_ml.workflow import code_key, inputs, stage
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from vidtag_ml.models.cityguessr.evaluate import PlaceReport
    from vidtag_ml.models.report import Report


Stage = Callable[..., bool]
"""A stage that takes workspace, params and a logger, and says whether it had to work."""
WEIGHTS = "model.safetensors"
LOSSES = "losses.csv"

Choice = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Those figures of a summary that are shown one by one."""
NUM_TRACKS = 6
"""Example tracks in the UI: evenly spaced between the best and the worst."""
SHOWN = ("median_km", "video_median_km", "dfd_km", "mrd_km", "oracle_median_km")


def training_asset(
    name: str,
    make: Stage,
    deps: Sequence[dg.AssetsDefinition],
    description: str,
    gallery: str = "gallery",
    before: Sequence[str] = (),
) -> dg.AssetsDefinition:
    """The asset `<name>_model`: a trained model, and its run in MLflow.

    Args:
        name: of the stage and of its section in the params.
        make: the stage.
        deps: what it is trained on.
        description: read in the UI: what it is, and what to do when it fails.
        gallery: what the model is searched in, as DVC calls it.
        before: stages that `make` runs before that of the name.
    """

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


def evaluation_asset(name: str, model: dg.AssetsDefinition) -> dg.AssetsDefinition:
    """The asset `<name>_evaluation`: reports of a model on val and test."""

    @dg.asset(
        name=f"{name}_evaluation",
        deps=[model],
        group_name="evaluation",
        kinds={"torch", "parquet"},
        code_version=code_key.version(f"evaluate_{name}"),
        owners=OWNERS,
        pool="gpu",
        description=(
            f"Tracks and figures of {name} on val, which decides promotion, and on test, which is "
            "only reported: `out/evaluation/`. Every figure carries its gallery.\n\n"
            "**When it fails:** a model, gallery or feature store is missing or does not fit the "
            "others; materialize what the message names, then this again."
        ),
    )
    def evaluation(workspace: Workspace, params_file: ParamsFile) -> dg.MaterializeResult:
        from vidtag_ml.models.report import Report
        from vidtag_ml.plots import charts, maps

        params = params_file.load()
        worked = [
            gps_stages.evaluate_model(workspace.path, params, name, split)
            for split in inputs.SPLITS
        ]
        at = workspace.layout(params)
        reports = {split: Report.read(at.evaluation(name, split)) for split in inputs.SPLITS}
        test = reports["test"]
        order = test.per_clip.sort_values("median_km")["clip_id"].tolist()
        step = max(1, len(order) // NUM_TRACKS)
        tracks = {track.clip: track for track in test.tracks}
        examples = [tracks[clip] for clip in order[::step][:NUM_TRACKS]]
        errors = {split: report.frames["error_km"].dropna() for split, report in reports.items()}
        return dg.MaterializeResult(
            data_version=data_version(at, name),
            metadata={
                "tracks": picture(lambda path: maps.tracks_sheet(examples, test.truths, path)),
                "errors": picture(lambda path: charts.error_cdf(errors, path)),
                "worst_clips": preview(test.per_clip.sort_values("median_km", ascending=False)),
                "summary": dg.MetadataValue.json(test.summary),
                **figures(reports, _of_tracks),
                "worked": any(worked),
            },
        )

    return evaluation


def data_version(at: Layout, name: str) -> dg.DataVersion:
    """The md5s of a model's reports on all splits."""
    return dg.DataVersion(
        " ".join(stage.digest(at.evaluation(name, split)) for split in inputs.SPLITS)
    )


def figures(
    reports: "Mapping[str, Report] | Mapping[str, PlaceReport]", choose: Choice
) -> dict[str, float]:
    """The chosen figures of the report on each split, as `<split>_<figure>`."""
    return {
        name: value
        for split, report in reports.items()
        for name, value in numbers(choose(report.summary), f"{split}_").items()
    }


def _of_tracks(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a report on tracks that are worth a column."""
    chosen = [name for name in summary if name.startswith("acc_") or name in SHOWN]
    return {n: summary[n] for n in chosen if not n.endswith(("_lo", "_hi"))}
