"""GAMa: the aerial gallery, the networks, their evaluation and registry; checks below each.

All of it in one module, because it is there only where the params give videos and imagery of the
same ground (`fits`): elsewhere, as in the default params, these assets could not be made, so that
Dagster shows none, and the job `everything` needs no exception.

Belongs here: assets aerial_gallery, gama_model, screening_model, heading_model, gama_evaluation,
registered_gama. Does not belong here: what registering and deciding mean (registration.py,
gate.py), tiles, training and search themselves (vidtag_ml).
"""

import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from vidtag_assets import factory, gate, registration
from vidtag_assets.dataset import clips
from vidtag_assets.factory import training_asset
from vidtag_assets.metadata import OWNERS, picture, preview
from vidtag_assets.registration import Champion, Registered
from vidtag_assets.resources import Dvc, ParamsFile, Workspace
from vidtag_ml import config
from vidtag_ml.aerial import stages as aerial_stages
from vidtag_ml.models.gama import searches as gama_searches
from vidtag_ml.models.gama import stages as gama_stages
from vidtag_ml.models.gama.searches import FLAT, HIERARCHICAL, SCREENING
from vidtag_ml.models.gama.system import SYSTEM
from vidtag_ml.workflow import code_key

if TYPE_CHECKING:
    from vidtag_ml.models.report import Report


GALLERY = "aerial_gallery"
"""What DVC calls it."""
SEEN = {"flyover": "flyover_gama", "published": "bdd100k"}
"""`aerial.source` -> the only `clips.source` whose videos show that ground from near enough."""
SEARCHES = (FLAT, HIERARCHICAL, SCREENING, "path", "turned", "fused", "fused_turned")
"""Those whose figures are shown side by side, where there are any."""
LEAST_INSIDE = 0.95
"""Share of the fixes that lie inside some tile."""
NUM_TILES, NUM_TRACKS, NUM_QUERIES = 8, 6, 4
"""Examples in the UI."""


def fits(params: config.Params) -> bool:
    """Whether imagery and videos of the params show the same ground.

    The Blue Marble is what the flights of flyover_gama see, the published tiles belong to the
    drives of BDD100K; slippy tiles and GeoTIFFs are chosen by whoever has them, for any videos.
    """
    return SEEN.get(params.aerial.source, params.clips.source) == params.clips.source


