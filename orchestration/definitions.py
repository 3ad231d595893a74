"""What Dagster loads: all assets, checks, jobs, schedules and sensors, with their resources."""

import functools
from typing import Any

import dagster as dg

from orchestration import jobs, schedules, sensors
from vidtag_assets.assets import (
    aerial,
    cityguessr,
    dataset,
    factory,
    features,
    gallery,
    leaderboard,
    own_recordings,
    retraining,
)
from vidtag_assets.execution import cluster
from vidtag_assets.training import process_group
from vidtag_assets.training.process_group import ProcessGroup
from vidtag_assets.watching import freshness
from vidtag_assets.workspace import home
from vidtag_assets.workspace.resources import Dvc, ParamsFile, Tracking, Workspace
from vidtag_ml.aerial import stages as aerial_stages
from vidtag_ml.models.registry import SYSTEMS

ROOT = home.CODE
"""The repository, which is the workspace."""
MODULES = [own_recordings, dataset, gallery, features, cityguessr, leaderboard]


def build_definitions(**resources: Any) -> dg.Definitions:
    """The definitions over the repository; `resources` replace its own, for tests.

    Systems are there only if they fit the params as these are when this is loaded, and the aerial
    gallery if videos and imagery show the same ground: nothing is shown that could not be made.
    """
    own = {
        "workspace": Workspace(root=str(ROOT)),
        "params_file": ParamsFile(path=str(ROOT / "params.yaml")),
        "dvc": Dvc(root=str(ROOT)),
        "tracking": Tracking(root=str(ROOT)),
        "process_group": ProcessGroup(processes=process_group.asked_for()),
    }
    found = {**own, **resources}
    home.check_dagster(found["workspace"].path)
    params = found["params_file"].load()
    systems = [system for system in SYSTEMS.values() if system.fits(params)]
    crosses = aerial_stages.fits(params)
    modules = [*MODULES, *([aerial] if crosses else [])]
    loaded = dg.load_assets_from_modules(modules)
    assets = [asset for asset in loaded if isinstance(asset, dg.AssetsDefinition)]
    assets += [asset for system in systems for asset in factory.assets_of(system)]
    registered = [system for system in systems if system.bundling is not None]
    assets += [retraining.policy_of(system) for system in registered]
    # An upstream asset that is never used would make the UI ask whether one is sure.
    if params.clips.source == "recordings":
        assets = list(dg.map_asset_specs(dataset.reading_own, assets))
    fresh = functools.partial(freshness.kept_fresh, settings=params.retraining)
    return dg.Definitions(
        assets=dg.map_asset_specs(fresh, assets),
        asset_checks=[
            *dg.load_asset_checks_from_modules(modules),
            *(check for system in systems for check in factory.checks_of(system)),
        ],
        jobs=[
            jobs.take_in,
            jobs.everything,
            jobs.name_places,
            jobs.refresh_data,
            jobs.reconsider,
            jobs.retrain,
            jobs.benchmark,
            jobs.promote,
            jobs.validate_data,
            *([jobs.cross_view] if crosses else []),
        ],
        schedules=[schedules.weekly_retraining, schedules.nightly_validation],
        sensors=[
            sensors.automation,
            sensors.inbox,
            sensors.arrivals,
            *(sensors.launching(system) for system in registered),
            sensors.run_failure_log,
            sensors.dead_runs,
            sensors.alerts,
        ],
        resources=found,
    )


defs = dg.Definitions.merge(build_definitions(), dg.Definitions(executor=cluster.executor()))
