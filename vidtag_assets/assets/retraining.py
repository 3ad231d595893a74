"""Policies on retraining: what changed since the champion, and whether a new model is due.

Belongs here: the asset of each registered system, and where its facts are read: registry,
workspace, Dagster's runs. Does not belong here: the decision (vidtag_ml.retraining.policy), what is
launched upon it (orchestration).
"""

import datetime as dt
import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
import pandas as pd

from vidtag_assets.assets.factory import ASSETS
from vidtag_assets.execution import cluster
from vidtag_assets.lineage import identity, training_clips
from vidtag_assets.metadata import OWNERS, preview
from vidtag_assets.store import registry
from vidtag_assets.workspace.resources import Dvc, ParamsFile, Tracking, Workspace
from vidtag_ml import config
from vidtag_ml.models.system import System
from vidtag_ml.workflow.layout import Layout

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

    from vidtag_ml.retraining.changes import Change
    from vidtag_ml.retraining.policy import Decision, Facts, Model, Past, Rule

RETRAIN = "retrain"
"""The job that is launched if a policy says so, of systems that have no other."""
IDENTITY, WHY = "vidtag/identity", "vidtag/why"
"""Tags of its runs: digest of what it trains on, and what called for it."""
POLICY = "retraining_policy"
"""Beginning of the names of policies."""
WARNINGS = "warnings"
"""Metadata of a policy: what alerts tell of the champion, by their kind."""
KINDS = {"age": "stale", "drift": "drift"}
"""Rules that alerts tell of -> their kinds."""
JOBS = {"cityguessr": "name_places", "gama": "cross_view"}
"""Systems that have a job of their own -> the job."""
TAG = ("policy", "retraining")
"""Of all policies."""
ABOUT = """
Compares the whole identity of what would be trained today (data, gallery, hierarchy, encoders,
parameters, code, packages) with the champion's, and with the newest version's if that is
another. What calls for a new model, and what may be spent, stands in section `retraining` of
params.yaml. A sensor launches the job `JOB` if `retrain` is true here; the run's tags say why.
What a version does not tell, since it is older, is no reason.

**When it fails:** a champion's kept clips are not the bytes that were kept (restore mlartifacts
from a backup), or data are missing; the message says which. Nothing is launched meanwhile.
"""
WEEK = dt.timedelta(days=7)
_EMBEDDING = ("encoder.", "param.features.", "code.features")
"""Parts of an identity on which embeddings of clips depend."""


def policy_of(system: System) -> dg.AssetsDefinition:
    """The policy on retraining a registered system."""
    reads = [name for training in system.trainings.values() for name in training.reads]
    read = dict.fromkeys(name for name in reads if name not in system.trainings)
    also = ["hierarchy"] if "features" in read else []

    @dg.asset(
        name=name_of(system),
        deps=[
            *dict.fromkeys(["clips", *also, *(ASSETS.get(name, name) for name in read)]),
            f"champion_{system.bundled.registration.called or system.name}",
        ],
        group_name="registry",
        kinds={"mlflow"},
        owners=OWNERS,
        op_tags=cluster.needs(cpu=1, memory_gb=2),
        tags=dict([("system", system.name), TAG]),
        description=f"""Whether a new {system.title} is due, and what changed since the champion.

{inspect.cleandoc(ABOUT).replace("JOB", job_of(system))}
""",
    )
    def asked(
        context: dg.AssetExecutionContext,
        workspace: Workspace,
        params_file: ParamsFile,
        dvc: Dvc,
        tracking: Tracking,
    ) -> dg.MaterializeResult:
        params = params_file.load()
        at = workspace.layout(params)
        return _asked(system, at, params, dvc, tracking, context.instance, context.run.run_id)

    return asked


def name_of(system: System) -> str:
    """The name of a system's policy."""
    return POLICY if system.name == registry.NAME else f"{POLICY}_{system.name}"


def job_of(system: System) -> str:
    """The job that retrains a system."""
    return JOBS.get(system.name, RETRAIN)