@dg.asset(
    deps=[clips],
    group_name="gallery",
    kinds={"dvc", "parquet"},
    code_version=code_key.version("aerial_gallery"),
    owners=OWNERS,
    pool="dvc",
)
def aerial_gallery(workspace: Workspace, params_file: ParamsFile, dvc: Dvc) -> dg.MaterializeResult:
    """Aerial tiles with known bounds, and the large regions that they make up.

    Its data version is the DVC md5 of `data/aerial_gallery/`, recorded in `data/aerial_gallery.dvc`
    and not by a stage of dvc.yaml, which would lack its output wherever there is no GAMa.

    **When it fails:** the imagery of section `aerial` of params.yaml is not where it says, or shows
    none of the fixes; the message says which.
    """
    from vidtag_ml.aerial import gallery as aerial_gallery
    from vidtag_ml.aerial import pictures as aerial_pictures
    from vidtag_ml.models.gama import plots as gama_plots

    params = params_file.load()
    worked = aerial_stages.aerial_gallery(workspace.path, params)
    md5 = dvc.add(GALLERY)
    tiles, regions = aerial_gallery.read(workspace.layout(params).aerial_gallery)
    rows = range(0, len(tiles), max(1, len(tiles) // NUM_TILES))[:NUM_TILES]
    pictures = list(aerial_pictures.pixels(tiles, rows, 128, _imagery(workspace, params)))
    return dg.MaterializeResult(
        data_version=dg.DataVersion(md5),
        metadata={
            "dagster/row_count": len(tiles),
            "num_regions": len(regions),
            "tiles": picture(lambda path: gama_plots.grid([pictures], path)),
            "protocol": dg.MetadataValue.json(tiles.protocol),
            "gallery_md5": tiles.digest,
            "dvc_md5": md5,
            "worked": worked,
        },
    )


@dg.asset_check(asset=aerial_gallery, blocking=True)
def tiles_lie_in_bounds(workspace: Workspace, params_file: ParamsFile) -> dg.AssetCheckResult:
    """Every tile lies within its bounds and its region, bears its number, and has its picture."""
    from vidtag_ml.aerial import gallery as aerial_gallery

    params = params_file.load()
    gallery = aerial_gallery.read(workspace.layout(params).aerial_gallery)
    found = aerial_gallery.problems(*gallery, _imagery(workspace, params))
    return dg.AssetCheckResult(
        passed=not found,
        metadata={
            "num_problems": len(found),
            "problems": preview(pd.DataFrame(found, columns=["id", "reason"]), 20),
        },
    )


@dg.asset_check(asset=aerial_gallery, additional_deps=[clips])
def tiles_cover_the_fixes(workspace: Workspace, params_file: ParamsFile) -> dg.AssetCheckResult:
    """At least 95 % of the fixes lie inside some tile; else this warns: they cannot be found."""
    from vidtag_ml.aerial import gallery as aerial_gallery
    from vidtag_ml.dataset import tables as tables_of

    at = workspace.layout(params_file.load())
    fixes = tables_of.read(at.dataset).kept[["lat", "lon"]].to_numpy(float)
    found = aerial_gallery.coverage(aerial_gallery.read(at.aerial_gallery)[0], fixes)
    return dg.AssetCheckResult(
        passed=found["inside"] >= LEAST_INSIDE,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{found['inside']:.1%} of the fixes lie inside a tile",
        metadata=found,
    )


gama_model = training_asset(
    SYSTEM,
    "gama",
    [aerial_gallery],
    """GAMa-Net: clips of ground video and the aerial tiles under them meet in one space.

    Frames and tiles are scaled to the sizes that it sees first (`out/aerial_pixels/`), then all
    tiles are embedded.

    **When it fails:** out of memory (a smaller `gama.batch_size`), no room for the pixels, or
    weights to start from are missing. Materialize again: it goes on from its newest checkpoint.
    """,
    GALLERY,
    before={"aerial_pixels": gama_stages.aerial_pixels},
)
screening_model = training_asset(
    SYSTEM,
    "screening",
    [gama_model],
    """The screening network: which regions the tiles found along a video belong to.

    **When it fails:** as GAMa-Net; materialize again and it goes on from its checkpoint.
    """,
    GALLERY,
)
heading_model = training_asset(
    SYSTEM,
    "heading",
    [gama_model],
    """GAMa-Net for turned tiles: it compares what a track's direction has made comparable.

    **When it fails:** as GAMa-Net; materialize again and it goes on from its checkpoint.
    """,
    GALLERY,
)


def _shown(
    reports: Mapping[str, Any], workspace: Workspace, params: config.Params
) -> dict[str, Any]:
    """Tiles that were found, tracks, and the figures of each search."""
    from vidtag_ml.models.gama import plots as gama_plots
    from vidtag_ml.plots import maps

    test, world = reports["test"], gama_stages.world(workspace.layout(params), params)
    examples = test.tracks[:: max(1, len(test.tracks) // NUM_TRACKS)][:NUM_TRACKS]
    return {
        "answers": picture(
            lambda path: gama_plots.answers(test, world, params.gama, NUM_QUERIES, path)
        ),
        "tracks": picture(lambda path: maps.tracks_sheet(examples, test.truths, path)),
        "figures": preview(searches(test.summary), 20),
    }


gama_evaluation = factory.evaluation_asset(
    SYSTEM,
    [gama_model, screening_model, heading_model],
    """Tiles that GAMa finds on val, which decides promotion, and on test: `out/evaluation/gama/`.

    Flat and hierarchical search, the screening of regions, and the ways of whole videos (turned
    tiles, VidTAG's posterior), each figure with its gallery's size.

    **When it fails:** a network, the gallery or the pixels are missing or have changed; materialize
    what the message names, then this again.
    """,
    _shown,
)


def searches(summary: Mapping[str, Any]) -> pd.DataFrame:
    """The figures of a report on tiles: a row a figure, a column a search."""
    found = {search: gama_searches.of(summary, search) for search in SEARCHES}
    shares = [n for n in found[FLAT] if n.startswith(("recall_at_", "top1_at_", "gallery_size"))]
    names = [n for n in shares if not n.endswith(("_lo", "_hi"))]
    columns = {s: [own.get(n, "") for n in names] for s, own in found.items() if own}
    return pd.DataFrame({"figure": names, **columns})


def _anew(champion: Champion) -> "Report | None":
    """Its networks embed the gallery of today, if they see frames of the size and rate of today."""
    from vidtag_ml.models.gama import embedding as gama_embedding
    from vidtag_ml.models.gama import evaluate as gama_evaluate
    from vidtag_ml.models.gama.locator import GamaLocator

    at, params = champion.at, champion.params
    locator = GamaLocator.load(champion.bundle)
    seen = [(s.frame_size, s.frames_per_second) for s in (locator.settings, params.gama)]
    if seen[0] != seen[1]:
        return None
    world, drives = gama_stages.world(at, params), gama_stages.drives(at, params, "val")
    with tempfile.TemporaryDirectory() as folder:
        gama, screening = gama_embedding.embed_anew(
            champion.bundle, locator.settings, world, Path(folder)
        )
        changed = dataclasses.replace(
            params,
            gama=locator.settings,
            screening=locator.screened,
            heading=locator.heading,
            fusion=locator.fusion,
        )
        beyond = gama_stages.beyond(at, changed, locator.turner, locator.vidtag)
        networks = gama_evaluate.Networks(gama, screening, beyond, champion.name)
        split = gama_evaluate.Split("val", drives, world)
        return gama_evaluate.evaluate_gama(networks, split, changed)


REGISTERED = Registered(
    SYSTEM,
    gate.TILES,
    lambda report, _, params: [gate.over_chance(report, params.evaluation.bootstrap_draws)],
    _anew,
    recorded=("clips",),
    added=(GALLERY,),
    gallery=GALLERY,
)
registered_gama = registration.registration_asset(
    REGISTERED,
    [gama_evaluation],
    """GAMa's bundle as a version in MLflow's registry, and the gate's verdict on it.

    It becomes `@challenger`, and `@champion` if more clips of the same val videos get the right
    tile than with the champion, beyond chance; it must always beat a tile at random, on enough
    videos.
    `vidtag locate VIDEO --model gama` uses the champion.

    **When it fails:** DVC has no md5 of clips or aerial_gallery (materialize them first), or the
    disk is full. Nothing is half registered: materialize again.
    """,
)


def _imagery(workspace: Workspace, params: config.Params) -> Path | None:
    return None if params.aerial.folder is None else workspace.path / params.aerial.folder
