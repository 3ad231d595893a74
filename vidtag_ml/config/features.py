"""Section `features`: which frozen encoders see which frames.

Belongs here: its fields, a unit in each name, a sentence under each.
"""

from dataclasses import dataclass
from typing import Literal

from vidtag_ml.config.ranges import Count, Positive, Some


@dataclass(frozen=True)
class Features:
    """How frames become cached features."""

    encoders: Some[str]
    """Encoder names, in the order in which their features are concatenated (CLIP's role first)."""
    encoders_dir: str
    """Folder with NAME.json and NAME.safetensors, relative to the workspace."""
    frames_per_second: Positive
    """Frames sampled from a video, by presentation time."""
    views: Literal["whole", "centre", "ten"]
    """whole: the frame, squeezed to a square; centre: its middle square; ten: five squares and
    their mirror images, whose similarities are averaged."""
    batch_size: Count
    """Pictures a forward pass."""
