"""Files of published weights, read without running what is in them.

Belongs here: finding a checkpoint and reading its tensors. Does not belong here: whose layers they
are (frame_checkpoints.py, geoclip_release.py, text.py, videomae.py), downloads (catalog.py).
"""

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

Weights = dict[str, Tensor]

CHECKPOINTS = ("model.safetensors", "pytorch_model.bin")
"""Names under which a Hugging Face folder holds its weights, the better first."""


def checkpoint_in(source: Path) -> Path:
    """The file of weights that a path names: itself, or the one in a Hugging Face folder.

    Raises:
        ValueError: there is none; names the path.
    """
    if source.is_dir():
        for name in CHECKPOINTS:
            if (source / name).is_file():
                return source / name
        raise ValueError(f"{source}: holds neither {' nor '.join(CHECKPOINTS)}")
    if not source.is_file():
        raise ValueError(f"{source}: no such file")
    return source


def read_weights(file: Path) -> Weights:
    """All tensors of a checkpoint, by name.

    Raises:
        ValueError: it is no checkpoint; names the file.
    """
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        held = _torchscript(file) if _is_torchscript(file) else _pickled(file)
    # Unpickling rubbish fails in as many ways.
    except (SafetensorError, RuntimeError, pickle.UnpicklingError, LookupError, EOFError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{file}: not a checkpoint: {reason}") from error
    for wrapper in ("state_dict", "model"):
        held = held.get(wrapper, held)
    tensors = {str(key): value for key, value in held.items() if isinstance(value, Tensor)}
    return below("module.", tensors) or tensors


def _pickled(file: Path) -> dict[str, Any]:
    held = torch.load(file, map_location="cpu", weights_only=True)
    return held if isinstance(held, dict) else {"": held}


def _torchscript(file: Path) -> dict[str, Any]:
    with warnings.catch_warnings():  # OpenAI's own files are archives that torch calls old
        warnings.simplefilter("ignore", FutureWarning)
        archive = torch.jit.load(file, map_location="cpu")  # type: ignore[no-untyped-call]
    return dict(archive.state_dict())


def _is_torchscript(file: Path) -> bool:
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def below(prefix: str, weights: Mapping[str, Tensor]) -> Weights:
    """What begins with the prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
