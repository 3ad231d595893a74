"""Training of the two small frame encoders that Flyover uses in place of CLIP and DINOv2.

Both learn, from frames rendered on the fly, where on Earth the camera is: a linear layer scores the
cells of an equal-area lattice, and the targets spread over the cells near the true place. The layer
is thrown away; the features under it are what Phase I and II see, frozen. The flights come from a
seed stream of their own, so no clip of any dataset is among them.

Belongs here: the recipe. Does not belong here: rendering (ingest/flyover/camera.py), architectures
and loading (encoders/frames.py), training on (onward.py). Shape legend: N pictures, K lattice
cells, S pixels of a side, 2 = (lat, lon) in degrees, 3 = red, green, blue or x, y, z.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from vidtag_ml.earth import geonames, sphere
from vidtag_ml.encoders import frames as frame_encoders
from vidtag_ml.encoders.frames import EncoderSpec, FrameEncoder
from vidtag_ml.ingest.flyover import camera
from vidtag_ml.media import encoding, video
from vidtag_ml.workflow import stage

SPECS = {
    "flyover_clip": EncoderSpec(
        library="open_clip",
        model="flyover_clip",
        dim=256,
        image_size=64,
        mean=frame_encoders.OPENAI_MEAN,
        std=frame_encoders.OPENAI_STD,
        options={
            "vision_cfg": {
                "timm_model_name": "regnetx_004",
                "timm_model_pretrained": False,
                "timm_pool": "",
                "timm_proj": "linear",
                "image_size": 64,
            }
        },
    ),
    "flyover_dino": EncoderSpec(
        library="timm",
        model="resnet10t",
        dim=512,
        image_size=64,
        mean=frame_encoders.IMAGENET_MEAN,
        std=frame_encoders.IMAGENET_STD,
    ),
}
_UNSEEN_SEED = 987654321
NUM_UNSEEN = 8192
_REPORT_EVERY = 250
_FPS = 25.0

Floats = NDArray[np.float64]
Render = Callable[[np.random.Generator, int], tuple[camera.Frames, Floats]]
"""Makes so many frames (N, S, S, 3), and the places (N, 2) that they show."""


@dataclass(frozen=True)
class Recipe:
    """Everything the weights of one encoder depend on."""

    steps: int
    """Optimiser steps; the last `cooldown` share of them brings the rate down to zero."""
    seed: int = 20261122
    """Seed of flights, weather and initial weights; a stream apart from all datasets."""
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


RECIPES = {"flyover_clip": Recipe(steps=3200), "flyover_dino": Recipe(steps=2300)}
"""What the weights in data/encoders were trained with, before they were trained on."""


class Classifier(nn.Module):
    """An encoder under layers that score lattice cells."""

    def __init__(self, encoder: FrameEncoder, head: nn.Module) -> None:
        """Takes both as they are."""
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, pictures_N3SS: Tensor) -> Tensor:
        """Logits (N, K) of preprocessed pictures."""
        logits_NK: Tensor = self.head(self.encoder(pictures_N3SS))
        return logits_NK


def cells(recipe: Recipe) -> Floats:
    """Lattice points (K, 2) within `reach_km` of a city."""
    lattice = sphere.equal_area_lattice(recipe.num_cells)
    cities_N3 = sphere.unit_vectors(geonames.places()[0])
    limit = np.cos(recipe.reach_km / sphere.EARTH_RADIUS_KM)
    parts = np.array_split(sphere.unit_vectors(lattice), 32)
    near = np.concatenate([(part @ cities_N3.T).max(1) > limit for part in parts])
    return np.asarray(lattice[near])


def pictures(rng: np.random.Generator, num: int) -> tuple[camera.Frames, Floats]:
    """`num` frames (N, S, S, 3) of as many flights, and the places (N, 2) they show."""
    positions, headings = camera.fly(rng, num, 20)
    at = rng.integers(20, size=num)
    each = np.arange(num)
    latlon = positions[each, at]
    seen = camera.weather(rng, num, keep=0.0)
    return camera.render(latlon, headings[each, at], seen, rng), latlon


def through_codec(frames_NSS3: camera.Frames, path: Path) -> camera.Frames:
    """Frames as a video's reader sees them; the video is at `path` meanwhile."""
    encoding.write(path, frames_NSS3, _FPS)
    seen, _ = video.frames_at(path, np.arange(len(frames_NSS3)) / _FPS)
    path.unlink()
    return seen


