"""GeoCLIP as one of the systems: the baseline that others are measured against.

Belongs here: what it is made of. Does not belong here: any of that (stages.py).
"""

from vidtag_ml.models.geoclip import stages
from vidtag_ml.models.gps_retrieval.system import baseline

SYSTEM = baseline(
    "geoclip",
    "GeoCLIP",
    stages.geoclip,
    lambda params: params.geoclip,
    "GeoCLIP fine-tuned on the same frames: the baseline that sees one picture at a time.",
)
