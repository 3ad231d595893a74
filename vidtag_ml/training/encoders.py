"""Training of the two small frame encoders that Flyover uses in place of CLIP and DINOv2.

Both learn, from frames rendered on the fly, where on Earth the camera is: a linear layer scores the
cells of an equal-area lattice, and the targets spread over the cells near the true place. The layer is
thrown away; the features under it are what Phase I and II see, frozen. The flights come from a seed
stream of their own, so no clip of any dataset is among them.

Belongs here: the recipe. Does not belong here: rendering (sources/flyover.py), architectures
(models/backbones.py). Shape legend: N pictures, K lattice cells, D features.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from vidtag_ml import geo
from vidtag_ml.models.backbones import EncoderSpec, FrameEncoder
from vidtag_ml.sources import flyover

_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
_OPENAI = {
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
}
SPECS = {
    "flyover_clip": EncoderSpec(
        library="open_clip",
        model="flyover_clip",
        dim=256,
        image_size=64,
        options={
            "vision_cfg": {
                "timm_model_name": "regnetx_004",
                "timm_model_pretrained": False,
                "timm_pool": "",
                "timm_proj": "linear",
                "image_size": 64,
            }
        },
        **_OPENAI,
    ),
    "flyover_dino": EncoderSpec(
        library="timm", model="resnet10t", dim=512, image_size=64, **_IMAGENET
    ),
}


@dataclass(frozen=True)
class Recipe:
    """Everything the weights of one encoder depend on."""

    seed: int = 20261122
    """Seed of flights, weather and initial weights; a stream of its own, apart from all datasets."""
    steps: int = 12000
    """Optimiser steps; the last `cooldown` share of them brings the rate down to zero."""
    batch_size: int = 256
    """Pictures in a step."""
    fresh: int = 64
    """Pictures rendered anew in a step; the others are drawn from the `pool` rendered last."""
    pool: int = 40960
    """Pictures kept for reuse."""
    learning_rate: float = 2e-3
    """Peak rate of AdamW."""
    weight_decay: float = 0.02
    """Decoupled weight decay."""
    warmup: int = 300
    """Steps of linear warm-up."""
    cooldown: float = 0.37
    """Share of the steps in which the rate falls linearly to zero."""
    num_cells: int = 36000
    """Points of the global lattice, of which those within `reach_km` of a city are classes."""
    reach_km: float = 700.0
    """A flight can leave its city this far."""
    spread_km: float = 60.0
    """Targets are proportional to exp(-distance / spread_km)."""
    bfloat16: bool = True
    """Convolutions run in bfloat16 under autocast."""


def cells(recipe: Recipe) -> np.ndarray:
    """Lattice points (K, 2) within `reach_km` of a city."""
    lattice = geo.equal_area_lattice(recipe.num_cells)
    cities = torch.from_numpy(geo.unit_vectors(flyover.places()[0])).float()
    points = torch.from_numpy(geo.unit_vectors(lattice)).float()
    limit = np.cos(recipe.reach_km / geo.EARTH_RADIUS_KM)
    near = torch.cat([(part @ cities.T).amax(1) > limit for part in points.split(4096)])
    return np.asarray(lattice[near.numpy()])


def pictures(rng: np.random.Generator, num: int) -> tuple[np.ndarray, np.ndarray]:
    """`num` frames (N, H, W, 3) of as many flights, and the places (N, 2) they show."""
    positions, headings = flyover.fly(rng, num, 20)
    at = rng.integers(20, size=num)
    one = np.arange(num)
    latlon = positions[one, at]
    seen = flyover.weather(rng, num, keep=0.0)
    return flyover.render(latlon, headings[one, at], seen, rng), latlon


def _loss(logits_NK: Tensor, latlon_N3: Tensor, cells_K3: Tensor, spread_km: float) -> Tensor:
    """Cross-entropy against targets that fall off with distance."""
    cosine = (latlon_N3 @ cells_K3.T).clamp(-1, 1)
    distance_km = torch.acos(cosine) * geo.EARTH_RADIUS_KM
    targets = functional.softmax(-distance_km / spread_km, -1)
    return functional.cross_entropy(logits_NK, targets)


class _Pool:
    """A ring of rendered pictures, already preprocessed to the encoder's size."""

    def __init__(self, encoder: FrameEncoder, recipe: Recipe, rng: np.random.Generator) -> None:
        size = encoder.spec.image_size
        self.encoder, self.recipe, self.rng = encoder, recipe, rng
        self.pictures = torch.zeros(recipe.pool, 3, size, size, dtype=torch.bfloat16)
        self.points = torch.zeros(recipe.pool, 3)
        self.filled, self.next = 0, 0

    def batch(self) -> tuple[Tensor, Tensor]:
        """A batch with `fresh` new pictures in it; fills up to a batch at the start."""
        recipe = self.recipe
        fresh = recipe.fresh if self.filled >= recipe.batch_size else recipe.batch_size
        frames, latlon = pictures(self.rng, fresh)
        at = (self.next + np.arange(fresh)) % recipe.pool
        with torch.inference_mode():
            self.pictures[at] = self.encoder.preprocess(torch.from_numpy(frames)).bfloat16()
        self.points[at] = torch.from_numpy(geo.unit_vectors(latlon)).float()
        self.next = int(at[-1] + 1) % recipe.pool
        self.filled = min(self.filled + fresh, recipe.pool)
        old = self.rng.integers(self.filled, size=recipe.batch_size - recipe.fresh)
        chosen = np.concatenate([at[: recipe.fresh], old])
        return self.pictures[chosen].float(), self.points[chosen]


