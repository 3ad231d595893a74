"""CityGuessr: which city, state, country and continent a whole video is from.

See docs/specs/cityguessr.md, section 3.

A backbone makes one vector of a video; four linear classifiers score the classes of four levels. In
training only, attention lets all scores see each other, and two heads read from them what the scene
is and what the place's names mean: this is how the levels learn to agree.

Belongs here: the backbone over cached features, classifiers, attention, heads. Does not belong
here: VideoMAE (encoders/videomae.py), losses (losses.py), the way from scores to a place
(inference.py). Shape legend: B clips, T frames, X what a frame is (D cached features, or 3 S S
pixels), W width of the backbone, K classes of a level, P classes of all levels, A width of the
attention, S scenes, E text, I inferences, 4 = city, state, country, continent.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from vidtag_ml import config
from vidtag_ml.dataset.hierarchy import LEVELS, Hierarchy
from vidtag_ml.encoders.videomae import VideoMAE, VideoSpec
from vidtag_ml.models.base import Model
from vidtag_ml.models.position_encodings import Positions

NUM_INFERENCES = 4
"""Ways from logits to a place (inference.py), each calibrated by itself."""
SCENE_WIDTHS = (256, 128, 64, 32, 16)
"""Hidden layers of the scene head."""


@dataclass(frozen=True)
class Sizes(config.CityGuessrNetwork):
    """What the networks' sizes depend on: the settings, and what is learnt from."""

    videomae: VideoSpec | None
    """videomae: its specification; null for frames."""
    places: tuple[tuple[str, ...], ...]
    """City, state, country and continent of each city, in the order of its class."""
    attention_width: int
    """Width of the attention; 6 as published."""
    attention_heads: int
    """Its heads; 2 as published."""
    scenes: int
    """Classes of the scene head; 0 = there is none."""
    text: int
    """Width of the text head's answer; 0 = there is none."""

    def __post_init__(self) -> None:
        """Checks what no layer would say clearly.

        Raises:
            ValueError: two sizes contradict each other.
        """
        super().__post_init__()
        if (self.backbone == "videomae") != (self.videomae is not None):
            raise ValueError(f"backbone is {self.backbone}, but videomae is {self.videomae}")
        if (self.scenes or self.text) and not self.attention:
            raise ValueError("scene and text heads read the attention's answer: turn attention on")
        width, heads = self.attention_width, self.attention_heads
        if width % heads:
            raise ValueError(f"attention_width is {width}, not divisible by its {heads} heads")


@dataclass(frozen=True)
class Answers:
    """What the networks say of a batch."""

    logits: tuple[Tensor, ...]
    """Scores (B, K) of the classes of each level, city first."""
    scene_BS: Tensor | None
    """Logits of scenes, if there is a scene head."""
    text_BE: Tensor | None
    """Vectors to be aligned with the names' text embeddings, if there is a text head."""


class FrameTransformer(nn.Module):
    """Cached features of a video's frames in, one vector out: the small backbone, ours."""

    def __init__(self, sizes: Sizes, widths: Mapping[str, int]) -> None:
        """Builds pre-norm layers; without any, frames do not see each other, and have no position.

        Raises:
            ValueError: there are no features to read.
        """
        super().__init__()
        if not widths:
            raise ValueError("backbone is frames, but no encoder is named whose features it reads")
        self.widths, self.width = list(widths.values()), sizes.width
        self.project = nn.Linear(sum(self.widths), sizes.width)
        self.positions = Positions("sinusoidal" if sizes.layers else "none", sizes.width, 0)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                sizes.width, sizes.heads, sizes.ffn, sizes.dropout,
                activation="gelu", batch_first=True, norm_first=True,
            )
            for _ in range(sizes.layers)
        )  # fmt: skip
        self.norm = nn.LayerNorm(sizes.width)

    def forward(self, features_BTD: Tensor, valid_BT: Tensor, time_BT: Tensor) -> Tensor:
        """Vectors (B, W): the mean over real frames; what stands at padding changes nothing."""
        kept_BT1 = valid_BT[..., None]
        real_BTD = torch.where(kept_BT1, features_BTD, 0.0).to(self.project.weight.dtype)
        # Each encoder's part gets unit variance a component, so that none outweighs the others.
        parts = [
            functional.normalize(part, dim=-1) * math.sqrt(part.shape[-1])
            for part in torch.split(real_BTD, self.widths, -1)
        ]
        positions_BTW = math.sqrt(self.width) * self.positions(valid_BT, time_BT)
        stream_BTW = self.project(torch.cat(parts, -1)) + positions_BTW
        for layer in self.layers:
            stream_BTW = layer(stream_BTW, src_key_padding_mask=~valid_BT)
        total_BW = torch.where(kept_BT1, self.norm(stream_BTW), 0.0).sum(1)
        return total_BW / valid_BT.sum(1, keepdim=True)