def _asked(
    system: System,
    at: Layout,
    params: config.Params,
    dvc: Dvc,
    tracking: Tracking,
    instance: dg.DagsterInstance,
    run_id: str,
) -> dg.MaterializeResult:
    from vidtag_ml.retraining import changes, policy

    now = dt.datetime.now(dt.UTC)
    today = identity.today(system, at, params, dvc)
    models = _models(system, tracking, at, params, today)
    facts = policy.Facts(
        now=now,
        identity=changes.digest(today),
        models=tuple(models),
        known=_known(system, tracking, params, today),
        past=tuple(_past(instance, job_of(system), run_id, now, params.retraining)),
        begins=system.name == registry.NAME,
    )
    decision = policy.decide(facts, params.retraining)
    noticed = _noticed(instance, dg.AssetKey(name_of(system)), models, now)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(f"{facts.identity} {decision.retrain}"),
        metadata={
            "retrain": decision.retrain,
            "why": dg.MetadataValue.md(decision.why),
            **_shown(decision, models, noticed),
            WARNINGS: dg.MetadataValue.json(_warnings(facts, decision, params.retraining)),
            "identity": facts.identity,
            "noticed": dg.MetadataValue.json(noticed),
        },
    )


def request(materialization: dg.AssetMaterialization, key: str) -> dg.RunRequest | None:
    """The run that a materialization of the policy asks for, if it asks for one.

    Args:
        materialization: of a policy.
        key: tells it from all others; no two runs are launched for it.
    """
    told = {name: value.value for name, value in materialization.metadata.items()}
    if not told["retrain"]:
        return None
    return dg.RunRequest(key, tags={IDENTITY: told["identity"], WHY: told["why"]})


def _models(
    system: System, tracking: Tracking, at: Layout, params: config.Params, today: Mapping[str, str]
) -> "list[Model]":
    """The champion, and the newest version if that is another, compared with today."""
    name = registry.name_of(system.name, params)
    versions = {int(version.version): version for version in registry.versions(tracking, name)}
    if not versions:
        return []
    champion = registry.aliases(tracking, name).get(registry.CHAMPION)
    called = {champion: "champion"} if champion else {}
    called.setdefault(max(versions), "version")
    return [
        _compared(system, tracking, at, params, f"{what} {number}", versions[number], today)
        for number, what in called.items()
    ]


def _compared(
    system: System,
    tracking: Tracking,
    at: Layout,
    params: config.Params,
    called: str,
    version: "ModelVersion",
    today: Mapping[str, str],
) -> "Model":
    from vidtag_ml.retraining import changes, drift, policy, trained_on

    found = changes.between(identity.of_version(tracking, version, system, params), today)
    differ = {change.part for change in found}
    if changes.DATA not in differ:
        training_clips.keep(tracking, version, at)  # one registered by an older vidtag gets its own
        version = registry.resolve(tracking, f"{version.name}/{version.version}")
    then, counts, drifts = training_clips.kept(tracking, version), None, []
    if then is not None:
        today_clips = training_clips.now(at)
        counts = trained_on.counts(then, today_clips)
        new = training_clips.with_embeddings(trained_on.came(then, today_clips), at)
        seen_alike = not any(part.startswith(_EMBEDDING) for part in differ)
        known = then if seen_alike else then.drop(columns="embedding", errors="ignore")
        drifts = drift.drifts(new, known, params.retraining.least_clips)
    made = dt.datetime.fromtimestamp(version.creation_timestamp / 1000, dt.UTC)
    return policy.Model(called, made, found, counts, tuple(drifts))


def _known(
    system: System, tracking: Tracking, params: config.Params, today: Mapping[str, str]
) -> str | None:
    """The version that was made from exactly this, if there is one."""
    name = registry.name_of(system.name, params)
    for version in registry.versions(tracking, name):
        alike = version.tags.get("dvc.clips") == today.get("dvc.clips")
        if alike and identity.of_version(tracking, version, system, params) == today:
            return f"version {version.version}"
    return None


