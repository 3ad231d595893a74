"""The training loop: the only place with a Trainer.

Belongs here: devices, checkpoints, optimiser and schedule, the record of losses, what a person
watching sees. Does not belong here: losses (models/gps_retrieval/contrastive.py,
models/vidtag/phase_two.py), batches (features/batches.py).

A killed training goes on from its last complete epoch and ends as if it had never stopped, because
every draw of a step follows from (seed, epoch, step).
"""

import logging
import math
import os
import sys
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeVar

import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import TQDMProgressBar
from pytorch_lightning.loggers import Logger
from torch import Tensor, distributed, nn
from torch.optim.lr_scheduler import LambdaLR

from vidtag_ml import config
from vidtag_ml.models import base
from vidtag_ml.workflow import stage

CHECKPOINT = "last.ckpt"
LOSSES = "losses.csv"
Trained = TypeVar("Trained", bound=base.Model)
Schedule = Literal["decay", "cosine"] | tuple[int, ...]
"""decay: a factor after each epoch; cosine: from the end of warm-up to nothing at the last step;
epochs: the factor after each of them."""


def adam(
    parameters: Iterable[nn.Parameter],
    settings: config.Training,
    steps_per_epoch: int,
    schedule: Schedule = "decay",
    *,
    fused: bool = True,
) -> dict[str, Any]:
    """Adam with linear warm-up times a schedule, as `configure_optimizers` returns it.

    Fused, if it may be, it is faster and rounds differently: the same training ends elsewhere.
    """
    rate, weight_decay = settings.learning_rate, settings.weight_decay
    way = _may_fuse(settings) if fused else None  # None: torch chooses among the others
    optimizer = torch.optim.Adam(parameters, lr=rate, weight_decay=weight_decay, fused=way)
    return _scheduled(optimizer, settings, steps_per_epoch, schedule)


def adamw(
    groups: list[dict[str, Any]],
    settings: config.Training,
    steps_per_epoch: int,
    schedule: Schedule,
) -> dict[str, Any]:
    """AdamW over groups that may have rates of their own; the rest as `adam`."""
    rate, weight_decay, fused = settings.learning_rate, settings.weight_decay, _may_fuse(settings)
    optimizer = torch.optim.AdamW(groups, lr=rate, weight_decay=weight_decay, fused=fused)
    return _scheduled(optimizer, settings, steps_per_epoch, schedule)


def _may_fuse(settings: config.Training) -> bool:
    """Lightning does not clip gradients for a fused optimiser in mixed precision."""
    return settings.precision == "float32" or settings.clip_gradients is None


def _scheduled(
    optimizer: torch.optim.Optimizer,
    settings: config.Training,
    steps_per_epoch: int,
    schedule: Schedule,
) -> dict[str, Any]:
    first, end = settings.warmup_steps, settings.epochs * steps_per_epoch

    def factor(step: int) -> float:
        warmth = min(1.0, (step + 1) / max(1, first))
        if schedule == "cosine":
            part = min(1.0, max(0, step - first) / max(1, end - first))
            return warmth * (1 + math.cos(math.pi * part)) / 2
        epoch = step // steps_per_epoch
        falls = epoch if schedule == "decay" else sum(epoch >= last for last in schedule)
        return warmth * float(settings.decay**falls)

    scheduler = {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}
    return {"optimizer": optimizer, "lr_scheduler": scheduler}