class SelfCrossAttention(nn.Module):
    """All logits of a video attend to each other, each as a token of width 1.

    See docs/specs/cityguessr.md, section 3.3.
    """

    def __init__(self, width: int, heads: int) -> None:
        """Builds query, key and value, and attention with projections of its own."""
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(1, width) for _ in range(3))
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.out = nn.Linear(width, 1)

    def forward(self, logits_BP: Tensor) -> Tensor:
        """The published PV' (B, P): one number a class, of what it saw in all classes."""
        tokens_BP1 = logits_BP[..., None]
        query_BPA, key_BPA, value_BPA = (
            layer(tokens_BP1) for layer in (self.query, self.key, self.value)
        )
        seen_BPA, _ = self.attention(query_BPA, key_BPA, value_BPA, need_weights=False)
        answer_BP: Tensor = self.out(seen_BPA).squeeze(-1)
        return answer_BP


class CityGuessr(Model):
    """A video's frames -> backbone -> four classifiers; attention, scene and text head train it."""

    name: ClassVar[str] = "cityguessr"
    sizes_type: ClassVar[type] = Sizes
    sizes: Sizes
    backbone: FrameTransformer | VideoMAE
    temperatures: Tensor

    def __init__(self, sizes: Sizes, widths: Mapping[str, int]) -> None:
        """Random weights, and temperatures of 1 until they are set or loaded.

        Raises:
            ValueError: the places are not those of a hierarchy, or frames have no features.
        """
        super().__init__(sizes, widths)
        if sizes.videomae is None:
            self.backbone = FrameTransformer(sizes, widths)
        else:
            self.backbone = VideoMAE(sizes.videomae)
        counts = Hierarchy.of_rows(sizes.places).sizes
        total, width = sum(counts), self.backbone.width
        self.classifiers = nn.ModuleList(nn.Linear(width, count) for count in counts)
        self.attention = self.scene = self.text = None
        if sizes.attention:
            self.attention = SelfCrossAttention(sizes.attention_width, sizes.attention_heads)
        if sizes.scenes:
            self.scene = _perceptron(total, *SCENE_WIDTHS, sizes.scenes)
        if sizes.text:
            self.text = _perceptron(total, (total + sizes.text) // 2, sizes.text)
        ones_I4 = torch.ones(NUM_INFERENCES, len(LEVELS), dtype=torch.float64)
        self.register_buffer("temperatures", ones_I4)

    def logits(self, frames_BTX: Tensor, valid_BT: Tensor, time_BT: Tensor) -> tuple[Tensor, ...]:
        """Scores (B, K) of the classes of each level, city first: all that a prediction needs."""
        video_BW = self.backbone(frames_BTX, valid_BT, time_BT)
        return tuple(classifier(video_BW) for classifier in self.classifiers)

    def forward(self, frames_BTX: Tensor, valid_BT: Tensor, time_BT: Tensor) -> Answers:
        """Scores, and what the heads that are there make of them: all that training needs."""
        logits = self.logits(frames_BTX, valid_BT, time_BT)
        if self.attention is None:
            return Answers(logits, None, None)
        seen_BP = self.attention(torch.cat(logits, -1))
        scene_BS, text_BE = (
            None if head is None else head(seen_BP) for head in (self.scene, self.text)
        )
        return Answers(logits, scene_BS, text_BE)

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """All parameters that are not the backbone's."""
        heads = (self.classifiers, self.attention, self.scene, self.text)
        return itertools.chain.from_iterable(
            head.parameters() for head in heads if head is not None
        )


def _perceptron(*widths: int) -> nn.Sequential:
    """Linear layers between the widths, ReLU between them.

    See docs/specs/cityguessr.md, sections 3.4 and 3.5.
    """
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])
