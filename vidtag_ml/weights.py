"""Weights of frame encoders: which are known, which are here, and how to get the others.

Belongs here: the papers' encoders by name, checking weights on disk, and the only download in
vidtag, which happens when a person asks for it. Does not belong here: architectures
(models/backbones.py), training of the small Flyover encoders (training/encoders.py).
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_ml import stage

if TYPE_CHECKING:
    from torch import nn

    from vidtag_ml.models.backbones import EncoderSpec

OURS = ("flyover_clip", "flyover_dino")
"""Encoders that `vidtag train-encoders` makes; they come with the repository."""
PRETRAINED = {"clip_vit_l14": "openai", "dinov2_vit_l14": "lvd142m"}
"""The papers' encoders, and the tag under which open_clip and timm know their weights."""


@dataclass(frozen=True)
class Status:
    """What a folder holds of one encoder."""

    name: str
    """Name of the encoder, as in `features.encoders`."""
    state: str
    """ok, absent, or what is wrong."""
    model: str
    """Library and architecture; empty if absent."""
    size_mb: float
    """Size of the weights in millions of bytes."""
    md5: str
    """md5 of the weights; empty if absent."""


def known(configured: Iterable[str]) -> list[str]:
    """Names worth listing: those configured, ours, and the papers', each once."""
    return list(dict.fromkeys([*configured, *OURS, *PRETRAINED]))


def status(folder: Path, name: str) -> Status:
    """What `folder` holds of the encoder `name`; looks at files only."""
    spec, weights = folder / f"{name}.json", folder / f"{name}.safetensors"
    if not (spec.is_file() and weights.is_file()):
        how = "vidtag train-encoders" if name in OURS else "vidtag weights fetch"
        return Status(name, f"absent: `{how} {name}` gets them", "", 0.0, "")
    card = json.loads(spec.read_text())
    model = f"{card['library']} {card['model']}"
    return Status(name, "ok", model, weights.stat().st_size / 1e6, stage.digest(weights))


def verify(folder: Path, name: str) -> Status:
    """Like `status`, after building the encoder and encoding a grey picture with it."""
    import dataclasses

    found = status(folder, name)
    if found.state != "ok":
        return found
    problem = _problem(folder, name)
    return dataclasses.replace(found, state=problem) if problem else found


def _problem(folder: Path, name: str) -> str:
    import torch
    from safetensors import SafetensorError

    from vidtag_ml.models import backbones

    try:
        encoder = backbones.load(folder, name)
    except (SafetensorError, RuntimeError, ValueError, TypeError, KeyError) as error:
        return f"unusable: {' '.join(str(error).split())[:200]}"
    size = encoder.spec.image_size
    grey = torch.full((1, size, size, 3), 128, dtype=torch.uint8)
    with torch.inference_mode():
        features = encoder(encoder.preprocess(grey))
    if features.shape != (1, encoder.spec.dim) or not features.isfinite().all():
        return f"unusable: features have shape {tuple(features.shape)} or are not finite"
    return ""


def fetch(name: str, folder: Path, source: Path | None = None) -> Path:
    """Puts a pretrained encoder into `folder` (NAME.json and NAME.safetensors); returns the latter.

    Args:
        name: a key of `PRETRAINED`.
        folder: where encoders live.
        source: a checkpoint as open_clip or timm publish it; None = download through them.

    Raises:
        ValueError: the name is unknown, or the weights cannot be had.
    """
    if name in OURS:
        raise ValueError(
            f"{name} comes with the repository; `vidtag train-encoders {name}` makes it anew"
        )
    if name not in PRETRAINED:
        raise ValueError(
            f"no pretrained encoder is called {name!r}; known: {', '.join(PRETRAINED)}"
        )
    if source is not None and not source.is_file():
        raise ValueError(f"{source}: no such file")
    from safetensors.torch import save_file

    from vidtag_ml.models.backbones import PAPER_SPECS

    spec = PAPER_SPECS[name]
    try:
        network = _pretrained(spec, source)
    # Whatever their clients raise without a network is of no common class.
    except Exception as error:
        where = source or f"the network, through {spec.library}"
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{name}: no weights from {where}: {reason}") from error
    state = {f"network.{k}": v.half().contiguous() for k, v in network.state_dict().items()}
    weights = folder / f"{name}.safetensors"
    with stage.replacing(weights) as aside:
        save_file(state, aside)
    with stage.replacing(folder / f"{name}.json") as aside:
        spec.write(aside)
    return weights


def _pretrained(spec: "EncoderSpec", source: Path | None) -> "nn.Module":
    if spec.library == "open_clip":
        import open_clip

        clip = open_clip.create_model(
            spec.model, pretrained=str(source or PRETRAINED["clip_vit_l14"])
        )
        visual: nn.Module = clip.visual
        return visual
    import timm

    options: dict[str, Any] = {"pretrained_cfg_overlay": {"file": str(source)}} if source else {}
    tag = PRETRAINED["dinov2_vit_l14"]
    network: nn.Module = timm.create_model(
        f"{spec.model}.{tag}", pretrained=True, num_classes=0, **spec.options, **options
    )
    return network
