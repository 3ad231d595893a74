"""What networks run on.

Belongs here: which device is taken. Does not belong here: how much of it training takes
(models/fit.py).
"""

import torch


def device() -> str:
    """The accelerator if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"
