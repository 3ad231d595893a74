"""CityGuessr: its training, evaluation and place in the registry; checks below the hierarchy.

Belongs here: assets cityguessr_model, cityguessr_evaluation and registered_cityguessr, when it
becomes champion. Does not belong here: what is the same for all systems (factory.py,
registration.py), what deciding means (gate.py).
"""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from vidtag_assets import factory, gate, registration, registry
from vidtag_assets.dataset import clips, hierarchy
from vidtag_assets.features import frame_features
from vidtag_assets.metadata import picture, preview
from vidtag_assets.registration import Champion, Registered
from vidtag_assets.resources import ParamsFile, Tracking, Workspace
from vidtag_ml import config
from vidtag_ml.dataset.hierarchy import Hierarchy
from vidtag_ml.models.cityguessr import stages as cityguessr_stages
from vidtag_ml.models.cityguessr.system import SYSTEM

if TYPE_CHECKING:
    from vidtag_ml.models.cityguessr.evaluate import PlaceReport


cityguessr_model = factory.training_asset(
    SYSTEM,
    "cityguessr",
    [clips, hierarchy, frame_features],
    """CityGuessr: which city, state, country and continent a video is from.

    **When it fails:** weights to start from, features or scene labels are missing; the message
    names them and what makes them. Materialize again: it goes on from its newest checkpoint.
    """,
)


def _shown(
    reports: Mapping[str, Any], workspace: Workspace, params: config.Params
) -> dict[str, Any]:
    """Confusions of countries, how well probabilities are calibrated, and answers."""
    from vidtag_ml.dataset import tables
    from vidtag_ml.dataset.hierarchy import LEVELS
    from vidtag_ml.models.cityguessr import plots as cityguessr_plots

    test, at = reports["test"], workspace.layout(params)
    bins = {k: test.reliability[test.reliability["level"] == k] for k in LEVELS}
    said = test.per_clip[["clip_id", *LEVELS, "answer", "answer_right"]]
    positions_N2 = tables.first_positions(tables.read(at.dataset), test.per_clip["clip_id"])
    countries = (test.per_clip["country"].tolist(), test.per_clip["predicted_country"].tolist())
    return {
        "confusions": picture(
            lambda p: cityguessr_plots.confusion_map(*countries, positions_N2, p)
        ),
        "reliability": picture(lambda p: cityguessr_plots.reliability(bins, p)),
        "answers": preview(said, 10),
    }


cityguessr_evaluation = factory.evaluation_asset(
    SYSTEM,
    [cityguessr_model],
    """Places that CityGuessr names on val, which decides promotion, and on test: `out/evaluation/`.

    **When it fails:** the model or what it reads is missing or has changed; materialize what the
    message names, then this again.
    """,
    _shown,
)


def _anew(champion: Champion) -> "PlaceReport | None":
    """With its own classes, on the features of its own encoders."""
    from vidtag_ml.models.cityguessr import evaluate as cityguessr_evaluate
    from vidtag_ml.models.cityguessr import inference
    from vidtag_ml.models.cityguessr.locator import CityGuessrLocator

    if not registration.same_encoders(REGISTERED, champion):
        return None
    at, params = champion.at, champion.params
    model = inference.load(champion.bundle / "model")
    own = Hierarchy.of_rows(model.sizes.places)
    sources = dataclasses.replace(cityguessr_stages.guess_sources(at, params), hierarchy=own)
    settings = CityGuessrLocator.load(champion.bundle).settings
    draws = params.evaluation.bootstrap_draws
    return cityguessr_evaluate.report_on(model, settings, sources, "val", draws)


REGISTERED = Registered(
    SYSTEM,
    gate.PLACES,
    lambda report, _at, _params: [gate.over_prior(report)],
    _anew,
    recorded=("clips", "hierarchy", "gallery"),
    searched=False,
)
registered_cityguessr = registration.registration_asset(
    REGISTERED,
    [cityguessr_model, cityguessr_evaluation],
    """CityGuessr's bundle as a version in MLflow's registry, and the gate's verdict on it.

    It becomes `@challenger`, and `@champion` if it is right at more levels than the champion on the
    same val clips, beyond chance, and on no continent worse; it must always beat the most frequent
    classes, on enough val clips. `vidtag locate VIDEO --model cityguessr` uses the champion.

    **When it fails:** dvc.lock lacks an md5 (materialize clips, hierarchy and gps_gallery first),
    or the disk is full. Nothing is half registered: materialize again.
    """,
)


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
