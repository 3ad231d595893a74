"""Claims about what every training does in a step."""

import pytest
import torch

from vidtag_ml.features.batches import StepDataset
from vidtag_ml.models import base
from vidtag_ml.models.data_module import StepDataModule
from vidtag_ml.models.fit import fit
from vidtag_ml.models.task import Task


class Clips:
    """A batch of as many clips as its seed says."""

    def __init__(self, seed):
        self.seed = seed

    def __len__(self):
        return self.seed

    def to(self, _device):
        return self


class Steps(StepDataset):
    """Three clips, of which a batch of one or two is shown."""

    def __len__(self):
        return 3

    def __getitem__(self, step):
        return Clips(len(step.clips_B))


class Noise(Task):
    """The loss of a train batch is drawn, that of a val batch is its number of clips."""

    def training_loss(self, _batch):
        return torch.rand(()) * self.model.learnt.sum()

    def validation_loss(self, batch):
        return torch.tensor(float(len(batch)))


@pytest.fixture
def module(phase_one):
    model = base.Model(None, {})
    model.learnt, model.frozen = (torch.nn.Parameter(torch.ones(1)) for _ in range(2))
    model.frozen.requires_grad_(False)
    return Noise(model, phase_one, 1)


def test_what_a_step_draws_follows_from_its_seed(module):
    losses = [module.training_step(Clips(seed), 0).item() for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]


def test_what_takes_no_gradient_is_not_trained(module):
    (group,) = module.configure_optimizers()["optimizer"].param_groups
    assert [id(p) for p in group["params"]] == [id(module.model.learnt)]


def test_val_loss_is_the_mean_over_clips_not_over_batches(module, phase_one, tmp_path):
    fit(module, StepDataModule(Steps(), Steps(), batch_size=2, seed=0), phase_one, tmp_path,
        progress=False)  # fmt: skip
    assert module.trainer.callback_metrics["val_loss"] == pytest.approx((2 * 2 + 1) / 3)
