"""The stage that trains GeoCLIP; as in workflow/inputs.py.

Belongs here: its key. Does not belong here: the training (train.py).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from vidtag_ml import config
from vidtag_ml.models.gps_retrieval import stages as gps_stages
from vidtag_ml.workflow import layout, stage

if TYPE_CHECKING:
    from pytorch_lightning.loggers import Logger


def geoclip(
    root: Path, params: config.Params, logger: "Logger | None" = None, variant: str = ""
) -> bool:
    """Makes `out/geoclip/`: the baseline that sees single frames."""
    at = layout.of(root, params, variant)
    starts = gps_stages.start_files(at, params, params.geoclip)

    def build(aside: Path) -> None:
        from vidtag_ml.models.geoclip.train import train_geoclip

        train_geoclip(params, *gps_stages.training_data(at), starts, aside, logger)

    return stage.make(
        at.model("geoclip"), gps_stages.training_key(at, params, "geoclip", *starts), build
    )
