"""Gradients of GAMa's convolutions with oneDNN and without, in a process that a fault may kill.

Prints each network's largest difference as JSON, in shares of the largest entry of a layer's
gradient. Layers are looked at alone: through a whole network, a ReLU on the other side of zero is
worth a hundredth.
"""

import dataclasses
import json
import sys
from pathlib import Path

import torch

from vidtag_ml import config
from vidtag_ml.models.gama import network as gama_network

ROOT = Path(__file__).parents[4]
TINY = {"width": 4, "blocks": 1}


def of(section, kind, **changed):
    """The sizes `kind` in a section of a params file."""
    return dataclasses.replace(config.part(section, kind), **changed)


def cases():
    """Sizes and the side of a tile, of what the params files and the tests train."""
    for name in ("params.yaml", "params/paper_msls.yaml"):
        params = config.load(ROOT / name)
        yield f"{name} gama", of(params.gama, config.GamaNetwork), 40
        yield f"{name} screening", of(params.screening, config.ScreeningNetwork), 40
    small = config.load(ROOT / "params.yaml")
    for stem in ("reference", "fast"):
        yield f"tiny gama, {stem}", of(small.gama, config.GamaNetwork, **TINY, stem=stem), 48
    for sequence in ("2d", "3d"):
        sizes = of(small.screening, config.ScreeningNetwork, **TINY, sequence=sequence)
        yield f"tiny screening, {sequence}", sizes, 48
    yield "large tiles", of(small.gama, config.GamaNetwork, ground="image"), 96


def convolutions(sizes, side):
    """Convolutions of a network, and what each reads of two clips, or videos, and two tiles."""
    torch.manual_seed(0)
    screening, seen = isinstance(sizes, config.ScreeningNetwork), []
    model = gama_network.Screening(sizes) if screening else gama_network.GAMaNet(sizes)
    for layer in model.modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Conv3d)):
            layer.register_forward_pre_hook(lambda *given: seen.append((given[0], *given[1])))
    with torch.no_grad():
        if screening:
            model.embed_videos(torch.randn(2, 4, 3, side, side))
        else:
            model.embed_clips(torch.randn(2, 3, 4, side, side))
        (model.embed_regions if screening else model.embed_tiles)(torch.randn(2, 3, side, side))
    return list(seen)


def difference(layer, pixels):
    """The largest difference that oneDNN makes to a layer's gradient."""
    with torch.no_grad():
        above = torch.randn_like(layer(pixels))
    with torch.backends.mkldnn.flags(enabled=False):
        (wanted,) = torch.autograd.grad(layer(pixels), layer.weight, above)
    (got,) = torch.autograd.grad(layer(pixels), layer.weight, above)
    return ((got - wanted).abs().max() / wanted.abs().max()).item()


if __name__ == "__main__":
    torch.set_num_threads(1)
    largest = {
        name: max(difference(*pair) for pair in convolutions(sizes, side))
        for name, sizes, side in cases()
    }
    sys.stdout.write(json.dumps(largest))
