"""The aerial gallery, in which ground video is found; checks below it.

A module of its own, because it is there only where the params give videos and imagery of the same
ground (`vidtag_ml.aerial.stages.fits`): elsewhere, as in the default params, it could not be made,
so that Dagster shows none, and the job `everything` needs no exception.

Belongs here: asset aerial_gallery. Does not belong here: what searches it (factory.py), tiles
themselves (vidtag_ml.aerial).
"""

from pathlib import Path

import dagster as dg
import pandas as pd

from vidtag_assets.assets.dataset import clips
from vidtag_assets.execution import cluster
from vidtag_assets.metadata import OWNERS, picture, preview
from vidtag_assets.workspace.resources import Dvc, ParamsFile, Workspace
from vidtag_ml import config
from vidtag_ml.aerial import stages as aerial_stages
from vidtag_ml.workflow import code_key

LEAST_INSIDE = 0.95
"""Share of the fixes that lie inside some tile."""
NUM_TILES = 8
"""Examples in the UI."""


@dg.asset(
    deps=[clips],
    group_name="gallery",
    kinds={"dvc", "parquet"},
    code_version=code_key.version("aerial_gallery"),
    owners=OWNERS,
    op_tags=cluster.needs(cpu=2, memory_gb=4),
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
    md5 = dvc.add(aerial_stages.GALLERY)
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


def _imagery(workspace: Workspace, params: config.Params) -> Path | None:
    return None if params.aerial.folder is None else workspace.path / params.aerial.folder
