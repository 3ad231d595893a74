"""GAMa: clips, tiles of aerial imagery and whole regions in one space.

See docs/specs/gama.md, sections 3 and 8.

Belongs here: GAMaNet, Screening, the residual networks in them, and torchvision's published weights
for these. Does not belong here: losses, sampling and augmentation (sampling.py), where
tiles lie, searches (screening.py) and their metrics (metrics.py).
Shape legend: B clips, tiles, videos or regions, C channels, T frames, S tiles of a video, H W
pixels, N tokens, D features, E common space, X any of these. Pixels are in [-1, 1].
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from vidtag_ml import config
from vidtag_ml.encoders import checkpoints
from vidtag_ml.models.base import Model

Stem = Literal["reference", "fast"]

POOLED = 7
"""Tokens a side into which the map of a tile is averaged for the Transformer."""


class ResidualNetwork(nn.Module, ABC):
    """Pixels to a map of features: a stem and four stages, with torchvision's names of weights."""

    published: ClassVar[str]
    """Whose weights fit at width 64 and 2 blocks a stage."""
    layer1: nn.Sequential
    layer2: nn.Sequential
    layer3: nn.Sequential
    layer4: nn.Sequential

    def __init__(self, width: int, dropout: float) -> None:
        """Notes the width of the map; stages are added by `_add_stages`."""
        super().__init__()
        self.num_features = 8 * width
        self.dropout = nn.Dropout(dropout)

    @abstractmethod
    def enter(self, pixels_BX: Tensor) -> Tensor:
        """What the first stage reads."""

    def forward(self, pixels_BX: Tensor) -> Tensor:
        """The last stage's map (B, D, ...)."""
        stream = self.enter(pixels_BX)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in stage:
                stream = self.dropout(block(stream))
        return stream

    def _add_stages(self, block: Any, convolution: Any, norm: Any, blocks: int) -> None:
        """Adds layer1 to layer4 and draws all convolutions' weights."""
        width = before = self.num_features // 8
        for stage in range(4):
            after, stride, shortcut = width * 2**stage, 1 if stage == 0 else 2, None
            if stage:
                shortcut = _Shortcut(convolution(before, after, 1, bias=False), norm(after))
            first = block(before, after, stride=stride, downsample=shortcut)
            rest = (block(after, after) for _ in range(blocks - 1))
            self.add_module(f"layer{stage + 1}", nn.Sequential(first, *rest))
            before = after
        for module in self.modules():
            if isinstance(module, convolution):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        # Features of a pixel side by side: 1.4 times as fast on one core at the sizes of Flyover.
        volumes = convolution is nn.Conv3d
        self.to(memory_format=torch.channels_last_3d if volumes else torch.channels_last)


class _Shortcut(nn.Sequential):
    """A 1 x 1 convolution of stride 2 and a norm, where a stage halves its map.

    Pixels are chosen first and convolved with stride 1, which is the same. oneDNN's weight gradient
    of a strided 1 x 1 convolution in float32 writes past its workspace if features lie side by side
    and are fewer than a register holds: 16 with AVX-512, 8 with AVX2. It crashes, hangs, or is
    wrong in silence (github.com/uxlfoundation/oneDNN/issues/6035).
    """

    def forward(self, map_BX: Tensor) -> Tensor:
        """The map (B, C, ...) of half the length, height and width."""
        steps = (1, 1, *[2] * (map_BX.ndim - 2))
        chosen_BX = map_BX[tuple(slice(None, None, step) for step in steps)]
        halved_BX: Tensor = super().forward(chosen_BX)  # type: ignore[no-untyped-call]
        return halved_BX


