"""What Dagster loads: all assets, checks, jobs, schedules and sensors, with their resources."""

from typing import Any

import dagster as dg

from orchestration import jobs, schedules, sensors
from vidtag_assets import (
    cityguessr,
    dataset,
    features,
    gallery,
    gama,
    geoclip,
    home,
    leaderboard,
    own_recordings,
    runs,
    vidtag,
)
from vidtag_assets.resources import Dvc, ParamsFile, Tracking, Workspace

ROOT = home.CODE
"""The repository, which is the workspace."""
MODULES = [own_recordings, dataset, gallery, features, vidtag, geoclip, cityguessr, leaderboard]


def build_definitions(**resources: Any) -> dg.Definitions:
    """The definitions over the repository; `resources` replace its own, for tests.

    GAMa's assets and job are there only if the params, as they are when this is loaded, give videos
    and imagery of the same ground (`gama.fits`): nothing is shown that could not be made.
    """
    own = {
        "workspace": Workspace(root=str(ROOT)),
        "params_file": ParamsFile(path=str(ROOT / "params.yaml")),
        "dvc": Dvc(root=str(ROOT)),
        "tracking": Tracking(root=str(ROOT)),
    }
    found = {**own, **resources}
    home.check_dagster(found["workspace"].path)
    params = found["params_file"].load()
    crosses = gama.fits(params)
    modules = [*MODULES, *([gama] if crosses else [])]
    loaded = dg.load_assets_from_modules(modules)
    assets = [asset for asset in loaded if isinstance(asset, dg.AssetsDefinition)]
    # An upstream asset that is never used would make the UI ask whether one is sure.
    if params.clips.source == "recordings":
        assets = list(dg.map_asset_specs(dataset.reading_own, assets))
    return dg.Definitions(
        assets=assets,
        asset_checks=dg.load_asset_checks_from_modules(modules),
        jobs=[
            jobs.take_in,
            jobs.everything,
            jobs.name_places,
            jobs.refresh_data,
            jobs.retrain,
            jobs.benchmark,
            jobs.promote,
            jobs.validate_data,
            *([jobs.cross_view] if crosses else []),
        ],
        schedules=[schedules.weekly_retraining, schedules.nightly_validation],
        sensors=[sensors.automation, sensors.inbox, sensors.run_failure_log, sensors.dead_runs],
        resources=found,
    )


defs = dg.Definitions.merge(build_definitions(), dg.Definitions(executor=runs.executor))
