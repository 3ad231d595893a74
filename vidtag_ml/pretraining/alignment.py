"""Pretraining of what Flyover's models start from: the GPS encoder and heads over the encoders.

The paper starts Phase I from the GPS encoder of the released GeoCLIP, and its rival from the whole
of it, which has seen the world; a few thousand clips have not. This makes the same start for
Flyover: GeoCLIP's objective, with the frozen frame encoders, on single frames of flights from a
seed stream that no dataset uses. The frames pass through a video codec, as those of clips do.

Belongs here: the recipe. Does not belong here: the parts that are trained (encoders/location.py,
networks of models/), rendering. Shape legend: N frames, M random places, X all of both, D features,
E common space, 2 = (lat, lon) in degrees.
"""

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vidtag_ml import config
from vidtag_ml.encoders import frames as frame_encoders
from vidtag_ml.models.geoclip.network import GeoCLIP
from vidtag_ml.models.gps_retrieval import losses
from vidtag_ml.models.gps_retrieval.contrastive import part_prefix
from vidtag_ml.models.gps_retrieval.network import AlignedModel
from vidtag_ml.models.vidtag.network import VidTAG
from vidtag_ml.pretraining import frames as pretraining_frames
from vidtag_ml.workflow import stage

LOCATION, HEADS = NAMES = ("flyover_location", "flyover_heads")
"""Files that one training makes."""
_CHUNK = 512
_STANDARD = 16_384
"""Frames that tell mean and variance of features."""


@dataclass(frozen=True)
class Recipe:
    """Everything the weights depend on, beside the frame encoders and the sizes."""

    frames: int = 131_072
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
    seed: int = 20261123
    """Seed of flights, weather, batches and initial weights; a stream apart from all datasets."""


def train(
    folder: Path,
    sizes: config.Model,
    names: Sequence[str],
    recipe: Recipe,
    report: Callable[[int, str], None] = lambda _step, _text: None,
) -> dict[str, float]:
    """Trains GPS encoder and heads together; writes both files (float16) and their cards.

    Heads are VidTAG's over each encoder alone and over all of them, without TempGeo, and GeoCLIP's
    over the first.

    Args:
        folder: holds the frame encoders; receives the files.
        sizes: `embed_dim`, `head_widths` and `location` are read.
        names: the frame encoders.
        recipe: settings; stored in the cards.
        report: called with the step and a line of text now and then.

    Returns:
        loss of the last steps and seconds.
    """
    began = time.monotonic()
    features, latlon_N2 = _features(folder, names, recipe, report)
    widths = {name: features[name].shape[1] for name in names}
    models = _models(sizes, widths, recipe.seed)
    loss = _fit(models, features, latlon_N2, recipe, report)
    figures = {"loss": loss, "seconds": time.monotonic() - began}
    _publish(folder, models, recipe, figures)
    return figures


def _models(sizes: config.Model, widths: Mapping[str, int], seed: int) -> list[AlignedModel]:
    """VidTAG over all encoders, over each of several, and GeoCLIP; they share the GPS encoder."""
    torch.manual_seed(seed)
    alone = replace(sizes, temporal_layers=0)
    each = [{name: width} for name, width in widths.items()] if len(widths) > 1 else []
    models: list[AlignedModel] = [VidTAG(alone, chosen) for chosen in (dict(widths), *each)]
    first = next(iter(widths))
    models.append(GeoCLIP(alone, {first: widths[first]}))
    for model in models:
        model.location = models[0].location
    return models


