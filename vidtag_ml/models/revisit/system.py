"""Places that were recorded before, as one of the systems.

Belongs here: what it is made of. Does not belong here: any of that (stages.py, locator.py).
"""

from pathlib import Path
from typing import TYPE_CHECKING

from vidtag_ml import config
from vidtag_ml.models.revisit import figures, stages
from vidtag_ml.models.system import Bundling, Registration, Reports, Shown, System, Training
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from vidtag_ml.models.gate import Judging
    from vidtag_ml.models.revisit.evaluate import RevisitReport
    from vidtag_ml.models.revisit.locator import RevisitLocator


def fits(params: config.Params) -> bool:
    """Whether frames have features of its encoder."""
    return params.revisit.encoder in params.features.encoders


def _report(folder: Path) -> "RevisitReport":
    from vidtag_ml.models.revisit.evaluate import RevisitReport

    return RevisitReport.read(folder)


def _locator() -> "type[RevisitLocator]":
    from vidtag_ml.models.revisit.locator import RevisitLocator

    return RevisitLocator


def _judging() -> "Judging":
    from vidtag_ml.models.revisit.judging import JUDGING

    return JUDGING


def _show(reports: Reports, _at: Layout, _params: config.Params) -> Shown:
    """Errors of what was placed, and the clips of which least was right."""
    from vidtag_ml.plots import charts

    errors = {s: report.frames["error_m"].dropna() / 1000 for s, report in reports.items()}
    placed = {split: error_km for split, error_km in errors.items() if len(error_km)}
    drawn: Shown = {"errors": lambda path: charts.error_cdf(placed, path)} if placed else {}
    return {**drawn, "worst_clips": reports["test"].per_clip.sort_values("right").head(5)}


SYSTEM = System(
    name="revisit",
    title="Revisit",
    trainings={
        "revisit": Training(
            stages.revisit,
            ("clips", "features"),
            lambda params: params.revisit,
            """Frames of the train clips whose places are known, and when they are believed.

            Nothing is learnt by gradients. `loss` is the share of references, each looked up among
            the others, that are not placed right; `val_loss` the share that is taken for a place
            far away.

            **When it fails:** no train clip has positions, features of `revisit.encoder` are
            missing, or opencv-python is (the extra `pretrained`); the message says which.
            """,
        )
    },
    evaluate=stages.evaluate_revisit,
    report=_report,
    sheet=figures.sheet,
    headline=figures.headline,
    show=_show,
    about="""Places found again on val, which decides promotion, and on test, which is only
    reported: `out/evaluation/revisit/`. A frame is known if a reference lies within
    `revisit.known_m`; unknown ones are right without a position.

    **When it fails:** the references or the features are missing or have changed; materialize what
    the message names, then this again.
    """,
    bundling=Bundling(
        stages.bundle_revisit,
        stages.bundle_folder,
        "revisited",
        _locator,
        Registration(
            _judging,
            """The challenger must be right about more frames of the same val clips than the
            champion, beyond chance, and on no kind of clip worse. Each must beat always answering
            the middle, a reference at random, and never giving a position, on enough val clips.
            """,
            recorded=("clips", "gallery"),
            searched=False,
        ),
        lambda at: [("model", at.model("revisit"))],
    ),
    fits=fits,
)
