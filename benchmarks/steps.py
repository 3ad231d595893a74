"""Training steps through Lightning against the bare forward and backward pass of the same modules.

Both see the same clips of random features, Phase I and then Phase II, in turns in one process. The
bare loop has its batches ready and does nothing but loss, gradients and optimiser. Run as
`python -m benchmarks.steps`.

Belongs here: this one measurement. Does not belong here: what is measured (vidtag_ml/models).
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from rich.console import Console
from torch import Tensor

from vidtag_ml import config
from vidtag_ml.earth import sphere
from vidtag_ml.features.batches import Batch, Frames
from vidtag_ml.models import fit
from vidtag_ml.models.data_module import StepDataModule
from vidtag_ml.models.gps_retrieval.contrastive import PhaseOne, clip_data
from vidtag_ml.models.vidtag.network import VidTAG
from vidtag_ml.models.vidtag.phase_two import PhaseTwo, embedded
from vidtag_ml.retrieval import embeddings

NUM_CLIPS, NUM_FRAMES = 768, 18
WIDTHS = {"clip": 256, "dino": 512}
ROUNDS = 5
MOST_RATIO = 1.15


def clips(num: int) -> Frames:
    """Clips of random features at random places."""
    rows = num * NUM_FRAMES
    drawn = torch.Generator().manual_seed(0)
    first = np.arange(0, rows, NUM_FRAMES)
    return Frames(
        torch.randn(rows, sum(WIDTHS.values()), generator=drawn).half(),
        torch.rand(rows, 2, generator=drawn, dtype=torch.float64) * 100,
        torch.arange(NUM_FRAMES).repeat(num).float(),
        first,
        np.full(num, NUM_FRAMES),
    )


def bare_s(
    module: pl.LightningModule,
    data: StepDataModule[Batch],
    loss: Callable[[Batch], Tensor],
    clip: float,
) -> float:
    """Seconds an optimiser step, batches being ready."""
    batches = list(data.train_dataloader())
    made = module.configure_optimizers()
    assert isinstance(made, dict)
    optimizer: torch.optim.Optimizer = made["optimizer"]
    trained = [p for p in module.parameters() if p.requires_grad]
    start = time.perf_counter()
    for batch in batches:
        optimizer.zero_grad()
        loss(batch).backward()
        torch.nn.utils.clip_grad_norm_(trained, clip)
        optimizer.step()
    return (time.perf_counter() - start) / len(batches)


class _Clock(pl.Callback):
    """Seconds from the first step of an epoch to the end of its last."""

    def on_train_epoch_start(self, *_: object) -> None:
        """Starts."""
        self.began = time.perf_counter()

    def on_validation_start(self, *_: object) -> None:
        """Stops: validation is no step."""
        self.taken = time.perf_counter() - self.began


def fit_s(
    module: pl.LightningModule, data: StepDataModule[Batch], settings: config.Training
) -> float:
    """Seconds an optimiser step of one epoch of `fit`, without validation."""
    clock = _Clock()
    module.configure_callbacks = lambda: [clock]  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as out:
        fit.fit(module, data, settings, Path(out), progress=False)
    return clock.taken / data.steps_per_epoch


def main() -> int:
    """Prints seconds a step and ratio of both phases; 1 if one is above the bar."""
    params = config.load(Path("params.yaml"))
    one, two = replace(params.phase_one, epochs=1), replace(params.phase_two, epochs=1)
    model, points_G2 = VidTAG(params.model, WIDTHS), sphere.equal_area_lattice(50_000)
    train, val = clips(NUM_CLIPS), clips(8)
    data = clip_data(train, val, one)
    module = PhaseOne(model, one, points_G2, data.steps_per_epoch)
    ratios = [_compare("Phase I", module, data, one, lambda b: module.training_step(b, 0))]
    gallery_GE = embeddings.embed_gallery(model.eval(), points_G2)
    data = clip_data(
        embedded(model, train, gallery_GE, 64), embedded(model, val, gallery_GE, 64), two
    )
    latlon_G2 = torch.from_numpy(points_G2)
    second = PhaseTwo(model, two, one, latlon_G2, gallery_GE, data.steps_per_epoch)
    ratios += [_compare("Phase II", second, data, two, lambda b: second.training_step(b, 0))]
    return int(max(ratios) > MOST_RATIO)


def _compare(
    name: str,
    module: pl.LightningModule,
    data: StepDataModule[Batch],
    settings: config.Training,
    loss: Callable[[Batch], Tensor],
) -> float:
    rounds = []
    for _ in range(ROUNDS + 1):  # the first warms up
        module.train()
        bare = bare_s(module, data, loss, settings.clip_gradients or float("inf"))
        rounds.append((bare, fit_s(module, data, settings)))
    bare, fitted = (statistics.median(times) for times in zip(*rounds[1:], strict=True))
    ratio = statistics.median(fitted / bare for bare, fitted in rounds[1:])
    Console().print(
        f"{name}: {data.steps_per_epoch} steps of {settings.batch_size} clips, median of {ROUNDS} "
        f"rounds: bare {bare * 1e3:.0f} ms, fit {fitted * 1e3:.0f} ms a step, ratio {ratio:.3f} "
        f"(bar: at most {MOST_RATIO})",
        soft_wrap=True,
    )
    return ratio


if __name__ == "__main__":
    sys.exit(main())
