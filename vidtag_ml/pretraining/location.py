"""Pretraining of the GPS encoder that Flyover's models start from.

The paper starts Phase I from the GPS encoder of the released GeoCLIP, which has seen the world;
a few thousand clips have not. This makes the same start for Flyover: GeoCLIP's objective, with the
frozen frame encoders, on single frames of flights from a seed stream that no dataset uses.

Belongs here: the recipe. Does not belong here: the encoder (encoders/location.py), rendering. Shape
legend: N frames, M random places, D features, E common space, 2 = (lat, lon) in degrees.
"""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from vidtag_ml import config
from vidtag_ml.earth.sphere import EARTH_RADIUS_KM
from vidtag_ml.encoders import frames as frame_encoders
from vidtag_ml.encoders.location import LocationEncoder
from vidtag_ml.models.gps_retrieval import losses
from vidtag_ml.pretraining import frames as pretraining_frames
from vidtag_ml.workflow import stage

NAME = "flyover_location"
_CHUNK = 512


@dataclass(frozen=True)
class Recipe:
    """Everything the weights depend on, beside the frame encoders and the sizes."""

    frames: int = 100_352
    """Frames rendered and encoded once."""
    steps: int = 1500
    """Optimiser steps; the rate falls to zero along a quarter of a cosine."""
    batch_size: int = 1024
    """Frames a step."""
    num_random_negatives: int = 1024
    """Lattice points a step, beside the frames' own places."""
    learning_rate: float = 2e-3
    """Peak rate of AdamW."""
    weight_decay: float = 0.01
    """Decoupled weight decay."""
    spread_km: float = 60.0
    """Targets are proportional to exp(-distance / spread_km)."""
    hidden: int = 512
    """Width of the hidden layer between features and the common space; thrown away."""
    seed: int = 20261123
    """Seed of flights, weather, batches and initial weights; a stream apart from all datasets."""


def train(
    folder: Path,
    sizes: config.Model,
    names: tuple[str, ...],
    recipe: Recipe,
    report: Callable[[int, str], None] = lambda _step, _text: None,
) -> dict[str, float]:
    """Trains the GPS encoder; writes flyover_location.safetensors (float16) and its card.

    Args:
        folder: holds the frame encoders; receives the files.
        sizes: `embed_dim` and `location` are read.
        names: frame encoders whose features are concatenated.
        recipe: settings; stored in the card.
        report: called with the step and a line of text now and then.

    Returns:
        loss of the last steps and seconds.
    """
    began = time.monotonic()
    frames_ND, latlon_N2 = _frames(folder, names, recipe, report)
    torch.manual_seed(recipe.seed)
    location = LocationEncoder(sizes.location, sizes.embed_dim)
    head = nn.Sequential(
        nn.Linear(frames_ND.shape[1], recipe.hidden),
        nn.Mish(),
        nn.Linear(recipe.hidden, sizes.embed_dim),
    )
    log_scale = nn.Parameter(torch.tensor(np.log(1 / 0.07)).float())
    trained = [*location.parameters(), *head.parameters(), log_scale]
    optimizer = torch.optim.AdamW(
        trained, lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    lattice_M2 = torch.from_numpy(pretraining_frames.cells(pretraining_frames.RECIPES[names[0]]))
    generator, running = torch.Generator().manual_seed(recipe.seed), 0.0
    for step in range(recipe.steps):
        rate = np.cos(0.5 * np.pi * step / recipe.steps) * min(1.0, (step + 1) / 100)
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * rate
        rows = torch.randint(len(frames_ND), (recipe.batch_size,), generator=generator)
        others = torch.randint(len(lattice_M2), (recipe.num_random_negatives,), generator=generator)
        places_X2 = torch.cat([latlon_N2[rows], lattice_M2[others]])
        v_NE = functional.normalize(head(frames_ND[rows].float()), dim=-1)
        g_XE = functional.normalize(location(places_X2.float()), dim=-1)
        num = recipe.batch_size
        loss = losses.contrastive(
            v_NE,
            g_XE[:num],
            log_scale.clamp(max=np.log(100)).exp(),
            negatives_ME=g_XE[num:],
            distance_NX=losses.distance_km(places_X2[:num], places_X2),
            soft_targets_km=recipe.spread_km,
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        running = 0.98 * running + 0.02 * loss.item() if running else loss.item()
        if (step + 1) % 100 == 0:
            report(step + 1, f"loss {running:.3f}")
    figures = {"loss": running, "seconds": time.monotonic() - began}
    _publish(folder, location, log_scale, asdict(recipe), figures)
    return figures


def _frames(
    folder: Path, names: tuple[str, ...], recipe: Recipe, report: Callable[[int, str], None]
) -> tuple[Tensor, Tensor]:
    """Normalised features (N, D), float16, and places (N, 2) of rendered frames."""
    loaded = [
        frame_encoders.load(folder, name).to(memory_format=torch.channels_last) for name in names
    ]

    def chunk(index: int) -> tuple[Tensor, Tensor]:
        torch.set_num_threads(1)  # of this worker: two of them share the cores
        frames, latlon = pretraining_frames.pictures(
            np.random.default_rng([recipe.seed, index]), _CHUNK
        )
        with torch.inference_mode():
            parts = [e(e.preprocess(torch.from_numpy(frames))) for e in loaded]
            fused = functional.normalize(torch.cat(parts, -1), dim=-1)
        return fused.half(), torch.from_numpy(latlon)

    made = []
    with ThreadPoolExecutor(2) as pool:
        for part in pool.map(chunk, range(recipe.frames // _CHUNK)):
            made.append(part)
            if len(made) % 20 == 0:
                report(0, f"{len(made) * _CHUNK} of {recipe.frames} frames encoded")
    features, latlon = zip(*made, strict=True)
    return torch.cat(features).clone(), torch.cat(latlon).clone()


def _publish(
    folder: Path,
    location: LocationEncoder,
    log_scale: Tensor,
    recipe: dict[str, float],
    figures: dict[str, float],
) -> None:
    weights = {k: v.detach().half().contiguous() for k, v in location.state_dict().items()}
    weights["logit_scale"] = log_scale.detach().clone()
    with stage.replacing(folder / f"{NAME}.safetensors") as aside:
        save_file(weights, aside)
    card = f"""# {NAME}

The GPS encoder from which Flyover's models start, as the paper starts from the released GeoCLIP:
(lat, lon) in, {weights["branches.0.layers.6.weight"].shape[0]} numbers out, float16. Trained by
`vidtag train-encoders {NAME}` with GeoCLIP's objective on single frames of flights from a seed
stream that no dataset uses, in {figures["seconds"] / 60:.0f} minutes on two CPU cores.
Loss at the end: {figures["loss"]:.3f} ({EARTH_RADIUS_KM} km Earth). Not for any other imagery.

Recipe:

```json
{json.dumps(recipe, indent=2)}
```
"""
    stage.write_text(folder / f"{NAME}.md", card)
