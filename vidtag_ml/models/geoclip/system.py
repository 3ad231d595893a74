"""GeoCLIP as one of the systems: the baseline that others are measured against.

Belongs here: what it is made of. Does not belong here: any of that (stages.py).
"""

from functools import partial

from vidtag_ml.models.geoclip import stages
from vidtag_ml.models.gps_retrieval import figures
from vidtag_ml.models.gps_retrieval import stages as gps_stages
from vidtag_ml.models.gps_retrieval.system import ABOUT_TRACKS, read_report, show_tracks
from vidtag_ml.models.system import System, Training

SYSTEM = System(
    name="geoclip",
    title="GeoCLIP",
    trainings={
        "geoclip": Training(
            stages.geoclip,
            ("features", "gallery"),
            lambda params: params.geoclip,
            """GeoCLIP fine-tuned on the same frames: the baseline that sees one picture at a time.

            **When it fails:** as in Phase I; materialize again and it goes on from its checkpoint.
            """,
        )
    },
    evaluate=partial(
        gps_stages.evaluate_model, "geoclip", "vidtag train geoclip", decoding="initial"
    ),
    report=read_report,
    sheet=figures.sheet,
    headline=figures.headline,
    show=show_tracks,
    about=ABOUT_TRACKS,
    ranked=True,
)
