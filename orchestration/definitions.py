"""What Dagster loads: all assets, checks, jobs, schedules and sensors, with their resources."""

from pathlib import Path
from typing import Any

import dagster as dg

from orchestration import jobs, schedules, sensors
from vidtag_assets import (
    dataset,
    evaluation,
    features,
    gallery,
    recordings,
    registration,
    training,
)
from vidtag_assets.resources import Dvc, ParamsFile, Tracking, Workspace

ROOT = Path(__file__).resolve().parent.parent
"""The repository, which is the workspace."""
MODULES = [recordings, dataset, gallery, features, training, evaluation, registration]


def build_definitions(**resources: Any) -> dg.Definitions:
    """The definitions over the repository; `resources` replace its own, for tests."""
    own = {
        "workspace": Workspace(root=str(ROOT)),
        "params_file": ParamsFile(path=str(ROOT / "params.yaml")),
        "dvc": Dvc(root=str(ROOT)),
        "tracking": Tracking(root=str(ROOT)),
    }
    loaded = dg.load_assets_from_modules(MODULES)
    assets = [asset for asset in loaded if isinstance(asset, dg.AssetsDefinition)]
    found = {**own, **resources}
    # An upstream asset that is never used would make the UI ask whether one is sure.
    if found["params_file"].load().clips.source == "recordings":
        assets = list(dg.map_asset_specs(dataset.reading_own, assets))
    return dg.Definitions(
        assets=assets,
        asset_checks=dg.load_asset_checks_from_modules(MODULES),
        jobs=[
            jobs.take_in,
            jobs.everything,
            jobs.refresh_data,
            jobs.retrain,
            jobs.benchmark,
            jobs.promote,
            jobs.validate_data,
        ],
        schedules=[schedules.weekly_retraining, schedules.nightly_validation],
        sensors=[sensors.automation, sensors.inbox, sensors.run_failure_log],
        resources=found,
    )


defs = build_definitions()
