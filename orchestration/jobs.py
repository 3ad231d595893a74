"""Jobs: named selections of assets, with a sentence each."""

import dagster as dg

from vidtag_assets.assets.dataset import clips, hierarchy
from vidtag_assets.assets.features import frame_features
from vidtag_assets.assets.gallery import gps_gallery
from vidtag_assets.assets.own_recordings import own_recordings
from vidtag_assets.assets.retraining import JOBS, RETRAIN, TAG

take_in = dg.define_asset_job(
    "take_in",
    selection=dg.AssetSelection.assets(own_recordings),
    description="Takes the recordings of one folder of data/inbox into the dataset of its name.",
)
PLACES = dg.AssetSelection.tag("system", "cityguessr")
everything = dg.define_asset_job(
    "everything",
    selection=dg.AssetSelection.all() - dg.AssetSelection.assets(own_recordings) - PLACES,
    description="The main job: from clips to a champion. What is unchanged is not made again.",
)
name_places = dg.define_asset_job(
    JOBS["cityguessr"],
    selection=PLACES,
    description="CityGuessr on the clips, hierarchy and features that the main job made.",
)
refresh_data = dg.define_asset_job(
    "refresh_data",
    selection=dg.AssetSelection.groups("dataset", "gallery"),
    description="Ingests and checks the clips, rebuilds hierarchy and gallery, records their md5s.",
)
reconsider = dg.define_asset_job(
    "reconsider",
    selection=dg.AssetSelection.assets(clips, hierarchy, gps_gallery, frame_features)
    | dg.AssetSelection.tag(*TAG),
    description="Brings data and features up to date, and asks the policies whether to retrain.",
)
retrain = dg.define_asset_job(
    RETRAIN,
    selection=dg.AssetSelection.groups(
        "dataset", "gallery", "features", "training", "evaluation", "registry"
    )
    - PLACES,
    description="From clips, own datasets taken in anew, to a verdict; launched by the policy.",
)
benchmark = dg.define_asset_job(
    "benchmark",
    selection=dg.AssetSelection.groups("evaluation") - PLACES,
    description="Evaluates every trained model on val and test and ranks them; trains nothing.",
)
promote = dg.define_asset_job(
    "promote",
    selection=dg.AssetSelection.assets("champion_model"),
    description="Asks the gate about the challenger once more; trains nothing.",
)
validate_data = dg.define_asset_job(
    "validate_data",
    selection=dg.AssetSelection.checks_for_assets(clips, gps_gallery),
    description="Runs the checks on clips and gallery as they lie on disk; makes nothing.",
)
cross_view = dg.define_asset_job(
    JOBS["gama"],
    selection=dg.AssetSelection.tag("system", "gama").upstream()
    - dg.AssetSelection.assets(own_recordings),
    description="GAMa alone, from clips to a verdict; if the params' imagery fits its videos.",
)
