"""CityGuessr as one of the systems.

Belongs here: what it is made of. Does not belong here: any of that (stages.py, locator.py).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidtag_ml import config
from vidtag_ml.models.cityguessr import figures, stages
from vidtag_ml.models.system import (
    Benchmark,
    Bundling,
    Registration,
    Reports,
    Shown,
    System,
    Training,
)
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    import pandas as pd

    from vidtag_ml.models.cityguessr.evaluate import PlaceReport
    from vidtag_ml.models.cityguessr.locator import CityGuessrLocator
    from vidtag_ml.models.gate import Judging


def _report(folder: Path) -> "PlaceReport":
    from vidtag_ml.models.cityguessr.evaluate import PlaceReport

    return PlaceReport.read(folder)


def _locator() -> "type[CityGuessrLocator]":
    from vidtag_ml.models.cityguessr.locator import CityGuessrLocator

    return CityGuessrLocator


def _show(reports: Reports, at: Layout, _params: config.Params) -> Shown:
    """Confusions of countries, how well probabilities are calibrated, and answers."""
    from vidtag_ml.dataset import tables
    from vidtag_ml.dataset.hierarchy import LEVELS
    from vidtag_ml.models.cityguessr import plots

    test = reports["test"]
    bins = {k: test.reliability[test.reliability["level"] == k] for k in LEVELS}
    positions_N2 = tables.first_positions(tables.read(at.dataset), test.per_clip["clip_id"])
    countries = (test.per_clip["country"].tolist(), test.per_clip["predicted_country"].tolist())
    return {
        "confusions": lambda path: plots.confusion_map(*countries, positions_N2, path),
        "reliability": lambda path: plots.reliability(bins, path),
        "answers": test.per_clip[["clip_id", *LEVELS, "answer", "answer_right"]].head(10),
    }


def _judging() -> "Judging":
    from vidtag_ml.models.cityguessr.judging import JUDGING

    return JUDGING


def _benchmark(*asked: Any) -> "pd.DataFrame":
    from vidtag_ml.models.cityguessr import benchmark

    return benchmark.run(*asked)


SYSTEM = System(
    name="cityguessr",
    title="CityGuessr",
    trainings={
        "cityguessr": Training(
            stages.cityguessr,
            ("clips", "hierarchy", "features"),
            lambda params: params.cityguessr,
            """CityGuessr: which city, state, country and continent a video is from.

            **When it fails:** weights to start from, features or scene labels are missing; the
            message names them and what makes them. Materialize again: it goes on from its newest
            checkpoint.
            """,
        )
    },
    evaluate=stages.evaluate_cityguessr,
    report=_report,
    sheet=figures.sheet,
    headline=figures.headline,
    show=_show,
    about="""Places that CityGuessr names on val, which decides promotion, and on test:
    `out/evaluation/`.

    **When it fails:** the model or what it reads is missing or has changed; materialize what the
    message names, then this again.
    """,
    bundling=Bundling(
        stages.bundle_cityguessr,
        lambda at: at.guess_bundle,
        "places",
        _locator,
        Registration(
            _judging,
            """The challenger must be right at more levels than the champion on the same val clips,
            beyond chance, and on no kind of clip worse. Each must beat the most frequent classes,
            on enough val clips, with code and weights that are what they were registered as.
            """,
            recorded=("clips", "hierarchy", "gallery"),
            searched=False,
        ),
        lambda at: [("model", at.model("cityguessr"))],
    ),
    benchmark=Benchmark(_benchmark),
)
