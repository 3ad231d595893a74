"""Sections `gama`, `screening`, `heading` and `fusion`: videos among aerial tiles.

A section is a class upon others: the network, what else its training depends on, and what does
without learning anew. The class that a field stands in decides what is learnt again if it changes.

Belongs here: their fields, a unit in each name, a sentence under each.
"""

from dataclasses import dataclass
from typing import Literal

from vidtag_ml.config.ranges import Amount, Count, Degrees, Dropout, Portion, Positive, Whole
from vidtag_ml.config.training import Training


@dataclass(frozen=True)
class GamaNetwork:
    """What GAMa-Net is made of (docs/specs/gama.md, section 3)."""

    width: Count
    """Channels of the networks' first stage; each later stage doubles them. Published: 64."""
    blocks: Count
    """Residual blocks a stage. Published: 2."""
    ground: Literal["video", "image"]
    """video: a 3-D network over the clip; image: a 2-D network over its centre frame, the baseline
    Image-CB."""
    stem: Literal["reference", "fast"]
    """Of 2-D networks: stride 1 and no max-pool as released, or torchvision's own."""
    dropout: Dropout
    """After every residual block of the 3-D network."""
    tx: Literal["aerial", "video", "dual", "none"]
    """Which side's map a Transformer reads; elsewhere it is averaged."""
    tx_layers: Whole
    """Layers of the Transformer."""
    tx_heads: Count
    """Its attention heads."""
    tx_dropout: Dropout
    """Its dropout."""
    positions: Literal["none", "sinusoidal"]
    """Its position encoding; the paper has one, the released code none."""

    def __post_init__(self) -> None:
        """Refuses a Transformer of unequal heads."""
        width, heads = 8 * self.width, self.tx_heads
        if self.tx != "none" and width % heads:
            raise ValueError(f"tx_heads is {heads}; it must divide 8 x width: {width}")


@dataclass(frozen=True)
class GamaTraining(GamaNetwork, Training):
    """GAMa-Net and what it learns.

    `batch_size` counts videos, `frames_per_clip` the frames of a clip (published: 8), and `decay`
    is the factor on the learning rate at each of the `milestones`.
    """

    milestones: tuple[Count, ...]
    """Epochs after which the learning rate falls."""
    ground_start: str | None
    """Weights in features.encoders_dir that the ground network starts from; null = random ones."""
    aerial_start: str | None
    """Weights in features.encoders_dir that the aerial network starts from; null = random ones."""
    frames_per_second: Positive
    """Frames of the videos that are read, of which clips are made."""
    stride: Count
    """Each so-manyth frame of a clip's span is taken."""
    frame_size: tuple[Count, Count]
    """Rows and columns to which frames are scaled."""
    clip_crop: tuple[Count, Count]
    """Rows and columns that are seen of them."""
    tile_crop: Count
    """Rows and columns that are seen of a tile or region of aerial.tile_pixels."""
    augment: bool
    """Random crops, turns and mirror images in training; else the middle is seen."""
    hard_pairs: bool
    """Two clips of each video are learnt in a step, one from each half of the drive."""
    all_data: bool
    """Whether the videos of train.list are learnt, or those of train_day.list alone, if there is
    such a list."""
    loss: Literal["nt_xent", "triplet"]
    """NT-Xent, or the margin loss of the baseline Triplet-B."""
    temperature: Positive
    """nt_xent: what similarities are divided by."""
    margin: Amount
    """triplet: how much nearer than all others the right partner is to be."""
    center_test_clip: bool
    """In evaluation, and where screening learns from what is found, a fix is in the middle of its
    clip, not at its beginning."""


@dataclass(frozen=True)
class Gama(GamaTraining):
    """GAMa-Net: clips of ground video and the aerial tiles on which they were filmed.

    See docs/specs/gama.md. No training depends on the fields that are named here.
    """

    pixels: Literal["cached", "read"]
    """cached: all frames and tiles are scaled once, into arrays; read: files are read whenever
    training needs them, as no disk holds the published scale twice."""
    near_km: Positive
    """Evaluation, centred tiles: answers this near are right; published is 0.05 mile."""
    top1_km: dict[str, Positive]
    """Evaluation: distances of first answers, by the name that they have in top1_at_NAME."""
    kept: Literal["top10", "top1pct", "top10pct"]
    """Regions in whose tiles the hierarchical search looks again."""


@dataclass(frozen=True)
class ScreeningNetwork:
    """What the screening network is made of (docs/specs/gama.md, section 8)."""

    width: Count
    """Channels of the networks' first stage; each later stage doubles them. Published: 64."""
    blocks: Count
    """Residual blocks a stage. Published: 2."""
    sequence: Literal["2d", "3d"]
    """2d: features of tiles are averaged; 3d: a 3-D network reads the tiles as frames."""
    stem: Literal["reference", "fast"]
    """Of 2-D networks, as in `Gama`."""
    dropout: Dropout
    """After every residual block of the 3-D network."""


@dataclass(frozen=True)
class Screening(ScreeningNetwork, Training):
    """The screening network: videos, by tiles along them, and the regions that hold these.

    `batch_size` counts videos, `decay` is as in `Gama`. Losses, crops, augmentation and temperature
    are GAMa-Net's, too.
    """

    frames_per_clip: Count
    """Tiles of a sequence; published are 32 and 8."""
    milestones: tuple[Count, ...]
    """Epochs after which the learning rate falls."""
    small_start: str | None
    """Weights in features.encoders_dir that the network of tiles starts from; null = random."""
    large_start: str | None
    """Weights in features.encoders_dir that the network of regions starts from; null = random."""
    fine_tune_epochs: Whole
    """Passes over the train videos by the tiles that GAMa-Net finds for them, after `epochs` by the
    true ones; 0 = none."""
    fine_tune_batch_size: Count
    """Videos a step of these."""
    fine_tune_milestones: tuple[Count, ...]
    """Epochs of these after which the learning rate falls."""


@dataclass(frozen=True)
class HeadingTraining:
    """GAMa-Net goes on learning; what is not named here is as in its first training."""

    seed: Whole
    """As of every training."""
    epochs: Whole
    """Passes over the train videos; 0 = GAMa-Net itself looks at turned tiles."""
    learning_rate: Positive
    """Peak learning rate of Adam."""
    milestones: tuple[Count, ...]
    """Epochs after which the learning rate falls by `gama.decay`."""
    jitter_deg: Degrees
    """Standard deviation of what is added to the true heading in training."""


@dataclass(frozen=True)
class Heading(HeadingTraining):
    """Beyond GAMa: tiles are turned to the track's direction, and looked at again.

    A GAMa-Net that has gone on learning on such tiles does it.
    """

    num_candidates: Whole
    """Tiles of each clip that are turned; 0 = none."""


@dataclass(frozen=True)
class Fusion:
    """Beyond GAMa: VidTAG's posterior restricts the tiles, and multiplies their odds."""

    bundle: str | None
    """Folder of a VidTAG bundle, relative to the workspace or absolute; null = GAMa alone."""
    mass: Portion
    """Share of VidTAG's posterior in which tiles are looked for."""
