"""The classifier over cells as one of the systems: the oldest way, which others must beat.

Belongs here: what it is made of. Does not belong here: any of that (stages.py).
"""

from functools import partial

from vidtag_ml.models.classifier import stages
from vidtag_ml.models.gps_retrieval import figures
from vidtag_ml.models.gps_retrieval import stages as gps_stages
from vidtag_ml.models.gps_retrieval.system import ABOUT_TRACKS, read_report, show_tracks
from vidtag_ml.models.system import System, Training

SYSTEM = System(
    name="classifier",
    title="Cell classifier",
    trainings={
        "classifier": Training(
            stages.classifier,
            ("features", "gallery"),
            lambda params: params.classifier,
            """A linear layer over one encoder's features that names the cell a frame is in.

            **When it fails:** as in Phase I; materialize again and it goes on from its checkpoint.
            """,
        )
    },
    evaluate=partial(
        gps_stages.evaluate_model, "classifier", "vidtag train classifier", decoding="initial"
    ),
    report=read_report,
    sheet=figures.sheet,
    headline=figures.headline,
    show=show_tracks,
    about=ABOUT_TRACKS,
    ranked=True,
)
