"""The stages of CityGuessr: training, reports, the bundle; as in workflow/inputs.py.

Belongs here: keys, and one short function a stage. Does not belong here: what a stage does (its
module), where its output lies (workflow/layout.py), the mechanics of skipping (workflow/stage.py).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_ml import config
from vidtag_ml.workflow import code_key, inputs, layout, stage
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

    from vidtag_ml.models.cityguessr.sources import Sources


_COMMAND = "vidtag train cityguessr"


def cityguessr(
    root: Path, params: config.Params, logger: "Logger | None" = None, variant: str = ""
) -> bool:
    """Makes `out/cityguessr/`: videos and the city, state, country and continent they are from."""
    at = layout.of(root, params, variant)

    def build(aside: Path) -> None:
        from vidtag_ml.models.cityguessr.train import train_cityguessr

        train_cityguessr(params.cityguessr, guess_sources(at, params), aside, logger)

    key = _guess_key(at, params) | code_key.of("cityguessr")
    return stage.make(at.model("cityguessr"), key, build)


def evaluate_cityguessr(
    root: Path, params: config.Params, split: str = "test", variant: str = ""
) -> bool:
    """Makes `out/evaluation/cityguessr/<split>/`: figures and answers of CityGuessr.

    That of val also holds what tells which videos the model knows; that of test uses it.
    """
    at = layout.of(root, params, variant)
    inputs.check_split(split)
    key = {
        **_guess_key(at, params),
        "model": inputs.model_digest(at.model("cityguessr"), _COMMAND),
        "params": config.as_dict(params.cityguessr),
        "draws": params.evaluation.bootstrap_draws,
        "split": split,
        **code_key.of("evaluate_cityguessr"),
    }

    def build(aside: Path) -> None:
        from vidtag_ml.models.cityguessr import evaluate, inference, knowing
        from vidtag_ml.models.familiarity import FOLDER, Familiarity

        model, sources = inference.load(at.model("cityguessr")), guess_sources(at, params)
        settings, draws = params.cityguessr, params.evaluation.bootstrap_draws
        known = None
        if split == "val":
            known = knowing.learnt(model, settings, sources)
            known.write(aside / FOLDER)
        elif not variant:
            evaluate_cityguessr(root, params, "val")
            known = Familiarity.read(_known(at))
        evaluate.report_on(model, settings, sources, split, draws, known).write(aside)

    return stage.make(at.evaluation("cityguessr", split), key, build)


def bundle_cityguessr(root: Path, params: config.Params) -> bool:
    """Makes `out/guess_bundle/`: all that `vidtag locate --model cityguessr` needs."""
    at, folder = layout.of(root, params), root / params.features.encoders_dir
    encoders = params.cityguessr.encoders if params.cityguessr.backbone == "frames" else ()
    made_from = {
        "dataset": at.source,
        "tables": inputs.tables_digest(at.dataset),
        "model": inputs.model_digest(at.model("cityguessr"), _COMMAND),
        "encoders": inputs.encoders_digest(folder, encoders),
    }
    key = {
        **made_from,
        "features": config.as_dict(params.features),
        "cityguessr": config.as_dict(params.cityguessr),
        "seen": _guess_key(at, params),
        **code_key.of("bundle_cityguessr"),
    }

    def build(aside: Path) -> None:
        from vidtag_ml.models.cityguessr import locator

        evaluate_cityguessr(root, params, "val")
        model, known = at.model("cityguessr"), _known(at)
        locator.write_bundle(model, folder, params, aside, known, made_from)

    return stage.make(at.guess_bundle, key, build)


def _known(at: Layout) -> Path:
    """Where the report on val keeps what tells which videos the model knows."""
    from vidtag_ml.models.familiarity import FOLDER

    return at.evaluation("cityguessr", "val") / FOLDER


def guess_sources(at: Layout, params: config.Params) -> "Sources":
    """What CityGuessr reads in a workspace."""
    from vidtag_ml.dataset import hierarchy, tables
    from vidtag_ml.features.store import FeatureStore
    from vidtag_ml.models.cityguessr.sources import Sources

    cached = params.cityguessr.backbone == "frames"
    return Sources(
        tables.read(at.dataset),
        at.dataset,
        hierarchy.Hierarchy.of(hierarchy.read(at.hierarchy)),
        FeatureStore.open(at.features) if cached else None,
        at.root / params.features.encoders_dir,
    )


def _guess_key(at: Layout, params: config.Params) -> dict[str, Any]:
    """What CityGuessr depends on, but for code; md5s in the tables tell of its pixels."""
    settings, folder = params.cityguessr, at.root / params.features.encoders_dir
    names = [n for n in (settings.start, settings.text) if n not in (None, "seeded")]
    scenes = at.dataset / "scenes.parquet"
    return {
        "tables": inputs.tables_digest(at.dataset),
        "hierarchy": inputs.input_digest(at.hierarchy, "vidtag hierarchy"),
        "scenes": stage.digest(scenes) if scenes.exists() else None,
        "features": inputs.input_digest(at.features, "vidtag features")
        if settings.backbone == "frames"
        else None,
        "starts": [
            inputs.input_digest(folder / f"{name}.{kind}", f"vidtag weights fetch {name}")
            for name in names
            for kind in ("json", "safetensors")
        ],
        "params": config.as_dict(config.part(settings, config.CityGuessrTraining)),
    }