def _rate(step: int, recipe: Recipe) -> float:
    """Factor on the learning rate: warm-up, plateau, linear cool-down."""
    falling = (recipe.steps - step) / max(1.0, recipe.cooldown * recipe.steps)
    return max(0.0, min(1.0, (step + 1) / recipe.warmup, falling))


def train(
    name: str,
    recipe: Recipe,
    folder: Path,
    checkpoint: Path,
    report: Callable[[int, str], None] = lambda _step, _text: None,
) -> dict[str, float]:
    """Trains the encoder `name` and writes its specification, float16 weights and model card.

    Stops and starts: the state lies in `checkpoint` every 250 steps, and an existing one is resumed.
    A longer or shorter `recipe.steps` may be given on resuming, as long as the cool-down is ahead.

    Args:
        name: a key of SPECS.
        recipe: settings; stored in the card.
        folder: receives NAME.json, NAME.safetensors and NAME.md.
        checkpoint: file for the training state.
        report: called with the step and a line of text now and then.

    Returns:
        median error in km of the best cell on frames of unseen flights, frames seen, seconds.
    """
    torch.manual_seed(recipe.seed)
    spec = SPECS[name]
    encoder = FrameEncoder(spec).to(memory_format=torch.channels_last)
    latlon_K2 = cells(recipe)
    cells_K3 = torch.from_numpy(geo.unit_vectors(latlon_K2)).float()
    head = nn.Linear(spec.dim, len(latlon_K2))
    model = nn.ModuleDict({"encoder": encoder, "head": head})
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.998))
    decay = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {"params": decay, "weight_decay": recipe.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate)
    start, seconds = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        start, seconds = state["step"], state["seconds"]
    pool = _Pool(encoder, recipe, np.random.default_rng([recipe.seed, start, len(name)]))
    began, running = time.monotonic() - seconds, 0.0
    for step in range(start, recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * _rate(step, recipe)
        model.train()
        pictures_N3SS, points_N3 = pool.batch()
        pictures_N3SS = pictures_N3SS.to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
            features = encoder(pictures_N3SS)
            logits = head(features)
        loss = _loss(logits.float(), points_N3, cells_K3, recipe.spread_km)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update_parameters(model)
        running = 0.98 * running + 0.02 * loss.item() if running else loss.item()
        if (step + 1) % 250 == 0 or step + 1 == recipe.steps:
            spent = time.monotonic() - began
            text = f"loss {running:.3f}"
            if (step + 1) % 1000 == 0:
                text += f", unseen flights: median {_median_km(model, latlon_K2, 1024):.0f} km"
            rate = (step + 1) * recipe.batch_size / spent
            report(step + 1, f"{text}, {rate:.0f} frames/s")
            _save(checkpoint, model, average, optimizer, step + 1, spent)
    update_bn((pool.batch()[0] for _ in range(64)), average.module["encoder"])
    figures = {
        "median_km": _median_km(average.module, latlon_K2, 4096),
        "frames": float(recipe.steps * recipe.batch_size),
        "seconds": time.monotonic() - began,
    }
    _publish(name, average.module["encoder"], recipe, figures, folder)
    return figures


def _save(
    path: Path,
    model: nn.Module,
    average: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    seconds: float,
) -> None:
    aside = path.with_suffix(".part")
    state = {
        "model": model.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "seconds": seconds,
    }
    torch.save(state, aside)
    aside.replace(path)


def _median_km(model: nn.ModuleDict, latlon_K2: np.ndarray, num: int) -> float:
    """Median distance of the best cell from the truth on `num` frames of flights never trained on."""
    frames, truth = pictures(np.random.default_rng(987654321), num)
    training = model.training
    model.eval()
    encoder, head = model["encoder"], model["head"]
    best = []
    with torch.inference_mode():
        for part in torch.from_numpy(frames).split(256):
            best.append(head(encoder(encoder.preprocess(part))).argmax(1))
    model.train(training)
    predicted = latlon_K2[torch.cat(best).numpy()]
    return float(np.median(geo.great_circle_km(predicted, truth)))


def _publish(
    name: str, encoder: nn.Module, recipe: Recipe, figures: dict[str, float], folder: Path
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    SPECS[name].write(folder / f"{name}.json")
    weights = {
        key: value.half().contiguous() if value.is_floating_point() else value
        for key, value in encoder.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    save_file(weights, folder / f"{name}.safetensors")
    card = {"encoder": name, "recipe": asdict(recipe), "figures": figures}
    (folder / f"{name}.card.json").write_text(json.dumps(card, indent=2) + "\n")


def load(folder: Path, name: str) -> FrameEncoder:
    """The published encoder `name` in float32, frozen and in evaluation mode."""
    encoder = FrameEncoder(EncoderSpec.read(folder / f"{name}.json"))
    weights = load_file(folder / f"{name}.safetensors")
    encoder.load_state_dict({k: v.float() for k, v in weights.items()}, strict=False)
    return encoder.eval().requires_grad_(False)
