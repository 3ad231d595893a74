"""Embeddings of a gallery on disk, larger than memory if need be.

Belongs here: the safetensors file of a gallery's embeddings: written block by block, read as it
lies there. Does not belong here: what embeds (models/), search among embeddings (retrieval.py).
Shape legend: G gallery entries, D embedding, 2 = (lat, lon) in degrees.
"""

import hashlib
import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidtag_ml.models.base import GeoModel, embed_gallery

Floats = NDArray[np.float64]

BLOCK = 65_536
"""Rows that are made and written at once."""
_KEY = "embedding_GE"
_LONGEST = 2**16
_TYPES = {"F16": "<f2", "F32": "<f4"}


def write(model: GeoModel, latlon_G2: Floats, path: Path) -> Tensor:
    """Writes a gallery's embeddings to a safetensors file, float16, and opens it.

    Args:
        model: in evaluation mode.
        latlon_G2: the gallery's points.
        path: the file; its folder is made if need be.
    """

    def embed(start: int, stop: int) -> Tensor:
        return embed_gallery(model, latlon_G2[start:stop])

    return write_rows(embed, len(latlon_G2), path, _fingerprint(model, latlon_G2), BLOCK)


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


def _fingerprint(model: GeoModel, latlon_G2: Floats) -> str:
    """md5 of weights and points."""
    whole = hashlib.md5(np.ascontiguousarray(latlon_G2).data, usedforsecurity=False)
    for name, value in model.state_dict().items():
        whole.update(name.encode())
        whole.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return whole.hexdigest()
