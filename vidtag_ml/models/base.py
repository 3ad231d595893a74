"""What all networks share: their interface, and files on disk.

Belongs here: `Model`, `save`. Does not belong here: any layers, models that embed coordinates
(gps_retrieval/network.py), reading a model of any kind (networks.py).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from safetensors.torch import save_file
from torch import nn

from vidtag_ml import config


class Model(nn.Module):
    """A network that a folder can hold: weights, sizes, and which encoders' features it reads."""

    name: ClassVar[str]
    """Key in `vidtag_ml.models.networks.constructors()`; stored in model.json."""
    sizes_type: ClassVar[type]
    """Dataclass of `sizes`."""

    def __init__(self, sizes: Any, widths: Mapping[str, int]) -> None:
        """Notes what the model is made of.

        Args:
            sizes: of type `sizes_type`; stored in model.json.
            widths: encoder name -> number of its features, in the order in which they come.
        """
        super().__init__()
        self.sizes, self.widths = sizes, dict(widths)
        self.num_features = sum(self.widths.values())

    def metadata(self) -> dict[str, str] | None:
        """What the file of weights says of them, for those who start from a part."""
        return None


def save(model: Model, folder: Path) -> None:
    """Writes model.json (name, sizes) and model.safetensors into `folder`, made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    card = {
        "name": model.name,
        "config": config.as_dict(model.sizes),
        "widths": model.widths,
    }
    (folder / "model.json").write_text(json.dumps(card, indent=2) + "\n")
    weights = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata=model.metadata())
