"""A gallery's embeddings by a model, written to disk.

Belongs here: doing it block by block, resumed if it was stopped. Does not belong here: the file
(retrieval/embeddings.py).
"""

import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidtag_ml.models.gps_retrieval.network import GeoModel
from vidtag_ml.retrieval import embeddings
from vidtag_ml.retrieval.embeddings import embed_gallery

Floats = NDArray[np.float64]

BLOCK = 65_536
"""Rows that are made and written at once."""


def write(model: GeoModel, latlon_G2: Floats, path: Path) -> Tensor:
    """Writes a gallery's embeddings to a safetensors file, float16, and opens it.

    Args:
        model: in evaluation mode.
        latlon_G2: the gallery's points.
        path: the file; its folder is made if need be.
    """

    def embed(start: int, stop: int) -> Tensor:
        return embed_gallery(model, latlon_G2[start:stop])

    return embeddings.write_rows(embed, len(latlon_G2), path, _fingerprint(model, latlon_G2), BLOCK)


def _fingerprint(model: GeoModel, latlon_G2: Floats) -> str:
    """md5 of weights and points."""
    whole = hashlib.md5(np.ascontiguousarray(latlon_G2).data, usedforsecurity=False)
    for name, value in model.state_dict().items():
        whole.update(name.encode())
        whole.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return whole.hexdigest()
