"""The stage that trains the classifier; as in workflow/inputs.py.

Belongs here: its key. Does not belong here: the training (train.py).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from vidtag_ml import config
from vidtag_ml.models.gps_retrieval import stages as gps_stages
from vidtag_ml.workflow import layout, stage

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger


def classifier(
    root: Path, params: config.Params, logger: "Logger | None" = None, variant: str = ""
) -> bool:
    """Makes `out/classifier/`: cells of train coordinates, told from one encoder's features."""
    at = layout.of(root, params, variant)

    def build(aside: Path) -> None:
        from vidtag_ml.models.classifier.train import train_classifier

        store, tables, _ = gps_stages.training_data(at)
        train_classifier(params, store, tables, aside, logger)

    return stage.make(
        at.model("classifier"), gps_stages.training_key(at, params, "classifier"), build
    )
