"""Claims about the loop: it resumes exactly, records what happened, and leaves nothing else."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pandas as pd
import pytest
import torch
from pytorch_lightning.loggers.logger import Logger

from vidtag_ml.models import networks
from vidtag_ml.models.fit import adam, adamw, finish, fit
from vidtag_ml.models.gps_retrieval.contrastive import Alignment, clip_data


class KilledError(Exception):
    """Stands for a machine that goes away."""


class Mortal(Alignment):
    """A Phase I that is killed at the beginning of a step."""

    dies_at = -1
    death = KilledError

    def training_step(self, batch, batch_idx):
        if self.global_step == self.dies_at:
            raise self.death
        return super().training_step(batch, batch_idx)


class Recorder(Logger):
    """Keeps what it is told."""

    name, version = "recorder", 0

    def __init__(self) -> None:
        self.told: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, metrics, step=None):
        self.told.append((step, metrics))

    def log_hyperparams(self, params):
        raise AssertionError(params)


@pytest.fixture
def run(sizes, phase_one, train, val, points):
    """Trains in a folder, if asked only to a step, and returns the weights."""

    def run(out, dies_at=-1, changes=None, death=KilledError, **options):
        torch.manual_seed(0)
        settings = replace(phase_one, **(changes or {}))
        data = clip_data(train, val, settings)
        model = networks.build("vidtag", sizes, {"clip": 10, "dino": 6})
        module = Mortal(model, settings, points.latlon_G2, data.steps_per_epoch)
        module.dies_at, module.death = dies_at, death
        fit(module, data, settings, out, **{"progress": False, "save_every_s": 0.0, **options})
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    return run


@pytest.mark.parametrize("step", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("changes", [{}, {"queue_size": 7, "queue_noise_m": 1000.0}])
def test_stopped_at_any_step_and_resumed_equals_the_straight_run(run, tmp_path, step, changes):
    straight = run(tmp_path / "straight", changes=changes)
    with pytest.raises(KilledError):
        run(tmp_path / "resumed", step, changes)
    torch.rand(7)
    assert torch.equal(run(tmp_path / "resumed", changes=changes), straight)
    texts = [(tmp_path / name / "losses.csv").read_text() for name in ("straight", "resumed")]
    assert texts[0] == texts[1]


def test_ctrl_c_reaches_the_caller_and_the_training_resumes(run, tmp_path):
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "resumed", 3, death=KeyboardInterrupt)
    signal.signal(signal.SIGINT, handler)  # Lightning ignores it from then on
    assert torch.equal(run(tmp_path / "resumed"), run(tmp_path / "straight"))


def test_a_finished_training_goes_on_when_more_epochs_are_wanted(run, tmp_path):
    straight = run(tmp_path / "straight")
    run(tmp_path / "longer", changes={"epochs": 1})
    assert torch.equal(run(tmp_path / "longer"), straight)


def test_losses_tell_every_step_and_val_loss_once_an_epoch(run, tmp_path):
    run(tmp_path)
    table = pd.read_csv(tmp_path / "losses.csv")
    assert table.columns.tolist() == ["step", "loss", "lr", "val_loss"]
    assert table["step"].tolist() == [1, 2, 3, 4, 5, 6]
    assert table["val_loss"].notna().tolist() == [False, True] * 3
    assert table["loss"].notna().all()


def test_the_rate_warms_up_and_falls_after_each_epoch(run, tmp_path):
    run(tmp_path)
    rates = pd.read_csv(tmp_path / "losses.csv")["lr"]
    warmth = [1 / 3, 2 / 3, 1, 1, 1, 1]
    decay = [1, 1, 0.5, 0.5, 0.25, 0.25]
    assert rates.tolist() == pytest.approx(
        [1e-2 * w * d for w, d in zip(warmth, decay, strict=True)]
    )


def test_nothing_but_losses_and_checkpoint_is_written(run, tmp_path):
    run(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.ckpt", "losses.csv"]


def test_a_logger_hears_of_every_epoch(run, tmp_path):
    recorder = Recorder()
    run(tmp_path, logger=recorder)
    table = pd.read_csv(tmp_path / "losses.csv")
    assert [step for step, _ in recorder.told] == [2, 4, 6]
    assert recorder.told[0][1]["loss"] == pytest.approx(table["loss"][:2].mean())
    assert recorder.told[2][1]["val_loss"] == pytest.approx(table["val_loss"][5])


def test_without_a_terminal_progress_is_a_line_an_epoch(run, tmp_path, capsys):
    run(tmp_path / "a", progress=True)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("Mortal epoch 2/3: loss ")
    run(tmp_path / "b")
    assert capsys.readouterr().err == ""


def test_short_epochs_share_a_checkpoint(run, tmp_path):
    with pytest.raises(KilledError):
        run(tmp_path, dies_at=5, save_every_s=1e9)
    assert not (tmp_path / "last.ckpt").exists()


COSINE = [1 / 3, 2 / 3, 1, 1, 0.9330, 0.75, 0.5, 0.25, 0.0670, 0]
DECAY = [1 / 3, 2 / 3, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125]
FALLS = [1 / 3, 2 / 3, 1, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.25]


@pytest.mark.parametrize("make", [adam, adamw])
@pytest.mark.parametrize(
    ("schedule", "factors"), [("cosine", COSINE), ("decay", DECAY), ((1, 3), FALLS)]
)
def test_every_group_warms_up_to_its_own_rate_and_follows_the_schedule(
    phase_one, make, schedule, factors
):
    groups = [{"params": [torch.nn.Parameter(torch.ones(1))], **lr} for lr in ({"lr": 1.0}, {})]
    settings = replace(phase_one, weight_decay=0.1)
    made = make(groups, settings, 3, schedule)
    optimizer, scheduler = made["optimizer"], made["lr_scheduler"]["scheduler"]
    rates = []
    for _ in factors:
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    assert [lr for lr, _ in rates] == pytest.approx(factors, abs=1e-4)
    assert [lr for _, lr in rates] == pytest.approx([1e-2 * f for f in factors], abs=1e-6)
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.1}


def test_a_finished_model_takes_the_place_of_its_checkpoint(sizes, tmp_path):
    model, last = networks.build("vidtag", sizes, {"clip": 10}).train(), tmp_path / "last.ckpt"
    model.temporal.requires_grad_(False)
    last.touch()
    assert finish(model, last) is model
    assert not model.training
    assert all(p.requires_grad for p in model.parameters())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "model.safetensors"]
    assert networks.load(tmp_path).name == "vidtag"


def test_bfloat16_is_not_emulated_where_onednn_is_held_to_avx2():
    ask = "from vidtag_ml.models.fit import multiplies_bfloat16 as m; raise SystemExit(m())"
    env = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "CUDA_VISIBLE_DEVICES": ""}
    assert subprocess.run([sys.executable, "-c", ask], env=env, check=False).returncode == 0
