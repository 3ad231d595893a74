"""Training: each phase and each baseline as an asset, with its run in MLflow.

Belongs here: the factory of training assets, assets phase_one_model, phase_two_model, geoclip_model
and cityguessr_model, what is the same in all training. Does not belong here: GAMa's assets
(cross_view.py), the training itself (vidtag_ml.training).
"""

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path

import dagster as dg

from vidtag_assets import provenance
from vidtag_assets.dataset import clips, hierarchy
from vidtag_assets.features import frame_features
from vidtag_assets.gallery import gps_gallery
from vidtag_assets.metadata import OWNERS, picture
from vidtag_assets.resources import Dvc, ParamsFile, Tracking, Workspace
from vidtag_ml import code_key, config, place_stages, stage, stages
from vidtag_ml.layout import Layout

Stage = Callable[..., bool]
"""A stage that takes workspace, params and a logger, and says whether it had to work."""
WEIGHTS = "model.safetensors"
LOSSES = "losses.csv"


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


phase_one_model = training_asset(
    "phase_one",
    stages.phase_one,
    [frame_features, gps_gallery],
    """VidTAG after Phase I: frames, seen together, and coordinates meet in one space.

    **When it fails:** out of memory (a smaller `phase_one.batch_size`), or features are missing.
    Materialize again: training goes on from its newest checkpoint and ends as if never stopped.
    """,
)
phase_two_model = training_asset(
    "phase_two",
    stages.phase_two,
    [phase_one_model],
    """VidTAG after Phase II: its refiner straightens noisy tracks. This is the model that is used.

    **When it fails:** as in Phase I; materialize again and it goes on from its checkpoint.
    """,
)
geoclip_model = training_asset(
    "geoclip",
    stages.geoclip,
    [frame_features, gps_gallery],
    """GeoCLIP fine-tuned on the same frames: the baseline that sees one picture at a time.

    **When it fails:** as in Phase I; materialize again and it goes on from its checkpoint.
    """,
)
cityguessr_model = training_asset(
    "cityguessr",
    place_stages.cityguessr,
    [clips, hierarchy, frame_features],
    """CityGuessr: which city, state, country and continent a video is from.

    **When it fails:** weights to start from, features or scene labels are missing; the message
    names them and what makes them. Materialize again: it goes on from its newest checkpoint.
    """,
)


def run_of(tracking: Tracking, at: Layout, name: str) -> str | None:
    """Id of the MLflow run that trained the weights which now lie in the workspace."""
    weights = _folder(at, name) / WEIGHTS
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
    folder = _folder(at, name)
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

    folder = _folder(at, name)
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


def _folder(at: Layout, name: str) -> Path:
    """Where the stage of that name puts its model."""
    return at.model({"phase_two": "vidtag"}.get(name, name))


def _draw_losses(name: str, table: Path, path: Path) -> None:
    from vidtag_ml import plots

    plots.loss_curves({name: table}, path, f"Losses of {name}")
