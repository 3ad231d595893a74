"""The stages of VidTAG: two trainings and the bundle; as in workflow/inputs.py.

Belongs here: keys, and one short function a stage. Does not belong here: evaluation
(gps_retrieval/stages.py), what a stage does (its module).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_ml import config
from vidtag_ml.models.gps_retrieval import stages as gps_stages
from vidtag_ml.workflow import code_key, inputs, layout, stage
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

TRAINED_BY = "vidtag train phase-two"
"""The command that makes the model that is evaluated and bundled."""


def phase_one(
    root: Path, params: config.Params, logger: "Logger | None" = None, variant: str = ""
) -> bool:
    """Makes `out/phase_one/`: VidTAG without its refiner, frames and coordinates aligned."""
    at = layout.of(root, params, variant)
    starts = gps_stages.start_files(at, params, params.phase_one)

    def build(aside: Path) -> None:
        from vidtag_ml.models.vidtag.phase_one import train_phase_one

        train_phase_one(params, *gps_stages.training_data(at), starts, aside, logger)

    return stage.make(
        at.model("phase_one"), gps_stages.training_key(at, params, "phase_one", *starts), build
    )


def phase_two(
    root: Path,
    params: config.Params,
    logger: "Logger | None" = None,
    variant: str = "",
    first: str = "",
) -> bool:
    """Makes `out/phase_two/`: VidTAG with its refiner, on the Phase I of the variant `first`."""
    at = layout.of(root, params, variant)
    of_first = layout.of(root, params, first).model("phase_one")
    numbers = range(params.phase_two.cross_fit_parts)
    key = {
        **gps_stages.training_key(at, params, "phase_two"),
        "alignment": config.as_dict(params.phase_one),
        "first": inputs.model_digest(of_first, "vidtag train phase-one"),
        "parts": [_part_key(at, params, number) for number in numbers],
    }

    def build(aside: Path) -> None:
        from vidtag_ml.models.vidtag.phase_two import train_phase_two

        parts = [phase_one_part(root, params, number, logger, first) for number in numbers]
        data = gps_stages.training_data(at)
        train_phase_two(params, of_first, *data, aside, logger, parts=parts)

    return stage.make(at.model("vidtag"), key, build)


def phase_one_part(
    root: Path, params: config.Params, part: int, logger: "Logger | None" = None, variant: str = ""
) -> Path:
    """The folder of Phase I without a part of the train clips, made if need be."""
    at = layout.of(root, params, variant)
    starts = gps_stages.start_files(at, params, params.phase_one)

    def build(aside: Path) -> None:
        from vidtag_ml.models.vidtag import cross_fit
        from vidtag_ml.models.vidtag.phase_one import train_phase_one

        store, tables, points = gps_stages.training_data(at)
        tables = cross_fit.without(tables, part, params.phase_two.cross_fit_parts)
        train_phase_one(params, store, tables, points, starts, aside, logger)

    stage.make(at.phase_one_part(part), _part_key(at, params, part), build)
    return at.phase_one_part(part)


def _part_key(at: Layout, params: config.Params, part: int) -> dict[str, Any]:
    starts = gps_stages.start_files(at, params, params.phase_one)
    return {
        **gps_stages.training_key(at, params, "phase_one", *starts),
        "part": [part, params.phase_two.cross_fit_parts],
        **code_key.of("phase_one_part"),
    }


def bundle_vidtag(root: Path, params: config.Params) -> bool:
    """Makes `out/bundle/`: all that `vidtag locate` needs, in one folder."""
    at, folder = layout.of(root, params), root / params.features.encoders_dir
    made_from = {
        "dataset": at.source,
        "tables": inputs.tables_digest(at.dataset),
        "gallery": inputs.input_digest(at.gallery, "vidtag gallery"),
        "model": inputs.model_digest(at.model("vidtag"), TRAINED_BY),
        "encoders": inputs.encoders_digest(folder, params.features.encoders),
    }
    key = {
        **made_from,
        "features": config.as_dict(params.features),
        "stored_features": inputs.input_digest(at.features, "vidtag features"),
        "evaluation": config.as_dict(params.evaluation),
        "max_gap_s": params.clips.max_gap_s,
        **code_key.of("bundle_vidtag"),
    }

    def build(aside: Path) -> None:
        from vidtag_ml.dataset import tables
        from vidtag_ml.models.vidtag import locator
        from vidtag_ml.retrieval import motion

        gps_stages.evaluate_model("vidtag", TRAINED_BY, root, params, "val")
        told = tables.read(at.dataset)
        mode = str(told.clips["mode"].mode()[0])
        locator.write_bundle(
            at.model("vidtag"),
            at.gallery,
            folder,
            params,
            aside,
            mode=mode,
            wander_kms=motion.learnt(told).get(mode),
            calibrated=gps_stages.calibrated(at, "vidtag"),
            provenance=made_from,
        )

    return stage.make(at.bundle, key, build)