def _past(
    instance: dg.DagsterInstance,
    job: str,
    own: str,
    now: dt.datetime,
    settings: config.Retraining,
) -> "list[Past]":
    """Retrainings that count: of a week or a cooldown, and all that are under way or judged."""
    from vidtag_ml.retraining import policy

    since = now - max(WEEK, dt.timedelta(hours=settings.cooldown_hours))
    filters = [
        dg.RunsFilter(job_name=job, created_after=since),
        dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.SUCCESS]),
    ]
    records = {r.dagster_run.run_id: r for f in filters for r in instance.get_run_records(f)}
    found = []
    for run_id, record in records.items():
        run, created = record.dagster_run, record.create_timestamp.replace(tzinfo=dt.UTC)
        began, ended = (_utc(when) for when in (record.start_time, record.end_time))
        # The run that asks reaches its verdict before it comes to the policy.
        over = run.is_finished or run_id == own
        judged = run.is_success or run_id == own
        found.append(
            policy.Past(
                run=run_id,
                began=began or created,
                ended=(ended or now) if over else None,
                judged=run.tags.get(IDENTITY) if judged else None,
            )
        )
    return found


def _utc(timestamp: float | None) -> dt.datetime | None:
    return None if timestamp is None else dt.datetime.fromtimestamp(timestamp, dt.UTC)


def _noticed(
    instance: dg.DagsterInstance, asset: dg.AssetKey, models: "Sequence[Model]", now: dt.datetime
) -> dict[str, Any]:
    """When each part that differs was first seen as it is now: part -> value and time."""
    last = instance.get_latest_materialization_event(asset)
    event = last.asset_materialization if last else None
    before: Any = event.metadata["noticed"].value if event else {}
    found = {}
    for change in (change for model in models for change in model.changes):
        value, when = before.get(change.part, (None, None))
        same = when is not None and value == change.now
        found[change.part] = [change.now, when if same else now.isoformat(timespec="minutes")]
    return found


def _shown(
    decision: "Decision", models: "Sequence[Model]", noticed: Mapping[str, Any]
) -> dict[str, Any]:
    """What changed, and the rules, as tables."""
    tables = {f"changed_since_{m.name.replace(' ', '_')}": _changes(m, noticed) for m in models}
    shown = {name: preview(table, len(table)) for name, table in tables.items()}
    triggers = _rules(decision.triggers, "calls for a new model")
    limits = _rules(decision.limits, "forbids it now")
    return {**shown, "triggers": preview(triggers, 9), "limits": preview(limits, 9)}


def _warnings(facts: "Facts", decision: "Decision", settings: config.Retraining) -> dict[str, str]:
    """What alerts tell of the champion, by their kind, with what is done about it."""
    from vidtag_ml.retraining import policy

    then = "a new model is trained" if decision.retrain else decision.why
    found = policy.warnings(facts, settings)
    return {KINDS[rule.name]: f"{rule.found}. The policy: {then}" for rule in found}


def _changes(model: "Model", noticed: Mapping[str, Any]) -> pd.DataFrame:
    rows = [_change(change, noticed[change.part][1]) for change in model.changes]
    rows = rows or [("nothing", "", "", "")]
    then = f"{model.name}, {model.made:%Y-%m-%d}"
    return pd.DataFrame(rows, columns=["what", then, "today", "since (UTC)"])


def _change(change: "Change", since: str) -> tuple[str, str, str, str]:
    then = "not recorded" if change.then is None else change.then
    now = "no more" if change.now is None else change.now
    return change.part, then, now, since.replace("T", " ").removesuffix("+00:00")


def _rules(rules: "Sequence[Rule]", head: str) -> pd.DataFrame:
    rows = [(rule.name, rule.found, rule.bar, "yes" if rule.holds else "no") for rule in rules]
    return pd.DataFrame(rows, columns=["rule", "is", "bar", head])
