"""Sections `model`, `phase_one` and `phase_two`: VidTAG and its two trainings.

Belongs here: their fields, a unit in each name, a sentence under each.
"""

from dataclasses import dataclass
from typing import Literal

from vidtag_ml.config.ranges import (
    Amount,
    Count,
    Degrees,
    Dropout,
    Positive,
    Share,
    Some,
    Whole,
)
from vidtag_ml.config.training import Training


@dataclass(frozen=True)
class Location:
    """The GPS encoder: Equal Earth projection and random Fourier features, as in GeoCLIP."""

    sigmas: Some[Positive]
    """Standard deviation of the Fourier frequencies, one branch each."""
    num_frequencies: Count
    """Frequencies a branch; its features are their cosines and sines."""
    hidden: Count
    """Width of the branches' hidden layers."""


@dataclass(frozen=True)
class Model:
    """Sizes of VidTAG; GeoCLIP shares `embed_dim` and `location`."""

    embed_dim: Count
    """Width of the space in which frames and coordinates meet."""
    temporal_layers: Whole
    """TempGeo: Transformer encoder layers."""
    temporal_heads: Count
    """TempGeo: attention heads."""
    temporal_ffn: Count
    """TempGeo: feed-forward width."""
    head_widths: tuple[Count, ...]
    """Hidden widths of the Mish head between TempGeo and the common space."""
    temporal_norm: bool
    """TempGeo: whether a layer norm ends it."""
    positions: Literal["sinusoidal", "learned", "none"]
    """TempGeo: position encoding; sinusoidal is evaluated at continuous frame times."""
    num_positions: Count
    """Entries of a learned table of positions; later frames share the last one."""
    dropout: Dropout
    """Dropout in all Transformers."""
    location: Location
    """The GPS encoder."""
    refiner_encoder_layers: Whole
    """GeoRefiner: layers over the frame embeddings."""
    refiner_decoder_layers: Whole
    """GeoRefiner: layers over the GPS embeddings."""
    refiner_heads: Count
    """GeoRefiner: attention heads."""
    refiner_ffn: Count
    """GeoRefiner: feed-forward width."""
    refiner_width: Count | None
    """GeoRefiner: width, with projections in and out; null = `embed_dim`, without."""
    refiner_positions: Literal["sinusoidal", "learned", "none"]
    """GeoRefiner: position encoding."""

    def __post_init__(self) -> None:
        """Refuses a refiner of unequal heads; TempGeo's width is that of the encoders."""
        name = "embed_dim" if self.refiner_width is None else "refiner_width"
        width, heads = getattr(self, name), self.refiner_heads
        if width % heads:
            raise ValueError(f"refiner_heads is {heads}; it must divide {name}: {width}")


@dataclass(frozen=True)
class PhaseOne(Training):
    """Contrastive alignment of frames and coordinates."""

    encoders: Some[str]
    """Encoders whose features the model reads, of those in `features.encoders`."""
    location_start: str | None
    """GPS encoder in features.encoders_dir to start from, as the paper starts from the released
    GeoCLIP; `geoclip` = the GeoCLIP fine-tuned in this workspace; null = random weights."""
    image_start: str | None
    """File in features.encoders_dir with the layers over the encoders to start from; null = random
    weights, as published. A file of several has those of each model and its encoders."""
    unit: Literal["frame", "clip"]
    """What is aligned: each frame with its coordinate, or clips' means with each other."""
    direction: Literal["frames_to_gps", "symmetric"]
    """Which softmaxes the loss averages."""
    soft_targets_km: Positive | None
    """Targets proportional to exp(-distance / this); null = one-hot, as published."""
    num_near_targets: Whole
    """Coordinates drawn around the frames' own, as far as soft targets reach: without them those of
    a clip's first frame all lie on one side of it."""
    num_random_negatives: Whole
    """Extra coordinates drawn from the gallery in each step."""
    queue_size: Whole
    """Coordinates of earlier steps that serve as further negatives."""
    queue_mask_km: Amount
    """Entries of the queue nearer than this to a frame are no negatives of it."""
    gps_noise_m: Amount
    """Standard deviation of the noise on a batch's coordinates."""
    queue_noise_m: Amount
    """Standard deviation of the noise on the queue's coordinates."""

    def __post_init__(self) -> None:
        """Refuses near targets where only the truth itself is one."""
        if self.num_near_targets and self.soft_targets_km is None:
            raise ValueError(
                f"num_near_targets is {self.num_near_targets}, and soft_targets_km is null: there "
                "are no soft targets to reach them"
            )


@dataclass(frozen=True)
class Noise:
    """Corruption of true tracks in Phase II (docs/specs/vidtag.md, section 3.6)."""

    collapse_probability: Share
    """Share of sequences that become one of their points."""
    collapse_after: bool
    """Collapse falls on what jitter and shift have moved, instead of in their place."""
    drift: bool
    """The shift grows along the sequence, from nothing at its start."""
    clean_probability: Share
    """Share of sequences that are left as they are."""
    jitter_deg: tuple[Degrees, Degrees]
    """Range of the magnitude of the per-frame offset."""
    shift_deg: Degrees
    """Largest magnitude of the offset of a whole sequence."""
    predicted_probability: Share
    """Share of sequences whose queries are Phase I's own predictions instead of corrupted truth."""
    wander_km: Amount
    """Standard deviation, north and east, of an error that wanders along a sequence; frames and
    predicted queries get it alike."""
    wander_memory: Share
    """Correlation of a frame's wandering error with that of the next."""
    swap_probability: Share
    """Share of frames that, with their predicted queries, become those of another place."""

    def __post_init__(self) -> None:
        """Refuses a range in the wrong order."""
        low, high = self.jitter_deg
        if low > high:
            raise ValueError(f"jitter_deg is [{low:g}, {high:g}]; the first must be the smaller")


@dataclass(frozen=True)
class PhaseTwo(Training):
    """Training of the GeoRefiner on corrupted tracks."""

    loss: Literal["identity", "kernel", "retrieval"]
    """identity: squared error of similarities to the identity, as published; kernel: to the true
    embeddings' own similarities; retrieval: Phase I's loss again."""
    off_diagonal_weight: Amount
    """Weight of the off-diagonal terms of the identity and of the kernel loss."""
    diagonal_weight: Amount
    """Weight of their diagonal terms."""
    same_place_km: Amount
    """Off-diagonal pairs closer than this are left out of the identity; 0 keeps all, as printed."""
    video_unit: Literal["mean", "concatenation"]
    """What stands for a video in the loss: the mean of its frames' embeddings, or all of them."""
    cross_fit_parts: Whole
    """Parts of the train clips, each embedded by a Phase I that learnt from the others, so that the
    refiner sees errors as on new clips; 0 = all by the one that learnt from them, as published."""
    noise: Noise
    """Corruption of the queries."""

    def __post_init__(self) -> None:
        """Refuses a single part, which leaves nothing to learn from."""
        if self.cross_fit_parts == 1:
            raise ValueError("cross_fit_parts is 1; 0 is without, 2 is the least")
