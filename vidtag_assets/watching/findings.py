"""What is wrong now, from what Dagster keeps already: four kinds of alerts.

Runs that failed (its event log), checks that do not hold (their last result), assets past their
freshness policy, and what the policies on retraining warn of (an old champion, drift).

Belongs here: reading that, and what a sensor does with it. Does not belong here: alerts themselves
(alerts.py), sending them (webhook.py), when it is looked (orchestration/sensors.py).
"""

import dataclasses
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from vidtag_assets.assets.retraining import POLICY, WARNINGS
from vidtag_assets.execution.story import cause
from vidtag_assets.watching import alerts, webhook
from vidtag_assets.watching.alerts import CHECK, ERROR, RUN, STALE, WARNING, Alert, Told

PARTITION = "dagster/partition"
"""Dagster's tag of a run of one partition."""
MOST = 50
"""Failed runs that are looked at in one go; the rest are in the next."""
SHOWN = 3
"""Assets of a run that are named."""
LONGEST = 2000
"""Letters of a message: chats refuse or cut off long ones."""


def tick(
    instance: dg.DagsterInstance, graph: Any, cursor: str | None, root: Path
) -> dg.SensorResult:
    """Looks, and sends what is news; what was not taken waits, and later ticks fail until it is.

    Args:
        instance: Dagster's.
        graph: the assets and checks that there are.
        cursor: what is remembered.
        root: the workspace.

    Raises:
        ValueError: the address is none.
        RuntimeError: the address takes nothing, and all that is news is remembered already.
    """
    before = Told.parse(cursor) if cursor else begin(instance)
    now = look(instance, graph, before)
    if webhook.address() is None:
        told = f"{webhook.URL} is not set: nobody is told. {_listed(now)}"
        return _remembered(told, Told(now.failures))
    ui = webhook.interface()
    sent, refused = webhook.send([alerts.payload(each, root, ui) for each in now.unsent])
    left = dataclasses.replace(now, unsent=now.unsent[sent:])
    waiting = f"{refused}; {len(left.unsent)} alerts wait" if refused else ""
    if refused and left == before:
        raise RuntimeError(waiting)
    return _remembered(waiting or f"{sent} alerts sent. {_listed(left)}", left)


def begin(instance: dg.DagsterInstance) -> Told:
    """Nothing told yet; runs that have failed until now never will be."""
    last = instance.fetch_run_status_changes(dg.DagsterEventType.RUN_FAILURE, limit=1)
    return Told(last.cursor)


def look(instance: dg.DagsterInstance, graph: Any, before: Told) -> Told:
    """What is remembered after another look."""
    found = instance.fetch_run_status_changes(
        dg.DagsterEventType.RUN_FAILURE, limit=MOST, cursor=before.failures, ascending=True
    )
    failed = [_failure(instance, record.event_log_entry) for record in found.records]
    known = [alert for alert in before.open.values() if alert.kind == RUN]
    failing = [alert for alert in known if not _succeeded(instance, alert)]
    states = [
        *_checks(instance, graph),
        *_stale(instance, graph),
        *_warned(instance, graph),
    ]
    return alerts.after(before, found.cursor, failed, [*failing, *states])


def _remembered(told: str, what: Told) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=told, cursor=what.text())


def _listed(told: Told) -> str:
    return f"Open: {'; '.join(told.open) or 'none'}."


def _succeeded(instance: dg.DagsterInstance, alert: Alert) -> bool:
    """Whether the job's last run with all of its steps went well."""
    run = instance.get_run_by_id(alert.page.rpartition("/")[2])
    if run is None:  # somebody deleted it
        return True
    ended = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS]
    part = {key: run.tags[key] for key in (PARTITION,) if key in run.tags}
    alike = dg.RunsFilter(job_name=run.job_name, statuses=ended, tags=part)
    records = instance.get_run_records(alike, MOST)
    steps = _steps(instance, run)
    whole = [each for each in records if steps <= _steps(instance, each.dagster_run)]
    last = max(whole, key=lambda record: record.end_time or 0.0, default=None)
    return last is not None and last.dagster_run.is_success


