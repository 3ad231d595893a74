"""GAMa as one of the systems.

Belongs here: what it is made of. Does not belong here: any of that (stages.py, locator.py).
"""

from typing import TYPE_CHECKING, Any

from vidtag_ml import config
from vidtag_ml.aerial.stages import GALLERY, fits
from vidtag_ml.models.gama import figures, stages
from vidtag_ml.models.gps_retrieval.system import read_report
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

    from vidtag_ml.models.gama.locator import GamaLocator
    from vidtag_ml.models.gate import Judging


NUM_TRACKS, NUM_QUERIES = 6, 4
"""Examples in the UI."""


def _locator() -> "type[GamaLocator]":
    from vidtag_ml.models.gama.locator import GamaLocator

    return GamaLocator


def _show(reports: Reports, at: Layout, params: config.Params) -> Shown:
    """Tiles that were found, tracks, and the figures of each search."""
    from vidtag_ml.models.gama import plots
    from vidtag_ml.plots import maps

    test, world = reports["test"], stages.world(at, params)
    examples = test.tracks[:: max(1, len(test.tracks) // NUM_TRACKS)][:NUM_TRACKS]
    return {
        "answers": lambda path: plots.answers(test, world, params.gama, NUM_QUERIES, path),
        "tracks": lambda path: maps.tracks_sheet(examples, test.truths, path),
        "figures": figures.table(test.summary).head(20),
    }


def _judging() -> "Judging":
    from vidtag_ml.models.gama.judging import JUDGING

    return JUDGING


def _benchmark(*asked: Any) -> "pd.DataFrame":
    from vidtag_ml.models.gama import benchmark

    return benchmark.run(*asked)


SYSTEM = System(
    name="gama",
    title="GAMa",
    trainings={
        "gama": Training(
            stages.gama,
            ("aerial_gallery",),
            lambda params: params.gama,
            """GAMa-Net: clips of ground video and the aerial tiles under them meet in one space.

            Frames and tiles are scaled to the sizes that it sees first (`out/aerial_pixels/`), then
            all tiles are embedded.

            **When it fails:** out of memory (a smaller `gama.batch_size`), no room for the pixels,
            or weights to start from are missing. Materialize again: it goes on from its newest
            checkpoint.
            """,
            before={"aerial_pixels": stages.aerial_pixels},
        ),
        "screening": Training(
            stages.screening,
            ("gama",),
            lambda params: params.screening,
            """The screening network: which regions the tiles found along a video belong to.

            **When it fails:** as GAMa-Net; materialize again and it goes on from its checkpoint.
            """,
        ),
        "heading": Training(
            stages.heading,
            ("gama",),
            lambda params: params.heading,
            """GAMa-Net for turned tiles: it compares what a track's direction has made comparable.

            **When it fails:** as GAMa-Net; materialize again and it goes on from its checkpoint.
            """,
        ),
    },
    evaluate=stages.evaluate_gama,
    report=read_report,
    sheet=figures.sheet,
    headline=figures.headline,
    show=_show,
    about="""Tiles that GAMa finds on val, which decides promotion, and on test:
    `out/evaluation/gama/`.

    Flat and hierarchical search, the screening of regions, and the tracks of whole videos (turned
    tiles, VidTAG's posterior), each figure with its gallery's size.

    **When it fails:** a network, the gallery or the pixels are missing or have changed; materialize
    what the message names, then this again.
    """,
    bundling=Bundling(
        stages.bundle_gama,
        lambda at: at.aerial_bundle,
        "aerial",
        _locator,
        Registration(
            _judging,
            """More clips of the same val videos must get the right tile than with the champion,
            context chance. Each must beat a tile at random, on enough videos.
            """,
            recorded=("clips",),
            added=(GALLERY,),
        ),
        lambda at: [
            *((name, at.model(name)) for name in ("gama", "screening", "heading")),
            ("screening", at.model("screening") / "true_tiles"),
            ("vidtag", at.bundle),
        ],
        "screening_before_",
    ),
    benchmark=Benchmark(_benchmark, ("flyover_gama", "bdd100k")),
    gallery=GALLERY,
    fits=fits,
)