def train(
    name: str,
    recipe: Recipe,
    folder: Path,
    checkpoint: Path,
    report: Callable[[int, str], None] = lambda _step, _text: None,
) -> dict[str, float]:
    """Trains the encoder `name`; writes its specification, float16 weights and model card.

    Stops and starts: the state lies in `checkpoint` every 250 steps; an existing one is resumed.
    Another `recipe.steps` may be given on resuming, as long as the cool-down is ahead.

    Args:
        name: a key of SPECS.
        recipe: settings; stored in the card.
        folder: receives NAME.json, NAME.safetensors and NAME.md.
        checkpoint: file for the training state.
        report: called with the step and a line of text now and then.

    Returns:
        median_km and acc_200km of the best cell on frames of unseen flights, frames, seconds.
    """
    torch.manual_seed(recipe.seed)
    spec, places_K2 = SPECS[name], cells(recipe)
    model = Classifier(FrameEncoder(spec), nn.Linear(spec.dim, len(places_K2)))
    average, figures = settle(Run(model, recipe, checkpoint, pictures), report)
    publish(name, average.encoder, folder, _card(name, recipe, figures))
    return figures


def settle(run: "Run", report: Callable[[int, str], None]) -> tuple[Classifier, dict[str, float]]:
    """Does what steps are left of a training; the average of its weights, and figures of it."""
    recipe, running = run.recipe, 0.0
    for step in range(run.step, recipe.steps):
        loss = run.advance(step)
        running = 0.98 * running + 0.02 * loss if running else loss
        if (step + 1) % _REPORT_EVERY == 0 or step + 1 == recipe.steps:
            run.save()
            text = f"loss {running:.3f}, {run.frames_per_s():.0f} frames/s"
            if (step + 1) % (4 * _REPORT_EVERY) == 0:
                text += f", unseen flights: median {run.errors_km(run.model, 1024)[0]:.0f} km"
            report(step + 1, text)
    average = run.settled()
    median_km, within = run.errors_km(average, NUM_UNSEEN)
    return average, {
        "median_km": median_km,
        "acc_200km": within,
        "frames": float(recipe.steps * recipe.batch_size),
        "seconds": run.seconds(),
    }


class _Pool:
    """A ring of rendered pictures, preprocessed to the encoder's size."""

    def __init__(
        self, encoder: FrameEncoder, recipe: Recipe, rng: np.random.Generator, render: Render
    ) -> None:
        size = encoder.spec.image_size
        self.encoder, self.recipe, self.rng, self.render = encoder, recipe, rng, render
        self.pictures = torch.zeros(recipe.pool, 3, size, size, dtype=torch.bfloat16)
        self.points = torch.zeros(recipe.pool, 3)
        self.filled, self.next = 0, 0

    def batch(self) -> tuple[Tensor, Tensor]:
        """Pictures (N, 3, S, S) and places (N, 3), `fresh` of them new; all new at the start."""
        recipe = self.recipe
        fresh = recipe.fresh if self.filled >= recipe.batch_size else recipe.batch_size
        frames, latlon = self.render(self.rng, fresh)
        at = (self.next + np.arange(fresh)) % recipe.pool
        with torch.inference_mode():
            self.pictures[at] = self.encoder.preprocess(torch.from_numpy(frames)).bfloat16()
        self.points[at] = torch.from_numpy(sphere.unit_vectors(latlon)).float()
        self.next = int(at[-1] + 1) % recipe.pool
        self.filled = min(self.filled + fresh, recipe.pool)
        old = self.rng.integers(self.filled, size=recipe.batch_size - recipe.fresh)
        chosen = np.concatenate([at[: recipe.fresh], old])
        batch = self.pictures[chosen].float().to(memory_format=torch.channels_last)
        return batch, self.points[chosen]


