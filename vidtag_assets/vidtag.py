"""VidTAG: both phases, its evaluation, and its place in the registry; a check below it.

Belongs here: assets phase_one_model, phase_two_model, vidtag_evaluation, registered_model and
champion_model. Does not belong here: what is the same for all systems (factory.py,
registration.py), what deciding means (gate.py).
"""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pandas as pd

from vidtag_assets import factory, gate, registration, registry
from vidtag_assets.features import frame_features
from vidtag_assets.gallery import gps_gallery
from vidtag_assets.geoclip import geoclip_evaluation
from vidtag_assets.metadata import OWNERS, preview
from vidtag_assets.registration import Champion, Registered
from vidtag_assets.resources import Dvc, ParamsFile, Tracking, Workspace
from vidtag_ml import config
from vidtag_ml.models.geoclip.system import SYSTEM as GEOCLIP
from vidtag_ml.models.vidtag.system import SYSTEM
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from vidtag_ml.models.report import Report


phase_one_model = factory.training_asset(
    SYSTEM,
    "phase_one",
    [frame_features, gps_gallery],
    """VidTAG after Phase I: frames, seen together, and coordinates meet in one space.

    **When it fails:** out of memory (a smaller `phase_one.batch_size`), or features are missing.
    Materialize again: training goes on from its newest checkpoint and ends as if never stopped.
    """,
)
phase_two_model = factory.training_asset(
    SYSTEM,
    "phase_two",
    [phase_one_model],
    """VidTAG after Phase II: its refiner straightens noisy tracks. This is the model that is used.

    **When it fails:** as in Phase I; materialize again and it goes on from its checkpoint.
    """,
)

vidtag_evaluation = factory.track_evaluation_asset(SYSTEM, phase_two_model)


def _floor(ours: "Report", at: Layout, params: config.Params) -> "list[gate.Statement]":
    """The centre of the train fixes, and a train fix at random."""
    from vidtag_ml.dataset import tables
    from vidtag_ml.models import blind

    train = tables.read(at.dataset).fixes_in("train")[["lat", "lon"]].dropna().to_numpy(float)
    draws = params.evaluation.bootstrap_draws
    return gate.over_blind(ours, blind.medians_km(ours, train), draws)


def _anew(champion: Champion) -> "Report | None":
    """On the features of its own encoders."""
    from vidtag_ml.dataset import tables
    from vidtag_ml.features.store import FeatureStore
    from vidtag_ml.models import networks
    from vidtag_ml.models.gps_retrieval import evaluate
    from vidtag_ml.models.vidtag.locator import VidtagLocator
    from vidtag_ml.retrieval import gallery

    if not registration.same_encoders(REGISTERED, champion):
        return None
    at = champion.at
    return evaluate.evaluate(
        networks.load(champion.bundle / "model"),
        gallery.read(at.gallery),
        FeatureStore.open(at.features),
        tables.read(at.dataset),
        "val",
        VidtagLocator.load(champion.bundle).evaluation,
        champion.name,
        max_gap_s=champion.params.clips.max_gap_s,
    )


REGISTERED = Registered(
    SYSTEM,
    gate.TRACKS,
    _floor,
    _anew,
    recorded=("clips", "gallery"),
    first=(GEOCLIP, "GeoCLIP"),
)


@dg.asset(
    deps=[phase_two_model, vidtag_evaluation, gps_gallery],
    group_name="registry",
    kinds={"mlflow"},
    owners=OWNERS,
)
def registered_model(
    context: dg.AssetExecutionContext,
    workspace: Workspace,
    params_file: ParamsFile,
    dvc: Dvc,
    tracking: Tracking,
) -> dg.MaterializeResult:
    """The bundle (model, gallery, encoders) as a version in MLflow's registry, alias `challenger`.

    Tagged with commit, DVC md5s, parameters and runs; `vidtag trace` walks them. A bundle whose
    bytes are registered already stays the version that it is.

    **When it fails:** dvc.lock lacks an md5 (materialize clips and gps_gallery first), or the disk
    is full. Nothing is half registered: materialize again.
    """
    params, run = params_file.load(), context.run.run_id
    version, new = registration.bundle_and_register(
        REGISTERED, workspace.path, params, dvc, tracking, run
    )
    return dg.MaterializeResult(
        data_version=dg.DataVersion(version.tags["bundle"]),
        metadata=registration.about_version(tracking, version, new),
    )


@dg.asset(
    deps=[registered_model, geoclip_evaluation],
    group_name="registry",
    kinds={"mlflow"},
    owners=OWNERS,
)
def champion_model(
    workspace: Workspace, params_file: ParamsFile, tracking: Tracking
) -> dg.MaterializeResult:
    """The version that `vidtag locate` uses, alias `champion`; it changes only through the gate.

    The challenger must have significantly smaller errors than the champion on the same val clips
    and gallery, and be significantly worse on no continent; the first champion must beat GeoCLIP.
    Each must beat the centre of the train fixes and a train fix at random, on enough val clips.
    A rejection is a verdict: this asset stays green, keeps the old version and says why.

    **When it fails:** there is no challenger (materialize registered_model). To take a promotion
    back: `vidtag rollback --reason ...`; to overrule the gate: `vidtag promote`.
    """
    params = params_file.load()
    entry, verdict = registration.decide(REGISTERED, tracking, workspace.layout(params), params)
    log = pd.DataFrame(
        [dataclasses.asdict(line) for line in reversed(registry.history(workspace.path))]
    )
    return dg.MaterializeResult(
        data_version=dg.DataVersion(str(entry.champion or "none")),
        metadata={
            **registration.about_verdict(entry, verdict),
            "challenger": entry.version,
            "log": preview(log, 10),
        },
    )


@dg.asset_check(asset=champion_model)
def challenger_beats_champion(params_file: ParamsFile, tracking: Tracking) -> dg.AssetCheckResult:
    """The challenger is the champion; if the gate rejected it, this warns and says why."""
    name = registry.name_of(registry.NAME, params_file.load())
    named = registry.aliases(tracking, name)
    challenger, champion = named.get(registry.CHALLENGER), named.get(registry.CHAMPION)
    log = registry.history(Path(tracking.root))
    past = [e for e in log if (e.model, e.version) == (name, challenger)]
    return dg.AssetCheckResult(
        passed=challenger is not None and challenger == champion,
        severity=dg.AssetCheckSeverity.WARN,
        description=past[-1].reason if past else None,
        metadata={"challenger": challenger or 0, "champion": champion or 0},
    )
