"""GeoCLIP, the baseline that sees one picture at a time: its training and evaluation.

Belongs here: assets geoclip_model and geoclip_evaluation. Does not belong here: what is the same
for all systems (factory.py).
"""

from vidtag_assets import factory
from vidtag_assets.features import frame_features
from vidtag_assets.gallery import gps_gallery
from vidtag_ml.models.geoclip.system import SYSTEM

geoclip_model = factory.training_asset(
    SYSTEM,
    "geoclip",
    [frame_features, gps_gallery],
    """GeoCLIP fine-tuned on the same frames: the baseline that sees one picture at a time.

    **When it fails:** as in Phase I; materialize again and it goes on from its checkpoint.
    """,
)

geoclip_evaluation = factory.track_evaluation_asset(SYSTEM, geoclip_model)
