"""The stages of revisit: references, reports, the bundle; as in workflow/inputs.py.

Belongs here: keys, and one short function a stage. Does not belong here: what a stage does (its
module).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_ml import config
from vidtag_ml.workflow import code_key, inputs, layout, stage
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger

    from vidtag_ml.models.revisit.evaluate import Measured

_COMMAND = "vidtag train revisit"


def revisit(
    root: Path, params: config.Params, logger: "Logger | None" = None, variant: str = ""
) -> bool:
    """Makes `out/revisit/`: the references of the train clips, and when they are believed."""
    at = layout.of(root, params, variant)

    def build(aside: Path) -> None:
        from vidtag_ml.dataset import tables
        from vidtag_ml.features.store import FeatureStore
        from vidtag_ml.models.revisit.train import train_revisit

        store, told = FeatureStore.open(at.features), tables.read(at.dataset)
        gap_s = params.clips.max_gap_s
        losses = train_revisit(params.revisit, store, told, at.dataset, gap_s, aside)
        if logger:
            logger.log_metrics(losses)

    key = _data_key(at, params) | code_key.of("revisit")
    return stage.make(at.model("revisit"), key, build)


def evaluate_revisit(
    root: Path, params: config.Params, split: str = "test", variant: str = ""
) -> bool:
    """Makes `out/evaluation/revisit/<split>/`: places found, and others left without a position."""
    inputs.check_split(split)
    at = layout.of(root, params, variant)
    key = {
        **_data_key(at, params),
        "model": inputs.model_digest(at.model("revisit"), _COMMAND),
        "max_speed_kmh": dict(params.evaluation.max_speed_kmh),
        "draws": params.evaluation.bootstrap_draws,
        "split": split,
        **code_key.of("evaluate_revisit"),
    }

    def build(aside: Path) -> None:
        from vidtag_ml.models import networks
        from vidtag_ml.models.revisit.evaluate import report_on
        from vidtag_ml.models.revisit.network import Revisit

        model = networks.read(at.model("revisit"))
        assert isinstance(model, Revisit)
        report_on(model, params.revisit, measured(at, params), split, "revisit").write(aside)

    return stage.make(at.evaluation("revisit", split), key, build)


def bundle_revisit(root: Path, params: config.Params) -> bool:
    """Makes `out/revisit_bundle/`: all that `vidtag locate --model revisit` needs."""
    at, folder = layout.of(root, params), root / params.features.encoders_dir
    made_from = {
        "dataset": at.source,
        "tables": inputs.tables_digest(at.dataset),
        "model": inputs.model_digest(at.model("revisit"), _COMMAND),
        "encoders": inputs.encoders_digest(folder, [params.revisit.encoder]),
    }
    key = {
        **made_from,
        "features": config.as_dict(params.features),
        "revisit": config.as_dict(params.revisit),
        "evaluation": config.as_dict(params.evaluation),
        **code_key.of("bundle_revisit"),
    }

    def build(aside: Path) -> None:
        from vidtag_ml.dataset import tables
        from vidtag_ml.models.revisit import locator

        clips = tables.read(at.dataset).clips
        mode = str(clips.loc[clips["split"] == "train", "mode"].mode()[0])
        locator.write_bundle(at.model("revisit"), folder, params, aside, mode, made_from)

    return stage.make(bundle_folder(at), key, build)


def bundle_folder(at: Layout) -> Path:
    """Where the bundle lies."""
    return at.root / "out" / "revisit_bundle"


def measured(at: Layout, params: config.Params) -> "Measured":
    """What a report reads in a workspace."""
    from vidtag_ml.dataset import tables
    from vidtag_ml.features.store import FeatureStore
    from vidtag_ml.models.revisit.evaluate import Measured

    return Measured(
        FeatureStore.open(at.features),
        tables.read(at.dataset),
        at.dataset,
        params.clips.max_gap_s,
        params.evaluation.max_speed_kmh,
        params.evaluation.bootstrap_draws,
    )


def _data_key(at: Layout, params: config.Params) -> dict[str, Any]:
    """What references and reports depend on, but for code; md5s in the tables tell of pixels."""
    return {
        "tables": inputs.tables_digest(at.dataset),
        "features": inputs.input_digest(at.features, "vidtag features"),
        "params": config.as_dict(params.revisit),
        "max_gap_s": params.clips.max_gap_s,
    }
