"""What the sections of all trainings share.

Belongs here: such fields, a unit in each name, a sentence under each.
"""

from dataclasses import dataclass
from typing import Literal

from vidtag_ml.config.ranges import Amount, Count, Portion, Positive, Whole


@dataclass(frozen=True)
class Training:
    """What every training has."""

    seed: Whole
    """Seed of initial weights, batches, frame choice and whatever else is drawn."""
    epochs: Count
    """Passes over the train clips."""
    batch_size: Count
    """Clips a step."""
    frames_per_clip: Count
    """Frames drawn from each clip, one from each of as many equal cells."""
    learning_rate: Positive
    """Peak learning rate of Adam."""
    decay: Portion
    """Factor on the learning rate after each epoch."""
    warmup_steps: Whole
    """Steps of linear warm-up."""
    weight_decay: Amount
    """Of Adam."""
    precision: Literal["float32", "bfloat16"]
    """Of matrix products; projection and Fourier phases of coordinates stay in float32. A CPU that
    cannot multiply bfloat16 computes in float32."""
    clip_gradients: Positive | None
    """Largest gradient norm; null = no clipping."""