class Run:
    """Model, average, optimiser and pool of one training, and their checkpoint."""

    def __init__(self, model: Classifier, recipe: Recipe, checkpoint: Path, render: Render) -> None:
        """Goes on from `checkpoint`, if that is there."""
        self.recipe, self.checkpoint, self.render = recipe, checkpoint, render
        self.latlon_K2 = cells(recipe)
        self.cells_K3 = torch.from_numpy(sphere.unit_vectors(self.latlon_K2)).float()
        self.model = model.to(memory_format=torch.channels_last)
        moving: Any = get_ema_multi_avg_fn(0.998)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(self.model, multi_avg_fn=moving)
        matrices = [p for p in self.model.parameters() if p.ndim > 1]
        vectors = [p for p in self.model.parameters() if p.ndim <= 1]
        groups = [
            {"params": matrices, "weight_decay": recipe.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=recipe.learning_rate)
        self.step, spent = 0, 0.0
        if checkpoint.exists():
            spent = self._load()
        self.began, self.first = time.monotonic() - spent, self.step
        rng = np.random.default_rng([recipe.seed, self.step, model.encoder.spec.dim])
        self.pool = _Pool(self.model.encoder, recipe, rng, render)

    def advance(self, step: int) -> float:
        """One optimiser step; returns its loss."""
        recipe = self.recipe
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.learning_rate * _rate(step, recipe)
        self.model.train()
        pictures_N3SS, points_N3 = self.pool.batch()
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.bfloat16):
            logits_NK = self.model(pictures_N3SS)
        loss = _loss(logits_NK.float(), points_N3, self.cells_K3, recipe.spread_km)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.average.update_parameters(self.model)
        self.step = step + 1
        return loss.item()

    def settled(self) -> Classifier:
        """The average of the weights, with batch statistics of its own."""
        update_bn((self.pool.batch()[0] for _ in range(64)), self.average)
        average = self.average.module
        assert isinstance(average, Classifier)
        return average.eval()

    def seconds(self) -> float:
        """Seconds spent on this training, over all its starts."""
        return time.monotonic() - self.began

    def errors_km(self, model: Classifier, num: int) -> tuple[float, float]:
        """Median km from the best cell to the truth on `num` unseen frames; the share in 200 km."""
        frames, truth = self.render(np.random.default_rng(_UNSEEN_SEED), num)
        model.eval()
        with torch.inference_mode():
            parts = [
                model(model.encoder.preprocess(torch.from_numpy(part))).argmax(1)
                for part in np.array_split(frames, max(1, num // 256))
            ]
        found_N2 = self.latlon_K2[torch.cat(parts).numpy()]
        error_km = sphere.great_circle_km(found_N2, truth)
        return float(np.median(error_km)), float((error_km <= 200).mean())

    def frames_per_s(self) -> float:
        """Pictures a second, over all starts."""
        return self.step * self.recipe.batch_size / self.seconds()

    def save(self) -> None:
        """Writes the checkpoint in one step."""
        state = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds(),
        }
        with stage.replacing(self.checkpoint) as aside:
            torch.save(state, aside)

    def _load(self) -> float:
        state = torch.load(self.checkpoint, weights_only=True)
        try:
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f"{self.checkpoint}: made by another recipe or encoder; remove it to start anew"
            ) from error
        self.step = state["step"]
        return float(state["seconds"])


def _loss(logits_NK: Tensor, points_N3: Tensor, cells_K3: Tensor, spread_km: float) -> Tensor:
    """Cross-entropy against targets that fall off with distance."""
    cosine_NK = (points_N3 @ cells_K3.T).clamp(-1, 1)
    distance_km = torch.acos(cosine_NK) * sphere.EARTH_RADIUS_KM
    return functional.cross_entropy(logits_NK, functional.softmax(-distance_km / spread_km, -1))


def _rate(step: int, recipe: Recipe) -> float:
    """Factor on the learning rate: warm-up, plateau, linear cool-down."""
    falling = (recipe.steps - step) / max(1.0, recipe.cooldown * recipe.steps)
    return max(0.0, min(1.0, (step + 1) / recipe.warmup, falling))


def publish(name: str, encoder: FrameEncoder, folder: Path, card: str) -> None:
    """Writes weights (float16), specification and card of an encoder."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        key: value.half().contiguous()
        for key, value in encoder.state_dict().items()
        if value.is_floating_point()
    }
    with stage.replacing(folder / f"{name}.safetensors") as aside:
        save_file(weights, aside)
    SPECS[name].write(folder / f"{name}.json")
    stage.write_text(folder / f"{name}.md", card)


def _card(name: str, recipe: Recipe, figures: dict[str, float]) -> str:
    """The model card, as Markdown."""
    spec = SPECS[name]
    architecture = spec.options.get("vision_cfg", {}).get("timm_model_name", spec.model)
    fresh = 100 * recipe.fresh / recipe.batch_size
    share, minutes = 100 * figures["acc_200km"], figures["seconds"] / 60
    return f"""# {name}

A frame encoder for Flyover Earth: {architecture} through {spec.library}, {spec.image_size} pixels
square in, {spec.dim} features out, float16. It stands in for the paper's pretrained encoder.

Trained by `vidtag train-encoders {name}` to tell where on Earth the camera is, on frames
rendered of flights from a seed stream that no dataset uses (the imagery is the same Blue Marble).
Its classifier over lattice cells, dropped afterwards, placed {NUM_UNSEEN:,} frames of as many
unseen flights with a median error of {figures["median_km"]:.0f} km, {share:.1f} % of them within
200 km, one frame at a time. It was shown {figures["frames"]:,.0f} pictures, {fresh:.0f} % of them
new and the others shown before, in {minutes:.0f} minutes on one shared CPU core, stopped and
resumed on the way; a resumed run draws other flights, so training again gives like weights, not
equal bytes. Not for any other imagery.

Recipe:

```json
{json.dumps(asdict(recipe), indent=2)}
```
"""
