"""VidTAG as one of the systems.

Belongs here: what it is made of. Does not belong here: any of that (stages.py, locator.py).
"""

from functools import partial
from typing import TYPE_CHECKING, Any

from vidtag_ml.models.gps_retrieval import figures
from vidtag_ml.models.gps_retrieval import stages as gps_stages
from vidtag_ml.models.gps_retrieval.system import ABOUT_TRACKS, read_report, show_tracks
from vidtag_ml.models.system import Benchmark, Bundling, Registration, System, Training
from vidtag_ml.models.vidtag import stages

if TYPE_CHECKING:
    import pandas as pd

    from vidtag_ml.models.gate import Judging
    from vidtag_ml.models.vidtag.locator import VidtagLocator


def _locator() -> "type[VidtagLocator]":
    from vidtag_ml.models.vidtag.locator import VidtagLocator

    return VidtagLocator


def _judging() -> "Judging":
    from vidtag_ml.models.vidtag.judging import JUDGING

    return JUDGING


def _benchmark(*asked: Any) -> "pd.DataFrame":
    from vidtag_ml.models.vidtag import benchmark

    return benchmark.run(*asked)


SYSTEM = System(
    name="vidtag",
    title="VidTAG",
    trainings={
        "phase_one": Training(
            stages.phase_one,
            ("features", "gallery"),
            lambda params: params.phase_one,
            """VidTAG after Phase I: frames, seen together, and coordinates meet in one space.

            **When it fails:** out of memory (a smaller `phase_one.batch_size`), or features are
            missing. Materialize again: training goes on from its newest checkpoint and ends as if
            never stopped.
            """,
        ),
        "phase_two": Training(
            stages.phase_two,
            ("phase_one",),
            lambda params: params.phase_two,
            """VidTAG after Phase II: its refiner straightens noisy tracks. This model is used.

            **When it fails:** as in Phase I; materialize again and it goes on from its checkpoint.
            """,
        ),
    },
    evaluate=partial(gps_stages.evaluate_model, "vidtag", stages.TRAINED_BY),
    report=read_report,
    sheet=figures.sheet,
    headline=figures.headline,
    show=show_tracks,
    about=ABOUT_TRACKS,
    bundling=Bundling(
        stages.bundle_vidtag,
        lambda at: at.bundle,
        "tracks",
        _locator,
        Registration(
            _judging,
            """The challenger must have significantly smaller errors than the champion on the same
            val clips and gallery, and be significantly worse on no kind of clip (continent,
            country, latitude, time of day, mode, camera); the first champion must beat GeoCLIP.
            Each must beat the centre of the train fixes and a train fix at random, on enough val
            clips, with code and weights that are what they were registered as.
            """,
            recorded=("clips", "gallery"),
            first="geoclip",
            called="model",
        ),
        lambda at: [("model", at.model("vidtag"))],
    ),
    benchmark=Benchmark(_benchmark),
    ranked=True,
)
