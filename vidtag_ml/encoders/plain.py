"""The networks of the two Flyover encoders in torch alone, for those who only read their weights.

timm and open_clip own these architectures, and training builds them there. Importing them takes
longer than all else that `vidtag locate` does, so published weights are read into these twins.

Belongs here: twins whose weights have the same names and whose features have the same bytes; a test
compares them. Does not belong here: which encoder has which (frames.py), initial weights.
Shape legend: N pictures, C channels, S pixels of a side, D features.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

REGNETX_004 = ((32, 1), (64, 2), (160, 7), (384, 12))
"""Width and number of blocks of each stage; the groups of a convolution are 16 wide."""


class RegNetX004(nn.Module):
    """timm's regnetx_004, projected without a bias, as in open_clip's vision tower."""

    def __init__(self, dim: int) -> None:
        """Features of width `dim`."""
        super().__init__()
        stem = _ConvNorm(3, 32, 3, stride=2, relu=True)
        stages: OrderedDict[str, nn.Module] = OrderedDict(stem=stem)
        before = 32
        for number, (width, depth) in enumerate(REGNETX_004, 1):
            first = _Bottleneck(before, width, 2)
            blocks = [first, *(_Bottleneck(width, width, 1) for _ in range(depth - 1))]
            named: OrderedDict[str, nn.Module] = OrderedDict()
            named.update({f"b{k}": block for k, block in enumerate(blocks, 1)})
            stages[f"s{number}"], before = nn.Sequential(named), width
        self.trunk = nn.Sequential(stages)
        self.head = nn.Sequential(OrderedDict(proj=nn.Linear(before, dim, bias=False)))

    def forward(self, pictures_N3SS: Tensor) -> Tensor:
        """Features (N, D) of preprocessed pictures."""
        features_ND: Tensor = self.head(_pooled(self.trunk(pictures_N3SS)))
        return features_ND


class ResNet10T(nn.Module):
    """timm's resnet10t without its classifier."""

    def __init__(self) -> None:
        """Features of width 512."""
        super().__init__()
        self.conv1 = nn.Sequential(
            _conv(3, 24, 3, stride=2), nn.BatchNorm2d(24), nn.ReLU(inplace=True),
            _conv(24, 32, 3), nn.BatchNorm2d(32), nn.ReLU(inplace=True), _conv(32, 64, 3),
        )  # fmt: skip
        self.bn1, self.maxpool = nn.BatchNorm2d(64), nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(_BasicBlock(64, 64, 1))
        self.layer2 = nn.Sequential(_BasicBlock(64, 128, 2))
        self.layer3 = nn.Sequential(_BasicBlock(128, 256, 2))
        self.layer4 = nn.Sequential(_BasicBlock(256, 512, 2))

    def forward(self, pictures_N3SS: Tensor) -> Tensor:
        """Features (N, D) of preprocessed pictures."""
        stream = self.maxpool(functional.relu(self.bn1(self.conv1(pictures_N3SS))))
        return _pooled(self.layer4(self.layer3(self.layer2(self.layer1(stream)))))


class _ConvNorm(nn.Module):
    def __init__(
        self, before: int, width: int, size: int, *, stride: int = 1, groups: int = 1, relu: bool
    ) -> None:
        super().__init__()
        self.conv = _conv(before, width, size, stride=stride, groups=groups)
        self.bn, self.relu = nn.BatchNorm2d(width), relu

    def forward(self, stream: Tensor) -> Tensor:
        normed: Tensor = self.bn(self.conv(stream))
        return functional.relu(normed) if self.relu else normed


class _Bottleneck(nn.Module):
    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _ConvNorm(before, width, 1, relu=True)
        self.conv2 = _ConvNorm(width, width, 3, stride=stride, groups=width // 16, relu=True)
        self.conv3 = _ConvNorm(width, width, 1, relu=False)
        self.downsample = (
            nn.Identity() if stride == 1 else _ConvNorm(before, width, 1, stride=stride, relu=False)
        )

    def forward(self, stream: Tensor) -> Tensor:
        inner = self.conv3(self.conv2(self.conv1(stream)))
        return functional.relu(inner + self.downsample(stream))


class _BasicBlock(nn.Module):
    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(before, width, 3, stride=stride), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = _conv(width, width, 3), nn.BatchNorm2d(width)
        halved = nn.AvgPool2d(2), _conv(before, width, 1), nn.BatchNorm2d(width)
        self.downsample = nn.Identity() if stride == 1 else nn.Sequential(*halved)

    def forward(self, stream: Tensor) -> Tensor:
        inner = functional.relu(self.bn1(self.conv1(stream)))
        return functional.relu(self.bn2(self.conv2(inner)) + self.downsample(stream))


def _conv(before: int, width: int, size: int, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, width, size, stride, size // 2, groups=groups, bias=False)


def _pooled(stream_NCSS: Tensor) -> Tensor:
    return torch.flatten(functional.adaptive_avg_pool2d(stream_NCSS, 1), 1)
