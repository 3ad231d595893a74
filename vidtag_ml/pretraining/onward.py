"""Training the frame encoders on, under their heads, on frames that passed through a video codec.

Frames of clips are H.264, which blurs what small pictures tell; encoders that have never seen it
lose a part of what they know there (docs/decisions/0055). The head and the GPS encoder that were
trained over the encoder (alignment.py) score the lattice's cells, so nothing begins at random.

Belongs here: the recipe. Does not belong here: steps, pool and checkpoint (frames.py), the heads
(alignment.py), which are trained anew afterwards. Shape legend: N pictures, K lattice cells,
D features, E common space, S pixels of a side, 2 = (lat, lon) in degrees.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vidtag_ml import config
from vidtag_ml.encoders import frames as frame_encoders
from vidtag_ml.ingest.flyover.camera import Frames
from vidtag_ml.models.gps_retrieval import contrastive
from vidtag_ml.models.vidtag.network import VidTAG
from vidtag_ml.pretraining import alignment, frames
from vidtag_ml.pretraining.frames import Classifier, Floats, Recipe, Run

RECIPES = {
    name: replace(
        frames.RECIPES[name],
        steps=steps,
        learning_rate=1e-3,
        seed=20261201,
        warmup=100,
        cooldown=0.75,
    )
    for name, steps in (("flyover_clip", 1500), ("flyover_dino", 1000))
}
"""What the weights in data/encoders were trained on with."""
_HEADING = "\n## Trained on\n"


class Cells(nn.Module):
    """A model over one encoder as a scorer of cells, which lie where its GPS encoder puts them."""

    cells_KE: Tensor

    def __init__(self, model: VidTAG, places_K2: Floats) -> None:
        """Takes the model's head and temperature; where cells lie stays as it is."""
        super().__init__()
        self.model = model
        with torch.no_grad():
            places = torch.from_numpy(places_K2).float()
            parts = [model.embed_locations(part_N2) for part_N2 in torch.split(places, 4096)]
        self.register_buffer("cells_KE", torch.cat(parts))

    def forward(self, features_ND: Tensor) -> Tensor:
        """Logits (N, K) of features."""
        valid_N1 = torch.ones(len(features_ND), 1, dtype=torch.bool)
        time_N1 = torch.zeros(len(features_ND), 1)
        frames_NE = self.model.embed_frames(features_ND[:, None], valid_N1, time_N1)[:, 0]
        return self.model.scale() * frames_NE @ self.cells_KE.T


def train(
    name: str,
    recipe: Recipe,
    sizes: config.Model,
    folder: Path,
    checkpoint: Path,
    report: Callable[[int, str], None] = lambda _step, _text: None,
) -> dict[str, float]:
    """Trains the encoder `name` of `folder` on; replaces its weights, and adds to its card.

    Stops and starts as `frames.train` does. The heads in `folder` are of the encoder as it was:
    train them anew afterwards.

    Args:
        name: a key of RECIPES.
        recipe: settings; stored in the card.
        sizes: of the model that head and GPS encoder in `folder` belong to.
        folder: holds the encoder, `flyover_heads` and `flyover_location`.
        checkpoint: file for the training state.
        report: called with the step and a line of text now and then.

    Returns:
        median_km and acc_200km of the best cell on frames of unseen flights, frames, seconds.
    """
    encoder = frame_encoders.load(folder, name).requires_grad_(True)
    model = VidTAG(replace(sizes, temporal_layers=0), {name: encoder.spec.dim})
    contrastive.start_from(model, folder / f"{alignment.LOCATION}.safetensors")
    heads = folder / f"{alignment.HEADS}.safetensors"
    contrastive.load_image(model.head, heads, model.name, (name,))
    classifier = Classifier(encoder, Cells(model, frames.cells(recipe)))
    before = (folder / f"{name}.md").read_text().partition(_HEADING)[0]
    with tempfile.TemporaryDirectory() as scratch:

        def coded(rng: np.random.Generator, num: int) -> tuple[Frames, Floats]:
            rendered, latlon_N2 = frames.pictures(rng, num)
            return frames.through_codec(rendered, Path(scratch) / "frames.mp4"), latlon_N2

        average, figures = frames.settle(Run(classifier, recipe, checkpoint, coded), report)
    frames.publish(name, average.encoder, folder, before + _HEADING + _said(recipe, figures))
    return figures


def _said(recipe: Recipe, figures: Mapping[str, float]) -> str:
    """What the card says of it, as Markdown."""
    fresh = 100 * recipe.fresh / recipe.batch_size
    return f"""
Then trained on by `vidtag train-encoders --onward`, under its head of flyover_heads and the cells
where flyover_location puts them, on frames that passed through H.264 as those of clips do: it was
shown {figures["frames"]:,.0f} pictures of other flights, {fresh:.0f} % of them new and the others
shown before, in {figures["seconds"] / 60:.0f} minutes on one shared CPU core. Of
{frames.NUM_UNSEEN:,} frames of as many unseen flights, through H.264, it placed the median one
{figures["median_km"]:.0f} km off by the best cell, {100 * figures["acc_200km"]:.1f} % of them
within 200 km. The figures above are of frames that were never coded.

Recipe:

```json
{json.dumps(asdict(recipe), indent=2)}
```
"""
