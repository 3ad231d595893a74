"""How old assets may become before their pages, and alerts, say that they are stale.

Belongs here: the policies. Does not belong here: deciding on a new model
(vidtag_ml.retraining.policy), telling of it (findings.py).
"""

import datetime as dt

import dagster as dg

from vidtag_assets.assets.retraining import POLICY
from vidtag_ml import config

LOOK = dt.timedelta(days=8)
"""Within which the policy on retraining is asked: a week, and a day to be late."""
GRACE = dt.timedelta(days=30)
"""Within which a retraining that is asked for brings an evaluation and a verdict."""
LEAST = dt.timedelta(minutes=1)
"""Dagster knows no shorter time."""


def kept_fresh(spec: dg.AssetSpec, settings: config.Retraining) -> dg.AssetSpec:
    """The spec with its freshness policy, if it is to be kept fresh; any other as it is.

    Evaluations and champions warn at the age at which the policy on retraining asks for a new
    model, and fail if a month has not brought one. The policy itself is asked each week.
    """
    window = dg.FreshnessPolicy.time_window
    name = spec.key.to_user_string()
    if name.startswith(POLICY):
        return spec.replace_attributes(freshness_policy=window(LOOK))
    if name.startswith("champion_") or name.endswith("_evaluation"):
        age = max(dt.timedelta(days=settings.age_days), LEAST)
        policy = window(fail_window=age + GRACE, warn_window=age)
        return spec.replace_attributes(freshness_policy=policy)
    return spec
