"""Text targets: what the names of a city and of all that it lies in mean.

See docs/specs/cityguessr.md, section 3.

Belongs here: CLIP's text tower, its stand-in, the mean over a place's names. Does not belong here:
the head that is aligned with them (models/cityguessr/network.py), its loss
(models/cityguessr/losses.py). Nothing here ever downloads. Shape legend: C cities, N names, E text.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vidtag_ml import config
from vidtag_ml.dataset.hierarchy import LEVELS
from vidtag_ml.encoders import checkpoints

Floats = NDArray[np.float32]
Embed = Callable[[Sequence[str]], Floats]
"""Vectors (N, E) of names."""
_CHUNK = 64
_TEXT_KEYS = ("width", "layers", "heads", "context_length", "vocab_size")
_NOT_TEXT = {"logit_scale", "logit_bias", "input_resolution", "context_length", "vocab_size"}
_HOW = "put a checkpoint of CLIP ViT-B/32 there, or choose seeded text targets"


def targets(
    places: Sequence[Sequence[str]], embed: Embed, levels: Sequence[str] = LEVELS
) -> Floats:
    """The mean (C, E) over levels of the unit vectors of each city's names.

    See docs/specs/cityguessr.md, section 3.6.

    Args:
        places: city, state, country and continent of each city, in the order of its class.
        embed: `TextTower.embed`, or `seeded` with a seed; gets names with spaces for underscores.
        levels: whose names count; the city's alone is the published ablation.

    Raises:
        ValueError: there is no such level, or not a vector for each name.
    """
    unknown = [level for level in levels if level not in LEVELS]
    if unknown or not levels:
        raise ValueError(f"levels are {list(levels)}; they must be some of {', '.join(LEVELS)}")
    columns = [LEVELS.index(level) for level in levels]
    names = [[place[k].replace("_", " ") for k in columns] for place in places]
    row_of = {name: row for row, name in enumerate(sorted({n for many in names for n in many}))}
    vectors_NE = np.asarray(embed(list(row_of)), np.float64)
    length_N1 = np.linalg.norm(vectors_NE, axis=-1, keepdims=True)
    if len(vectors_NE) != len(row_of) or not (np.isfinite(length_N1) & (length_N1 > 0)).all():
        raise ValueError(f"{len(row_of)} names do not have a finite vector of some length each")
    rows_CL = np.array([[row_of[name] for name in many] for many in names])
    return np.asarray((vectors_NE / length_N1)[rows_CL].mean(1), np.float32)


def seeded(names: Sequence[str], seed: int, width: int = 512) -> Floats:
    """Random unit vectors (N, E) that stand in for a text tower's: they know names, no language.

    A vector follows from the name and the seed alone, on every machine: its signs are bits of
    SHAKE-256, its components are equally large.
    """
    drawn = [hashlib.shake_256(f"{seed} {name}".encode()).digest(-(-width // 8)) for name in names]
    bits_NE = np.unpackbits(np.array([list(d) for d in drawn], np.uint8), axis=1, count=width)
    return np.asarray((2.0 * bits_NE - 1) / np.sqrt(width), np.float32)


@dataclass(frozen=True)
class TextSpec:
    """What it takes to build one of CLIP's text towers; stored as JSON beside the weights."""

    dim: int
    """Width of the embedding."""
    width: int
    """Width of the Transformer."""
    layers: int
    """Its layers."""
    heads: int
    """Its attention heads."""
    context_length: int
    """Tokens of a name, with start and end."""
    vocab_size: int
    """Tokens that there are."""
    quick_gelu: bool
    """OpenAI's weights want this activation; open_clip's own do not."""

    @classmethod
    def read(cls, path: Path) -> "TextSpec":
        """The specification stored at `path`.

        Raises:
            ValueError: the file does not hold one; names the file.
        """
        try:
            values = json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}: not a text tower's specification: {error}") from error
        spec: TextSpec = config.parse(cls, values, str(path))
        return spec

    def write(self, path: Path) -> None:
        """Stores the specification as JSON."""
        path.write_text(json.dumps(config.as_dict(self), indent=2) + "\n")


CLIP_VIT_B32 = TextSpec(
    dim=512,
    width=512,
    layers=12,
    heads=8,
    context_length=77,
    vocab_size=49408,
    quick_gelu=True,
)
"""The text tower of OpenAI's CLIP ViT-B/32 (our decision: docs/specs/cityguessr.md, section
3.6)."""


class TextTower(nn.Module):
    """CLIP's text encoder with its tokenizer, whose vocabulary lies in open_clip's package."""

    def __init__(self, spec: TextSpec) -> None:
        """Builds the architecture with random weights; the vision tower is none."""
        import open_clip

        super().__init__()
        self.spec = spec
        text = {key: getattr(spec, key) for key in _TEXT_KEYS}
        vision = {"image_size": 8, "patch_size": 8, "layers": 1, "width": 8, "head_width": 8}
        clip = open_clip.CLIP(spec.dim, vision, text, quick_gelu=spec.quick_gelu)
        clip.visual = nn.Identity()
        del clip.logit_scale
        self.network: nn.Module = clip
        self.tokenize = open_clip.SimpleTokenizer(context_length=spec.context_length)

    @torch.inference_mode()
    def embed(self, names: Sequence[str]) -> Floats:
        """Embeddings (N, E) of names, not normalised."""
        chunks = [names[k : k + _CHUNK] for k in range(0, len(names), _CHUNK)]
        device = next(self.parameters()).device
        parts: list[Tensor] = [
            self.network.encode_text(self.tokenize(list(chunk)).to(device))  # type: ignore[operator]
            for chunk in chunks
        ]
        return np.asarray(torch.cat(parts).float().cpu().numpy())


def load(folder: Path, name: str) -> TextTower:
    """The text tower NAME.json, NAME.safetensors of `folder`: frozen, in evaluation mode, float32.

    Raises:
        ValueError: a file is missing or does not fit the other; names it, and what to do.
    """
    card, file = folder / f"{name}.json", folder / f"{name}.safetensors"
    if not card.is_file():
        raise ValueError(f"{card}: no such file, so {name} has no weights; {_HOW}")
    return published(file, TextSpec.read(card))


def published(file: Path, spec: TextSpec = CLIP_VIT_B32) -> TextTower:
    """The text tower in a checkpoint of open_clip's or OpenAI's, as `load` returns it.

    Raises:
        ValueError: there is no such file, or it does not fit; names it, and what to do.
    """
    if not file.is_file():
        raise ValueError(f"{file}: no such file, so there is no text tower; {_HOW}")
    tower = TextTower(spec)
    weights = {
        key.removeprefix("network."): value.float()
        for key, value in checkpoints.read_weights(file).items()
        if not key.startswith("visual.") and key not in _NOT_TEXT
    }
    try:
        tower.network.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(f"{file}: not the text tower wanted: {reason}; {_HOW}") from error
    return tower.eval().requires_grad_(False)
