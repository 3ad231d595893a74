"""Section `evaluation`: how predictions become tracks, and tracks become figures.

Belongs here: its fields, a unit in each name, a sentence under each.
"""

from dataclasses import dataclass
from typing import Literal

from vidtag_ml.config.ranges import Count, Positive, Some


@dataclass(frozen=True)
class Search:
    """How the points most similar to a frame are found."""

    method: Literal["exact", "coarse_to_fine", "faiss_flat", "faiss_ivf"]
    """exact: all of the gallery; coarse_to_fine: then finer points around the best, without end;
    faiss_...: the gallery through FAISS, with or without inverted lists."""
    finest_km: Positive
    """coarse_to_fine: spacing is halved until it is at most this."""
    beam: Count
    """coarse_to_fine: points a frame that are followed to the next level."""
    num_lists: Count
    """faiss_ivf: lists that the gallery is divided into."""
    num_probes: Count
    """faiss_ivf: lists that are looked through."""


Decoding = Literal["initial", "refined", "viterbi", "refined_viterbi", "motion"]


@dataclass(frozen=True)
class Evaluation:
    """How predictions become tracks, and tracks become figures."""

    search: Search
    """How gallery points are found."""
    windows: Literal["whole", "interleaved"]
    """whole: a clip is seen at its natural length; interleaved: as every n-th frame, from each
    start, so that no more frames are seen at once than in training."""
    decoding: Decoding
    """What `locate` and the gate use: Phase I's best, GeoRefiner's, or Viterbi over candidates;
    motion: Viterbi, then the likeliest track whose speed and heading persist as in train tracks of
    the mode."""
    num_candidates: Count
    """Gallery points a frame that Viterbi chooses from."""
    max_speed_kmh: dict[str, Positive]
    """Limit of each mode: Viterbi's reach; faster fixes of own recordings are dropped."""
    accuracy_km: Some[Positive]
    """Thresholds of the accuracies."""
    bootstrap_draws: Count
    """Draws over clips for the intervals."""