def _fit(
    models: Sequence[AlignedModel],
    features: Mapping[str, Tensor],
    latlon_N2: Tensor,
    recipe: Recipe,
    report: Callable[[int, str], None],
) -> float:
    """Trains the models on the encoders' features (N, D) of frames; the mean loss at the end.

    Meanwhile the layers over the encoders see each feature with mean 0 and variance 1; in the end
    their first weights take that on, so that models see features as they are.
    """
    for model in models:
        _standardise(model, features)
    trained = nn.ModuleList(part for model in models for part in (model.location, image(model)))
    weights = [*trained.parameters(), *(model.logit_scale for model in models)]
    optimizer = torch.optim.AdamW(
        weights, lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    first = pretraining_frames.RECIPES[next(iter(features))]
    lattice_M2 = torch.from_numpy(pretraining_frames.cells(first))
    generator, running = torch.Generator().manual_seed(recipe.seed), 0.0
    for step in range(recipe.steps):
        rate = np.cos(0.5 * np.pi * step / recipe.steps) * min(1.0, (step + 1) / 100)
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * rate
        rows = torch.randint(len(latlon_N2), (recipe.batch_size,), generator=generator)
        others = torch.randint(len(lattice_M2), (recipe.num_random_negatives,), generator=generator)
        places_X2 = torch.cat([latlon_N2[rows], lattice_M2[others]])
        seen = {name: part_ND[rows] for name, part_ND in features.items()}
        loss = _loss(models, seen, places_X2, recipe.spread_km)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        running = 0.98 * running + 0.02 * loss.item() if running else loss.item()
        if (step + 1) % 100 == 0:
            report(step + 1, f"loss {running:.3f}")
    for model in models:
        layers = image(model)
        assert isinstance(layers[0], _Standardised)
        layers[0] = layers[0].folded()
    return running


class _Standardised(nn.Module):
    """A linear layer over inputs that are shifted and scaled."""

    mean_D: Tensor
    std_D: Tensor

    def __init__(self, linear: nn.Linear, inputs_ND: Tensor) -> None:
        """Takes mean and standard deviation from some inputs."""
        super().__init__()
        self.linear = linear
        self.register_buffer("mean_D", inputs_ND.mean(0))
        self.register_buffer("std_D", inputs_ND.std(0).clamp(min=1e-6))

    def forward(self, inputs_ND: Tensor) -> Tensor:
        """Outputs (N, E)."""
        outputs_NE: Tensor = self.linear((inputs_ND - self.mean_D) / self.std_D)
        return outputs_NE

    def folded(self) -> nn.Linear:
        """The linear layer that does the same to the inputs as they are."""
        with torch.no_grad():
            self.linear.weight.div_(self.std_D)
            self.linear.bias.sub_(self.linear.weight @ self.mean_D)
        return self.linear


def _standardise(model: AlignedModel, features: Mapping[str, Tensor]) -> None:
    """Puts the first layer over the encoders behind a standardisation of what it sees."""
    layers, seen = image(model), list[Tensor]()
    first = layers[0]
    assert isinstance(first, nn.Linear)
    hook = first.register_forward_pre_hook(lambda _layer, given: seen.append(given[0]))
    with torch.no_grad():
        _embedded(model, {name: part_ND[:_STANDARD] for name, part_ND in features.items()})
    hook.remove()
    layers[0] = _Standardised(first, seen[0].flatten(0, -2))


def _embedded(model: AlignedModel, seen: Mapping[str, Tensor]) -> Tensor:
    """Unit vectors (N, E) of single frames by the encoders' features (N, D)."""
    features_N1D = torch.cat([seen[name] for name in model.widths], -1).float()[:, None]
    valid_N1 = torch.ones(len(features_N1D), 1, dtype=torch.bool)
    return model.embed_frames(features_N1D, valid_N1, torch.zeros(len(features_N1D), 1))[:, 0]


def _loss(
    models: Sequence[AlignedModel], seen: Mapping[str, Tensor], places_X2: Tensor, spread_km: float
) -> Tensor:
    """Mean loss of all models on the features of N frames, whose places are the first of X."""
    num = len(next(iter(seen.values())))
    gps_XE = models[0].embed_locations(places_X2.float())
    distance_NX = losses.distance_km(places_X2[:num], places_X2)
    found = [
        losses.contrastive(
            _embedded(model, seen),
            gps_XE[:num],
            model.scale(),
            negatives_ME=gps_XE[num:],
            distance_NX=distance_NX,
            soft_targets_km=spread_km,
        )
        for model in models
    ]
    return torch.stack(found).mean()


def image(model: AlignedModel) -> nn.Sequential:
    """A model's layers over the encoders."""
    assert isinstance(model, (VidTAG, GeoCLIP))
    return model.head if isinstance(model, VidTAG) else model.image


def _features(
    folder: Path, names: Sequence[str], recipe: Recipe, report: Callable[[int, str], None]
) -> tuple[dict[str, Tensor], Tensor]:
    """Features (N, D) by each encoder, float16, and places (N, 2) of rendered frames."""
    loaded = {
        name: frame_encoders.load(folder, name).to(memory_format=torch.channels_last)
        for name in names
    }
    made = []
    with ThreadPoolExecutor(2) as pool, tempfile.TemporaryDirectory() as scratch:
        numbers = range(recipe.frames // _CHUNK)
        for part in pool.map(lambda k: chunk(loaded, recipe.seed, k, Path(scratch)), numbers):
            made.append(part)
            if len(made) % 20 == 0:
                report(0, f"{len(made) * _CHUNK} of {recipe.frames} frames encoded")
    latlon_N2 = torch.cat([latlon for _, latlon in made])
    return {name: torch.cat([features[name] for features, _ in made]) for name in names}, latlon_N2


def chunk(
    encoders: Mapping[str, frame_encoders.FrameEncoder],
    seed: int,
    number: int,
    scratch: Path,
    size: int = _CHUNK,
) -> tuple[dict[str, Tensor], Tensor]:
    """Features and places of the frames of one chunk; `scratch` holds their video meanwhile."""
    torch.set_num_threads(1)  # of this worker: two of them share the cores
    rendered, latlon = pretraining_frames.pictures(np.random.default_rng([seed, number]), size)
    coded = pretraining_frames.through_codec(rendered, scratch / f"{number}.mp4")
    pictures = torch.from_numpy(coded)
    with torch.inference_mode():
        features = {name: e(e.preprocess(pictures)).half() for name, e in encoders.items()}
    return features, torch.from_numpy(latlon)


def _publish(
    folder: Path, models: Sequence[AlignedModel], recipe: Recipe, figures: Mapping[str, float]
) -> None:
    """Writes both files and their cards."""
    first = models[0]
    location = _halved(first.location, "")
    location["logit_scale"] = first.logit_scale.detach().clone()
    heads: dict[str, Tensor] = {}
    for model in models:
        heads |= _halved(image(model), part_prefix(model.name, tuple(model.widths)))
    about = {
        LOCATION: "The GPS encoder from which Flyover's models start, as the paper starts from the "
        f"released GeoCLIP:\n(lat, lon) in, {first.sizes.embed_dim} numbers out, float16.",
        HEADS: "The layers over the frame encoders from which Flyover's models start, float16:\n"
        + ", ".join(sorted({key.rpartition("/")[0] for key in heads}))
        + ".",
    }
    for name, weights in ((LOCATION, location), (HEADS, heads)):
        with stage.replacing(folder / f"{name}.safetensors") as aside:
            save_file(weights, aside)
        stage.write_text(folder / f"{name}.md", _card(name, about[name], recipe, figures))


def _halved(part: nn.Module, prefix: str) -> dict[str, Tensor]:
    state = part.state_dict()
    return {f"{prefix}{k}": v.detach().half().contiguous() for k, v in state.items()}


def _card(name: str, about: str, recipe: Recipe, figures: Mapping[str, float]) -> str:
    """A model card, as Markdown."""
    return f"""# {name}

{about}

Trained by `vidtag train-encoders {name}` ({" and ".join(NAMES)}
together) with GeoCLIP's objective on {recipe.frames:,} single frames of as many flights from a seed
stream that no dataset uses, passed through H.264 as those of clips are, in
{figures["seconds"] / 60:.0f} minutes on two shared CPU cores. Mean loss of all heads at the end:
{figures["loss"]:.3f}. Not for any other imagery.

Recipe:

```json
{json.dumps(asdict(recipe), indent=2)}
```
"""
