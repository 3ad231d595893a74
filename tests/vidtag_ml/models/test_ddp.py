"""Two processes, joined by gloo, are one process on the joint batch."""

import copy
import os
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vidtag_ml import config
from vidtag_ml.models import networks
from vidtag_ml.models.gps_retrieval.contrastive import Alignment
from vidtag_ml.models.vidtag.phase_two import PhaseTwo, embedded
from vidtag_ml.retrieval import embeddings

WORKER = Path(__file__).with_name("ddp_worker.py")
STILL = config.Noise(
    collapse_probability=0.0,
    collapse_after=False,
    drift=False,
    clean_probability=0.0,
    jitter_deg=(0.0, 0.0),
    shift_deg=0.0,
    predicted_probability=1.0,
    wander_km=0.0,
    wander_memory=0.0,
    swap_probability=0.0,
)


@pytest.fixture
def tasks(sizes, phase_one, phase_two, train, val, points):
    """A training of each kind without dropout or noise of its own, one epoch of two steps."""
    torch.manual_seed(0)
    model = networks.build("vidtag", replace(sizes, dropout=0.0), {"clip": 10, "dino": 6}).eval()
    plain = {"epochs": 1, "clip_gradients": None, "learning_rate": 1e-5}
    queued = {"direction": "symmetric", "queue_size": 12, "queue_noise_m": 500.0}
    first = {
        "frames": replace(phase_one, **plain, **queued),
        "clips": replace(phase_one, **plain, unit="clip", soft_targets_km=None),
    }
    tasks = {
        name: (Alignment, (copy.deepcopy(model), settings, points.latlon_G2), settings, train, val)
        for name, settings in first.items()
    }
    gallery_GE = embeddings.embed_gallery(model, points.latlon_G2)
    frames, second = embedded(model, train, gallery_GE, 4), replace(phase_two, **plain, noise=STILL)
    arguments = (model, second, phase_one, torch.from_numpy(points.latlon_G2), gallery_GE)
    return {**tasks, "refiner": (PhaseTwo, arguments, second, frames, frames)}


def test_two_processes_have_loss_and_gradients_of_one_on_the_joint_batch(tasks, tmp_path):
    for name, task in tasks.items():
        torch.save(task, tmp_path / f"{name}.task.pt")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([*torchrun, str(WORKER), str(tmp_path)], check=True, env=environment)
    seen = runpy.run_path(str(WORKER), run_name="worker")["seen"]
    for name, task in tasks.items():
        together = torch.load(tmp_path / f"{name}.seen.pt", weights_only=True)
        alone, _ = seen(task, tmp_path / f"{name} alone")
        assert [loss for loss, _ in together] == pytest.approx([x for x, _ in alone], rel=1e-4)
        # Adam turns rounding of tiny gradients into steps, so only the first ones are comparable.
        (_, gradients), (_, wanted) = together[0], alone[0]
        assert gradients.keys() == wanted.keys()
        for key, value in gradients.items():
            torch.testing.assert_close(value, wanted[key], rtol=1e-3, atol=2e-6)