class ImageNetwork(ResidualNetwork):
    """ResNet-18 without its classifier, from images (B, 3, H, W)."""

    published: ClassVar[str] = "torchvision's ResNet-18"

    def __init__(self, width: int, blocks: int, stem: Stem) -> None:
        """Random weights; both stems have the same."""
        from torchvision.models import resnet

        super().__init__(width, dropout=0.0)
        stride, padding = (1, 1) if stem == "reference" else (2, 3)
        self.conv1 = nn.Conv2d(3, width, 7, stride=stride, padding=padding, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if stem == "fast" else nn.Identity()
        self._add_stages(resnet.BasicBlock, nn.Conv2d, nn.BatchNorm2d, blocks)

    def enter(self, pixels_BX: Tensor) -> Tensor:
        """Maps of 220 x 220 for tiles of 224 x 224, or of 56 x 56 by the fast stem."""
        map_BX: Tensor = self.maxpool(functional.relu(self.bn1(self.conv1(pixels_BX))))
        return map_BX


class VideoNetwork(ResidualNetwork):
    """R3D-18 without its classifier, from clips (B, 3, T, H, W)."""

    published: ClassVar[str] = "torchvision's R3D-18"

    def __init__(self, width: int, blocks: int, dropout: float) -> None:
        """Random weights."""
        from torchvision.models.video import resnet

        super().__init__(width, dropout)
        self.stem = nn.Sequential(
            nn.Conv3d(3, width, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
        )
        block = partial(resnet.BasicBlock, conv_builder=resnet.Conv3DSimple)
        self._add_stages(block, nn.Conv3d, nn.BatchNorm3d, blocks)

    def enter(self, pixels_BX: Tensor) -> Tensor:
        """Maps of half the height and width."""
        map_BX: Tensor = self.stem(pixels_BX)
        return map_BX


class TokenTransformer(nn.Module):
    """Tokens attend to each other, and are averaged: post-norm, ReLU, FFN as wide as the rest."""

    def __init__(self, sizes: config.GamaNetwork) -> None:
        """Random weights, each layer's its own."""
        super().__init__()
        width, heads = 8 * sizes.width, sizes.tx_heads
        self.positions = sizes.positions
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, heads, width, sizes.tx_dropout, batch_first=True)
            for _ in range(sizes.tx_layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens_BND: Tensor) -> Tensor:
        """Features (B, D)."""
        stream = tokens_BND
        if self.positions == "sinusoidal":
            stream = stream + _waves(stream)
        for layer in self.layers:
            stream = layer(stream)
        features_BD: Tensor = self.norm(stream).mean(1)
        return features_BD


class Encoder(nn.Module):
    """A network, its map made one vector, a head of two linear layers, unit length."""

    def __init__(
        self, network: ResidualNetwork, transformer: TokenTransformer | None = None
    ) -> None:
        """The map is averaged, or read by the Transformer."""
        super().__init__()
        width = network.num_features
        self.network, self.transformer = network, transformer
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def features(self, pixels_BX: Tensor) -> Tensor:
        """Features (B, D) before the head."""
        map_BX = self.network(pixels_BX)
        if self.transformer is None:
            pooled_BD: Tensor = map_BX.flatten(2).mean(2)
            return pooled_BD
        if map_BX.ndim == 4:
            map_BX = functional.adaptive_avg_pool2d(map_BX, POOLED)
        read_BD: Tensor = self.transformer(map_BX.flatten(2).transpose(1, 2))
        return read_BD

    def finish(self, features_BD: Tensor) -> Tensor:
        """Unit vectors (B, E) of features."""
        return functional.normalize(self.head(features_BD), dim=-1)

    def forward(self, pixels_BX: Tensor) -> Tensor:
        """Unit vectors (B, E) of pixels."""
        return self.finish(self.features(pixels_BX))


class GAMaNet(Model):
    """Clips and the small tiles on which they were filmed, as neighbours in one space."""

    name: ClassVar[str] = "gama"
    sizes_type: ClassVar[type] = config.GamaNetwork
    sizes: config.GamaNetwork

    def __init__(self, sizes: config.GamaNetwork, widths: Mapping[str, int] | None = None) -> None:
        """Random weights; `load_published` fills `ground.network` and `aerial.network`.

        Raises:
            ValueError: a Transformer over an image's map as over a video's, encoders' features to
                read (there are none: pixels come in), or heads that do not divide the width.
        """
        super().__init__(sizes, _no_encoders(self.name, widths))
        both = {"aerial": (False, True), "video": (True, False), "dual": (True, True)}
        on_ground, on_tile = both.get(sizes.tx, (False, False))
        if on_ground and sizes.ground == "image":
            raise ValueError(f"tx = {sizes.tx} reads a video's map, but ground = image has none")
        image = partial(ImageNetwork, sizes.width, sizes.blocks, sizes.stem)
        video = partial(VideoNetwork, sizes.width, sizes.blocks, sizes.dropout)
        ground: ResidualNetwork = video() if sizes.ground == "video" else image()
        self.ground = Encoder(ground, TokenTransformer(sizes) if on_ground else None)
        self.aerial = Encoder(image(), TokenTransformer(sizes) if on_tile else None)

    def embed_clips(self, clips_BCTHW: Tensor) -> Tensor:
        """Unit vectors (B, E) of clips, published as (B, 3, 8, 112, 224)."""
        if self.sizes.ground == "image":
            clips_BCTHW = clips_BCTHW[:, :, clips_BCTHW.shape[2] // 2]
        vectors_BE: Tensor = self.ground(clips_BCTHW)
        return vectors_BE

    def embed_tiles(self, tiles_BCHW: Tensor) -> Tensor:
        """Unit vectors (B, E) of small tiles, published as (B, 3, 224, 224)."""
        vectors_BE: Tensor = self.aerial(tiles_BCHW)
        return vectors_BE


class Screening(Model):
    """Videos, by the small tiles along them, and the large regions that hold these."""

    name: ClassVar[str] = "gama_screening"
    sizes_type: ClassVar[type] = config.ScreeningNetwork
    sizes: config.ScreeningNetwork

    def __init__(
        self, sizes: config.ScreeningNetwork, widths: Mapping[str, int] | None = None
    ) -> None:
        """Random weights; `load_published` fills `small.network` and `large.network`.

        Raises:
            ValueError: encoders' features to read (there are none: pixels come in).
        """
        super().__init__(sizes, _no_encoders(self.name, widths))
        image = partial(ImageNetwork, sizes.width, sizes.blocks, sizes.stem)
        video = partial(VideoNetwork, sizes.width, sizes.blocks, sizes.dropout)
        self.small = Encoder(image() if sizes.sequence == "2d" else video())
        self.large = Encoder(image())

    def embed_videos(self, tiles_BSCHW: Tensor) -> Tensor:
        """Unit vectors (B, E) of sequences of small tiles, published as (B, 32, 3, 224, 224)."""
        if self.sizes.sequence == "3d":
            vectors_BE: Tensor = self.small(tiles_BSCHW.transpose(1, 2))
            return vectors_BE
        features_ND = self.small.features(tiles_BSCHW.flatten(0, 1))
        features_BSD = features_ND.view(*tiles_BSCHW.shape[:2], -1)
        return self.small.finish(features_BSD.mean(1))

    def embed_regions(self, regions_BCHW: Tensor) -> Tensor:
        """Unit vectors (B, E) of large images, published as (B, 3, 224, 224)."""
        vectors_BE: Tensor = self.large(regions_BCHW)
        return vectors_BE


def load_published(network: ResidualNetwork, file: Path) -> None:
    """Fills a network of published size with torchvision's weights; its classifier is left out.

    A network with the reference stem takes the fast stem's convolution, and its shortcuts theirs,
    which the reference code leaves at random by a slip of names (docs/specs/gama.md, section 3.2).

    Args:
        network: R3D-18 (Kinetics-400) fits a `VideoNetwork`, ResNet-18 (ImageNet) an
            `ImageNetwork`.
        file: a state dict, as torch or safetensors write it.

    Raises:
        ValueError: there is no such file, it is no state dict, or it does not fit; names it.
    """
    held = checkpoints.read_weights(checkpoints.checkpoint_in(file))
    state = {k: v for k, v in held.items() if k not in ("fc.weight", "fc.bias")}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split()).partition(": ")[2][:200]
        raise ValueError(
            f"{file}: does not fit; a {type(network).__name__} of width 64 with 2 blocks a stage "
            f"takes the weights of {network.published}: {reason}"
        ) from error


def _no_encoders(name: str, widths: Mapping[str, int] | None) -> dict[str, int]:
    if widths:
        raise ValueError(f"{name} reads pixels, not the features of {', '.join(widths)}")
    return {}


def _waves(tokens_BND: Tensor) -> Tensor:
    """Sines and cosines (N, D) of the tokens' numbers, wavelengths from 2 pi to 20,000 pi."""
    _, num, width = tokens_BND.shape
    half = torch.arange(width // 2, device=tokens_BND.device)
    frequency = torch.exp(-math.log(10000.0) * half / (width // 2))
    phase = torch.arange(num, device=tokens_BND.device)[:, None] * frequency
    return torch.cat([phase.sin(), phase.cos()], 1).to(tokens_BND)
