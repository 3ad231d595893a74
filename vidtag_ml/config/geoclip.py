"""Sections `geoclip` and `classifier`: the frame-by-frame models.

Belongs here: their fields, a unit in each name, a sentence under each.
"""

from dataclasses import dataclass

from vidtag_ml.config.ranges import Positive, Some, Whole
from vidtag_ml.config.training import Training
from vidtag_ml.config.vidtag import PhaseOne


@dataclass(frozen=True)
class GeoCLIP(PhaseOne):
    """The image baseline."""

    epochs: Whole
    """Passes over the train clips; 0 = it is used as it starts: zero-shot."""
    sigmas: Some[Positive]
    """In the place of `model.location.sigmas`."""


@dataclass(frozen=True)
class Classifier(Training):
    """The classifiers of the paper's tables: cells of train coordinates, one encoder, no time."""

    encoder: str
    """Whose features are classified; one of features.encoders."""
    cell_km: Positive
    """Cells are as many as squares of this side that hold a train frame."""
