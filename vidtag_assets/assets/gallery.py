"""The GPS gallery: the coordinates among which models search; checks below it.

Belongs here: asset gps_gallery. Does not belong here: how a gallery is built
(vidtag_ml.retrieval.gallery).
"""

import dagster as dg
import numpy as np

from vidtag_assets.assets.dataset import clips
from vidtag_assets.execution import cluster
from vidtag_assets.metadata import OWNERS, picture
from vidtag_assets.workspace.resources import Dvc, ParamsFile, Workspace
from vidtag_ml import config
from vidtag_ml.retrieval import stages as retrieval_stages
from vidtag_ml.workflow import code_key

REACH = 1.0
"""Half of the fixes may be at most this many spacings away from the gallery; a lattice has 0.4."""


@dg.asset(
    deps=[clips],
    group_name="gallery",
    kinds={"dvc", "parquet"},
    code_version=code_key.version("gallery"),
    owners=OWNERS,
    op_tags=cluster.needs(cpu=1, memory_gb=2),
    pool="dvc",
)
def gps_gallery(workspace: Workspace, params_file: ParamsFile, dvc: Dvc) -> dg.MaterializeResult:
    """The coordinates that a model may answer with; no score can beat its ceiling.

    Source `lattice` covers land and coast of the globe and looks at no clip; `grid` covers boxes
    around the train fixes, as the papers do; `cities` is the centres of their cities, `file` a
    released gallery. Its data version is the DVC md5 of `data/gallery/`.

    **When it fails:** section `gallery` of params.yaml asks for something impossible (a spacing
    that makes too many points); the message says what. A leak check that fails means that the
    gallery holds coordinates of the evaluation, which would flatter every score: nothing downstream
    runs.
    """
    from vidtag_ml.dataset import tables as tables_of
    from vidtag_ml.plots import maps
    from vidtag_ml.retrieval import gallery

    params = params_file.load()
    worked = retrieval_stages.gallery(workspace.path, params)
    md5 = dvc.commit("gallery")
    at = workspace.layout(params)
    points = gallery.read(at.gallery)
    fixes = tables_of.read(at.dataset).kept[["lat", "lon"]].to_numpy(float)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(md5),
        metadata={
            "dagster/row_count": len(points.latlon_G2),
            "map": picture(lambda path: maps.gallery_map(points.latlon_G2, path)),
            "protocol": dg.MetadataValue.json(points.protocol),
            **gallery.coverage(points.latlon_G2, fixes),
            "gallery_md5": points.digest,
            "dvc_md5": md5,
            "worked": worked,
        },
    )


@dg.asset_check(asset=gps_gallery, blocking=True, additional_deps=[clips])
def gallery_reaches_the_clips(workspace: Workspace, params_file: ParamsFile) -> dg.AssetCheckResult:
    """Half of the train fixes have a gallery point within the spacing."""
    from vidtag_ml.retrieval import gallery

    params = params_file.load()
    points = gallery.read(workspace.layout(params).gallery)
    fixes = _fixes(workspace, params, ("train",))
    if not len(fixes):
        return dg.AssetCheckResult(passed=True, description="There are no train clips to reach.")
    found = gallery.coverage(points.latlon_G2, fixes)
    return dg.AssetCheckResult(
        passed=found["oracle_median_km"] <= REACH * params.gallery.spacing_km,
        metadata={"spacing_km": params.gallery.spacing_km, **found},
    )


@dg.asset_check(asset=gps_gallery, blocking=True, additional_deps=[clips])
def gallery_holds_no_evaluation_fix(
    workspace: Workspace, params_file: ParamsFile
) -> dg.AssetCheckResult:
    """No fix of val or test is a gallery point, to within a metre; of cities the centres are."""
    from vidtag_ml.retrieval import gallery

    params = params_file.load()
    points = gallery.read(workspace.layout(params).gallery)
    fixes = _fixes(workspace, params, ("val", "test"))
    leaks = gallery.leaks(points.latlon_G2, fixes)
    return dg.AssetCheckResult(
        passed=leaks == 0 or params.gallery.source == "cities",
        metadata={"leak_frames": leaks, "num_fixes": len(fixes)},
    )


def _fixes(
    workspace: Workspace, params: config.Params, splits: tuple[str, ...]
) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    from vidtag_ml.dataset import tables as tables_of

    chosen = tables_of.read(workspace.layout(params).dataset).fixes_in(*splits)
    return chosen[["lat", "lon"]].to_numpy(float)
