"""Section `clips`: which recordings there are, and how they are split.

Belongs here: its fields, a unit in each name, a sentence under each.
"""

from dataclasses import dataclass
from pathlib import Path

from vidtag_ml.config.ranges import Amount, Count, Whole

_DATASETS = Path(__file__).parents[1] / "ingest" / "published"
PUBLISHED = tuple(
    sorted(file.stem for file in _DATASETS.glob("*.py") if "\nSOURCE = " in file.read_text())
)
"""Published datasets: each is a module of ingest/published with its `SOURCE`."""
SOURCES = ("flyover", "flyover_gama", *PUBLISHED, "recordings")
"""Values of `clips.source`."""


@dataclass(frozen=True)
class Clips:
    """Which recordings there are, and how they are split."""

    source: str
    """One of `SOURCES`; recordings: what `vidtag ingest PATH` took in, all of it."""
    folder: str | None
    """Where recordings lie, relative to the workspace or absolute; null = they are generated."""
    seed: Whole
    """Seed of flights and weather; also of the split."""
    num_train: Whole
    """Clips in the train split; of recordings the share of groups, in proportion to the others."""
    num_val: Whole
    """Clips in the val split, on which promotion is decided; of recordings as above."""
    num_test: Whole
    """Clips in the test split, which is only reported; of recordings as above."""
    min_frames: Count
    """Frames in the shortest clip; recordings with fewer are no train clips."""
    max_frames: Count
    """Frames in the longest clip; recordings are not cut."""
    max_gap_s: Amount
    """Positions are not interpolated across longer gaps between fixes."""
    min_split_km: Amount
    """Own recordings with fixes nearer to each other than this share a split; 0 = any may part."""

    def __post_init__(self) -> None:
        """Refuses lengths in the wrong order."""
        if self.min_frames > self.max_frames:
            raise ValueError(
                f"min_frames is {self.min_frames}; it must be at most max_frames: {self.max_frames}"
            )
