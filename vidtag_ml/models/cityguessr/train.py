"""Training of CityGuessr (docs/specs/cityguessr.md, sections 4 and 5).

Belongs here: the step with its three losses, which weights are kept, `train_cityguessr`. Does not
belong here: the losses themselves (losses.py), networks (network.py), what is seen of a
clip (data.py), calibration (inference.py), the loop (models/fit.py).
Shape legend: B clips, C cities, T frames, E text, S scenes, 4 = city, state, country, continent.
"""

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.loggers import Logger
from torch import Tensor

from vidtag_ml import config
from vidtag_ml.dataset import scenes
from vidtag_ml.dataset.hierarchy import LEVELS, Hierarchy
from vidtag_ml.encoders import text, videomae
from vidtag_ml.models import fit
from vidtag_ml.models.cityguessr import data as cityguessr_data
from vidtag_ml.models.cityguessr import inference, losses
from vidtag_ml.models.cityguessr import sources as cityguessr_sources
from vidtag_ml.models.cityguessr.data import Labelled, LabelledBatch, LabelledDataset
from vidtag_ml.models.cityguessr.network import CityGuessr, Sizes
from vidtag_ml.models.cityguessr.sources import Sources
from vidtag_ml.models.data_module import StepDataModule
from vidtag_ml.models.task import Task

TEXT_WIDTH, ATTENTION_WIDTH, ATTENTION_HEADS = 512, 6, 2
"""As published."""
STAND_INS = "seeded"
"""`cityguessr.text` for targets that are drawn by label: they know names, but no language."""


class Guess(Task):
    """Trains all of a CityGuessr; `text_CE` are the text targets of its cities."""

    model: CityGuessr
    settings: config.CityGuessrTraining

    def __init__(
        self,
        model: CityGuessr,
        settings: config.CityGuessrTraining,
        text_CE: Tensor | None,
        steps_per_epoch: int,
    ) -> None:
        """`text_CE` is None if the model has no text head."""
        super().__init__(model, settings, steps_per_epoch)
        self.register_buffer("text_CE", text_CE, persistent=False)
        self.right: list[Tensor] = []
        self.best: tuple[float, dict[str, Tensor]] | None = None

    def training_loss(self, batch: LabelledBatch) -> Tensor:
        """The sum of the weighted losses."""
        answers = self.model(batch.frames_BTX, batch.valid_BT, batch.time_BT)
        loss = losses.hierarchical(answers.logits, batch.classes_B4)
        if answers.scene_BS is not None:
            assert batch.scenes_BS is not None
            scene = losses.soft_labels(answers.scene_BS, batch.scenes_BS)
            loss = loss + self.settings.scene_weight * scene
        if answers.text_BE is not None:
            assert isinstance(self.text_CE, Tensor)
            target_BE = self.text_CE[batch.classes_B4[:, 0]]
            alignment = losses.text_alignment(answers.text_BE, target_BE)
            loss = loss + self.settings.text_weight * alignment
        return loss

    def validation_loss(self, batch: LabelledBatch) -> Tensor:
        """The loss of the four levels of a val batch; notes which cities are right."""
        logits = self.model.logits(batch.frames_BTX, batch.valid_BT, batch.time_BT)
        self.right.append(logits[0].argmax(1) == batch.classes_B4[:, 0])
        return losses.hierarchical(logits, batch.classes_B4)

    def on_validation_epoch_end(self) -> None:
        """Keeps the weights with the best val city top-1, if the settings ask for these."""
        accuracy = float(torch.cat(self.right).float().mean())
        self.right = []
        if self.settings.selection == "best" and (self.best is None or accuracy > self.best[0]):
            state = {k: v.detach().cpu().clone() for k, v in self.model.state_dict().items()}
            self.best = accuracy, state

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the best weights, so that a resumed training knows them."""
        checkpoint["best"] = self.best

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the best weights over."""
        self.best = checkpoint["best"]

    def configure_optimizers(self) -> Any:
        """Adam with one rate, or AdamW with a rate of its own for a backbone that was trained."""
        steps, schedule = self.steps_per_epoch, self.settings.schedule
        if self.settings.optimizer == "adam":
            return fit.adam(self.model.parameters(), self.settings, steps, schedule)
        rate = self.settings.backbone_learning_rate
        started: dict[str, Any] = {} if self.settings.start is None else {"lr": rate}
        groups: list[dict[str, Any]] = [
            {"params": list(self.model.backbone.parameters()), **started},
            {"params": list(self.model.head_parameters())},
        ]
        return fit.adamw(groups, self.settings, steps, schedule)