def _steps(instance: dg.DagsterInstance, run: dg.DagsterRun) -> set[str]:
    """The steps of a run: in the UI, any of its job's assets may be chosen."""
    plan = run.execution_plan_snapshot_id
    return set(instance.get_execution_plan_snapshot(plan).step_keys_to_execute) if plan else set()


def _failure(instance: dg.DagsterInstance, entry: dg.EventLogEntry) -> Alert:
    steps: Any = instance.all_logs(entry.run_id, dg.DagsterEventType.STEP_FAILURE)
    broken = [step.dagster_event for step in steps]
    why = f"{broken[0].step_key}: {cause(broken[0])}" if broken else _said(entry)
    run = instance.get_run_by_id(entry.run_id)
    about = _called(run) if run else entry.job_name or ""
    message = f"run {entry.run_id[:8]}: {why}"
    return _alert(RUN, about, message, entry.timestamp, f"/runs/{entry.run_id}")


def _called(run: dg.DagsterRun) -> str:
    """A run's job, and which assets and partition of it, if these are not all."""
    names = sorted(key.to_user_string() for key in run.asset_selection or ())
    names += [run.tags[PARTITION]] if PARTITION in run.tags else []
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    assets = f"{', '.join(names[:SHOWN])}{more}"
    if run.job_name.startswith("__"):  # begun in the UI, from assets
        return assets or "assets"
    return f"{run.job_name} ({assets})" if assets else run.job_name


def _said(entry: dg.EventLogEntry) -> str:
    """What the event says; which process failed is said there alone."""
    event = entry.dagster_event
    return (event.message if event else None) or entry.user_message


def _checks(instance: dg.DagsterInstance, graph: Any) -> Iterator[Alert]:
    """Checks whose last finished evaluation did not hold."""
    keys = sorted(graph.asset_check_keys, key=str)
    records = instance.event_log_storage.get_asset_check_summary_records(keys)
    for key in keys:
        last = records[key].last_completed_check_execution_record
        result = last.evaluation if last else None
        if last is None or result is None or result.passed:
            continue
        asset = key.asset_key.to_user_string()
        yield _alert(
            CHECK,
            f"{key.name} of {asset}",
            result.description or "it does not hold; its page shows the evidence",
            last.create_timestamp,
            f"{_page(key.asset_key)}?view=checks&checkDetail={key.name}",
            WARNING if result.severity == dg.AssetCheckSeverity.WARN else ERROR,
        )


def _stale(instance: dg.DagsterInstance, graph: Any) -> Iterator[Alert]:
    """Assets past their freshness policy, as Dagster's daemon found last."""
    states = instance.get_freshness_state_records(list(graph.get_all_asset_keys()))
    for key, state in states.items():
        is_stale = state.freshness_state.value == "FAIL"
        event = instance.get_latest_materialization_event(key) if is_stale else None
        if event is not None:
            message = f"last made {_time(event.timestamp)}, longer ago than its policy allows"
            since = state.updated_at.timestamp()
            yield _alert(STALE, key.to_user_string(), message, since, _page(key))


def _warned(instance: dg.DagsterInstance, graph: Any) -> Iterator[Alert]:
    """What the policies on retraining warn of."""
    for key in graph.get_all_asset_keys():
        name = key.to_user_string()
        event = instance.get_latest_materialization_event(key) if name.startswith(POLICY) else None
        made = event.asset_materialization if event else None
        if event is None or made is None or WARNINGS not in made.metadata:
            continue
        told: Any = made.metadata[WARNINGS].value
        for kind, message in told.items():
            about = f"champion ({name})"
            yield _alert(kind, about, message, event.timestamp, _page(key), WARNING)


def _page(key: dg.AssetKey) -> str:
    return f"/assets/{'/'.join(key.path)}"


def _alert(
    kind: str, about: str, message: str, when: float, page: str, severity: str = ERROR
) -> Alert:
    cut = message if len(message) <= LONGEST else f"{message[:LONGEST]} ..."
    return Alert(kind, about, cut, severity, _time(when), page)


def _time(timestamp: float) -> str:
    return dt.datetime.fromtimestamp(timestamp, dt.UTC).isoformat(timespec="seconds")