def fit(
    module: pl.LightningModule,
    data: pl.LightningDataModule,
    settings: config.Training,
    out: Path,
    logger: Logger | None = None,
    progress: bool = True,
    save_every_s: float = 20.0,
) -> Path:
    """Trains `module` in place and returns the checkpoint; `out/losses.csv` tells how it went.

    Goes on from `out/last.ckpt` if there is one. Takes the accelerator there is; under `torchrun`
    it is one process of many, each of which sees its share of every batch.

    Args:
        module: `training_step` returns the loss, `validation_step` logs `val_loss`.
        data: batches whose randomness is a function of seed, epoch and step.
        settings: epochs (those before a resumed checkpoint included), precision, clipping.
        out: folder for last.ckpt and losses.csv (step, loss, lr, val_loss).
        logger: receives the mean loss, val_loss and lr of each epoch.
        progress: a bar on a terminal, else a line an epoch on standard error.
        save_every_s: shorter epochs share a checkpoint, because writing one costs about a step.
    """
    out.mkdir(parents=True, exist_ok=True)
    last = out / CHECKPOINT
    (out / f".{CHECKPOINT}").unlink(missing_ok=True)
    callbacks: list[pl.Callback] = [_Losses(out / LOSSES)]
    if progress:
        callbacks.append(TQDMProgressBar() if sys.stderr.isatty() else _EpochLines())
    callbacks.append(_Checkpoint(last, save_every_s))
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    mixed = settings.precision == "bfloat16" and multiplies_bfloat16()
    with warnings.catch_warnings(), _quiet("pytorch_lightning.utilities.rank_zero"):
        for message in _EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        trainer = pl.Trainer(
            accelerator="auto",
            devices=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
            num_nodes=int(os.environ.get("GROUP_WORLD_SIZE", "1")),
            strategy="ddp" if processes > 1 else "auto",
            precision="bf16-mixed" if mixed else "32-true",
            max_epochs=settings.epochs,
            gradient_clip_val=settings.clip_gradients,
            callbacks=callbacks,
            logger=logger or False,
            default_root_dir=out,
            enable_checkpointing=False,
            enable_model_summary=False,
            enable_progress_bar=any(isinstance(c, TQDMProgressBar) for c in callbacks),
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            use_distributed_sampler=False,
        )
        try:
            trainer.fit(module, data, ckpt_path=last if last.exists() else None, weights_only=True)
        except SystemExit as ended:  # Lightning ends the process itself, as if it had failed
            if isinstance(ended.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from ended
            raise
    return last


def finish(model: Trained, last: Path) -> Trained:
    """The trained model in evaluation mode, written beside its checkpoint, which is removed."""
    model.cpu().eval().requires_grad_(True)
    if not (distributed.is_initialized() and distributed.get_rank()):
        base.save(model, last.parent)
        last.unlink()
    return model


def multiplies_bfloat16() -> bool:
    """Whether the processor does, and oneDNN uses that: emulated, it takes 100 times as long."""
    able = torch.cpu.get_capabilities()
    has_onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    used = has_onednn and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.cuda.is_available() or (used and any(able[n] for n in able if "bf16" in n))


def joined(values_BX: Tensor) -> Tensor:
    """Rows of all processes, in order of rank (W B, X); of one process, the same tensor.

    Gradients flow back to the process that a row came from, summed over all. Each process then has
    the loss of the joint batch, and DDP's mean over processes is the gradient of that loss.
    """
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return values_BX
    gathered: Tensor = _Gather.apply(values_BX)
    return gathered


class _Gather(torch.autograd.Function):
    """All processes' tensors of one shape, one behind the other."""

    @staticmethod
    def forward(_context: Any, values_BX: Tensor) -> Tensor:
        parts = [torch.empty_like(values_BX) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, values_BX.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(_context: Any, gradient_YX: Tensor) -> Tensor:
        total = gradient_YX.contiguous()
        distributed.all_reduce(total)
        return total.chunk(distributed.get_world_size())[distributed.get_rank()]


_EXPECTED_WARNINGS = (
    ".*module.s. in eval mode",  # Phase II freezes all but the refiner
    ".*isinstance.treespec, LeafSpec.*",  # Lightning, of torch's own pytree
    ".*sync_dist=True",  # every process sees the whole val split
)


class _quiet:  # noqa: N801
    """A logger's infos (which devices there are, tips) are left out inside the block."""

    def __init__(self, name: str) -> None:
        self.logger = logging.getLogger(name)

    def __enter__(self) -> None:
        self.level = self.logger.level
        self.logger.setLevel(logging.WARNING)

    def __exit__(self, *_: object) -> None:
        self.logger.setLevel(self.level)


class _Losses(pl.Callback):
    """A table of every step, written after each epoch and kept in the checkpoint."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[list[float]] = []
        self.losses: list[torch.Tensor] = []
        self.rates: list[float] = []

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = list(state_dict["rows"])

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any) -> None:
        self.rates.append(float(trainer.optimizers[0].param_groups[0]["lr"]))

    def on_train_batch_end(
        self, _trainer: pl.Trainer, _module: pl.LightningModule, outputs: Any, *_: Any
    ) -> None:
        self.losses.append(outputs["loss"].detach())

    def on_train_epoch_end(self, trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        losses = torch.stack(self.losses).tolist()
        val_loss = float(trainer.callback_metrics.get("val_loss", torch.nan))
        known = [*[float("nan")] * (len(losses) - 1), val_loss]
        first = trainer.global_step - len(losses) + 1
        steps = range(first, first + len(losses))
        self.rows += [list(row) for row in zip(steps, losses, self.rates, known, strict=True)]
        means = {"loss": sum(losses) / len(losses), "lr": self.rates[-1], "val_loss": val_loss}
        self.losses, self.rates = [], []
        trainer.callback_metrics.update({k: torch.tensor(v) for k, v in means.items()})
        if trainer.is_global_zero:
            table = pd.DataFrame(self.rows, columns=["step", "loss", "lr", "val_loss"])
            stage.write_text(self.path, table.astype({"step": int}).to_csv(index=False))
            if trainer.logger is not None:
                trainer.logger.log_metrics(means, step=trainer.global_step)


class _EpochLines(pl.Callback):
    """A line an epoch, for logs and pipes."""

    def on_train_epoch_start(self, *_: Any) -> None:
        self.began = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        means = {k: float(v) for k, v in trainer.callback_metrics.items()}
        sys.stderr.write(
            f"{type(module).__name__} epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: "
            f"loss {means['loss']:.4f}, val_loss {means['val_loss']:.4f}, "
            f"{time.monotonic() - self.began:.1f} s\n"
        )


class _Checkpoint(pl.Callback):
    """The newest complete epoch, written aside and renamed, now and then and at the end."""

    def __init__(self, path: Path, every_s: float) -> None:
        self.path, self.every_s = path, every_s
        self.saved = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        final = trainer.current_epoch + 1 == trainer.max_epochs
        due = torch.tensor(time.monotonic() - self.saved >= self.every_s or final)
        if not trainer.strategy.broadcast(due):
            return
        aside = self.path.with_name(f".{self.path.name}")
        trainer.save_checkpoint(aside, weights_only=False)
        if trainer.is_global_zero:
            aside.replace(self.path)
        self.saved = time.monotonic()
