"""The classifier over cells as one of the systems: the oldest way, which others must beat.

Belongs here: what it is made of. Does not belong here: any of that (stages.py).
"""

from vidtag_ml.models.classifier import stages
from vidtag_ml.models.gps_retrieval.system import baseline

SYSTEM = baseline(
    "classifier",
    "Cell classifier",
    stages.classifier,
    lambda params: params.classifier,
    "A linear layer over one encoder's features that names the cell a frame is in.",
)
