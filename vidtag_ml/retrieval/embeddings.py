"""Embeddings of a gallery on disk, larger than memory if need be.

Belongs here: the safetensors file of a gallery's embeddings: written block by block, read as it
lies there. Does not belong here: what embeds (models/), search among embeddings (index.py).
Shape legend: G gallery entries, D embedding, 2 = (lat, lon) in degrees.
"""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_KEY = "embedding_GE"
_LONGEST = 2**16
_TYPES = {"F16": "<f2", "F32": "<f4"}

Floats = NDArray[np.float64]


def write_rows(
    embed: Callable[[int, int], Tensor], size: int, path: Path, made_from: str, block: int
) -> Tensor:
    """Writes embeddings of anything to a safetensors file, float16, and opens it.

    Memory does not grow with the gallery. A write that was stopped leaves its rows beside `path`;
    the next one that is made from the same goes on from there.

    Args:
        embed: gives the embeddings of the entries from the first number to before the second.
        size: how many entries there are.
        path: the file; its folder is made if need be.
        made_from: a digest of whatever decides the embeddings.
        block: entries that are embedded and written at once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    width = embed(0, 1).shape[1]
    header = _header(size, width, made_from)
    aside = path.with_name(f".{path.stem}.part{path.suffix}")
    with aside.open("r+b" if aside.exists() else "w+b") as file:
        same = file.read(len(header)) == header
        done = (aside.stat().st_size - len(header)) // (2 * width) if same else 0
        file.seek(0)
        file.write(header)
        file.truncate(len(header) + done * 2 * width)
        file.seek(0, 2)
        for start in range(done, size, block):
            rows = embed(start, min(start + block, size))
            file.write(rows.cpu().numpy().astype("<f2").tobytes())
    aside.replace(path)
    return read(path)


def read(path: Path) -> Tensor:
    """Embeddings (G, D) of a file as they lie there, mapped into memory and read as needed.

    Raises:
        ValueError: it is no safetensors file with float embeddings; names it.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            entry = json.loads(file.read(min(length, _LONGEST)))[_KEY]
        kind, (size, width), first = (
            _TYPES[entry["dtype"]],
            entry["shape"],
            entry["data_offsets"][0],
        )
        mapped = np.memmap(path, kind, "r", 8 + length + first, (size, width))
    except (OSError, OverflowError, ValueError, KeyError) as error:
        raise ValueError(f"{path}: not a file of embeddings: {error!r}") from error
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(mapped)


def _header(size: int, width: int, fingerprint: str) -> bytes:
    """The head of a safetensors file with one array of float16."""
    entry = {"dtype": "F16", "shape": [size, width], "data_offsets": [0, 2 * size * width]}
    text = json.dumps({"__metadata__": {"made_from": fingerprint}, _KEY: entry}).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


class EmbedsLocations(Protocol):
    """What is asked of a model whose gallery is searched."""

    @property
    def device(self) -> torch.device:
        """Where its weights are."""

    def embed_locations(self, latlon_N2: Tensor) -> Tensor:
        """Vectors (N, E) of points in degrees."""


@torch.inference_mode()
def embed_gallery(model: EmbedsLocations, latlon_G2: Floats, chunk: int = 8192) -> Tensor:
    """Vectors (G, E) of gallery points, float32 on the model's device; once per weights."""
    points_G2 = torch.as_tensor(np.ascontiguousarray(latlon_G2), device=model.device)
    starts = range(0, len(points_G2), chunk)
    return torch.cat([model.embed_locations(points_G2[k : k + chunk]).float() for k in starts])
