"""What CityGuessr asks of the hierarchy, whose places are its classes: checks below it.

Belongs here: checks class_ids_are_stable and every_class_has_train_clips. Does not belong here:
CityGuessr's assets (factory.py), the hierarchy itself (dataset.py).
"""

import dagster as dg

from vidtag_assets.assets.dataset import hierarchy
from vidtag_assets.metadata import preview
from vidtag_assets.store import registry
from vidtag_assets.workspace.resources import ParamsFile, Tracking, Workspace


@dg.asset_check(asset=hierarchy)
def class_ids_are_stable(
    workspace: Workspace, params_file: ParamsFile, tracking: Tracking
) -> dg.AssetCheckResult:
    """Cities have the numbers that they have in the champion of cityguessr; else this warns.

    A model carries its own classes, so it stays right; but numbers that others stored are not.
    """
    from vidtag_ml.dataset import hierarchy as places
    from vidtag_ml.models import networks

    params = params_file.load()
    name = registry.name_of("cityguessr", params)
    if registry.CHAMPION not in registry.aliases(tracking, name):
        return dg.AssetCheckResult(passed=True, description="there is no earlier version")
    bundle = registry.bundle_path(tracking, f"{name}@{registry.CHAMPION}")
    old = places.Hierarchy.of_rows(networks.read(bundle / "model").sizes.places)
    table = places.read(workspace.layout(params).hierarchy)
    moved = places.moved(old, places.Hierarchy.of(table))
    return dg.AssetCheckResult(
        passed=moved.empty,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(moved)} places have another number than in the champion",
        metadata={"num_moved": len(moved), "moved": preview(moved, 20)},
    )


@dg.asset_check(asset=hierarchy)
def every_class_has_train_clips(
    workspace: Workspace, params_file: ParamsFile
) -> dg.AssetCheckResult:
    """Each city, state, country and continent has clips to learn it from; else this warns."""
    from vidtag_ml.dataset import hierarchy as places
    from vidtag_ml.dataset import tables

    at = workspace.layout(params_file.load())
    classes = places.Hierarchy.of(places.read(at.hierarchy))
    table = tables.read(at.dataset).clips
    absent = places.unseen(classes, table[table["split"] == "train"])
    return dg.AssetCheckResult(
        passed=absent.empty,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(absent)} classes have no train clip: they will never be answered",
        metadata={"num_absent": len(absent), "absent": preview(absent, 20)},
    )
