"""Section `cityguessr`: its network, training and answers, each a class upon the one before.

The class that a field stands in decides what is learnt again if it changes.

Belongs here: its fields, a unit in each name, a sentence under each.
"""

from dataclasses import dataclass
from typing import Literal

from vidtag_ml.config.ranges import Amount, Count, Dropout, Positive, Share, Whole
from vidtag_ml.config.training import Training


@dataclass(frozen=True)
class CityGuessrNetwork:
    """What CityGuessr's network is made of (docs/specs/cityguessr.md, section 3)."""

    backbone: Literal["frames", "videomae"]
    """frames: a Transformer over the cached features of frozen frame encoders; videomae: VideoMAE
    on pixels, trained with the rest."""
    width: Count
    """frames: width of the Transformer."""
    layers: Whole
    """frames: its layers; 0 = the mean over frames is all that is seen."""
    heads: Count
    """frames: its attention heads."""
    ffn: Count
    """frames: its feed-forward width."""
    dropout: Dropout
    """frames: dropout in the Transformer."""
    attention: bool
    """Self-Cross Attention over the four levels' logits."""

    def __post_init__(self) -> None:
        """Refuses unequal heads."""
        if self.width % self.heads:
            raise ValueError(f"heads is {self.heads}; it must divide width: {self.width}")


@dataclass(frozen=True)
class CityGuessrTraining(CityGuessrNetwork, Training):
    """CityGuessr's network and what it learns."""

    start: str | None
    """Weights in features.encoders_dir that VideoMAE starts from; null = random weights."""
    encoders: tuple[str, ...]
    """frames: encoders whose features are read, of those in `features.encoders`."""
    frame_stride: Count
    """videomae: every so many-th frame from the start is taken, if the video is long enough."""
    pixels: Literal["imagenet", "unit"]
    """videomae: pixels are normalised by ImageNet's statistics, or scaled to [0, 1] only."""
    scenes: Literal["none", "soft", "majority"]
    """Scene labels that are learned as well: none, a distribution a video, or its largest class."""
    text: str | None
    """Text targets: null = none, seeded = stand-ins drawn by label, else a text tower in
    features.encoders_dir."""
    text_levels: Literal["all", "city"]
    """Levels whose names make the text target."""
    scene_weight: Amount
    """Weight of the scene loss."""
    text_weight: Amount
    """Weight of the mean text loss; 12 is the published sum over a batch of 12."""
    optimizer: Literal["adam", "adamw"]
    """adam: L2 weight decay and one rate for all; adamw: decoupled, VideoMAE at its own rate."""
    schedule: Literal["decay", "cosine"]
    """After warm-up: `decay` after each epoch, or a cosine to nothing at the end."""
    backbone_learning_rate: Positive
    """adamw: peak learning rate of a backbone that starts from trained weights."""
    selection: Literal["last", "best"]
    """The weights that are kept: of the last epoch, or of the one with the best val city top-1."""

    def __post_init__(self) -> None:
        """Refuses frames that no encoder sees."""
        super().__post_init__()
        if self.backbone == "frames" and not self.encoders:
            raise ValueError("encoders is []; the backbone frames reads at least one")


@dataclass(frozen=True)
class CityGuessr(CityGuessrTraining):
    """Which city, state, country and continent a video is from (docs/specs/cityguessr.md).

    Only answers depend on the fields that are named here, no training.
    """

    inference: Literal["codependent", "independent", "product", "tree"]
    """How four levels' logits become an answer (docs/specs/cityguessr.md, section 6; tree is
    ours)."""
    least_probability: Share
    """An answer goes down to the last level whose calibrated probability is at least this."""
