"""One of several processes of a training: `torchrun ddp_worker.py FOLDER`.

Each FOLDER/NAME.task.pt holds a class, its arguments, settings, train and val. Process 0 writes
FOLDER/NAME.seen.pt: the loss and the gradients of each step.
"""

import sys
from pathlib import Path

import torch

from vidtag_ml.models import fit
from vidtag_ml.models.gps_retrieval.contrastive import clip_data


def seen(task, out):
    """Trains for the task's epochs; (loss, gradients by name) of each step, and the module."""
    kind, arguments, settings, train, val = task

    class Recorded(kind):
        """The training with a memory."""

        memory = []  # noqa: RUF012

        def training_step(self, batch, batch_idx):
            self.memory.append([super().training_step(batch, batch_idx)])
            return self.memory[-1][0]

        def on_after_backward(self) -> None:
            named = self.model.named_parameters()
            self.memory[-1].append({k: p.grad.clone() for k, p in named if p.grad is not None})

    data = clip_data(train, val, settings)
    module = Recorded(*arguments, data.steps_per_epoch)
    fit.fit(module, data, settings, out, progress=False)
    return [(loss.item(), gradients) for loss, gradients in module.memory], module


if __name__ == "__main__":
    for path in sorted(Path(sys.argv[1]).glob("*.task.pt")):
        name = path.name.removesuffix(".task.pt")
        memory, module = seen(torch.load(path, weights_only=False), path.parent / f"{name} out")
        assert module.trainer.world_size == 2
        if module.global_rank == 0:
            torch.save(memory, path.parent / f"{name}.seen.pt")