def train_cityguessr(
    settings: config.CityGuessrTraining,
    sources: Sources,
    out: Path,
    logger: Logger | None = None,
    progress: bool = True,
) -> CityGuessr:
    """CityGuessr with calibrated temperatures, in evaluation mode, also written to `out`.

    Args:
        settings: of the networks and their training.
        sources: videos, classes, weights.
        out: folder; an interrupted training in it is resumed.
        logger: receives the losses of each epoch.
        progress: whether to tell a person how far it is.

    Raises:
        ValueError: a split is empty, or weights, features or scene labels are missing.
    """
    targets_CE = None if settings.text is None else _text_targets(settings, sources)
    torch.manual_seed(settings.seed)
    model = _built(settings, sources, 0 if targets_CE is None else targets_CE.shape[1])
    train, val = (
        cityguessr_sources.clips_of(model, settings, sources, split) for split in ("train", "val")
    )
    if (train.classes_C4 < 0).any():
        raise ValueError("a train clip is of no class: `vidtag hierarchy` makes the table anew")
    data = StepDataModule(
        LabelledDataset(train, random=True),
        LabelledDataset(val, random=False),
        batch_size=settings.batch_size,
        seed=settings.seed,
    )
    module = Guess(model, settings, targets_CE, data.steps_per_epoch)
    last = fit.fit(module, data, settings, out, logger, progress)
    if module.best is not None:
        model.load_state_dict(module.best[1])
    calibrate(model.eval(), cityguessr_data.logits(model, val, settings.batch_size), val)
    return fit.finish(model, last)


def calibrate(model: CityGuessr, logits: list[Any], clips: Labelled) -> None:
    """Sets the model's temperatures from the logits of clips that it was not trained on."""
    true_N4 = clips.classes_C4.numpy()
    hierarchy = Hierarchy.of_rows(model.sizes.places)
    fitted = [
        inference.temperatures(logits, true_N4, hierarchy, how) for how in inference.INFERENCES
    ]
    model.temperatures.copy_(torch.tensor(fitted, dtype=torch.float64))


def _built(settings: config.CityGuessrTraining, sources: Sources, text_width: int) -> CityGuessr:
    """The network as training starts it."""
    started = None
    if settings.backbone == "videomae":
        started = _started(settings, sources.encoders_dir)
    sizes = Sizes(
        **vars(config.part(settings, config.CityGuessrNetwork)),
        videomae=None if started is None else started.spec,
        places=sources.hierarchy.places,
        attention_width=ATTENTION_WIDTH,
        attention_heads=ATTENTION_HEADS,
        scenes=0 if settings.scenes == "none" else scenes.NUM_CLASSES,
        text=text_width,
    )
    if started is None:
        assert sources.features is not None
        return CityGuessr(sizes, sources.features.select(settings.encoders).widths)
    model = CityGuessr(sizes, {})
    model.backbone = started.train()
    return model


def _started(settings: config.CityGuessrTraining, encoders_dir: Path) -> videomae.VideoMAE:
    """VideoMAE with the weights to start from, or with random ones, for frames as configured."""
    if settings.start is None:
        spec = videomae.VIDEOMAE_SMALL
        spec = replace(spec, pixels=settings.pixels, num_frames=settings.frames_per_clip)
        return videomae.VideoMAE(spec)
    started = videomae.load(encoders_dir, settings.start)
    if started.spec.num_frames != settings.frames_per_clip:
        raise ValueError(
            f"cityguessr.frames_per_clip is {settings.frames_per_clip}, but {settings.start} is "
            f"made for {started.spec.num_frames} frames"
        )
    started.spec = replace(started.spec, pixels=settings.pixels)
    return started


def _text_targets(settings: config.CityGuessrTraining, sources: Sources) -> Tensor:
    """Text targets (C, E) of the cities."""
    levels = LEVELS if settings.text_levels == "all" else LEVELS[:1]
    assert settings.text is not None
    embed: text.Embed = functools.partial(text.seeded, seed=settings.seed, width=TEXT_WIDTH)
    if settings.text != STAND_INS:
        embed = text.load(sources.encoders_dir, settings.text).embed
    return torch.from_numpy(text.targets(sources.hierarchy.places, embed, levels))
